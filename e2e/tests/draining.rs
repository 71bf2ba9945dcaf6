//! Workers that leave while others stay: what becomes of long connections, and of requests that race with the
//! end; and a master that is away.

use herder_e2e::binary::Binary;
use herder_e2e::client::{Load, get};
use herder_e2e::deploy::{Deployed, Program, Version};
use herder_e2e::foreign::{BOOT, address, wait_for};
use herder_e2e::herd::{Herd, Signal};
use herder_e2e::interpreter::Node;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::{self, Message, protocol::frame::coding::CloseCode};

/// What `make test` runs.
const USUAL: [Node; 2] = [Node::Machine, Node::Version(24)];

/// What `make test-all` runs beside it.
const OTHERS: [Node; 3] = [Node::Version(18), Node::Version(22), Node::Version(26)];

const LONG: Duration = Duration::from_secs(30);

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/node")
}

/// Starts two workers of an example.
fn start(scene: &Scene, node: Node, script: &str, options: &[&str]) -> Herd {
    let setup = scene.herd(Binary::HERDER).directory(examples());
    let setup = setup.args(["run", script, "-i", "2", "--interpreter"]);
    let herd = setup
        .arg(node.program())
        .args(options)
        .env("PORT", "0")
        .start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    herd
}

/// A client that has been answered once, and waits for the end: its code, and when it came.
struct Listener {
    worker: i32,
    waiting: JoinHandle<(Option<CloseCode>, Instant)>,
}

fn listen(address: SocketAddr, path: &str) -> Listener {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(LONG)).expect("a time");
    let url = format!("ws://{address}{path}");
    let (mut client, _) = tungstenite::client(url, stream).expect("a WebSocket");
    client.send("hello".into()).expect("room");
    let echo = client.read().expect("an echo").into_text();
    let echo = echo.expect("a text").to_string();
    let (who, _) = echo.split_once(": ").expect("who echoes");
    let digits = who.rsplit(|c: char| !c.is_ascii_digit()).next();
    let worker = digits.and_then(|it| it.parse().ok()).expect("a process");
    let waiting = thread::spawn(move || {
        let code = loop {
            match client.read() {
                Ok(Message::Close(frame)) => break frame.map(|frame| frame.code),
                Ok(_) => {}
                Err(error) => panic!("it was cut off: {error}"),
            }
        };
        let at = Instant::now();
        while client.read().is_ok() {}
        (code, at)
    });
    Listener { worker, waiting }
}

/// Whether it was not all at once.
fn are_apart(moments: &[Duration]) -> bool {
    let spread = moments[moments.len() - 1] - moments[0];
    let closest = moments.windows(3).map(|three| three[2] - three[0]).min();
    spread > Duration::from_secs(1) && closest > Some(Duration::from_millis(50))
}

/// One of two workers is told to leave: its clients are sent away one after the other, and nobody else's.
fn sends_away_one_after_the_other(herd: &Herd, path: &str) {
    let address = address(herd);
    let mut stay = Vec::new();
    let mut seen: Vec<Vec<Duration>> = Vec::new();
    // Who stands still for a moment hears of several at once: then once more.
    while !seen.last().is_some_and(|it| are_apart(it)) {
        assert!(seen.len() < 6, "{seen:?}");
        let mark = herd.mark();
        if !seen.is_empty() {
            herd.signal(Signal::TTIN);
            wait_for(herd, mark, 1, "ready", LONG);
        }
        stay.extend((0..12).map(|_| listen(address, path)));
        let begun = Instant::now();
        let mark = herd.mark();
        herd.signal(Signal::TTOU);
        let left = wait_for(herd, mark, 1, "ended: exit status 0", LONG);
        let is_gone = |it: &mut Listener| it.worker == left[0].pid;
        let gone: Vec<_> = stay.extract_if(.., is_gone).collect();
        assert!(gone.len() > 3, "{} of 12", gone.len());
        assert!(stay.iter().all(|it| !it.waiting.is_finished()));
        let mut moments = Vec::new();
        for listener in gone {
            let (code, at) = listener.waiting.join().expect("it was not cut off");
            assert_eq!(code, Some(CloseCode::Away));
            moments.push(at - begun);
        }
        moments.sort();
        seen.push(moments);
    }
    // The others go with the herd.
    herd.signal(Signal::TERM);
    for listener in stay {
        let (code, _) = listener.waiting.join().expect("it was not cut off");
        assert_eq!(code, Some(CloseCode::Away));
    }
    assert!(herd.wait_for_exit(LONG).success());
}

