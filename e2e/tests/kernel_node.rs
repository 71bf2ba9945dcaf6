//! Unmodified Node programs whose workers each accept from a listener of their own. With `kernel` this needs the right
//! to load programs into the kernel, and fails without.

use herder_e2e::client::{Ledger, Load, get};
use herder_e2e::deploy::Own;
use herder_e2e::foreign::{BOOT, Seat, address, pid_of_body, wait_for};
use herder_e2e::herd::{Herd, Signal};
use herder_e2e::interpreter::Node;
use herder_e2e::node::{free_address, run};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Four workers of a program that knows nothing of us.
struct Four {
    herd: Herd,
    address: SocketAddr,
    workers: Vec<Seat>,
}

fn four(scene: &Scene, own: Own, options: &[&str]) -> Four {
    let usual = ["-i", "4", "--dispatch", own.name(), "--interpreter"];
    let setup = run(scene, "serve.js", &usual);
    let setup = setup.arg(Node::Version(24).program()).args(options);
    let herd = setup.start();
    let workers = wait_for(&herd, 0, 4, "ready", BOOT);
    let address = address(&herd);
    Four {
        herd,
        address,
        workers,
    }
}

impl Four {
    fn load(&self, clients: usize, count: u64) -> Load {
        let load = Load::http(self.address, "/").clients(clients).count(count);
        load.timeout(BOOT * 2).worker_from(pid_of_body)
    }

    /// Waits until all of these workers serve, and nobody else does.
    fn wait_for_all(&self, workers: &BTreeSet<i32>) {
        wait::until(BOOT * 3, "all serve", || {
            let ledger = self.load(1, 100).run();
            ledger.assert_no_failure();
            let serving: BTreeSet<i32> = ledger.per_worker().into_keys().collect();
            (serving == *workers).then_some(())
        });
    }

    fn pids(&self) -> BTreeSet<i32> {
        self.workers.iter().map(|seat| seat.pid).collect()
    }
}

/// Waits until a process stands still: until then it may accept somebody.
fn stands_still(pid: i32) {
    wait::until(BOOT, "the worker stands still", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        rest.starts_with('T').then_some(())
    });
}

fn served_without(ledger: &Ledger, stopped: i32) {
    ledger.assert_no_failure();
    assert!(!ledger.per_worker().contains_key(&stopped), "{ledger}");
}

/// One of four workers stands still for good: who waits at it is answered by the others, it is not killed, and when it
/// goes on it has its turns again.
fn is_rescued(own: Own, options: &[&str]) {
    let scene = Scene::new("node_stopped");
    let four = four(&scene, own, options);
    let stopped = four.workers[0].pid;
    four.herd.signal_to(stopped, Signal::STOP);
    stands_still(stopped);
    for _ in 0..2 {
        let ledger = four.load(400, 400).run();
        served_without(&ledger, stopped);
    }
    four.herd.signal_to(stopped, Signal::CONT);
    four.wait_for_all(&four.pids());
    assert!(four.herd.end().success());
}

#[test]
fn kernel_who_waits_at_a_node_worker_that_stands_still_is_answered() {
    is_rescued(Own::Kernel, &[]);
}

#[test]
fn kernel_who_waits_is_answered_without_the_shim() {
    is_rescued(Own::Kernel, &["--no-node-shim"]);
}

#[test]
fn reuseport_who_waits_at_a_node_worker_that_stands_still_is_answered() {
    is_rescued(Own::Reuseport, &[]);
}

/// Workers at whose listeners many wait are killed: none of these is lost.
#[test]
fn r25c_kernel_and_reuseport_a_killed_node_workers_queue_is_served() {
    for own in [Own::Kernel, Own::Reuseport] {
        let scene = Scene::new("node_queue");
        let four = four(&scene, own, &["--max-restarts", "0"]);
        let mut workers: Vec<i32> = four.workers.iter().map(|seat| seat.pid).collect();
        for time in 0..5 {
            let victim = workers.remove(0);
            four.herd.signal_to(victim, Signal::STOP);
            stands_still(victim);
            let mark = four.herd.mark();
            let load = four.load(200, 200).start();
            // The others have answered theirs.
            load.wait_for_answers(100, BOOT);
            four.herd.signal_to(victim, Signal::KILL);
            let ledger = load.finish();
            ledger.assert_no_failure();
            assert_eq!(ledger.complete(), 200, "{own:?}, time {time}: {ledger}");
            workers.push(wait_for(&four.herd, mark, 1, "ready", BOOT)[0].pid);
        }
        assert!(four.herd.end().success());
    }
}

