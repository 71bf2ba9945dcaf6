//! Scenarios of Node's cluster: whom connections reach. Node's own primary is the measure.

use herder_e2e::client::{Load, Outcome, ask, get};
use herder_e2e::foreign::{BOOT, pid_of_body};
use herder_e2e::herd::Signal;
use herder_e2e::node::{
    Actor, Case, Cluster, ClusterSetup, Event, Primary, Scheduling, compare, free_address,
};
use herder_e2e::process::processor_time;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite;

fn both(cluster: &Cluster) -> [Actor; 2] {
    [1, 2].map(|id| cluster.actor(id))
}

fn at_home(address: &Value) -> SocketAddr {
    let port = address["port"]
        .as_u64()
        .and_then(|port| port.try_into().ok());
    SocketAddr::from(([127, 0, 0, 1], port.expect("a port")))
}

/// Whoever answers `worker:ID`, and how often.
fn shares(answers: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for answer in answers {
        *shares.entry(answer).or_default() += 1;
    }
    shares
}

/// Which worker each of four connections has met.
#[track_caller]
fn met(address: SocketAddr) -> Vec<String> {
    let answer = |_| ask(address, b"").expect("an answer");
    (0..4).map(answer).collect()
}

/// Whether nobody has connections given in turns.
fn is_by_lot(primary: Primary, scheduling: Scheduling) -> bool {
    match scheduling {
        Scheduling::Auto | Scheduling::RoundRobin => false,
        Scheduling::Kernel => primary == Primary::Node,
        Scheduling::None => true,
    }
}

fn scenario_01(cases: &[Case]) {
    let scene = Scene::new("scenario_01");
    for case in cases {
        for primary in Primary::BOTH {
            let cluster = ClusterSetup::new(&scene, primary, *case, "serve.js", 3).start();
            cluster.wait_listening(3);
            let load = Load::http(cluster.address(), "/").worker_from(pid_of_body);
            let load = load.timeout(BOOT);
            let what = format!("twenty each, {primary:?}, {case:?}");
            load.clone().count(60).run_until(&what, |ledger| {
                let each: Vec<usize> = ledger.per_worker().into_values().collect();
                is_by_lot(primary, case.scheduling) || each == [20, 20, 20]
            });
            let ledger = load.keep_alive().count(5).run();
            ledger.assert_no_failure();
            assert_eq!(ledger.per_worker().len(), 1, "{primary:?}, {case:?}");
            cluster.end();
        }
    }
}

/// Listens with each of the libraries, in each worker in the same order.
const LIBRARIES: &str = "
    const from = (name) => require(`../../../examples/node/node_modules/${name}`);
    const home = { port: 0, host: '127.0.0.1' };
    const me = `worker:${id}`;
    const app = from('express')();
    app.get('/', (request, response) => response.send(me));
    const express = await serve('express', http.createServer(app), { port: 0, host: 'localhost' });
    const chat = http.createServer();
    new (from('ws').WebSocketServer)({ server: chat })
      .on('connection', (socket) => socket.on('message', (text) => socket.send(`${me} ${text}`)));
    const ws = await serve('ws', chat, home);
    const pem = (name) => require('fs').readFileSync(`${require.main.path}/${name}.pem`);
    const tls = https.createServer({ key: pem('key'), cert: pem('cert') }, (request, response) => response.end(me));
    const found = { express, ws, net: await open('net', home), https: await serve('https', tls, home) };
    if (!process.version.startsWith('v18')) {
      // Fastify 5 does without Node 18.
      for (const [name, options] of [['fastify', { ...home }], ['fastify at localhost', { port: 0 }]]) {
        const fastify = from('fastify')();
        fastify.get('/', async () => me);
        await fastify.listen(options);
        found[name] = fastify.addresses();
      }
    }
    return found;";

