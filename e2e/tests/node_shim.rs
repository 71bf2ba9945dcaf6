//! The module that herder loads before a Node program: connections take a shorter way, and nobody can tell.

use herder_e2e::client::Load;
use herder_e2e::foreign::BOOT;
use herder_e2e::node::{Case, Cluster, ClusterSetup, End, Primary, Scheduling, Wire};
use herder_e2e::scene::Scene;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

/// Says something to the primary for each connection, as soon as it sees it; leaves when it is asked to.
const SAYING: &str = "
    let count = 0;
    process.on('internalMessage', ({ cmd }) => { kept[cmd] = (kept[cmd] || 0) + 1; });
    const server = http.createServer((request, response) => {
      if (request.url === '/exit') {
        process.send('the last word');
        process.exit(3);
      }
      response.setHeader('Connection', 'close');
      response.end('served');
    });
    server.on('connection', () => process.send({ connection: count += 1 }));
    return serve('http', server, { port: 0, host: '127.0.0.1' });";

const CLIENTS: u64 = 40;

fn passed(cases: &[Case]) -> impl Iterator<Item = Case> {
    let passed = cases
        .iter()
        .filter(|it| it.scheduling == Scheduling::RoundRobin);
    passed.copied()
}

fn tap(scene: &Scene, case: Case, name: &str) -> PathBuf {
    let directory = scene.directory().join(format!("{name}-{}", case.major()));
    fs::create_dir(&directory).expect("ours");
    directory
}

fn start(scene: &Scene, primary: Primary, case: Case, tap: &Path) -> Cluster {
    let setup = ClusterSetup::new(scene, primary, case, "actor.js", 1);
    setup.tapped(tap).start()
}

/// What the worker has said of connections: without what it says of itself.
fn of_connections(wire: &Wire) -> Vec<Value> {
    let own = |line: &Value| line.get("act").is_none();
    let mut said: Vec<Value> = wire.said().into_iter().filter(own).collect();
    for line in &mut said {
        if let Some(fields) = line.as_object_mut() {
            fields.remove("seq");
        }
    }
    said
}

/// The same, as it must be: for each connection that it has come, that it is taken, and what the program says.
fn expected(wire: &Wire) -> Vec<Value> {
    let told = wire.told();
    let connections = told
        .iter()
        .filter_map(|line| line["msg"]["seq"].as_u64())
        .zip(1..);
    connections
        .flat_map(|(seq, number)| {
            [
                json!({"cmd": "NODE_HANDLE_ACK"}),
                json!({"cmd": "NODE_CLUSTER", "ack": seq, "accepted": true}),
                json!({"connection": number}),
            ]
        })
        .collect()
}

fn every_word_is_said_in_its_order(cases: &[Case]) {
    let scene = Scene::new("node_shim_order");
    for case in passed(cases) {
        for primary in Primary::BOTH {
            let tap = tap(&scene, case, &format!("{primary:?}"));
            let cluster = start(&scene, primary, case, &tap);
            let mut actor = cluster.actor(1);
            actor.run(SAYING);
            let address = cluster.address();
            let load = Load::http(address, "/").clients(8).count(CLIENTS);
            load.timeout(BOOT).run().assert_no_failure();
            let envelopes = actor.run("return kept.NODE_HANDLE || 0;");
            // What stands in the way of the shortcut is that it is not known: then this fails first.
            let taken = primary == Primary::Herder;
            assert_eq!(envelopes == json!(0), taken, "{primary:?}, {case:?}");
            // What was said before the end is said.
            let mut client = TcpStream::connect(address).expect("it listens");
            write!(client, "GET /exit HTTP/1.1\r\nHost: x\r\n\r\n").expect("room");
            assert_eq!(cluster.end_of(1), End::Code(3));
            let wire = Wire::of(&tap, 1);
            let mut expected = expected(&wire);
            assert_eq!(expected.len() as u64, 3 * (CLIENTS + 1));
            expected.push(json!("the last word"));
            assert_eq!(of_connections(&wire), expected, "{primary:?}, {case:?}");
            drop(cluster);
        }
    }
}

#[test]
fn every_word_about_connections_is_said_in_its_order() {
    every_word_is_said_in_its_order(&Case::USUAL);
}

#[test]
#[ignore = "the other versions of Node"]
fn every_word_about_connections_is_said_in_its_order_all() {
    every_word_is_said_in_its_order(&Case::OTHERS);
}

/// A program that throws when it sees a connection, and goes on; and one that leaves at that moment.
fn what_the_program_does_at_a_connection_is_its_own(cases: &[Case]) {
    let scene = Scene::new("node_shim_throws");
    for case in passed(cases) {
        let mut found = Vec::new();
        for primary in Primary::BOTH {
            let tap = tap(&scene, case, &format!("{primary:?}"));
            let cluster = start(&scene, primary, case, &tap);
            let mut actor = cluster.actor(1);
            actor.run(
                "kept.caught = [];
                 process.on('uncaughtException', (error, origin) => kept.caught.push([error.message, origin]));
                 const server = net.createServer((socket) => {
                   socket.end('served');
                   if (kept.caught.length < 3) throw new Error('it throws');
                   process.disconnect();
                 });
                 return serve('net', server, { port: 0, host: '127.0.0.1' });",
            );
            let address = cluster.address();
            for _ in 0..4 {
                Load::plain(address, b"")
                    .count(1)
                    .timeout(BOOT)
                    .run()
                    .assert_no_failure();
            }
            assert_eq!(cluster.end_of(1), End::Code(0), "{primary:?}, {case:?}");
            let wire = Wire::of(&tap, 1);
            let verdicts = |line: &&Value| line["accepted"] == json!(true);
            let said = of_connections(&wire);
            found.push(said.iter().filter(verdicts).count());
            drop(cluster);
        }
        assert_eq!(found, [4, 4], "{case:?}");
    }
}

#[test]
fn what_a_program_does_at_a_connection_is_its_own() {
    what_the_program_does_at_a_connection_is_its_own(&Case::USUAL);
}

#[test]
#[ignore = "the other versions of Node"]
fn what_a_program_does_at_a_connection_is_its_own_all() {
    what_the_program_does_at_a_connection_is_its_own(&Case::OTHERS);
}
