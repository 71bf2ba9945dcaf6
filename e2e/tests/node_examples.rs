//! The Node examples, as they are: by the machine's Node, by Node 24, and (with the long tests) by the others.

use herder_e2e::binary::Binary;
use herder_e2e::client::Load;
use herder_e2e::foreign::{BOOT, address, wait_for};
use herder_e2e::herd::{Herd, Setup, Signal};
use herder_e2e::interpreter::Node;
use herder_e2e::scene::Scene;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use tokio_tungstenite::tungstenite;

/// What `make test` runs.
const USUAL: [Node; 2] = [Node::Machine, Node::Version(24)];

/// What `make test-all` runs beside it.
const OTHERS: [Node; 3] = [Node::Version(18), Node::Version(22), Node::Version(26)];

const SLOW: &[u8] = b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/node")
}

/// Prepares two workers of an example; the kernel chooses the port.
fn run(scene: &Scene, node: Node, script: &str, options: &[&str]) -> Setup {
    assert!(
        examples().join("node_modules").is_dir(),
        "the packages of examples/node are missing: run scripts/setup test"
    );
    prepare(scene.herd(Binary::HERDER), node, script, options)
}

fn prepare(herder: Setup, node: Node, script: &str, options: &[&str]) -> Setup {
    let setup = herder.directory(examples());
    let setup = setup.args(["run", script, "-i", "2", "--interpreter"]);
    setup.arg(node.program()).args(options).env("PORT", "0")
}

fn start(setup: Setup) -> Herd {
    let herd = setup.start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    herd
}

/// The number behind `start` in what a worker has answered.
fn pid_behind(start: &'static str) -> impl Fn(&[u8]) -> Option<i32> {
    move |body| {
        let text = std::str::from_utf8(body).ok()?;
        let (_, rest) = text.split_once(start)?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok())
    }
}

/// Each of two workers answers as often as the other.
fn assert_even(load: Load) {
    let load = load.worker_from(pid_behind("worker-")).count(40);
    load.timeout(BOOT).run_until("twenty each", |ledger| {
        let each: Vec<usize> = ledger.per_worker().into_values().collect();
        each == [20, 20]
    });
}

/// Whoever was connected when the herd was told to stop gets an answer.
fn assert_loses_nothing_when_stopped(herd: &Herd, address: SocketAddr, request: &[u8]) {
    let connect = |_| {
        let mut client = TcpStream::connect(address).expect("a connection");
        client.set_read_timeout(Some(BOOT)).expect("a time");
        client.write_all(request).expect("room");
        client
    };
    let clients: Vec<TcpStream> = (0..12).map(connect).collect();
    herd.signal(Signal::TERM);
    for (number, mut client) in clients.into_iter().enumerate() {
        let mut answer = String::new();
        let read = client.read_to_string(&mut answer);
        let whole = read.is_ok() && answer.contains("worker-");
        assert!(whole, "client {number}: {read:?}, {answer:?}");
    }
    assert!(herd.wait_for_exit(BOOT).success());
}

fn http_is_served(scene: &str, script: &str, versions: &[Node]) {
    let scene = Scene::new(scene);
    for node in versions {
        let herd = start(run(&scene, *node, script, &[]));
        let address = address(&herd);
        assert_even(Load::http(address, "/"));
        assert_loses_nothing_when_stopped(&herd, address, SLOW);
    }
}

fn tcp_is_served(scene: &str, versions: &[Node]) {
    let scene = Scene::new(scene);
    for node in versions {
        let herd = start(run(&scene, *node, "net-cluster.js", &[]));
        let address = address(&herd);
        assert_even(Load::plain(address, b""));
        assert_loses_nothing_when_stopped(&herd, address, b"");
    }
}

/// The examples in kernel mode: in turns, and nobody who had connected is lost at the end.
fn is_served_by_kernel(scene: &str, script: &str, versions: &[Node], request: &[u8]) {
    let scene = Scene::new(scene);
    for node in versions {
        let herd = start(run(&scene, *node, script, &["--dispatch", "kernel"]));
        let address = address(&herd);
        assert_even(if request.is_empty() {
            Load::plain(address, b"")
        } else {
            Load::http(address, "/")
        });
        assert_loses_nothing_when_stopped(&herd, address, request);
    }
}

#[test]
fn kernel_s4_the_classic_cluster_program() {
    is_served_by_kernel("example_knet", "net-cluster.js", &USUAL, b"");
}

#[test]
fn unprivileged_s4_by_what_is_left() {
    let scene = Scene::new("example_rights");
    for node in USUAL {
        let herder = scene.unprivileged(Binary::HERDER);
        let setup = prepare(herder, node, "net-cluster.js", &["--dispatch", "auto"]);
        let herd = start(setup);
        herd.wait_for_line("what is left, and why", BOOT, |line| {
            line.contains("dispatch: pass (kernel needs CAP_BPF")
                .then_some(())
        });
        let address = address(&herd);
        assert_even(Load::plain(address, b""));
        assert_loses_nothing_when_stopped(&herd, address, b"");
    }
}