/// Asks by HTTPS for what a worker says there.
fn secretly(actor: &mut Actor, address: SocketAddr) -> String {
    let answer = actor.run(&format!(
        "const options = {{ port: {}, rejectUnauthorized: false, agent: false }};
         const response = await new Promise((resolve, reject) => https.get(options, resolve).on('error', reject));
         let body = '';
         for await (const chunk of response) body += chunk;
         return body;",
        address.port()
    ));
    answer.as_str().expect("a text").to_owned()
}

/// Says something over a WebSocket, and returns who has answered.
fn chat(address: SocketAddr) -> String {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(BOOT)).expect("a time");
    let (mut client, _) =
        tungstenite::client(format!("ws://{address}/"), stream).expect("a WebSocket");
    client.send("hello".into()).expect("room");
    let heard = client.read().expect("an echo").into_text().expect("a text");
    client.close(None).expect("room");
    while client.read().is_ok() {}
    heard.strip_suffix(" hello").expect("an echo").to_owned()
}

fn scenario_02(cases: &[Case]) {
    let scene = Scene::new("scenario_02");
    let play = |cluster: &Cluster, case: Case| {
        let [mut one, mut two] = both(cluster);
        let first = one.run(LIBRARIES);
        assert_eq!(first, two.run(LIBRARIES));
        let address = |name: &str| at_home(first[name].get(0).unwrap_or(&first[name]));
        let four = |ask: &mut dyn FnMut() -> String| shares((0..4).map(|_| ask()));
        let asked = |name: &str| four(&mut || get(address(name), "/").expect("an answer"));
        let mut served = vec![
            asked("express"),
            four(&mut || chat(address("ws"))),
            shares(met(address("net"))),
            four(&mut || secretly(&mut two, address("https"))),
        ];
        if first.get("fastify").is_some() {
            served.extend([asked("fastify"), asked("fastify at localhost")]);
        }
        for shares in &served {
            assert_eq!(shares.values().sum::<usize>(), 4);
            if case.scheduling.is_passed() {
                assert_eq!(shares.values().collect::<Vec<_>>(), [&2, &2], "{case:?}");
            }
        }
        json!([first, listened(cluster)])
    };
    for case in cases {
        compare(&scene, *case, 2, |cluster| play(cluster, *case));
    }
}

/// The addresses that the primary has told of, without their ports.
fn listened(cluster: &Cluster) -> BTreeSet<String> {
    let events = cluster.events().into_iter();
    let host = |event| {
        if let Event::Listening(address) = event {
            return Some(address.rsplit_once(':')?.0.to_owned());
        }
        None
    };
    events.filter_map(host).collect()
}

/// A Socket.IO client; returns whether it has heard what it has said.
const TALK: &str = "
    const from = (name) => require(`../../../examples/node/node_modules/${name}`);
    const client = from('socket.io-client').io(`http://127.0.0.1:${port}`, { transports, reconnection: false });
    return new Promise((resolve) => {
      const end = (heard) => { resolve(heard); client.close(); };
      client.on('connect', () => client.emit('say', 'hello')).on('say', (text) => end(text === 'hello'));
      client.on('connect_error', () => end(false)).on('disconnect', () => end(false));
    });";

fn scenario_03(cases: &[Case]) {
    let scene = Scene::new("scenario_03");
    let play = |cluster: &Cluster, case: Case| {
        let [mut one, mut two] = both(cluster);
        let mut address = Value::Null;
        for actor in [&mut one, &mut two] {
            address = actor.run(
                "const server = http.createServer();
                 const { Server } = require('../../../examples/node/node_modules/socket.io');
                 new Server(server).on('connection', (socket) => socket.on('say', (text) => socket.emit('say', text)));
                 return await serve('io', server, { port: 0, host: '127.0.0.1' });",
            );
        }
        let mut talk = |by: &str| {
            let port = &address["port"];
            two.run(&format!(
                "const port = {port}, transports = [{by:?}];{TALK}"
            ))
        };
        let sockets = [talk("websocket"), talk("websocket")];
        // Where the kernel chooses, it may be lucky.
        let polling = match case.scheduling {
            Scheduling::Kernel | Scheduling::None => Value::Null,
            Scheduling::Auto | Scheduling::RoundRobin => talk("polling"),
        };
        json!([sockets, polling])
    };
    for case in cases {
        let found = compare(&scene, *case, 2, |cluster| play(cluster, *case));
        assert_eq!(found[0], json!([true, true]), "{case:?}");
        assert_ne!(found[1], true, "each request reaches the next worker");
    }
}

