//! The master of unmodified Node programs is killed: their channel does not close, and they do not notice.

use herder_e2e::client::{Ledger, Load, Running, get};
use herder_e2e::deploy::{Takeover, end_master};
use herder_e2e::foreign::{BOOT, Seat, accepted_by, address, pid_of_body, wait_for};
use herder_e2e::herd::{Herd, Signal};
use herder_e2e::interpreter::Node;
use herder_e2e::native::is_cut;
use herder_e2e::node::run;
use herder_e2e::process::Process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::net::{SocketAddr, TcpStream};

/// How often the master is killed.
const DEATHS: usize = 5;

/// Instant and slow answers, with a connection for each request and with kept ones.
fn loads(address: SocketAddr) -> Vec<Running> {
    let load = |path: &str, clients| {
        let load = Load::http(address, path).clients(clients).timeout(BOOT);
        load.detailed().worker_from(pid_of_body)
    };
    vec![
        load("/", 4).start(),
        load("/slow/20", 8).start(),
        load("/", 2).keep_alive().start(),
        load("/slow/20", 4).keep_alive().start(),
    ]
}

fn started(scene: &Scene, node: Node, options: &[&str]) -> (Herd, Vec<Seat>) {
    let herd = run(scene, "serve.js", &["-i", "2", "--interpreter"])
        .arg(node.program())
        .args(options)
        .start();
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    (herd, workers)
}

#[track_caller]
fn assert_all_live(workers: &[Seat]) {
    for worker in workers {
        let lives = Process::of(worker.pid).is_some_and(|it| it.is_alive());
        assert!(lives, "{worker:?} was restarted");
    }
}

/// Kills the master again and again under load. Nobody is refused, hung or served by another worker; then
/// everything still works that needs a master.
fn outlives(name: &str, node: Node, options: &[&str]) -> (Vec<Takeover>, Vec<Ledger>) {
    let scene = Scene::new(name);
    let (herd, workers) = started(&scene, node, options);
    let address = address(&herd);
    let loads = loads(address);
    let mut takeovers = Vec::new();
    for _ in 0..DEATHS {
        for load in &loads {
            load.wait_for_answers(20, BOOT);
        }
        let takeover = end_master(&herd, Signal::KILL, BOOT);
        assert_eq!(takeover.workers, 2);
        takeovers.push(takeover);
    }
    for load in &loads {
        load.wait_for_answers(20, BOOT);
    }
    let ledgers: Vec<Ledger> = loads.into_iter().map(|it| it.stop_and_finish()).collect();
    assert_all_live(&workers);
    let pids: Vec<i32> = workers.iter().map(|it| it.pid).collect();
    for ledger in &ledgers {
        assert!(
            ledger.per_worker().keys().all(|pid| pids.contains(pid)),
            "somebody else answered: {ledger}"
        );
    }
    // Both are still given connections.
    for pid in pids {
        let asked = (0..200).find(|_| {
            let body = get(address, "/").expect("an answer");
            pid_of_body(body.as_bytes()) == Some(pid)
        });
        assert!(asked.is_some(), "{pid} is given nothing any more");
    }
    replaces_the_dead(&herd, address, &workers);
    assert!(herd.end().success());
    (takeovers, ledgers)
}

/// A worker that dies, and one that leaves by its own wish, have successors at the same address.
fn replaces_the_dead(herd: &Herd, address: SocketAddr, workers: &[Seat]) {
    let mark = herd.mark();
    herd.signal_to(workers[0].pid, Signal::KILL);
    let next = wait_for(herd, mark, 1, "ready", BOOT)[0];
    assert_eq!(next.slot, workers[0].slot);
    let mark = herd.mark();
    get(address, "/disconnect").expect("an answer");
    wait_for(herd, mark, 1, "ready", BOOT);
    for _ in 0..10 {
        get(address, "/").expect("an answer");
    }
}

/// What failed was in the hands of a master that died.
#[track_caller]
fn assert_only_cut((takeovers, ledgers): (Vec<Takeover>, Vec<Ledger>)) {
    let told: u64 = takeovers.iter().map(|it| it.cut).sum();
    let mut failed = 0;
    for ledger in &ledgers {
        for entry in ledger.failures() {
            assert!(is_cut(entry.outcome), "{entry:?} of {ledger}");
            failed += 1;
        }
    }
    assert!(failed <= told, "{failed} of {told}: {takeovers:?}");
}

#[track_caller]
fn assert_nothing_lost((takeovers, ledgers): (Vec<Takeover>, Vec<Ledger>)) {
    assert!(takeovers.iter().all(|it| it.cut == 0), "{takeovers:?}");
    for ledger in &ledgers {
        ledger.assert_no_failure();
    }
}

