//! How a call is made, and what is started for it.

use super::echo::HERD;
use crate::bare::Role;
use herder_e2e::herd::Herd;
use herder_e2e::interpreter::Node;
use herder_e2e::scene::Scene;
use serde::{Deserialize, Serialize};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// How long a library may take to be there.
const START: Duration = Duration::from_secs(10);

/// A way to call a method of another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// A Rust worker that calls a Rust library by a typed client, with postcard.
    Typed,
    /// A Rust worker that calls a Rust library by name, with JSON.
    ByName,
    /// tarpc over a Unix socket, with bincode.
    Tarpc,
    /// A Node worker that calls a Rust library.
    NodeToRust,
    /// A Node worker that calls a library in Node.
    NodeToNode,
    /// A Node worker whose primary relays its messages to a process with the objects.
    NodeRelay,
}

impl Way {
    /// All of them, in the order of the tables.
    pub const ALL: [Way; 6] = [
        Way::Typed,
        Way::ByName,
        Way::Tarpc,
        Way::NodeToRust,
        Way::NodeToNode,
        Way::NodeRelay,
    ];

    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Way::Typed => "rust to rust, typed",
            Way::ByName => "rust to rust, by name",
            Way::Tarpc => "tarpc",
            Way::NodeToRust => "node to rust",
            Way::NodeToNode => "node to node",
            Way::NodeRelay => "node, relayed",
        }
    }

    /// What it is compared with: the other way with callers in the same language.
    pub fn rival(self) -> Way {
        match self {
            Way::Typed | Way::ByName | Way::Tarpc => Way::Tarpc,
            Way::NodeToRust | Way::NodeToNode | Way::NodeRelay => Way::NodeRelay,
        }
    }

    /// Starts its library, lets the caller call for `time`, and ends both.
    ///
    /// # Panics
    /// When one of them cannot be started, or the caller has no account.
    pub fn measure(self, shape: Shape, time: Duration) -> Account {
        let scene = Scene::new("calls");
        let path = scene.directory().join("core.sock");
        let library = self.library(&path).map(|line| start(&scene, &line));
        let mut line = self.caller(&path);
        let numbers = [shape.size, shape.in_flight].map(|number| number.to_string());
        line.extend(numbers.map(OsString::from));
        line.push(time.as_millis().to_string().into());
        let output = Command::new(&line[0])
            .args(&line[1..])
            .env("BENCH_HERD", HERD)
            .output()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", line[0].display()));
        if let Some(library) = library {
            library.end();
            // The herd's master would do so.
            fs::remove_file(&path).expect("the library listened there");
        }
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            let said = String::from_utf8_lossy(&output.stderr);
            panic!(
                "a caller of `{}` has no account ({error}): {said}",
                self.name()
            )
        })
    }

    /// The command line of its library, which listens at `path`.
    fn library(self, path: &Path) -> Option<Vec<OsString>> {
        let mut line: Vec<OsString> = match self {
            Way::Typed | Way::ByName | Way::NodeToRust => own(Role::Library),
            Way::Tarpc => vec![tarpc_peer().into(), "library".into()],
            Way::NodeToNode => by_node("library.js"),
            // Its primary starts everything.
            Way::NodeRelay => return None,
        };
        line.push(path.into());
        Some(line)
    }

    fn caller(self, path: &Path) -> Vec<OsString> {
        let mut line: Vec<OsString> = match self {
            Way::Typed => own(Role::TypedCaller),
            Way::ByName => own(Role::CallerByName),
            Way::Tarpc => vec![tarpc_peer().into(), "caller".into()],
            Way::NodeToRust | Way::NodeToNode => by_node("agent.js"),
            Way::NodeRelay => return by_node("relay.js"),
        };
        line.push(path.into());
        line
    }
}

/// What the calls of a contest are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// How many bytes go each way.
    pub size: usize,
    /// How many calls are on their way at any time.
    pub in_flight: usize,
}

/// What a caller printed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Account {
    /// How many calls came back whole.
    pub calls: u32,
    /// In what time.
    pub seconds: f64,
    /// Half of them took no longer, in microseconds.
    pub p50: f64,
    /// 99 % took no longer, in microseconds.
    pub p99: f64,
    /// How many failed.
    pub failures: u32,
}

impl Account {
    /// Calls a second.
    pub fn rate(&self) -> f64 {
        f64::from(self.calls) / self.seconds.max(f64::MIN_POSITIVE)
    }
}

fn start(scene: &Scene, line: &[OsString]) -> Herd {
    let program = scene.program(&line[0]).args(&line[1..]);
    let library = program.env("BENCH_HERD", HERD).start();
    library.wait_for_line("where it listens", START, |line| {
        line.starts_with("listening ").then_some(())
    });
    library
}

fn own(role: Role) -> Vec<OsString> {
    let own = env::current_exe().expect("/proc is mounted");
    vec![own.into(), role.name().into()]
}

fn by_node(program: &str) -> Vec<OsString> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/node");
    let node = Node::Version(24).program();
    vec![node.into(), Path::new(directory).join(program).into()]
}

/// The program of `peers/tarpc`, which cargo builds or finds fresh, once a run.
fn tarpc_peer() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let own = env::current_exe().expect("/proc is mounted");
        let profile = own.parent().and_then(Path::parent);
        let target = profile
            .expect("cargo puts programs two levels deep")
            .join("peers");
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/tarpc/Cargo.toml");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args([
                "build",
                "--quiet",
                "--release",
                "--locked",
                "--manifest-path",
                manifest,
            ])
            .arg("--target-dir")
            .arg(&target)
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "{manifest} cannot be built"
        );
        target.join("release/tarpc-peer")
    };
    BUILT.get_or_init(build).clone()
}