fn scenario_13(cases: &[Case]) {
    let scene = Scene::new("scenario_13");
    let play = |cluster: &Cluster, case: Case| {
        let mut actors = both(cluster);
        let address = free_address();
        let options = json!({"port": address.port(), "host": "127.0.0.1"});
        let open = |actor: &mut Actor, name: &str| {
            actor.run(&format!("return await open({name:?}, {options})"))
        };
        let close =
            |actor: &mut Actor, name: &str| actor.run(&format!("return await close({name:?})"));
        for actor in &mut actors {
            open(actor, "a");
        }
        let all = shares(met(address));
        if case.scheduling.is_passed() {
            assert_eq!(all.values().collect::<Vec<_>>(), [&2, &2]);
        }
        let [one, two] = &mut actors;
        close(one, "a");
        let others = met(address);
        close(two, "a");
        // The primary hears of it a moment later.
        let refused = wait::until(BOOT, "nobody listens", || {
            ask(address, b"").err().filter(|it| *it == Outcome::Refused)
        });
        open(two, "b");
        json!([others, format!("{refused:?}"), met(address)])
    };
    for case in cases {
        let found = compare(&scene, *case, 2, |cluster| play(cluster, *case));
        let second = ["worker:2"; 4];
        assert_eq!(found, json!([second, "Refused", second]), "{case:?}");
    }
}

/// Has each worker serve one client at a time, which is told whom it has met and keeps its connection.
fn one_at_a_time(cluster: &Cluster) -> SocketAddr {
    let address = free_address();
    for mut actor in both(cluster) {
        actor.run(&format!(
            "const server = net.createServer((socket) => {{
               socket.on('error', () => {{}}).resume();
               socket.write(`worker:${{id}}`);
             }});
             server.maxConnections = 1;
             await serve('one', server, {{ port: {}, host: '127.0.0.1' }});",
            address.port()
        ));
    }
    address
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).expect("somebody listens");
    client.set_read_timeout(Some(BOOT)).expect("a time");
    client
}

/// Whom a client has met; nobody if it was turned away.
fn greeting(client: &mut TcpStream) -> Option<String> {
    let mut room = [0; 64];
    match client.read(&mut room) {
        Ok(0) | Err(_) => None,
        Ok(length) => Some(String::from_utf8_lossy(&room[..length]).into_owned()),
    }
}

/// How long a client waits in vain. The processor time of the primary is compared over it.
const IN_VAIN: Duration = Duration::from_millis(700);

/// The processor time that the primary needs while a third client waits, and how often it hands a connection to a
/// worker in that time, if it counts.
fn waits_in_vain(cluster: Cluster) -> (Duration, Option<u64>) {
    let address = one_at_a_time(&cluster);
    let mut held = [connect(address), connect(address)];
    let met = held
        .each_mut()
        .map(|client| greeting(client).expect("there is room"));
    assert_ne!(met[0], met[1]);
    let primary = cluster.primary_pid();
    let before = processor_time(primary);
    let mut third = connect(address);
    third.set_read_timeout(Some(IN_VAIN)).expect("a time");
    assert_eq!(greeting(&mut third), None, "there is no room");
    let spent = processor_time(primary) - before;
    third.set_read_timeout(Some(BOOT)).expect("a time");
    let [first, _second] = held;
    drop(first);
    assert_eq!(greeting(&mut third).as_ref(), Some(&met[0]));
    drop((third, _second));
    if cluster.primary() == Primary::Node {
        cluster.end();
        return (spent, None);
    }
    cluster.herd().signal(Signal::TERM);
    let handed = cluster.wait_for("the totals", |event| {
        if let Event::Other(value) = event {
            return value["handed"].as_u64();
        }
        None
    });
    cluster.end();
    (spent, Some(handed))
}

