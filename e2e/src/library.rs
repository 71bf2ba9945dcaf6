//! Herds with libraries: starting them, and asking their libraries by way of a worker.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use herder::Agent;
use herder::rpc::client::{Endpoint, Identity};

use crate::binary::Binary;
use crate::foreign::{BOOT, address};
use crate::herd::{Herd, Setup};
use crate::scene::Scene;

/// The herd with libraries; see its `main.rs`.
pub const TEST_LIBRARY: Binary = Binary::new("herder-e2e", "test-library");

/// A life of a library as the log names it: `library core #3 [1234]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The library.
    pub name: String,
    /// Its epoch: 1, 2, 3 …
    pub epoch: u64,
    /// Its process.
    pub pid: i32,
}

/// Prepares a herd of `test-library`.
pub fn herd(scene: &Scene, options: &[&str]) -> Setup {
    let setup = scene.herd(TEST_LIBRARY).args(options);
    setup.env("RUST_BACKTRACE", "0")
}

/// The life of a line that tells `what` of one, for instance `ready` or `died`.
pub fn told(line: &str, what: &str) -> Option<Life> {
    let rest = line
        .split_once(": library ")
        .or_else(|| line.split_once(": warning: library "));
    let (name, rest) = rest?.1.split_once(" #")?;
    let (epoch, rest) = rest.split_once(" [")?;
    let (pid, rest) = rest.split_once("] ")?;
    let life = Life {
        name: name.to_owned(),
        epoch: epoch.parse().ok()?,
        pid: pid.parse().ok()?,
    };
    rest.starts_with(what).then_some(life)
}

/// Waits until `what` was told of a library `count` times after `mark`, and returns of which lives.
///
/// # Panics
/// When that does not happen within `within`.
#[track_caller]
pub fn wait_for(herd: &Herd, mark: usize, count: usize, what: &str, within: Duration) -> Vec<Life> {
    let mut lives = Vec::new();
    let name = format!("{count} times {what:?} of a library");
    herd.wait_for_line_after(mark, &name, within, |line| {
        lives.extend(told(line, what));
        (lives.len() == count).then_some(())
    });
    lives
}

/// The socket of a library in the scene's private directory.
///
/// # Panics
/// When there is none.
#[track_caller]
pub fn socket(scene: &Scene, library: &str) -> PathBuf {
    let directories = fs::read_dir(scene.directory()).expect("it is there");
    let paths = directories.flatten().map(|it| it.path());
    let mut sockets = paths.map(|path| path.join(format!("{library}.sock")));
    sockets
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("no socket of {library} in {}", scene.directory().display()))
}

/// An agent in the test's own process, with a connection of its own to a library of the scene.
///
/// # Panics
/// When there is no such library.
#[track_caller]
pub fn agent(scene: &Scene, library: &str) -> Agent {
    Agent::connect(Endpoint {
        library: library.to_owned(),
        path: socket(scene, library),
        herd: String::new(),
        identity: Identity::tool(),
    })
}

/// Sends a line to a worker, and returns its answer.
///
/// # Panics
/// When there is none.
#[track_caller]
pub fn ask(herd: &Herd, line: &str) -> String {
    ask_at(address(herd), line)
}

/// As [`ask`], of the herd at this address.
///
/// # Panics
/// When there is no answer.
#[track_caller]
pub fn ask_at(address: SocketAddr, line: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the herd listens");
    stream.set_read_timeout(Some(BOOT)).expect("no zero");
    writeln!(stream, "{line}").expect("it is there");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_read_from_a_line() {
        let line = "2026-11-21T02:46:04.760Z web: library core #1 [13171] ready";
        let life = told(line, "ready").expect("it is one");
        assert_eq!(
            (life.name.as_str(), life.epoch, life.pid),
            ("core", 1, 13171)
        );
        assert_eq!(told(line, "died"), None);
        let line = "T web: warning: library b-2 #3 [5] died: signal SIGKILL (crash)";
        assert_eq!(told(line, "died").map(|life| life.epoch), Some(3));
    }
}
