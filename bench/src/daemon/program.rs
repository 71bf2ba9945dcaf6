//! The program that is started, with nobody around it.

use herder_e2e::herd::Setup;
use herder_e2e::interpreter::Node;
use herder_e2e::node::free_address;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// By what the program and PM2 run.
pub(super) const NODE: Node = Node::Version(20);

/// How long anything may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// One program, and where it says that it listens.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: String,
    port: u16,
    file: PathBuf,
}

/// That a process listens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mark {
    pub(super) pid: i32,
    /// When it began to, in milliseconds since 1970.
    pub(super) at: f64,
}

impl Program {
    pub(super) fn new(scene: &Scene, name: &str) -> Program {
        Program {
            name: name.to_owned(),
            port: free_address().port(),
            file: scene.directory().join(format!("{name}.mark")),
        }
    }

    pub(super) fn script() -> &'static Path {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/node/listening.js");
        Path::new(script)
    }

    /// What the program needs to know, and the Node that it is run by.
    pub(super) fn environment(&self, setup: Setup) -> Setup {
        let node = NODE.program();
        let directory = node.parent().unwrap_or(Path::new("/"));
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", directory.display());
        setup
            .env("PATH", path)
            .env("PORT", self.port.to_string())
            .env("MARK", &self.file)
    }

    /// Waits for the next process that listens after `before` of them did.
    pub(super) fn wait_for_mark(&self, before: usize) -> Mark {
        wait::until(PATIENCE, "the program listens", || {
            self.marks().get(before).copied()
        })
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        // A line that is being written has no end.
        let lines = text.split_inclusive('\n');
        let whole = lines.filter_map(|line| line.strip_suffix('\n'));
        whole.filter_map(Mark::parse).collect()
    }
}

impl Mark {
    fn parse(line: &str) -> Option<Mark> {
        let (pid, at) = line.split_once(' ')?;
        Some(Mark {
            pid: pid.parse().ok()?,
            at: at.parse().ok()?,
        })
    }
}

/// How long a worker of Node's own cluster takes from its fork until it listens, in milliseconds: the program
/// with the channel that herder gives it, too.
pub(super) fn forked_start(scene: &Scene, name: &str) -> f64 {
    let program = Program::new(scene, name);
    let script = Program::script().with_file_name("forking.js");
    let setup = scene.program(NODE.program()).arg(script);
    let herd = program.environment(setup).start();
    let (forked, listening) = (program.wait_for_mark(0), program.wait_for_mark(1));
    herd.end();
    listening.at - forked.at
}

/// How long the program takes by itself until it listens, in milliseconds.
pub(super) fn own_start(scene: &Scene, name: &str) -> f64 {
    let program = Program::new(scene, name);
    let setup = scene.program(NODE.program()).arg(Program::script());
    let begun = now();
    let herd = program.environment(setup).start();
    let mark = program.wait_for_mark(0);
    herd.end();
    mark.at - begun
}

/// In milliseconds since 1970, to whole ones, as a program's mark.
pub(super) fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.expect("it is later than 1970");
    (since.as_secs_f64() * 1000.0).floor()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_pid_and_a_time() {
        let mark = Mark { pid: 7, at: 1.5e12 };
        assert_eq!(Mark::parse("7 1500000000000"), Some(mark));
        assert_eq!(Mark::parse("7"), None);
        assert!(now() > 1.6e12);
    }
}
