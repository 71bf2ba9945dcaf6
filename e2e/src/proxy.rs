//! Herds of programs that know nothing but `PORT`, behind gateways that forward.

use crate::client::{Ledger, Load};
use crate::foreign::{BOOT, Seat, address, pid_of_body, run, told, wait_for};
use crate::herd::{Herd, Signal};
use crate::process::Process;
use crate::scene::Scene;
use crate::wait;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many workers each of these herds has.
pub const WORKERS: usize = 3;

/// How long a reload of so many workers may take on a busy machine.
pub const RELOAD: Duration = Duration::from_secs(120);

/// The example program in Python.
pub const PYTHON: [&str; 2] = ["python3", "server.py"];

/// The example program in JavaScript.
pub const NODE: [&str; 2] = ["node", "server.js"];

/// The example program in Java.
pub const JAVA: [&str; 2] = ["java", "Server.java"];

/// The example program in PHP, which knows its port by its command line.
pub const PHP: [&str; 3] = ["sh", "-c", "exec php -q -S 127.0.0.1:$PORT server.php"];

/// Where the example programs are.
pub fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/proxy")
}

/// Three workers behind one gateway.
pub struct Three {
    /// All of them.
    pub herd: Herd,
    /// Where clients connect.
    pub address: SocketAddr,
    /// Who serves since the start.
    pub workers: Vec<Seat>,
}

impl Three {
    /// The herd, when its clients are let in.
    #[track_caller]
    pub fn of(herd: Herd) -> Three {
        let workers = wait_for(&herd, 0, WORKERS, "ready", BOOT * 2);
        let address = address(&herd);
        wait_for_entry(address);
        Three {
            herd,
            address,
            workers,
        }
    }

    /// Starts an example program with these options besides those that make it three workers.
    #[track_caller]
    pub fn new(scene: &Scene, options: &[&str], program: &[&str]) -> Three {
        let usual = "-l 127.0.0.1:0 -i 3 --dispatch proxy --grace 10s";
        let options: Vec<&str> = usual.split(' ').chain(options.iter().copied()).collect();
        Three::of(run(scene, &options, program).directory(examples()).start())
    }

    /// Requests to it that only read, whose answers say which process gave them.
    pub fn load(&self) -> Load {
        let load = Load::http(self.address, "/").timeout(BOOT);
        load.worker_from(pid_of_body)
    }

    /// Requests to it that nobody may do twice.
    pub fn posts(&self) -> Load {
        let load = Load::post(self.address, "/", b"of some bytes").timeout(BOOT);
        load.worker_from(pid_of_body)
    }

    /// The processes that serve since the start.
    pub fn pids(&self) -> BTreeSet<i32> {
        self.workers.iter().map(|seat| seat.pid).collect()
    }

    /// The process that forwards.
    ///
    /// # Panics
    /// When there is none.
    pub fn gateway(&self) -> i32 {
        let living = gateways(&self.herd);
        living.into_iter().next().expect("there is a gateway")
    }
}

/// The processes that have answered.
pub fn served_by(ledger: &Ledger) -> BTreeSet<i32> {
    ledger.per_worker().into_keys().collect()
}

/// The gateways that live.
pub fn gateways(herd: &Herd) -> BTreeSet<i32> {
    let found = herd.titled("herder: gateway");
    found.into_iter().map(|process| process.pid).collect()
}

/// Waits until clients are let in.
#[track_caller]
pub fn wait_for_entry(address: SocketAddr) {
    wait::until(BOOT, "clients are let in", || {
        let ledger = Load::http(address, "/").count(1).timeout(BOOT).run();
        (ledger.complete() == 1).then_some(())
    });
}

/// Waits until a reload is over, and returns who was ready in it.
#[track_caller]
pub fn reload(herd: &Herd) -> BTreeSet<i32> {
    let mark = herd.mark();
    herd.signal(Signal::HUP);
    let mut ready = BTreeSet::new();
    herd.wait_for_line_after(mark, "the reload", RELOAD, |line| {
        ready.extend(told(line, "ready").map(|seat| seat.pid));
        line.contains("is in service").then_some(())
    });
    ready
}

/// Waits until none of these processes is left.
#[track_caller]
pub fn wait_for_end_of(pids: &BTreeSet<i32>) {
    wait::until(BOOT, "the old ones have left", || {
        let gone = |pid: &i32| Process::of(*pid).is_none_or(|it| !it.is_alive());
        pids.iter().all(gone).then_some(())
    });
}

/// Reloads a herd that has no soak, and waits until nobody of `before` is left; then makes a few requests, as `load`
/// does. Returns who serves now.
///
/// # Panics
/// When these are not as many new workers, somebody else serves, or one of the few requests fails.
#[track_caller]
pub fn replace_all(herd: &Herd, before: &BTreeSet<i32>, load: &Load) -> BTreeSet<i32> {
    let ready = reload(herd);
    assert_eq!(ready.len(), WORKERS);
    assert!(ready.is_disjoint(before), "{ready:?} after {before:?}");
    wait_for_end_of(before);
    let ledger = load.clone().count(12).run();
    ledger.assert_no_failure();
    assert!(served_by(&ledger).is_subset(&ready), "only new ones serve");
    ready
}