/// Each successor takes over the listener of its slot.
#[test]
fn kernel_workers_that_are_killed_one_after_the_other_are_replaced() {
    let scene = Scene::new("node_replaced");
    let four = four(&scene, Own::Kernel, &["--max-restarts", "0"]);
    let mut workers = four.pids();
    for seat in &four.workers {
        let mark = four.herd.mark();
        four.herd.signal_to(seat.pid, Signal::KILL);
        workers.remove(&seat.pid);
        workers.insert(wait_for(&four.herd, mark, 1, "ready", BOOT)[0].pid);
    }
    four.wait_for_all(&workers);
    assert!(four.herd.end().success());
}

/// The herd grows and shrinks under load.
#[test]
fn kernel_and_reuseport_scaling_of_node_workers_loses_nothing() {
    for own in [Own::Kernel, Own::Reuseport] {
        let scene = Scene::new("node_scale");
        let four = four(&scene, own, &[]);
        let load = Load::http(four.address, "/").clients(8).timeout(BOOT);
        let load = load.worker_from(pid_of_body).start();
        for _ in 0..2 {
            load.wait_for_answers(100, BOOT);
            let mark = four.herd.mark();
            four.herd.signal(Signal::TTIN);
            wait_for(&four.herd, mark, 1, "ready", BOOT);
            load.wait_for_answers(100, BOOT);
            let mark = four.herd.mark();
            four.herd.signal(Signal::TTOU);
            wait_for(&four.herd, mark, 1, "ended: ", BOOT);
        }
        let ledger = load.stop_and_finish();
        ledger.assert_no_failure();
        assert!(four.herd.end().success());
    }
}

/// What the kernel cannot do, and what would change nothing.
#[test]
fn kernel_what_cannot_be_is_refused_by_name() {
    let scene = Scene::new("node_refused");
    for (options, named) in [
        (&["--policy", "ip-hash"][..], "--policy ip-hash"),
        (&["--max-requests", "5"], "--max-requests"),
        (&["--hang", "1s"], "--hang"),
        (
            &["-l", "127.0.0.1:0", "--send-handle", "server"],
            "--send-handle",
        ),
    ] {
        let options = [&["--dispatch", "kernel"], options].concat();
        let herd = run(&scene, "serve.js", &options).start();
        let status = herd.wait_for_exit(BOOT);
        assert_eq!(status.code(), Some(2), "{options:?}");
        herd.wait_for_line(named, BOOT, |line| line.contains(named).then_some(()));
    }
}

/// Two listeners, one of which is opened late and by some workers alone.
#[test]
fn kernel_workers_have_only_some_of_the_listeners() {
    use herder_e2e::node::{Case, Cluster, ClusterSetup, Primary, listen_at};
    let scene = Scene::new("node_some");
    let case = Case::KERNEL[0];
    let cluster: Cluster = ClusterSetup::new(&scene, Primary::Herder, case, "actor.js", 3).start();
    let [first, second] = [free_address(), free_address()];
    let mut actors = [1, 2, 3].map(|id| cluster.actor(id));
    let open = |name: &str, at: SocketAddr| {
        let at = listen_at(at);
        format!(
            "return serve({name:?}, http.createServer((request, response) => {{
               response.setHeader('Connection', 'close'); response.end(`worker:${{id}}`); }}), {at});"
        )
    };
    for actor in &mut actors {
        actor.run(&open("first", first));
    }
    for actor in &mut actors[1..] {
        actor.run(&open("second", second));
    }
    let meets = |at: SocketAddr, expected: &[&str]| {
        let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
        wait::until(BOOT, "these serve, and nobody else", || {
            let met = (0..12).map(|_| get(at, "/").expect("an answer"));
            (met.collect::<BTreeSet<_>>() == expected).then_some(())
        });
    };
    meets(first, &["worker:1", "worker:2", "worker:3"]);
    meets(second, &["worker:2", "worker:3"]);
    actors[1].run("return await close('first');");
    meets(first, &["worker:1", "worker:3"]);
    meets(second, &["worker:2", "worker:3"]);
    actors[0].run(&open("second", second));
    actors[1].run(&open("first", first));
    meets(first, &["worker:1", "worker:2", "worker:3"]);
    meets(second, &["worker:1", "worker:2", "worker:3"]);
    cluster.end();
}
