//! Herds of programs that know nothing of herder: starting them, and reading what `herder run` tells of them.

use crate::binary::Binary;
use crate::client::{Load, Running};
use crate::herd::{Herd, Setup};
use crate::process;
use crate::scene::Scene;
use crate::wait;
use rustix::io::Errno;
use rustix::net::getpeername;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, pidfd_getfd, pidfd_open};
use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the start of a few programs may take on a busy machine.
pub const BOOT: Duration = Duration::from_secs(20);

/// A worker as the log names it: `worker 0 #3 [1234]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its place, from 0.
    pub slot: u16,
    /// Its life: 1, 2, 3 …, never reused.
    pub id: u64,
    /// Its process.
    pub pid: i32,
}

/// Prepares `herder run OPTIONS -- PROGRAM`.
pub fn run(scene: &Scene, options: &[&str], program: &[&str]) -> Setup {
    let setup = scene.herd(Binary::HERDER).arg("run").args(options);
    setup.arg("--").args(program)
}

/// The address that the herd says it listens on.
#[track_caller]
pub fn address(herd: &Herd) -> SocketAddr {
    herd.wait_for_line("the address", BOOT, |line| {
        line.split_once("listening on ")?.1.parse().ok()
    })
}

/// Starts two `plain.py` and asks one of them for what takes it half a second; it has begun.
pub fn busy_herd(scene: &Scene) -> (Herd, Running) {
    let options = ["-l", "127.0.0.1:0", "-i", "2", "--grace", "10s"];
    let herd = run(scene, &options, &["python3", "plain.py"])
        .directory(examples())
        .start();
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    let load = Load::http(address(&herd), "/slow/500")
        .count(1)
        .timeout(BOOT)
        .worker_from(pid_of_body)
        .start();
    wait::until(BOOT, "the request is with a worker", || {
        workers
            .iter()
            .any(|seat| !accepted_by(seat.pid).is_empty())
            .then_some(())
    });
    (herd, load)
}

/// The worker of a line that tells `what` of one, for instance `ready` or `died`.
pub fn told(line: &str, what: &str) -> Option<Seat> {
    let rest = line.split_once("worker ")?.1;
    let (slot, rest) = rest.split_once(" #")?;
    let (id, rest) = rest.split_once(" [")?;
    let (pid, rest) = rest.split_once("] ")?;
    let seat = Seat {
        slot: slot.parse().ok()?,
        id: id.parse().ok()?,
        pid: pid.parse().ok()?,
    };
    rest.starts_with(what).then_some(seat)
}

/// Waits until `what` was told `count` times after `mark`, and returns of whom, in that order.
///
/// # Panics
/// When that does not happen within `within`.
#[track_caller]
pub fn wait_for(herd: &Herd, mark: usize, count: usize, what: &str, within: Duration) -> Vec<Seat> {
    let mut seats = Vec::new();
    herd.wait_for_line_after(mark, &format!("{count} times {what:?}"), within, |line| {
        seats.extend(told(line, what));
        (seats.len() == count).then_some(())
    });
    seats
}

/// The process that has answered, by the body `pid:P worker:N` of the example programs.
pub fn pid_of_body(body: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(body).ok()?;
    let (pid, _) = text.strip_prefix("pid:")?.split_once(' ')?;
    pid.parse().ok()
}

/// Where the Python example programs are.
pub fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python")
}

/// The path of a program that `scripts/setup` has installed for the Python examples.
///
/// # Panics
/// When it is missing; the message says what to do.
pub fn installed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../.venv/bin")
        .join(name);
    assert!(
        path.is_file(),
        "{} is missing: run scripts/setup test",
        path.display()
    );
    path.to_string_lossy().into_owned()
}

/// The client ports of the TCP connections that a process holds: those that it has accepted.
/// Connections that still wait in a listener are nobody's.
///
/// Each socket is duplicated for a moment and asked: the kernel's table of all connections is neither exact
/// nor quick to read while others come and go.
///
/// # Panics
/// When the process may not be looked into (it must be of the same user).
pub fn accepted_by(pid: i32) -> BTreeSet<u16> {
    let process = Pid::from_raw(pid).expect("pids are positive");
    let Ok(process) = pidfd_open(process, PidfdFlags::empty()) else {
        return BTreeSet::new();
    };
    let sockets = process::descriptors(pid).unwrap_or_default();
    let sockets = sockets
        .into_iter()
        .filter(|(_, target)| target.starts_with("socket:"));
    let port = |number: i32| {
        let copy = match pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) {
            Err(Errno::PERM) => panic!("a socket of {pid} may not be looked at"),
            // Closed since, or the process has ended.
            copy => copy.ok()?,
        };
        // A listener has no peer.
        let peer = SocketAddr::try_from(getpeername(&copy).ok()??).ok()?;
        Some(peer.port())
    };
    sockets.filter_map(|(number, _)| port(number)).collect()
}

/// Stops processes of the herd (SIGSTOP), and returns when none of their threads can do anything more.
///
/// # Panics
/// When one of them is no living process of the herd, or does not stop.
#[track_caller]
pub fn freeze(herd: &Herd, pids: &[i32]) {
    for pid in pids {
        herd.signal_to(*pid, Signal::STOP);
    }
    wait::until(Duration::from_secs(5), "they have stopped", || {
        pids.iter().all(|pid| is_frozen(*pid)).then_some(())
    });
}

fn is_frozen(pid: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let mut states = threads.map(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .map(|(_, rest)| rest.starts_with('T'))
    });
    states.all(|stopped| stopped == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_worker_is_read_from_a_line() {
        let line = "2026-11-21T02:46:04.760Z echo: worker 0 #1 [13171] ready (a guess)";
        let seat = Seat {
            slot: 0,
            id: 1,
            pid: 13171,
        };
        assert_eq!(told(line, "ready"), Some(seat));
        assert_eq!(told(line, "died"), None);
        assert_eq!(told("echo/0 #1 [13171] ready", "ready"), None);
        let warning = "T web: warning: worker 2 #13 [5] died: signal SIGKILL (crash)";
        assert_eq!(told(warning, "died").map(|seat| seat.id), Some(13));
    }

    #[test]
    fn a_body_names_its_process() {
        assert_eq!(pid_of_body(b"pid:77 worker:2"), Some(77));
        assert_eq!(pid_of_body(b"hello"), None);
    }

    #[test]
    fn only_accepted_connections_are_held() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        let own = crate::lineage::own_pid();
        assert!(!accepted_by(own).contains(&port));
        let (_server, _) = listener.accept().unwrap();
        assert!(accepted_by(own).contains(&port));
    }
}
