//! Scenarios of Node's cluster: where workers may listen, and what they are told otherwise. Node's own primary is
//! the measure.

use herder_e2e::client::{Load, Target, ask};
use herder_e2e::node::{
    Actor, Case, Cluster, Event, Primary, Scheduling, compare, found, free_address,
};
use herder_e2e::scene::Scene;
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

const IN_USE: &str = "EADDRINUSE";

/// Runs the scenario by each of `cases`; the directory of the scene is the cluster's own.
fn each(
    name: &str,
    cases: &[Case],
    mut play: impl FnMut(&Cluster, Case, &Path) -> Value,
    check: impl Fn(Case, &Value),
) {
    for case in cases {
        let scene = Scene::new(name);
        let found = compare(&scene, *case, 2, |cluster| {
            play(cluster, *case, scene.directory())
        });
        check(*case, &found);
    }
}

fn both(cluster: &Cluster) -> [Actor; 2] {
    [1, 2].map(|id| cluster.actor(id))
}

fn code(value: &Value) -> &str {
    value["error"]["code"].as_str().unwrap_or_default()
}

/// What comes of addresses that are taken. Where workers accept, Node's own primary is no measure: it hands out the
/// socket that it could not bind, and a worker of Node 24 dies of it.
#[track_caller]
fn found_of_tcp(scene: &Scene, case: Case, play: impl FnMut(&Cluster) -> Value) -> Value {
    match case.scheduling {
        Scheduling::Kernel | Scheduling::None => found(scene, Primary::Herder, case, 2, play),
        Scheduling::Auto | Scheduling::RoundRobin => compare(scene, case, 2, play),
    }
}

fn in_use() -> Value {
    json!({"error": {"code": IN_USE, "errno": -98, "syscall": "bind"}})
}

/// A port of the home address.
fn local() -> Value {
    json!({"address": "127.0.0.1", "family": "IPv4", "port": 1})
}

/// Has the actor listen with a server that tells who it is.
#[track_caller]
fn open(actor: &mut Actor, name: &str, options: &Value) -> Value {
    actor.run(&format!("return await open({name:?}, {options})"))
}

#[track_caller]
fn close(actor: &mut Actor, name: &str) {
    assert_eq!(
        actor.run(&format!("return await close({name:?})")),
        "closed"
    );
}

fn at(address: SocketAddr) -> Value {
    json!({"port": address.port(), "host": address.ip()})
}

/// Who answers at a path, of so many connections.
fn answers(path: &Path, count: u64) -> Vec<String> {
    let load = Load::plain(Target::Unix(path.to_owned()), b"").count(count);
    let ledger = load.detailed().run();
    ledger.assert_no_failure();
    let bodies = ledger.entries.into_iter().filter_map(|entry| entry.body);
    bodies
        .map(|body| String::from_utf8_lossy(&body).into_owned())
        .collect()
}

/// What a file at `path` is: its permission bits, or nothing.
const MODE: &str =
    "const { statSync } = require('fs');
     const mode = (path) => { try { return statSync(path).mode & 0o777; } catch (error) { return error.code; } };";