#[test]
fn r30_websockets_of_an_axum_worker_are_closed_one_after_the_other() {
    let scene = Scene::new("draining_axum");
    let deployed = Deployed::start(&scene, Program::Native, &["--grace", "4s"]);
    sends_away_one_after_the_other(&deployed.herd, "/ws");
}

fn node_sends_away(name: &str, versions: &[Node]) {
    let scene = Scene::new(name);
    for node in versions {
        let herd = start(&scene, *node, "chat-ws.js", &["--grace", "8s"]);
        sends_away_one_after_the_other(&herd, "/");
    }
}

#[test]
fn r30_websockets_of_a_node_worker_are_closed_one_after_the_other() {
    node_sends_away("draining_ws", &USUAL);
}

#[test]
#[ignore = "three more versions of Node"]
fn r30_websockets_of_other_node_workers_are_closed_one_after_the_other() {
    node_sends_away("draining_ws_all", &OTHERS);
}

/// Starts six clients, which are connected.
fn clients(scene: &Scene, address: SocketAddr, package: &str) -> Herd {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/node/long.js");
    let clients = scene
        .program(Node::Machine.program())
        .arg(script)
        .arg(package)
        .env("NODE_PATH", examples().join("node_modules"))
        .env("PORT", address.port().to_string())
        .start();
    who(&clients, 6, "is connected 1");
    clients
}

/// Waits until so many of the clients have said something, and returns which.
fn who(clients: &Herd, count: usize, what: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    clients.wait_for_line(what, LONG, |line| {
        if let Some((who, _)) = line.split_once(what) {
            found.insert(who.trim().to_owned());
        }
        (found.len() == count).then_some(())
    });
    found
}

#[test]
fn r30_clients_of_socket_io_come_back_by_themselves() {
    let scene = Scene::new("draining_socketio");
    for node in USUAL {
        let herd = start(&scene, node, "chat-socketio.js", &["--grace", "8s"]);
        let clients = clients(&scene, address(&herd), "socket.io");
        herd.signal(Signal::TTOU);
        let lost = who(&clients, 3, "lost: transport close");
        let again = who(&clients, 3, "is connected 2");
        assert_eq!(lost, again);
        wait_for(&herd, 0, 1, "ended: exit status 0", LONG);
        drop(clients);
        assert!(herd.end().success());
    }
}

#[test]
fn r30_clients_of_ws_are_told_that_the_server_goes_away() {
    let scene = Scene::new("draining_ws_clients");
    let herd = start(&scene, Node::Machine, "chat-ws.js", &["--grace", "8s"]);
    let clients = clients(&scene, address(&herd), "ws");
    herd.signal(Signal::TTOU);
    who(&clients, 3, "closed: 1001");
    wait_for(&herd, 0, 1, "ended: exit status 0", LONG);
    let lines = clients.lines();
    assert!(!lines.iter().any(|line| line.text.contains("failed")));
    drop(clients);
    assert!(herd.end().success());
}

/// Idle keep-alive connections whose next request races with the end of their worker, again and again.
fn loses_no_request(herd: &Herd, times: usize) {
    let load = Load::http(address(herd), "/").keep_alive().clients(16);
    let load = load.think(Duration::from_millis(3)).start();
    load.wait_for_answers(50, BOOT);
    for _ in 0..times {
        let mark = herd.mark();
        herd.signal(Signal::TTOU);
        wait_for(herd, mark, 1, "ended: exit status 0", LONG);
        let mark = herd.mark();
        herd.signal(Signal::TTIN);
        wait_for(herd, mark, 1, "ready", BOOT);
        load.wait_for_answers(50, BOOT);
    }
    load.stop_and_finish().assert_no_failure();
}

#[test]
fn r29_no_request_is_lost_on_a_keep_alive_connection() {
    let scene = Scene::new("draining_keep_alive");
    let deployed = Deployed::start(&scene, Program::Native, &["--grace", "5s"]);
    loses_no_request(&deployed.herd, 6);
    assert!(deployed.herd.end().success());
    let herd = start(&scene, Node::Machine, "http.js", &["--grace", "10s"]);
    loses_no_request(&herd, 6);
    assert!(herd.end().success());
}

