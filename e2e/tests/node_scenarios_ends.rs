//! Scenarios of Node's cluster: how workers end. Node's own primary is the measure.

use herder_e2e::client::{Load, Running};
use herder_e2e::foreign::{BOOT, freeze};
use herder_e2e::herd::Signal;
use herder_e2e::node::{Actor, Case, Cluster, ClusterSetup, End, Event, Primary, Scheduling, Wire};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Who may be the primary, with options of herder: also without what it loads into the workers.
const PRIMARIES: [(Primary, &[&str]); 3] = [
    (Primary::Node, &[]),
    (Primary::Herder, &[]),
    (Primary::Herder, &["--no-node-shim"]),
];

/// Serves HTTP: `/` at once, and `/held` when the test says so.
const SERVE: &str = "
    kept.begun = new Promise((resolve) => { kept.begin = resolve; });
    const server = http.createServer((request, response) => {
      if (request.url === '/') return response.end(`worker:${id}`);
      kept.held = response;
      kept.begin();
    });
    server.keepAliveTimeout = 5000;
    return serve('http', server, { port: 0, host: '127.0.0.1' });";

/// Waits until its server does not listen any more: it was told to leave.
const UNTIL_TOLD: &str =
    "while (kept.http.listening) await new Promise((next) => setTimeout(next, 5));";

fn start(setup: ClusterSetup, options: &[&str]) -> Cluster {
    setup.options(options).start()
}

/// Starts one worker that serves, and asks it for what it answers when it is told to.
fn busy(
    scene: &Scene,
    primary: Primary,
    case: Case,
    options: &[&str],
) -> (Cluster, Actor, Running) {
    let setup = ClusterSetup::new(scene, primary, case, "actor.js", 1);
    let cluster = start(setup, options);
    let mut actor = cluster.actor(1);
    actor.run(SERVE);
    let load = Load::http(cluster.address(), "/held")
        .count(1)
        .timeout(BOOT);
    let load = load.start();
    actor.run("await kept.begun;");
    (cluster, actor, load)
}

/// Workers end by themselves, each in its own way; what is said, and how they end.
fn ends(cluster: &Cluster, tap: &Path, ways: &[&str]) -> Value {
    let mut found = Vec::new();
    for (id, way) in (1..).zip(ways) {
        let mut actor = cluster.actor(id);
        actor.run("await open('main', { port: 0, host: '127.0.0.1' });");
        // Its answer may be lost with it.
        actor.start(way);
        let end = cluster.end_of(id);
        found.push(json!([format!("{end:?}"), Wire::of(tap, id).plain()]));
    }
    Value::from(found)
}

fn scenario_20(cases: &[Case]) {
    let scene = Scene::new("scenario_20");
    let ways = [
        "cluster.worker.disconnect();",
        "cluster.worker.kill();",
        "process.disconnect();",
        "process.exit(3);",
        "setImmediate(() => { throw new Error('on purpose'); });",
    ];
    for case in cases {
        // Who accepts makes no difference to those who say nothing.
        let (ways, primaries) = match case.scheduling {
            Scheduling::None => (&ways[..2], vec![PRIMARIES[0], PRIMARIES[2]]),
            Scheduling::Kernel => (&ways[..], vec![PRIMARIES[0], PRIMARIES[2]]),
            Scheduling::Auto | Scheduling::RoundRobin => (&ways[..], PRIMARIES.to_vec()),
        };
        let play = |(primary, options): (Primary, &[&str])| {
            let tap = tempdir(&scene, &format!("{primary:?}{}", options.len()), *case);
            let setup = ClusterSetup::new(&scene, primary, *case, "actor.js", ways.len());
            let cluster = start(setup.tapped(&tap), options);
            let found = ends(&cluster, &tap, ways);
            cluster.end();
            found
        };
        let mut found = primaries.into_iter().map(play);
        let node = found.next().expect("Node's own is the first");
        for herder in found {
            assert_eq!(herder, node, "herder (left) and Node's own, {case:?}");
        }
        let said = |place: usize| -> Vec<&Value> {
            let said = node[place][1]["said"].as_array().expect("lines");
            let mut acts: Vec<&Value> = said.iter().map(|line| &line["act"]).collect();
            let begun = acts.iter().position(|act| *act == "listening");
            acts.split_off(begun.expect("it has listened") + 1)
        };
        let expected: [(&str, &[&str]); 5] = [
            ("Code(0)", &["close", "exitedAfterDisconnect"]),
            ("Code(0)", &["exitedAfterDisconnect"]),
            ("Code(0)", &[]),
            ("Code(3)", &[]),
            ("Code(1)", &[]),
        ];
        for (place, (end, acts)) in expected.into_iter().take(ways.len()).enumerate() {
            assert_eq!(node[place][0], end);
            assert_eq!(said(place), acts);
        }
    }
}

