//! Connections that come to a Node worker by a channel of their own: nobody can tell, save by the time they take.

use herder_e2e::client::Load;
use herder_e2e::foreign::BOOT;
use herder_e2e::node::{Case, Cluster, ClusterSetup, End, Primary, Scheduling};
use herder_e2e::scene::Scene;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;
use std::fs;
use std::io::Read;
use std::net::TcpStream;

/// Counts what goes by the program's own `send`: Node's verdicts on connections, and its own words.
const COUNTING: &str = "
    kept.verdicts = 0;
    kept.words = 0;
    const { send } = process;
    process.send = function(word, ...rest) {
      if ('accepted' in Object(word)) kept.verdicts += 1;
      if ('connection' in Object(word)) kept.words += 1;
      return send.call(this, word, ...rest);
    };
    const server = http.createServer((request, response) => {
      response.setHeader('Connection', 'close');
      response.end('served');
    });
    server.on('connection', () => process.send({ connection: true }));
    return serve('http', server, { port: 0, host: '127.0.0.1' });";

const COUNTS: &str =
    "return [kept.verdicts, kept.words, process.send.name, 'HERDER_LANE' in process.env];";

/// Loaded before the module of herder's: then one of Node's insides is not what it was.
const SPOILED: &str = "
    const hidden = Object.getOwnPropertySymbols(process).find((it) => it.description === 'kChannelHandle');
    if (hidden) process[hidden].constructor.prototype.useUserBuffer = undefined;";

const CLIENTS: u64 = 60;

fn passed(cases: &[Case]) -> impl Iterator<Item = Case> {
    let passed = cases
        .iter()
        .filter(|it| it.scheduling == Scheduling::RoundRobin);
    passed.copied()
}

fn served(cluster: &Cluster, clients: u64) {
    let load = Load::http(cluster.address(), "/")
        .clients(16)
        .count(clients);
    load.timeout(BOOT).run().assert_no_failure();
}

fn the_programs_words_go_their_way(cases: &[Case]) {
    let scene = Scene::new("node_lane");
    let spoiling = scene.directory().join("spoil.js");
    fs::write(&spoiling, SPOILED).expect("ours");
    let spoiling = format!("--require={}", spoiling.display());
    for case in passed(cases) {
        // By Node's own channel each verdict goes by the program's `send`.
        let kinds: [(&[&str], &str, u64); 3] = [
            (&[], "", 0),
            (&[], &spoiling, CLIENTS),
            (&["--no-node-shim"], "", CLIENTS),
        ];
        for (options, node_options, verdicts) in kinds {
            let setup = ClusterSetup::new(&scene, Primary::Herder, case, "actor.js", 1);
            let setup = setup.env("NODE_OPTIONS", node_options).options(options);
            let cluster = setup.start();
            let mut actor = cluster.actor(1);
            actor.run(COUNTING);
            served(&cluster, CLIENTS);
            let expected = json!([verdicts, CLIENTS, "", false]);
            assert_eq!(actor.run(COUNTS), expected, "{options:?}, {case:?}");
            cluster.end();
        }
    }
}

#[test]
fn a_lane_is_read_where_node_is_what_it_is_known_to_be() {
    the_programs_words_go_their_way(&Case::USUAL);
}

#[test]
#[ignore = "the other versions of Node"]
fn a_lane_is_read_where_node_is_what_it_is_known_to_be_all() {
    the_programs_words_go_their_way(&Case::OTHERS);
}

/// Whoever leaves when it sees a connection has taken it, and nobody else gets it.
fn the_end_is_the_answer(cases: &[Case]) {
    let scene = Scene::new("node_lane_end");
    for case in passed(cases) {
        for (deed, end) in [
            ("process.exit(3)", End::Code(3)),
            ("throw new Error('it throws')", End::Code(1)),
        ] {
            for primary in Primary::BOTH {
                let cluster = ClusterSetup::new(&scene, primary, case, "actor.js", 2).start();
                let (mut one, mut two) = (cluster.actor(1), cluster.actor(2));
                one.run(&format!(
                    "const server = net.createServer(() => {{ {deed}; }});
                     return serve('net', server, {{ port: 0, host: '127.0.0.1' }});"
                ));
                let mut client = TcpStream::connect(cluster.address()).expect("it listens");
                client.set_read_timeout(Some(BOOT)).expect("a time");
                assert_eq!(cluster.end_of(1), end, "{primary:?}, {case:?}");
                two.run("return open('net', { port: 0, host: '127.0.0.1' });");
                let mut text = String::new();
                // An end or a reset.
                let _either = client.read_to_string(&mut text);
                assert_eq!(text, "", "{deed}, {primary:?}, {case:?}");
                drop(cluster);
            }
        }
    }
}

#[test]
fn a_worker_that_ends_at_a_connection_has_taken_it() {
    the_end_is_the_answer(&Case::USUAL);
}

#[test]
#[ignore = "the other versions of Node"]
fn a_worker_that_ends_at_a_connection_has_taken_it_all() {
    the_end_is_the_answer(&Case::OTHERS);
}

/// A worker that has no descriptor left loses what it is sent; the master has it still.
fn others_serve_what_one_has_no_room_for(cases: &[Case]) {
    const MOST: u64 = 64;
    let scene = Scene::new("node_lane_full");
    for case in passed(cases) {
        let cluster = ClusterSetup::new(&scene, Primary::Herder, case, "actor.js", 2).start();
        let (mut one, mut two) = (cluster.actor(1), cluster.actor(2));
        one.run(COUNTING);
        two.run(COUNTING);
        served(&cluster, CLIENTS);
        let limit = Rlimit {
            current: Some(MOST),
            maximum: Some(MOST),
        };
        prlimit(Pid::from_raw(one.pid()), Resource::Nofile, limit).expect("it is ours");
        one.run(
            "const { openSync } = require('fs');
             try { for (;;) openSync('/dev/null'); } catch ({ code }) { return code; }",
        );
        let before = one.run(COUNTS)[1].as_u64().expect("a number");
        served(&cluster, CLIENTS);
        let counts = [one.run(COUNTS), two.run(COUNTS)];
        assert_eq!(counts[0][1], before, "{case:?}");
        let all = counts.iter().filter_map(|it| it[1].as_u64()).sum::<u64>();
        assert_eq!(all, 2 * CLIENTS, "{case:?}");
        cluster.end();
    }
}

#[test]
fn what_a_worker_has_no_descriptor_for_is_served_by_another() {
    others_serve_what_one_has_no_room_for(&Case::USUAL);
}

#[test]
#[ignore = "the other versions of Node"]
fn what_a_worker_has_no_descriptor_for_is_served_by_another_all() {
    others_serve_what_one_has_no_room_for(&Case::OTHERS);
}
