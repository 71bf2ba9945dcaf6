//! Libraries of a herd in one process: each is a thread, with a socket in a private directory.
//!
//! As for the workers, what needs a process is left out: a library cannot be killed, and one that hangs
//! stays so.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use herder_core::spec::RestartPolicy;
use herder_rpc::Part;
use herder_sys::{process, random};
use herder_wire::control::ToMaster;

use super::directory::{Directory, Finder};
use super::life::Life;
use super::setup::Planned;
use crate::cluster::error::ClusterError;
use crate::cluster::settings::Checked;
use crate::worker::ending::Reason;
use crate::worker::finish::Outcome;
use crate::worker::link::{Identity, Link, Timing};
use crate::worker::outlet::Outlet;
use crate::worker::{deadline_in, lock};

/// The mode of the private directory.
const OWNER_ONLY: u32 = 0o700;

/// The libraries of a herd in this process. Dropping them ends them.
pub(crate) struct Threads {
    directory: Arc<Directory>,
    place: PathBuf,
    libraries: Vec<Hosted>,
}

/// A library, and the thread in which its lives follow each other.
struct Hosted {
    course: Arc<Course>,
    thread: Option<JoinHandle<()>>,
}

/// How far a library has come.
#[derive(Default)]
struct Course {
    state: Mutex<State>,
    changed: std::sync::Condvar,
}

#[derive(Default)]
enum State {
    /// Between two lives.
    #[default]
    Waits,
    Lives(Arc<Link>),
    Ends,
}

/// What a library says of its first life: that it is ready, or why it is not.
type Word = Result<(), String>;

/// What all lives of a library have in common.
struct Nature {
    planned: Planned,
    app: String,
    directory: Arc<Directory>,
    timing: Timing,
    restart: RestartPolicy,
    listener: UnixListener,
    course: Arc<Course>,
}

/// Starts the libraries, and returns when each is ready.
pub(crate) fn start(planned: Vec<Planned>, checked: &Checked) -> Result<Threads, ClusterError> {
    let herd = format!("{:016x}{:016x}", random::seed(), random::seed());
    let place = format!("herder-{}-{:016x}", process::current_pid(), random::seed());
    let place = std::env::temp_dir().join(place);
    let path = |planned: &Planned| place.join(format!("{}.sock", planned.name));
    let places = planned
        .iter()
        .map(|planned| (planned.name.to_string(), path(planned)));
    let places = places.collect();
    let mut threads = Threads {
        directory: Arc::new(Directory { herd, places }),
        place,
        libraries: Vec::new(),
    };
    if planned.is_empty() {
        return Ok(threads);
    }
    let mut maker = fs::DirBuilder::new();
    maker.mode(OWNER_ONLY).create(&threads.place)?;
    let mut awaited = Vec::new();
    for planned in planned {
        let name = planned.name.to_string();
        let (say, word) = channel();
        threads.host(planned, checked, say)?;
        awaited.push((name, word));
    }
    let deadline = deadline_in(checked.spec.life.boot_timeout);
    for (name, word) in awaited {
        let left = deadline.saturating_duration_since(Instant::now());
        let problem = match word.recv_timeout(left) {
            Ok(Ok(())) => continue,
            Ok(Err(problem)) => problem,
            Err(RecvTimeoutError::Timeout) => "it was not ready in time".to_owned(),
            Err(RecvTimeoutError::Disconnected) => "it ended".to_owned(),
        };
        return Err(ClusterError::Library { name, problem });
    }
    Ok(threads)
}

impl Threads {
    /// Where the libraries are.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory)
    }

    fn host(
        &mut self,
        planned: Planned,
        checked: &Checked,
        say: Sender<Word>,
    ) -> Result<(), ClusterError> {
        let name = planned.name;
        let course = Arc::<Course>::default();
        let nature = Nature {
            listener: UnixListener::bind(self.place.join(format!("{name}.sock")))?,
            planned,
            app: checked.spec.name.to_string(),
            directory: Arc::clone(&self.directory),
            timing: checked.timing,
            restart: checked.spec.restart.clone(),
            course: Arc::clone(&course),
        };
        let thread = thread::Builder::new()
            .name(format!("library-{name}"))
            .spawn(move || nature.live_on(&say))?;
        let thread = Some(thread);
        self.libraries.push(Hosted { course, thread });
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for library in &self.libraries {
            library.course.end();
        }
        for library in &mut self.libraries {
            // A panic in it was printed by the panic hook.
            let _panicked = library.thread.take().map(JoinHandle::join);
        }
        remove(&self.place);
    }
}

/// There is none if there are no libraries.
fn remove(place: &Path) {
    let _none = fs::remove_dir_all(place);
}

impl Nature {
    /// One life after the other, until the end. `say` hears of the first.
    fn live_on(&self, say: &Sender<Word>) {
        let mut failures = 0;
        for epoch in 1.. {
            let began = Instant::now();
            let outcome = self
                .live(epoch, say)
                .unwrap_or_else(|error| Outcome::Failed(format!("cannot live: {error}")));
            let problem = match outcome {
                Outcome::Done => "it ended".to_owned(),
                Outcome::Failed(problem) => problem,
                Outcome::Panicked => "it panicked".to_owned(),
            };
            // Heard only while the first life is waited for.
            let _late = say.send(Err(problem));
            failures = if began.elapsed() >= self.restart.stable {
                0
            } else {
                failures + 1
            };
            let delay = self
                .restart
                .first_delay
                .saturating_mul(1 << failures.min(16));
            if self.course.rest(delay.min(self.restart.max_delay)) == Rest::Over {
                return;
            }
        }
    }

    fn live(&self, epoch: u64, say: &Sender<Word>) -> io::Result<Outcome> {
        let identity = Identity {
            app: self.app.clone(),
            slot: 0,
            id: epoch,
            master_pid: process::current_pid(),
            listeners: Vec::new(),
        };
        let say = say.clone();
        let deliver = move |message| {
            if message == ToMaster::Ready {
                let _late = say.send(Ok(()));
            }
        };
        let outlet = Outlet::Local(Box::new(deliver));
        let link = Arc::new(Link::new(identity, self.timing, outlet, None)?);
        let _first = link.finder.set(Finder {
            directory: Arc::clone(&self.directory),
            part: Part::Library(self.planned.name.to_string()),
        });
        if self.course.begin(&link) == Rest::Over {
            return Ok(Outcome::Done);
        }
        let life = Life {
            name: self.planned.name,
            herd: self.directory.herd.clone(),
            link,
            listener: OwnedFd::from(self.listener.try_clone()?),
            build: Arc::clone(&self.planned.build),
        };
        Ok(life.live())
    }
}

/// Whether another life is to follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Goes,
    Over,
}

impl Course {
    fn begin(&self, link: &Arc<Link>) -> Rest {
        let mut state = lock(&self.state);
        if let State::Ends = *state {
            return Rest::Over;
        }
        *state = State::Lives(Arc::clone(link));
        Rest::Goes
    }

    /// Waits between two lives.
    fn rest(&self, delay: Duration) -> Rest {
        let mut state = lock(&self.state);
        if let State::Lives(_) = *state {
            *state = State::Waits;
        }
        let until = deadline_in(delay);
        loop {
            if let State::Ends = *state {
                return Rest::Over;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Rest::Goes;
            }
            let woken = self.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    fn end(&self) {
        let before = std::mem::replace(&mut *lock(&self.state), State::Ends);
        if let State::Lives(link) = before {
            link.end(Reason::Stopped);
        }
        self.changed.notify_all();
    }
}