fn scenario_17(cases: &[Case]) {
    let begun = Instant::now();
    let scene = Scene::new("scenario_17");
    let round_robin = |case: &&Case| case.scheduling == Scheduling::RoundRobin;
    for case in cases.iter().filter(round_robin) {
        loop {
            let [(node, _), (herder, time)] = Primary::BOTH.map(|primary| {
                let setup = ClusterSetup::new(&scene, primary, *case, "actor.js", 2);
                let (cluster, started) = (setup.start(), Instant::now());
                (waits_in_vain(cluster), started.elapsed())
            });
            // Fifty a second, and the three that were served.
            let most = 50 * (1 + time.as_secs()) + 3;
            let handed = herder.1.expect("herder counts");
            assert!(handed < most, "{handed} times in {time:?}");
            // On a busy machine Node's may hardly have had the processor, or herder's have had to hurry.
            let (spins, rests) = (node.0, herder.0);
            if spins > rests * 4 {
                break;
            }
            assert!(begun.elapsed() < 2 * BOOT, "{spins:?}, and {rests:?}");
        }
    }
}

fn scenario_17_shared(cases: &[Case]) {
    let scene = Scene::new("scenario_17s");
    let play = |cluster: &Cluster| {
        let address = one_at_a_time(cluster);
        // The kernel chooses: some may be turned away before both are met.
        let mut held = BTreeMap::new();
        while held.len() < 2 {
            let mut client = connect(address);
            if let Some(met) = greeting(&mut client) {
                held.insert(met, client);
            }
        }
        json!([
            greeting(&mut connect(address)),
            greeting(&mut connect(address))
        ])
    };
    let shared = |case: &&Case| case.scheduling == Scheduling::None;
    for case in cases.iter().filter(shared) {
        let nobody = json!([null, null]);
        assert_eq!(compare(&scene, *case, 2, play), nobody);
    }
}

#[test]
fn scenario_01_and_16_short_and_kept_connections() {
    scenario_01(&Case::USUAL);
}

#[test]
fn scenario_02_libraries() {
    scenario_02(&Case::USUAL);
}

#[test]
fn scenario_03_socket_io() {
    scenario_03(&Case::USUAL);
}

#[test]
fn scenario_13_closed_in_one_worker_and_in_the_last() {
    scenario_13(&Case::USUAL);
}

#[test]
fn scenario_17_a_third_waits_without_spinning() {
    scenario_17(&Case::USUAL);
}

#[test]
fn scenario_17_a_third_is_turned_away_where_workers_accept() {
    scenario_17_shared(&Case::USUAL);
}

#[test]
fn kernel_scenario_01_and_16_short_and_kept_connections() {
    scenario_01(&Case::KERNEL);
}

#[test]
fn kernel_scenario_02_libraries() {
    scenario_02(&Case::KERNEL);
}

#[test]
fn kernel_scenario_13_closed_in_one_worker_and_in_the_last() {
    scenario_13(&Case::KERNEL);
}

#[test]
fn unprivileged_scenarios_01_to_16_by_what_is_left() {
    scenario_01(&Case::UNPRIVILEGED);
    scenario_02(&Case::UNPRIVILEGED);
    scenario_13(&Case::UNPRIVILEGED);
}

#[test]
#[ignore = "three more versions of Node"]
fn kernel_scenarios_01_to_16_by_other_versions() {
    scenario_01(&Case::KERNEL_OTHERS);
    scenario_02(&Case::KERNEL_OTHERS);
    scenario_13(&Case::KERNEL_OTHERS);
}

#[test]
#[ignore = "three more versions of Node"]
fn scenarios_01_to_17_by_other_versions() {
    scenario_01(&Case::OTHERS);
    scenario_02(&Case::OTHERS);
    scenario_03(&Case::OTHERS);
    scenario_13(&Case::OTHERS);
    scenario_17(&Case::OTHERS);
    scenario_17_shared(&Case::OTHERS);
}
