//! Scenarios of Node's cluster: what a worker is, what it says and hears. Node's own primary is the measure.

use herder_e2e::foreign::BOOT;
use herder_e2e::node::{Actor, Case, Cluster, Event, Primary, compare};
use herder_e2e::scene::Scene;
use serde_json::{Value, json};
use std::net::{SocketAddr, UdpSocket};

fn scenario_04(cases: &[Case]) {
    let scene = Scene::new("scenario_04");
    for case in cases {
        let found = compare(&scene, *case, 2, |cluster| {
            let found = [1, 2].map(|id| {
                cluster.actor(id).run(
                    "const { env } = process;
                     return [cluster.isWorker, cluster.isPrimary, cluster.isMaster, cluster.worker.id,
                       cluster.worker.state, cluster.worker.isConnected(), typeof process.channel,
                       typeof cluster.fork, typeof cluster.settings, typeof cluster.workers,
                       typeof cluster.schedulingPolicy, env.NODE_APP_INSTANCE,
                       Object.keys(env).filter((name) => /^NODE_(CHANNEL|UNIQUE)/.test(name))];",
                )
            });
            json!(found)
        });
        let none = "undefined";
        let second = json!([
            true,
            false,
            false,
            2,
            "online",
            true,
            "object",
            none,
            none,
            none,
            none,
            "1",
            []
        ]);
        assert_eq!(found[1], second, "{case:?}");
    }
}

/// What a UDP socket of a worker answers.
fn echo(address: SocketAddr) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(BOOT)).expect("a time");
    socket.send_to(b"hello", address).expect("sent");
    let mut room = [0; 64];
    let length = socket.recv(&mut room).expect("an echo");
    String::from_utf8_lossy(&room[..length]).into_owned()
}

fn scenario_15(cases: &[Case]) {
    let scene = Scene::new("scenario_15");
    let play = |cluster: &Cluster, case: Case| {
        let mut actors = [1, 2].map(|id| cluster.actor(id));
        let address = free_udp_address();
        let mut bind = |place: usize, name: &str, port: u16| {
            let body = format!(
                "return await bind('{name}', 'udp4', {{ port: {port}, address: '127.0.0.1' }})"
            );
            actors[place].run(&body)
        };
        let bound = [bind(0, "a", address.port()), bind(1, "a", address.port())];
        let twice = bind(0, "b", address.port());
        let chosen = [bind(0, "c", 0), bind(1, "c", 0)];
        assert_eq!(chosen[0], chosen[1], "one port for both");
        let port = chosen[0]["port"].as_u64().expect("a port");
        let port = port.try_into().expect("a port");
        for address in [address, SocketAddr::from(([127, 0, 0, 1], port))] {
            let answer = echo(address);
            assert!(answer.starts_with("hello from "), "{answer}");
        }
        // Newer primaries of Node kill a worker that has a port twice, which it may if it says so.
        if cluster.primary() == Primary::Herder || case.major() < 22 {
            let port = free_udp_address().port();
            let body = format!(
                "const shared = {{ type: 'udp4', reuseAddr: true }};
                 for (const name of ['d', 'e']) await bind(name, shared, {{ port: {port}, address: '127.0.0.1' }});"
            );
            let found = actors.each_mut().map(|actor| actor.run(&body));
            assert_eq!(found, [Value::Null, Value::Null]);
        }
        // Who is left gets all.
        let [mut one, _two] = actors;
        one.run("return await close('a')");
        json!([bound, twice, chosen, echo(address)])
    };
    for case in cases {
        let found = compare(&scene, *case, 2, |cluster| play(cluster, *case));
        assert_eq!(found[1]["error"]["code"], "EADDRINUSE");
        assert_eq!(found[3], "hello from 2");
    }
}

/// An address for UDP that was free a moment ago.
fn free_udp_address() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("it is bound")
}

