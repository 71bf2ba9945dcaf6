//! Node workers that have a listener for themselves accept as many connections in one turn of their event loop as they
//! have descriptors of it. This needs the right to load programs into the kernel, and fails without.

use herder_e2e::client::get;
use herder_e2e::foreign::BOOT;
use herder_e2e::node::{Actor, Case, Cluster, ClusterSetup, Primary};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

/// The listener that the program has opened, and seven of herder's.
const DESCRIPTORS: usize = 8;

const CLIENTS: usize = 3 * DESCRIPTORS;

/// Notes in which turn of the event loop each connection was seen.
const NOTING: &str = "
    let turn = 0;
    const next = () => { turn += 1; kept.noting = setImmediate(next); };
    next();
    kept.turns = [];
    const server = net.createServer((socket) => { kept.turns.push(turn); socket.end('served'); });
    return serve('net', server, { port: 0, host: '127.0.0.1' });";

const SERVING: &str = "
    const server = http.createServer((request, response) => {
      response.setHeader('Connection', 'close');
      response.end('served');
    });
    return serve('http', server, { port: 0, host: '127.0.0.1' });";

fn start(scene: &Scene, case: Case, options: &[&str]) -> Cluster {
    let setup = ClusterSetup::new(scene, Primary::Herder, case, "actor.js", 1);
    setup.options(options).start()
}

/// The numbers of the sockets that a process has, and how many descriptors of each.
fn sockets(pid: i32) -> BTreeMap<PathBuf, usize> {
    let mut sockets = BTreeMap::new();
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives");
    // What is closed meanwhile has no name any more.
    let named = descriptors.filter_map(|it| fs::read_link(it.ok()?.path()).ok());
    for name in named.filter(|it| it.to_string_lossy().starts_with("socket:")) {
        *sockets.entry(name).or_default() += 1;
    }
    sockets
}

/// Waits until a worker has that many descriptors of one socket, and of no other as many.
#[track_caller]
fn has_descriptors(actor: &Actor, count: usize) {
    let pid = actor.pid();
    wait::until(BOOT, "it has the descriptors of its listener", || {
        let most = sockets(pid).into_values().max();
        (most == Some(count)).then_some(())
    });
}

/// So many connections a worker accepts at most in one turn, of [`CLIENTS`] that have come while it was busy.
fn most_in_a_turn(cluster: &Cluster, descriptors: usize, door: &Path) -> u64 {
    let mut actor = cluster.actor(1);
    actor.run(NOTING);
    has_descriptors(&actor, descriptors);
    let path = json!(door);
    let busy = actor.start(&format!(
        "const {{ existsSync }} = require('fs'); while (!existsSync({path})) {{}} return 'free';"
    ));
    let address = cluster.address();
    let connect = |_| TcpStream::connect(address).expect("it listens");
    let clients: Vec<TcpStream> = (0..CLIENTS).map(connect).collect();
    fs::write(door, "").expect("ours");
    actor.result_of(busy);
    let all = format!(
        "while (kept.turns.length < {CLIENTS}) await new Promise(setImmediate);
         clearImmediate(kept.noting);
         return kept.turns;"
    );
    let turns = actor.run(&all);
    drop(clients);
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for turn in turns.as_array().expect("they were noted") {
        *counts.entry(turn.as_u64().expect("a number")).or_default() += 1;
    }
    counts.into_values().max().expect("there were some")
}

fn a_turn_takes_as_many(cases: &[Case]) {
    let scene = Scene::new("node_turns");
    for case in cases {
        // Before libuv 1.45 a turn takes all that wait by itself.
        let (descriptors, expected) = if case.major() < 20 {
            (1, CLIENTS)
        } else {
            (DESCRIPTORS, DESCRIPTORS)
        };
        let door = scene.directory().join(format!("door-{}", case.major()));
        let cluster = start(&scene, *case, &[]);
        let most = most_in_a_turn(&cluster, descriptors, &door);
        assert_eq!(most, expected as u64, "{case:?}");
        cluster.end();
    }
}

#[test]
fn kernel_a_turn_of_nodes_event_loop_takes_as_many_as_it_has_descriptors() {
    a_turn_takes_as_many(&Case::KERNEL);
}

#[test]
#[ignore = "the other versions of Node"]
fn kernel_a_turn_of_nodes_event_loop_takes_as_many_as_it_has_descriptors_all() {
    a_turn_takes_as_many(&Case::KERNEL_OTHERS);
}

#[test]
fn kernel_without_the_module_a_turn_takes_one() {
    let scene = Scene::new("node_turns_alone");
    let door = scene.directory().join("door");
    let cluster = start(&scene, Case::KERNEL[1], &["--no-node-shim"]);
    assert_eq!(most_in_a_turn(&cluster, 1, &door), 1);
    cluster.end();
}

/// Opens a server, and returns where it listens.
fn serve(actor: &mut Actor, first: &str) -> SocketAddr {
    let address = actor.run(&format!("{first} {SERVING}"));
    let port = address["port"].as_u64().expect("a port");
    let port = u16::try_from(port).expect("a port");
    has_descriptors(actor, DESCRIPTORS);
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The program has one listener, as ever.
#[test]
fn kernel_further_descriptors_of_a_listener_end_with_it() {
    let scene = Scene::new("node_turns_end");
    for case in Case::KERNEL {
        let cluster = start(&scene, case, &[]);
        let mut actor = cluster.actor(1);
        for _ in 0..2 {
            let address = serve(&mut actor, "");
            for _ in 0..2 * DESCRIPTORS {
                assert_eq!(get(address, "/").expect("an answer"), "served");
            }
            actor.run("return close('http');");
            has_descriptors(&actor, 1);
            wait::until(BOOT, "nobody listens", || TcpStream::connect(address).err());
        }
        // Closed and opened again in one breath: none of the first is left.
        serve(&mut actor, "");
        let address = serve(&mut actor, "kept.http.close();");
        assert_eq!(get(address, "/").expect("an answer"), "served");
        cluster.end();
    }
}

#[test]
fn kernel_further_descriptors_keep_no_process_alive() {
    const ALIVE: &str = "return process.getActiveResourcesInfo().sort();";
    let scene = Scene::new("node_turns_alive");
    for case in Case::KERNEL {
        let cluster = start(&scene, case, &[]);
        let mut actor = cluster.actor(1);
        let before = actor.run(ALIVE);
        serve(&mut actor, "");
        let after = actor.run(ALIVE);
        let count = |list: &Value| list.as_array().map_or(0, Vec::len);
        assert_eq!(count(&after), count(&before) + 1, "{after}");
        actor.run("kept.http.unref();");
        assert_eq!(actor.run(ALIVE), before);
        cluster.end();
    }
}