fn scenario_05(cases: &[Case]) {
    let play = |cluster: &Cluster, case: Case, directory: &Path| {
        let [mut one, mut two] = both(cluster);
        let path = directory.join("both.sock");
        let options = json!({"path": path, "readableAll": true, "writableAll": true});
        let opened = [open(&mut one, "a", &options), open(&mut two, "a", &options)];
        assert_eq!(opened, [json!(path), json!(path)]);
        let served = answers(&path, 8).len();
        let mode = |actor: &mut Actor| actor.run(&format!("{MODE} return mode({path:?}) & 0o666"));
        // Node heeds the wish for rights only where it listens for the workers.
        let mut modes = vec![match (cluster.primary(), case.scheduling) {
            (Primary::Node, scheduling) if !scheduling.is_passed() => json!(0o666),
            (Primary::Herder | Primary::Node, _) => mode(&mut one),
        }];
        close(&mut one, "a");
        assert_eq!(answers(&path, 2), ["worker:2", "worker:2"]);
        close(&mut two, "a");
        // The worker hears of its close before the primary does.
        modes.push(two.run(&format!(
            "{MODE}
             while (mode({path:?}) !== 'ENOENT') await new Promise((done) => setTimeout(done, 5));
             return mode({path:?})"
        )));
        // A relative path is the worker's own.
        two.run("require('fs').mkdirSync('below'); process.chdir('below');");
        let relative = json!({"path": "relative.sock"});
        let opened = [
            open(&mut one, "b", &relative),
            open(&mut two, "b", &relative),
        ];
        assert_eq!(opened, [json!("relative.sock"), json!("relative.sock")]);
        assert_eq!(
            answers(&directory.join("relative.sock"), 2),
            ["worker:1"; 2]
        );
        assert_eq!(
            answers(&directory.join("below/relative.sock"), 2),
            ["worker:2"; 2]
        );
        close(&mut one, "b");
        close(&mut two, "b");
        let stale = directory.join("stale.sock");
        std::fs::write(&stale, "").expect("a file");
        let stale = open(&mut one, "c", &json!({"path": stale}));
        let nowhere = json!({"path": directory.join("no/such.sock")});
        let nowhere = open(&mut one, "d", &nowhere);
        one.run("while (require('fs').existsSync('relative.sock')) await new Promise((done) => setTimeout(done, 5));");
        std::fs::remove_file(directory.join("stale.sock")).expect("nobody took it away");
        let below = directory.join("below");
        herder_e2e::wait::until(herder_e2e::foreign::BOOT, "it is empty", || {
            std::fs::remove_dir(&below).ok()
        });
        json!([served, modes, stale, nowhere])
    };
    each("scenario_05", cases, play, |_, found| {
        let [served, modes, stale, nowhere] = &found.as_array().expect("it")[..] else {
            panic!("{found}")
        };
        assert_eq!((served, modes), (&json!(8), &json!([0o666, "ENOENT"])));
        assert_eq!((code(stale), code(nowhere)), (IN_USE, "EACCES"));
    });
}

fn scenario_06(cases: &[Case]) {
    let play = |cluster: &Cluster, _: Case, _: &Path| {
        let [mut one, mut two] = both(cluster);
        let name = |kind: &str| json!({"path": format!("\0ht-{}-{kind}", cluster.herd().pid())});
        let here = name("here");
        let same = [open(&mut one, "a", &here), open(&mut two, "a", &here)]
            .map(|found| code(&found).to_owned());
        two.run("process.chdir('/');");
        let apart = name("apart");
        let apart = [open(&mut one, "b", &apart), open(&mut two, "b", &apart)]
            .map(|found| code(&found).to_owned());
        match cluster.primary() {
            Primary::Herder => assert_eq!(apart, ["", ""]),
            // It says EADDRINUSE, or EINVAL where the workers accept.
            Primary::Node => assert_ne!(apart[1], ""),
        }
        json!(same)
    };
    each("scenario_06", cases, play, |_, found| {
        assert_eq!(*found, json!(["", ""]));
    });
}

fn scenario_07(cases: &[Case]) {
    let play = |cluster: &Cluster, _: Case, _: &Path| {
        let mut found = Vec::new();
        let mut ports = Vec::new();
        for mut actor in both(cluster) {
            for (name, host) in [("a", "127.0.0.1"), ("b", "127.0.0.1"), ("c", "::")] {
                let address = open(&mut actor, name, &json!({"port": 0, "host": host}));
                ports.push(address["port"].as_u64().expect("a port"));
                found.push(address);
            }
        }
        assert_eq!(ports[..3], ports[3..], "each is that of the other worker");
        assert_ne!(ports[0], ports[1]);
        json!(found)
    };
    each("scenario_07", cases, play, |_, found| {
        assert_eq!(found[0]["address"], "127.0.0.1");
    });
}