fn tempdir(scene: &Scene, name: &str, case: Case) -> PathBuf {
    let path = scene.directory().join(format!("{name}-{case:?}"));
    fs::create_dir(&path).expect("the scene's directory is ours");
    path
}

fn scenario_21(cases: &[Case]) {
    let scene = Scene::new("scenario_21");
    for case in cases {
        for (primary, options) in PRIMARIES {
            let (cluster, mut actor, load) = busy(&scene, primary, *case, options);
            cluster.disconnect();
            actor.run(UNTIL_TOLD);
            actor.start("kept.held.end('done');");
            load.finish().assert_no_failure();
            assert_eq!(cluster.end_of(1), End::Code(0), "{primary:?}, {case:?}");
            cluster.end();
        }
    }
}

/// A connection that is kept after a first answer.
fn served(address: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).expect("it listens");
    client.set_read_timeout(Some(BOOT)).expect("a time");
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("room");
    let (mut answer, mut room) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(b"worker:1") {
        let length = client.read(&mut room).expect("an answer");
        assert!(length > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend(&room[..length]);
    }
    client
}

fn scenario_22(cases: &[Case]) {
    let scene = Scene::new("scenario_22");
    for case in cases {
        for (primary, options) in PRIMARIES {
            let setup = ClusterSetup::new(&scene, primary, *case, "actor.js", 1);
            let cluster = start(setup, options);
            let mut actor = cluster.actor(1);
            actor.run(SERVE);
            let idle = served(cluster.address());
            let told = Instant::now();
            cluster.disconnect();
            assert_eq!(cluster.end_of(1), End::Code(0), "{primary:?}, {case:?}");
            let took = told.elapsed();
            // Up to 18 Node waits for `keepAliveTimeout`; what herder loads does not.
            let waits = case.major() < 20 && (primary == Primary::Node || !options.is_empty());
            assert_eq!(
                took > Duration::from_secs(4),
                waits,
                "{took:?}, {primary:?}, {case:?}"
            );
            drop(idle);
            cluster.end();
        }
    }
}

fn scenario_23(cases: &[Case]) {
    let scene = Scene::new("scenario_23");
    for case in cases {
        for (primary, options) in PRIMARIES {
            let setup = ClusterSetup::new(&scene, primary, *case, "actor.js", 1);
            let cluster = start(setup, options);
            let mut actor = cluster.actor(1);
            actor.run(SERVE);
            actor.run("setInterval(() => {}, 1000);");
            cluster.disconnect();
            actor.run("if (process.connected) await new Promise((end) => process.once('disconnect', end));");
            if primary == Primary::Herder {
                assert_eq!(cluster.end_of(1), End::Signal("SIGTERM".to_owned()));
            } else {
                cluster.wait_for("its channel has ended", |event| {
                    let ended = |value: &Value| value["event"] == "disconnected";
                    matches!(&event, Event::Other(value) if ended(value)).then_some(())
                });
                assert_eq!(actor.run("return process.connected;"), false);
                cluster.herd().signal_to(actor.pid(), Signal::KILL);
            }
            cluster.end();
        }
    }
}

fn scenario_24(cases: &[Case]) {
    let scene = Scene::new("scenario_24");
    for case in cases {
        let found = Primary::BOTH.map(|primary| {
            let tap = tempdir(&scene, &format!("{primary:?}"), *case);
            let setup = ClusterSetup::new(&scene, primary, *case, "actor.js", 1);
            let cluster = setup.tapped(&tap).start();
            let mut actor = cluster.actor(1);
            actor.run(SERVE);
            let load = Load::http(cluster.address(), "/held")
                .count(1)
                .timeout(BOOT);
            let load = load.start();
            actor.run("await kept.begun;");
            cluster.disconnect();
            actor.run(UNTIL_TOLD);
            actor.run(
                "open('late', { port: 0, host: '127.0.0.1' }).then(() => console.log('late'));",
            );
            actor.start("kept.held.end('done');");
            load.finish().assert_no_failure();
            let end = cluster.end_of(1);
            let late = cluster
                .events()
                .into_iter()
                .any(|event| matches!(event, Event::Said { value, .. } if value == "late"));
            assert!(!late, "{primary:?}, {case:?}");
            cluster.end();
            (format!("{end:?}"), Wire::of(&tap, 1).plain())
        });
        assert_eq!(found[1], found[0], "herder (left) and Node's own, {case:?}");
        assert_eq!(found[0].0, "Code(0)");
    }
}

