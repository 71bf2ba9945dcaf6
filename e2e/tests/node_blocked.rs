//! Workers that do not move: Node's own primary accepts without end for them, and forgets what it had given to one
//! that dies.

use herder_e2e::client::Load;
use herder_e2e::foreign::{BOOT, freeze};
use herder_e2e::herd::Signal;
use herder_e2e::node::{Case, Cluster, ClusterSetup, Event, Primary, Scheduling};
use herder_e2e::process::descriptors;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const SERVE: &str = "
    const server = http.createServer((request, response) => {
      response.setHeader('Connection', 'close');
      response.end(`pid:${process.pid} worker:${id}`);
    });
    return serve('http', server, { port: 0, host: '127.0.0.1' });";

/// From here on it hears nothing and says nothing.
const LOOP: &str = "require('fs').writeSync(1, 'in the loop\\n'); for (;;);";

/// After this long without a word a worker is known not to move.
const STALLS: Duration = Duration::from_secs(1);

/// How long a client waits for what never comes.
const HANGS: Duration = Duration::from_secs(4);

fn start(scene: &Scene, primary: Primary, case: Case) -> Cluster {
    ClusterSetup::new(scene, primary, case, "actor.js", 2).start()
}

fn passed(cases: &[Case]) -> impl Iterator<Item = Case> {
    let passed = cases
        .iter()
        .filter(|it| it.scheduling == Scheduling::RoundRobin);
    passed.copied()
}

/// How many connections were taken back, when the herd has ended.
fn taken_back(cluster: &Cluster) -> u64 {
    cluster.herd().signal(Signal::TERM);
    cluster.wait_for("the totals", |event| match event {
        Event::Other(value) => value["taken_back"].as_u64(),
        Event::Ended { .. } | Event::Listening(_) | Event::Online { .. } | Event::Said { .. } => {
            None
        }
    })
}

/// A worker blocks its loop, is left alone, and is killed. Returns how many of two clients were served of whom one
/// had been given to it.
fn served_of_two(cluster: &Cluster) -> usize {
    let (mut one, mut two) = (cluster.actor(1), cluster.actor(2));
    one.run(SERVE);
    two.run(SERVE);
    one.start(LOOP);
    cluster.wait_for("the worker is in its loop", |event| {
        format!("{event:?}").contains("in the loop").then_some(())
    });
    let address = cluster.address();
    let first = Load::http(address, "/").clients(2).count(2);
    let first = first.timeout(match cluster.primary() {
        Primary::Herder => BOOT,
        Primary::Node => HANGS,
    });
    let first = first.start();
    first.wait_for_answers(1, BOOT);
    let given = Instant::now();
    wait::until(BOOT, "it is known not to move", || {
        (given.elapsed() > STALLS * 3 / 2).then_some(())
    });
    // Who comes now is served, as long as it may last.
    let others = Load::http(address, "/").clients(8).count(40).timeout(BOOT);
    others.run().assert_no_failure();
    cluster.herd().signal_to(one.pid(), Signal::KILL);
    first.finish().complete()
}

fn a_blocked_worker_gets_no_more(cases: &[Case]) {
    let scene = Scene::new("node_loop");
    for case in passed(cases) {
        let cluster = start(&scene, Primary::Herder, case);
        assert_eq!(served_of_two(&cluster), 2, "{case:?}");
        assert_eq!(taken_back(&cluster), 1, "one waited for it, {case:?}");
        cluster.end();
    }
}

/// All workers stand still, and many connect. Returns how many descriptors the primary has at most while they wait
/// and are then served.
fn most_descriptors(cluster: &Cluster) -> usize {
    const CLIENTS: usize = 400;
    for id in [1, 2] {
        cluster.actor(id).run(SERVE);
    }
    let workers = cluster.wait_online(2);
    let pids: Vec<i32> = workers.iter().map(|(_, pid)| *pid).collect();
    let primary = cluster.primary_pid();
    let open = || descriptors(primary).map_or(0, |all| all.len());
    let before = open();
    freeze(cluster.herd(), &pids);
    let connect = |_| {
        let mut client = TcpStream::connect(cluster.address()).expect("a connection");
        client.set_read_timeout(Some(BOOT)).expect("a time");
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        client.write_all(request).expect("room");
        client
    };
    let clients: Vec<TcpStream> = (0..CLIENTS).map(connect).collect();
    wait::until(BOOT, "the primary accepts", || {
        (open() > before + 4).then_some(())
    });
    let mut most = open();
    for pid in &pids {
        cluster.herd().signal_to(*pid, Signal::CONT);
    }
    for mut client in clients {
        most = most.max(open());
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("an answer");
        assert!(answer.contains("pid:"), "{answer}");
    }
    most
}

fn acceptance_is_bounded(cases: &[Case]) {
    let scene = Scene::new("node_bounded");
    for case in passed(cases) {
        let cluster = start(&scene, Primary::Herder, case);
        let most = most_descriptors(&cluster);
        assert!(most < 64, "{most}, {case:?}");
        cluster.end();
    }
}

#[test]
fn timed_a_blocked_worker_gets_no_more_and_what_it_had_is_served_when_it_dies() {
    a_blocked_worker_gets_no_more(&Case::USUAL);
    // With Node's own primary one client waits for ever.
    let scene = Scene::new("node_loop_node");
    let cluster = start(&scene, Primary::Node, Case::USUAL[0]);
    assert_eq!(served_of_two(&cluster), 1);
    cluster.end();
}

#[test]
fn no_more_is_accepted_than_the_workers_have_room_for() {
    acceptance_is_bounded(&Case::USUAL);
    // Node's own primary accepts all.
    let scene = Scene::new("node_bounded_node");
    let cluster = start(&scene, Primary::Node, Case::USUAL[0]);
    let most = most_descriptors(&cluster);
    assert!(most > 200, "{most}");
    cluster.end();
}

#[test]
#[ignore = "three more versions of Node"]
fn blocked_workers_by_other_versions() {
    a_blocked_worker_gets_no_more(&Case::OTHERS);
    acceptance_is_bounded(&Case::OTHERS);
}