/// The master does not read for five seconds; nothing but new connections notices.
#[test]
fn r32_workers_survive_a_master_that_does_not_read() {
    let scene = Scene::new("draining_stopped_master");
    let deployed = Deployed::start(&scene, Program::Native, &[]);
    let herd = &deployed.herd;
    let load = Load::http(deployed.address, "/").keep_alive().clients(4);
    let load = load.think(Duration::from_millis(5)).start();
    load.wait_for_answers(100, BOOT);
    let workers: BTreeSet<i32> = herd.workers().iter().map(|it| it.pid).collect();
    let master = herd.master().expect("it lives").pid;
    let mark = herd.mark();
    herd.signal_to(master, Signal::STOP);
    let stopped = Instant::now();
    while stopped.elapsed() < Duration::from_secs(5) {
        load.wait_for_answers(50, BOOT);
    }
    herd.signal_to(master, Signal::CONT);
    // It hears whoever speaks now.
    let fresh = Load::http(deployed.address, "/").count(10).run();
    fresh.assert_no_failure();
    load.wait_for_answers(50, BOOT);
    load.stop_and_finish().assert_no_failure();
    let after: BTreeSet<i32> = herd.workers().iter().map(|it| it.pid).collect();
    assert_eq!(after, workers);
    let trouble = |text: &str| {
        ["suspect", "died", "killed"]
            .iter()
            .any(|it| text.contains(it))
    };
    let lines = herd.lines();
    let troubled = lines.iter().skip(mark).find(|line| trouble(&line.text));
    assert!(troubled.is_none(), "{troubled:?}");
    assert!(deployed.herd.end().success());
}

/// Workers that race on one listener: who has been replaced, and stands by, takes no connection any more.
#[test]
fn r26_who_stands_by_leaves_the_listener_to_its_successor() {
    let scene = Scene::new("draining_standby");
    let options = ["--soak", "4s", "--grace", "5s"];
    let deployed = Deployed::start(&scene, Program::NativeShared, &options);
    deployed.install(Version::Good(2));
    let mark = deployed.herd.mark();
    deployed.herd.signal(Signal::HUP);
    wait_for(&deployed.herd, mark, 2, "ready", BOOT);
    let is_new = || get(deployed.address, "/").is_ok_and(|body| body.ends_with("version:2"));
    wait::until(BOOT, "the old ones have heard of it", || {
        (0..10).all(|_| is_new()).then_some(())
    });
    assert!((0..100).all(|_| is_new()));
    // They were there all the time.
    assert_eq!(deployed.herd.workers().len(), 4);
    let lines = deployed.herd.lines();
    let over = |text: &str| text.contains("is in service");
    assert!(!lines.iter().any(|line| over(&line.text)), "too late");
    assert!(deployed.herd.end().success());
}

/// Asks on a connection that is kept.
fn ask(client: &mut TcpStream) {
    let request = b"GET / HTTP/1.1\r\nHost: herd\r\n\r\n";
    client.write_all(request).expect("there is room");
}

/// The first bytes of the answer; empty when the connection was closed in order.
fn answer(client: &mut TcpStream) -> String {
    let mut room = [0; 4096];
    let count = client.read(&mut room).expect("it is not reset");
    String::from_utf8_lossy(&room[..count]).into_owned()
}

/// Whether the other side has not closed it.
fn is_open(client: &TcpStream) -> bool {
    client.set_nonblocking(true).expect("a mode");
    let looked = client.peek(&mut [0]);
    client.set_nonblocking(false).expect("a mode");
    looked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn r39_a_request_is_answered_that_came_while_a_leaving_worker_stood_still() {
    /// Longer than a leaving worker waits for requests that were on their way.
    const STILL: Duration = Duration::from_secs(2);
    let scene = Scene::new("still");
    let options = ["--soak", "200ms", "--grace", "20s"];
    let deployed = Deployed::start(&scene, Program::Native, &options);
    let mut answered = 0;
    for version in 2..12 {
        let workers = deployed.workers();
        let connect = || TcpStream::connect(deployed.address).expect("a connection");
        let mut clients: Vec<TcpStream> = (0..8).map(|_| connect()).collect();
        for client in &mut clients {
            client.set_read_timeout(Some(LONG)).expect("a time");
            ask(client);
            assert!(answer(client).starts_with("HTTP/1.1 200"));
        }
        let mark = deployed.herd.mark();
        deployed.install(Version::Good(version));
        deployed.herd.signal(Signal::HUP);
        wait_for(&deployed.herd, mark, 2, "is told to leave", LONG);
        let still: Vec<i32> = workers.into_iter().collect();
        for pid in &still {
            deployed.herd.try_signal_to(*pid, Signal::STOP);
        }
        // On a slow machine some have been closed by now.
        clients.retain(is_open);
        clients.iter_mut().for_each(ask);
        // The fault itself.
        thread::sleep(STILL);
        for pid in &still {
            deployed.herd.try_signal_to(*pid, Signal::CONT);
        }
        for client in &mut clients {
            assert!(answer(client).starts_with("HTTP/1.1 200"), "it was closed");
            answered += 1;
        }
        if answered > 0 {
            break;
        }
    }
    assert!(
        answered > 0,
        "each was closed before its worker stood still"
    );
    assert!(deployed.herd.end().success());
}