#[test]
fn scenario_25_workers_of_node_20_outlive_their_master() {
    assert_only_cut(outlives("node_heir20", Node::Version(20), &[]));
}

#[test]
fn scenario_25_workers_of_node_24_outlive_their_master() {
    assert_only_cut(outlives("node_heir24", Node::Version(24), &[]));
}

#[test]
fn scenario_25_workers_of_node_20_that_accept_lose_nothing() {
    let options = ["--dispatch", "shared"];
    assert_nothing_lost(outlives("node_heirs20", Node::Version(20), &options));
}

#[test]
fn scenario_25_workers_of_node_24_that_accept_lose_nothing() {
    let options = ["--dispatch", "shared"];
    assert_nothing_lost(outlives("node_heirs24", Node::Version(24), &options));
}

#[test]
#[ignore = "three more versions of Node"]
fn scenario_25_workers_of_other_versions_outlive_their_master() {
    for node in [18, 22, 26].map(Node::Version) {
        assert_only_cut(outlives("node_heir", node, &[]));
        assert_nothing_lost(outlives("node_heirs", node, &["--dispatch", "shared"]));
    }
}

/// What a dead master had passed to a worker that does not move lies in that worker's channel.
#[test]
fn r27_what_lies_in_a_workers_channel_is_served_after_the_masters_death() {
    let scene = Scene::new("node_heirstopped");
    let (herd, workers) = started(&scene, Node::Version(20), &[]);
    let address = address(&herd);
    herd.signal_to(workers[0].pid, Signal::STOP);
    let load = Load::http(address, "/").clients(20).count(20).timeout(BOOT);
    let load = load.worker_from(pid_of_body).start();
    // All but what is in its channel.
    load.wait_for_total(16, BOOT);
    let takeover = end_master(&herd, Signal::KILL, BOOT);
    // The other one is not kept from serving.
    for _ in 0..10 {
        get(address, "/").expect("an answer");
    }
    herd.signal_to(workers[0].pid, Signal::CONT);
    let ledger = load.finish();
    assert!(ledger.failures().count() as u64 <= takeover.cut, "{ledger}");
    assert_all_live(&workers);
    assert!(herd.end().success());
}

/// The keeper holds the listener open, and who connects meanwhile waits in its queue.
#[test]
fn r26_who_connects_while_there_is_no_master_is_served() {
    let scene = Scene::new("node_heirwait");
    let (herd, workers) = started(&scene, Node::Version(24), &[]);
    let address = address(&herd);
    let before = herd.master().expect("a master");
    let mark = herd.mark();
    herd.signal_to(before.pid, Signal::STOP);
    // Nobody accepts any more.
    let waiting: Vec<TcpStream> = (0..5)
        .map(|_| TcpStream::connect(address).expect("the door is open"))
        .collect();
    herd.signal_to(before.pid, Signal::KILL);
    let load = Load::http(address, "/").clients(5).count(50).timeout(BOOT);
    load.start().finish().assert_no_failure();
    herd.wait_for_line_after(mark, "a new master", BOOT, |line| {
        line.contains("took over 2 workers").then_some(())
    });
    drop(waiting);
    assert_all_live(&workers);
    assert!(herd.end().success());
}

/// A worker that is on its way out when its master dies is not told so a second time, which would cut what it
/// serves.
#[test]
fn r27_a_worker_that_leaves_goes_on_leaving_under_the_next_master() {
    let scene = Scene::new("node_heirleaving");
    let options = ["--grace", "30s", "--soak", "100ms"];
    let (herd, workers) = started(&scene, Node::Version(20), &options);
    let address = address(&herd);
    let slow = Load::http(address, "/slow/4000").clients(8).count(8);
    let slow = slow.timeout(BOOT).worker_from(pid_of_body).start();
    // Each has some of them.
    wait::until(BOOT, "they are with the workers", || {
        let with = |it: &Seat| accepted_by(it.pid).len();
        (workers.iter().map(with).sum::<usize>() == 8).then_some(())
    });
    let mark = herd.mark();
    herd.signal(Signal::HUP);
    herd.wait_for_line_after(mark, "the end of the reload", BOOT, |line| {
        line.contains("is in service").then_some(())
    });
    end_master(&herd, Signal::KILL, BOOT);
    let ledger = slow.finish();
    ledger.assert_no_failure();
    let served = ledger.per_worker();
    assert!(workers.iter().any(|it| served.contains_key(&it.pid)));
    assert!(herd.end().success());
}