#[test]
fn kernel_plain_http_and_express() {
    is_served_by_kernel("example_khttp", "http.js", &USUAL, SLOW);
    is_served_by_kernel("example_kexpress", "app-express.js", &USUAL, SLOW);
}

#[test]
fn plain_http() {
    http_is_served("example_http", "http.js", &USUAL);
}

#[test]
fn express() {
    http_is_served("example_express", "app-express.js", &USUAL);
}

#[test]
fn fastify() {
    http_is_served("example_fastify", "app-fastify.mjs", &USUAL);
}

#[test]
fn the_classic_cluster_program() {
    tcp_is_served("example_net", &USUAL);
}

#[test]
#[ignore = "three more versions of Node"]
fn other_versions_of_node_serve_the_same() {
    http_is_served("example_http_all", "http.js", &OTHERS);
    http_is_served("example_express_all", "app-express.js", &OTHERS);
    // Fastify 5 does without Node 18.
    http_is_served("example_fastify_all", "app-fastify.mjs", &OTHERS[1..]);
    tcp_is_served("example_net_all", &OTHERS);
}

#[test]
fn a_chat_over_websockets_ends_when_its_clients_have() {
    let scene = Scene::new("example_ws");
    for node in USUAL {
        let herd = start(run(&scene, node, "chat-ws.js", &[]));
        let address = address(&herd);
        let url = format!("ws://{address}/");
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let stream = TcpStream::connect(address).expect("a connection");
                stream.set_read_timeout(Some(BOOT)).expect("a time");
                tungstenite::client(&url, stream).expect("a WebSocket").0
            })
            .collect();
        herd.signal(Signal::TERM);
        wait_for(&herd, 0, 2, "is told to leave", BOOT);
        for mut client in clients {
            client.send("hello".into()).expect("room");
            let heard = client.read().expect("an echo").into_text();
            let heard = heard.expect("a text");
            assert!(heard.ends_with(": hello"), "{heard}");
            client.close(None).expect("room");
            while client.read().is_ok() {}
        }
        // Long before half the grace is over, when whoever stays gets a signal.
        assert!(herd.wait_for_exit(BOOT / 2).success());
        assert_no_signal(&herd);
    }
}

/// No worker had to be told by a signal.
fn assert_no_signal(herd: &Herd) {
    let lines = herd.lines();
    let signalled = |text: &str| text.contains("ended: signal") || text.contains("died");
    assert!(!lines.iter().any(|line| signalled(&line.text)), "{lines:?}");
}

/// Runs a client of an example to its end, and returns the worker that it has talked to.
fn talk(scene: &Scene, node: Node, client: &str, address: SocketAddr) -> i32 {
    let client = scene
        .program(node.program())
        .arg(examples().join(client))
        .env("PORT", address.port().to_string())
        .start();
    let worker = client.wait_for_line("the echo", BOOT, |line| {
        assert!(!line.contains("failed"), "{line}");
        pid_behind("worker-")(line.as_bytes())
    });
    assert!(client.wait_for_exit(BOOT).success());
    worker
}

#[test]
fn each_websocket_goes_to_the_next_worker() {
    let scene = Scene::new("example_ws_turn");
    let herd = start(run(&scene, Node::Machine, "chat-ws.js", &[]));
    let address = address(&herd);
    let found: Vec<i32> = (0..4)
        .map(|_| talk(&scene, Node::Machine, "client-ws.js", address))
        .collect();
    assert_ne!(found[0], found[1]);
    assert_eq!(found[..2], found[2..]);
    assert!(herd.end().success());
}

#[test]
fn long_polling_works_where_clients_stay_with_their_worker() {
    let scene = Scene::new("example_socketio");
    for node in USUAL {
        let herd = start(run(
            &scene,
            node,
            "chat-socketio.js",
            &["--policy", "ip-hash"],
        ));
        let address = address(&herd);
        let first = talk(&scene, node, "client-socketio.js", address);
        let second = talk(&scene, node, "client-socketio.js", address);
        assert_eq!(first, second);
        assert!(herd.end().success());
    }
}

fn every_request_ends_its_worker(scene: &str, versions: &[Node]) {
    let scene = Scene::new(scene);
    let options = [
        "-l",
        "127.0.0.1:0",
        "--send-handle",
        "server",
        "--max-restarts",
        "0",
    ];
    for node in versions {
        let herd = start(run(&scene, *node, "worker.js", &options));
        let load = Load::http(address(&herd), "/").worker_from(pid_behind("I am worker, pid:"));
        let ledger = load.count(10).timeout(BOOT).run();
        ledger.assert_no_failure();
        assert_eq!(ledger.per_worker().len(), 10, "{ledger}");
        wait_for(&herd, 0, 10, "announces its own end", BOOT);
        wait_for(&herd, 0, 10, "ended: exit status 1", BOOT);
        assert!(herd.end().success());
    }
}

#[test]
fn every_request_ends_its_worker_and_none_is_lost() {
    every_request_ends_its_worker("example_worker", &USUAL);
}

#[test]
#[ignore = "three more versions of Node"]
fn every_request_ends_its_worker_and_none_is_lost_all() {
    // Node 18 as well, which asks its primary for what it was sent; Node's own cannot tell.
    every_request_ends_its_worker("example_worker_all", &OTHERS);
}