/// What the primary has heard from workers until one says that it is over.
fn heard(cluster: &Cluster) -> Value {
    let mut heard = Vec::new();
    cluster.wait_for("the last message", |event| {
        if let Event::Other(value) = event
            && value["event"] == "message"
        {
            let text = value["text"].as_str();
            let message = text.map(|text| serde_json::from_str(text).expect("JSON"));
            heard.push(message.unwrap_or_else(|| value["message"].clone()));
        }
        heard
            .last()
            .is_some_and(|last| last == "over")
            .then_some(())
    });
    Value::from(heard)
}

/// Has the primary say each of these to worker 1: Node's is told to, herder carries what PM2's would.
fn say(cluster: &Cluster, other: &mut Actor, messages: &Value) {
    let each = |send: &str| format!("for (const message of {messages}) {send}(message);");
    match cluster.primary() {
        Primary::Herder => other.run(&each("process.send")),
        Primary::Node => cluster.actor(0).run(&each("cluster.workers[1].send")),
    };
}

fn scenario_18(cases: &[Case]) {
    let scene = Scene::new("scenario_18");
    let values = json!([
        "text",
        5,
        -0.5,
        true,
        "zwölf\n漢字 \u{2028} 🐑 \\ \" \u{0}",
        {"cmd": "NODE_"},
        {"cmd": "node_x"},
        {"cmd": 5},
        {"nested": [{"cmd": "NODE_CLUSTER", "act": "online"}, null]},
        {"cmd": "NODE_X"},
        "over"
    ]);
    let carry = |data: &Value| json!({"type": "process:msg", "id": 0, "data": data});
    let mut carried: Vec<Value> = values.as_array().expect("it").iter().map(carry).collect();
    carried.insert(3, json!({"type": "process:msg", "id": 0, "cmd": "NODE_X"}));
    let carried = Value::from(carried);
    for case in cases {
        let found = compare(&scene, *case, 2, |cluster| {
            let [mut one, mut two] = [1, 2].map(|id| cluster.actor(id));
            one.run("listen();");
            one.run(&format!(
                "for (const value of {values}) process.send(value);"
            ));
            let up = heard(cluster);
            say(cluster, &mut two, &carried);
            json!([
                up,
                one.run(&format!(
                    "return await hear({})",
                    values.as_array().expect("it").len()
                ))
            ])
        });
        let [up, down] = [&found[0], &found[1]].map(|list| list.as_array().expect("a list"));
        // All but the one that is of Node's own kind.
        let told = |list: &Value| list.as_array().expect("a list").clone();
        let own = json!({"cmd": "NODE_X"});
        let expected: Vec<Value> = told(&values).into_iter().filter(|it| *it != own).collect();
        assert_eq!(*up, expected, "{case:?}");
        let wrapped = |message: &Value| json!({"message": message, "handle": false});
        let mut expected: Vec<Value> = told(&carried).iter().map(wrapped).collect();
        expected.remove(3);
        assert_eq!(*down, expected, "{case:?}");
    }
}

#[test]
fn scenario_04_worker_info() {
    scenario_04(&Case::USUAL);
}

#[test]
fn scenario_15_udp() {
    scenario_15(&Case::USUAL);
}

#[test]
fn scenario_18_messages() {
    scenario_18(&Case::USUAL);
}

#[test]
fn kernel_scenario_04_and_15_worker_info_and_udp() {
    scenario_04(&Case::KERNEL);
    scenario_15(&Case::KERNEL);
}

#[test]
fn unprivileged_scenario_04_by_what_is_left() {
    scenario_04(&Case::UNPRIVILEGED);
}

#[test]
#[ignore = "three more versions of Node"]
fn kernel_scenario_04_by_other_versions() {
    scenario_04(&Case::KERNEL_OTHERS);
}

#[test]
#[ignore = "three more versions of Node"]
fn scenarios_04_to_18_by_other_versions() {
    scenario_04(&Case::OTHERS);
    scenario_15(&Case::OTHERS);
    scenario_18(&Case::OTHERS);
}
