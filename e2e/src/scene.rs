//! One test's own place: a directory, an identity, and the check that nothing is left behind.

use crate::baseline::Baseline;
use crate::binary::Binary;
use crate::herd::{NO_KERNEL_DISPATCH, Setup};
use crate::lineage::{Lineage, own_pid};
use crate::process::Process;
use crate::wait;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long after its end a test waits for the last traces to go: the kernel and a keeper clean up
/// on their own time.
const SETTLE: Duration = Duration::from_secs(5);

/// Scenes made by this process, for names.
static MADE: AtomicU32 = AtomicU32::new(0);

/// One test's own place. Make it first, so that it is dropped last: dropping it compares the machine with
/// how it was and panics, with the difference, when something of this test is still there.
#[derive(Debug)]
pub struct Scene {
    name: String,
    directory: PathBuf,
    lineages: Mutex<Vec<Arc<Lineage>>>,
    before: Option<Baseline>,
}

impl Scene {
    /// A scene for the test `name` (letters, digits, `_`; short, socket paths hold 107 bytes).
    ///
    /// # Panics
    /// When its directory cannot be made.
    pub fn new(name: &str) -> Scene {
        leave_no_cores();
        let name = format!(
            "{name}-{}-{}",
            own_pid(),
            MADE.fetch_add(1, Ordering::Relaxed)
        );
        let directory = std::env::temp_dir().join(format!("ht-{name}"));
        if let Err(error) = DirBuilder::new().mode(0o700).create(&directory) {
            panic!("{} cannot be made: {error}", directory.display());
        }
        let mut scene = Scene {
            name,
            directory,
            lineages: Mutex::default(),
            before: None,
        };
        scene.before = Some(Baseline::of(&scene));
        scene
    }

    /// The private directory, removed with the scene.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Prepares the start of a program of this workspace.
    pub fn herd(&self, binary: Binary) -> Setup {
        Setup::new(self, &binary.path())
    }

    /// Prepares the start of a program of this workspace that may not load programs into the kernel, and to which
    /// nobody has said anything about that.
    pub fn unprivileged(&self, binary: Binary) -> Setup {
        const NONE: &str = "-bpf,-sys_admin";
        let setup = self.program("setpriv");
        let setup = setup.arg(format!("--bounding-set={NONE}"));
        let setup = setup.arg(format!("--inh-caps={NONE}"));
        setup.arg(binary.path()).env(NO_KERNEL_DISPATCH, "")
    }

    /// Prepares the start of any other program, by path or name.
    pub fn program(&self, path: impl AsRef<Path>) -> Setup {
        Setup::new(self, path.as_ref())
    }

    /// Everything alive that was started in this scene, by pid.
    pub fn processes(&self) -> Vec<Process> {
        let lineages = self
            .lineages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        lineages
            .iter()
            .flat_map(|lineage| lineage.alive())
            .collect()
    }

    /// A lineage for one more start.
    pub(crate) fn lineage(&self) -> Arc<Lineage> {
        let mut lineages = self.lineages.lock().unwrap_or_else(PoisonError::into_inner);
        let lineage = Arc::new(Lineage::new(format!("{}.{}", self.name, lineages.len())));
        lineages.push(lineage.clone());
        lineage
    }
}

/// What is started from here on leaves no core when it aborts: it would be larger than all else of a scene.
fn leave_no_cores() {
    let limit = Rlimit {
        current: Some(0),
        ..getrlimit(Resource::Core)
    };
    setrlimit(Resource::Core, limit).expect("anybody may lower it");
}

/// Does the same with each of some things at the same time, where most of it is waiting. Each has a scene of
/// its own.
///
/// # Panics
/// When one does.
pub fn at_the_same_time<T: Send>(things: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    let test = &test;
    thread::scope(|scope| {
        for thing in things {
            scope.spawn(move || test(thing));
        }
    });
}

impl Drop for Scene {
    fn drop(&mut self) {
        let mut left = Vec::new();
        if let Some(before) = self.before.take() {
            left = before.difference(&Baseline::of(self));
            // What is there at every look is left behind; other tests come and go.
            wait::attempt(SETTLE, || {
                if !left.is_empty() {
                    let now = before.difference(&Baseline::of(self));
                    left.retain(|line| now.contains(line));
                }
                left.is_empty().then_some(())
            });
        }
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            left.push(format!(
                "{} cannot be removed: {error}",
                self.directory.display()
            ));
        }
        // A test that has failed already keeps its own message.
        if !left.is_empty() && !thread::panicking() {
            panic!(
                "{} left something behind:\n  {}",
                self.name,
                left.join("\n  ")
            );
        }
    }
}