fn scenario_25(cases: &[Case]) {
    let scene = Scene::new("scenario_25");
    for case in cases {
        for primary in Primary::BOTH {
            let setup = ClusterSetup::new(&scene, primary, *case, "actor.js", 3);
            let notes = tempdir(&scene, &format!("{primary:?}"), *case);
            let cluster = setup.env("NOTES", &notes).start();
            for id in 1..=3 {
                let mut actor = cluster.actor(id);
                actor.run(SERVE);
                actor.run(
                    "setInterval(() => {}, 1000);
                     process.on('exit', (code) =>
                       require('fs').writeFileSync(`${process.env.NOTES}/${id}`, String(code)));",
                );
            }
            let herd = cluster.herd();
            // Frozen, so that neither does anything about the other's death; and the child first, because the
            // kernel wakes a stopped one whose parent has ended.
            let mut heads = vec![cluster.primary_pid(), herd.pid()];
            heads.dedup();
            freeze(herd, &heads);
            for pid in heads {
                herd.signal_to(pid, Signal::KILL);
            }
            herd.wait_for_exit(BOOT);
            wait::until(BOOT, "everybody has ended", || {
                herd.descendants().is_empty().then_some(())
            });
            for id in 1..=3 {
                let code = fs::read_to_string(notes.join(id.to_string()));
                assert_eq!(code.ok().as_deref(), Some("0"), "{primary:?}, {case:?}");
            }
            // Who removes what a herd has made in the file system was killed.
            for entry in fs::read_dir(scene.directory()).expect("ours").flatten() {
                if entry.file_name().to_string_lossy().starts_with("herder-") {
                    fs::remove_dir_all(entry.path()).expect("ours");
                }
            }
        }
    }
}

#[test]
fn scenario_20_workers_that_end_by_themselves() {
    scenario_20(&Case::USUAL);
}

#[test]
fn scenario_21_told_to_leave_with_a_request_in_flight() {
    scenario_21(&Case::USUAL);
}

#[test]
fn timed_scenario_22_told_to_leave_with_an_idle_connection() {
    scenario_22(&Case::USUAL);
}

#[test]
fn scenario_23_told_to_leave_with_a_timer() {
    scenario_23(&Case::USUAL);
}

#[test]
fn scenario_24_a_question_of_one_that_leaves() {
    scenario_24(&Case::USUAL);
}

#[test]
fn scenario_25_the_primary_is_killed() {
    scenario_25(&Case::USUAL);
}

#[test]
fn kernel_scenario_20_workers_that_end_by_themselves() {
    scenario_20(&Case::KERNEL);
}

#[test]
fn kernel_scenario_21_told_to_leave_with_a_request_in_flight() {
    scenario_21(&Case::KERNEL);
}

#[test]
fn timed_kernel_scenario_22_told_to_leave_with_an_idle_connection() {
    scenario_22(&Case::KERNEL);
}

#[test]
fn kernel_scenario_23_told_to_leave_with_a_timer() {
    scenario_23(&Case::KERNEL);
}

#[test]
fn unprivileged_scenarios_20_to_23_by_what_is_left() {
    scenario_20(&Case::UNPRIVILEGED);
    scenario_21(&Case::UNPRIVILEGED);
    scenario_23(&Case::UNPRIVILEGED);
}

#[test]
fn timed_unprivileged_scenario_22_by_what_is_left() {
    scenario_22(&Case::UNPRIVILEGED);
}

#[test]
#[ignore = "three more versions of Node"]
fn kernel_scenarios_20_to_23_by_other_versions() {
    scenario_20(&Case::KERNEL_OTHERS);
    scenario_21(&Case::KERNEL_OTHERS);
    scenario_23(&Case::KERNEL_OTHERS);
}

#[test]
#[ignore = "three more versions of Node"]
fn scenarios_20_to_25_by_other_versions() {
    scenario_20(&Case::OTHERS);
    scenario_21(&Case::OTHERS);
    scenario_23(&Case::OTHERS);
    scenario_24(&Case::OTHERS);
    scenario_25(&Case::OTHERS);
}

#[test]
#[ignore = "three more versions of Node"]
fn timed_scenario_22_by_other_versions() {
    scenario_22(&Case::OTHERS);
}