fn scenario_08(cases: &[Case]) {
    let play = |cluster: &Cluster, case: Case| {
        let [mut one, mut two] = both(cluster);
        let address = at(free_address());
        let first = open(&mut one, "a", &address);
        let second = open(&mut one, "b", &address);
        let other = open(&mut two, "a", &address);
        // It may come back. Older primaries of Node count what a worker has asked for, and lose count.
        close(&mut one, "a");
        let again = open(&mut one, "a", &address);
        if cluster.primary() == Primary::Herder || case.major() >= 22 {
            assert_eq!(again["address"], "127.0.0.1");
        }
        // One that the kernel has chosen.
        let zero = open(&mut one, "c", &json!({"port": 0, "host": "127.0.0.1"}));
        let chosen = json!({"port": zero["port"], "host": "127.0.0.1"});
        let twice = open(&mut one, "d", &chosen);
        json!([first, second, other, zero, twice])
    };
    let scene = Scene::new("scenario_08");
    let expected = json!([local(), in_use(), local(), local(), in_use()]);
    for case in cases {
        assert_eq!(
            found_of_tcp(&scene, *case, |it| play(it, *case)),
            expected,
            "{case:?}"
        );
    }
}

fn scenario_09(cases: &[Case]) {
    let play = |cluster: &Cluster| {
        let [mut one, mut two] = both(cluster);
        let stranger = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = stranger.local_addr().expect("it is bound");
        let mut all =
            |name: &str| [&mut one, &mut two].map(|actor| open(actor, name, &at(address)));
        let taken = all("a");
        drop(stranger);
        let freed = all("b");
        let answer = ask(address, b"").expect("an answer");
        assert!(answer.starts_with("worker:"), "{answer}");
        json!([taken, freed])
    };
    let scene = Scene::new("scenario_09");
    let expected = json!([[in_use(), in_use()], [local(), local()]]);
    for case in cases {
        assert_eq!(found_of_tcp(&scene, *case, play), expected, "{case:?}");
    }
}

fn scenario_10(cases: &[Case]) {
    let play = |cluster: &Cluster, _: Case, _: &Path| {
        let mut one = cluster.actor(1);
        let strange = open(&mut one, "a", &json!({"port": 0, "host": "192.0.2.1"}));
        let number = open(&mut one, "b", &json!({"fd": 999}));
        json!([strange, number])
    };
    each("scenario_10", cases, play, |_, found| {
        let strange = json!({"error": {"code": "EADDRNOTAVAIL", "errno": -99, "syscall": "bind"}});
        assert_eq!(found[0], strange);
        assert_eq!(code(&found[1]), "EINVAL");
    });
}

fn scenario_11(cases: &[Case]) {
    let play = |cluster: &Cluster, _: Case, _: &Path| {
        let [mut one, mut two] = both(cluster);
        let mut alone = |own: &str| {
            let address = free_address();
            let options = json!({"port": address.port(), "host": "127.0.0.1", own: true});
            let opened = [open(&mut one, own, &options), open(&mut two, own, &options)];
            assert!(ask(address, b"").is_ok());
            (address, opened)
        };
        let found = [alone("exclusive"), alone("reusePort")];
        // What is told in order: with this the primary has told of everything before.
        open(&mut two, "last", &json!({"port": 0, "host": "127.0.0.2"}));
        let mut told = Vec::new();
        cluster.wait_for("the last listener", |event| {
            if let Event::Listening(address) = event {
                told.push(address.parse::<SocketAddr>().expect("an address"));
            }
            (*told.last()?)
                .ip()
                .to_string()
                .ends_with(".2")
                .then_some(())
        });
        let asked = found.each_ref().map(|(address, _)| told.contains(address));
        json!([found.map(|(_, opened)| opened), asked])
    };
    each("scenario_11", cases, play, |case, found| {
        let opened = found[0][0].as_array().expect("two");
        assert_eq!(opened.iter().filter(|it| code(it) == IN_USE).count(), 1);
        let asks = case.major() < 22;
        assert_eq!(found[1], json!([false, asks]), "{case:?}");
    });
}

fn scenario_12(cases: &[Case]) {
    let play = |cluster: &Cluster, _: Case, _: &Path| {
        let [mut one, mut two] = both(cluster);
        let port = free_address().port();
        let all = open(&mut one, "a", &json!({"port": port}));
        let home = open(&mut two, "a", &json!({"port": port, "host": "127.0.0.1"}));
        json!([all, home])
    };
    each("scenario_12", cases, play, |_, found| {
        assert_eq!(code(&found[1]), IN_USE);
    });
}

fn scenario_14(cases: &[Case]) {
    let play = |cluster: &Cluster, _: Case, _: &Path| {
        let [mut one, mut two] = both(cluster);
        let address = free_address();
        let closed = one.run(&format!(
            "const server = net.createServer();
             let listened = false;
             server.on('listening', () => {{ listened = true; }}).listen({});
             await new Promise((resolve) => server.close(resolve));
             return listened;",
            at(address)
        ));
        // The primary's answer comes before that of a later question.
        open(&mut one, "later", &json!({"port": 0, "host": "127.0.0.1"}));
        let again = [
            open(&mut two, "a", &at(address)),
            open(&mut one, "a", &at(address)),
        ];
        close(&mut one, "a");
        close(&mut two, "a");
        // The listener has gone with its last worker, and a stranger may have it. Each worker has a
        // channel of its own: both are asked, so that both have been heard.
        for worker in [&mut one, &mut two] {
            open(worker, "last", &json!({"port": 0, "host": "127.0.0.1"}));
        }
        let left = TcpListener::bind(address).is_err();
        json!([closed, again, left])
    };
    each("scenario_14", cases, play, |case, found| {
        // Node 18 does not tell its primary.
        let leaks = case.major() < 20;
        assert_eq!(
            (&found[0], &found[2]),
            (&json!(false), &json!(leaks)),
            "{case:?}"
        );
    });
}

#[test]
fn scenario_05_unix_paths() {
    scenario_05(&Case::USUAL);
}

#[test]
fn scenario_06_abstract_names() {
    scenario_06(&Case::USUAL);
}

#[test]
fn scenario_07_ports_that_the_kernel_chooses() {
    scenario_07(&Case::USUAL);
}

#[test]
fn scenario_08_the_same_port_twice() {
    scenario_08(&Case::USUAL);
}

#[test]
fn scenario_09_a_port_that_is_taken_and_then_free() {
    scenario_09(&Case::USUAL);
}

#[test]
fn scenario_10_addresses_that_nobody_can_have() {
    scenario_10(&Case::USUAL);
}

#[test]
fn scenario_11_workers_that_listen_for_themselves() {
    scenario_11(&Case::USUAL);
}

#[test]
fn scenario_12_all_addresses_and_one_of_them() {
    scenario_12(&Case::USUAL);
}

#[test]
fn scenario_14_closed_before_it_listens() {
    scenario_14(&Case::USUAL);
}

#[test]
fn kernel_scenario_07_ports_that_the_kernel_chooses() {
    scenario_07(&Case::KERNEL);
}

#[test]
fn kernel_scenario_08_the_same_port_twice() {
    scenario_08(&Case::KERNEL);
}

#[test]
fn kernel_scenario_09_a_port_that_is_taken_and_then_free() {
    scenario_09(&Case::KERNEL);
}

#[test]
fn kernel_scenario_12_and_14_addresses_in_each_others_way() {
    scenario_12(&Case::KERNEL);
    scenario_14(&Case::KERNEL);
}

/// What there is one socket of is passed.
#[test]
fn kernel_scenario_05_unix_paths() {
    scenario_05(&Case::KERNEL);
}

#[test]
fn unprivileged_scenarios_07_to_09_by_what_is_left() {
    scenario_07(&Case::UNPRIVILEGED);
    scenario_08(&Case::UNPRIVILEGED);
    scenario_09(&Case::UNPRIVILEGED);
}

#[test]
#[ignore = "three more versions of Node"]
fn kernel_scenarios_07_to_14_by_other_versions() {
    scenario_07(&Case::KERNEL_OTHERS);
    scenario_08(&Case::KERNEL_OTHERS);
    scenario_09(&Case::KERNEL_OTHERS);
    scenario_12(&Case::KERNEL_OTHERS);
    scenario_14(&Case::KERNEL_OTHERS);
}

#[test]
#[ignore = "three more versions of Node"]
fn scenarios_05_to_14_by_other_versions() {
    scenario_05(&Case::OTHERS);
    scenario_06(&Case::OTHERS);
    scenario_07(&Case::OTHERS);
    scenario_08(&Case::OTHERS);
    scenario_09(&Case::OTHERS);
    scenario_10(&Case::OTHERS);
    scenario_11(&Case::OTHERS);
    scenario_12(&Case::OTHERS);
    scenario_14(&Case::OTHERS);
}
