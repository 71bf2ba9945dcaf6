//! Many workers, one connection to a configuration server: the seed S2, in Rust and in Node.

use herder_e2e::binary::Binary;
use herder_e2e::foreign::{self, BOOT};
use herder_e2e::herd::{Herd, Setup, Stream};
use herder_e2e::library::{Life, wait_for};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

const CENTER: Binary = Binary::new("config-center", "config-center");
const SERVER: Binary = Binary::new("config-center", "config-server");

const WORKERS: usize = 8;
const METHODS: &str = "config.get(key), config.set(key, value), config.watch(prefix)";

/// The configuration server: a process of its own, which is not of the herd.
struct Server {
    process: Herd,
    address: SocketAddr,
}

impl Server {
    fn start(scene: &Scene, address: &str) -> Server {
        let setup = scene.herd(SERVER).args(["--listen", address]);
        let process = setup.args(["color=green", "size=3"]).start();
        let address = process.wait_for_line("its address", BOOT, |line| {
            line.strip_prefix("listening on ")?.parse().ok()
        });
        Server { process, address }
    }

    /// Tells it one line, and returns its answer.
    fn tell(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        writeln!(stream, "{line}").expect("it is there");
        let mut answer = String::new();
        BufReader::new(stream)
            .read_line(&mut answer)
            .expect("it answers");
        answer.trim_end().to_owned()
    }

    /// Waits until one connection follows it, and checks that it has no other.
    fn assert_one_connection(&self, ever: usize) {
        wait::until(BOOT, "one connection follows", || {
            (self.tell("count") == format!("counted 1 {ever}")).then_some(())
        });
        // The one that asked may not be closed yet.
        wait::until(BOOT, "there is no other", || {
            (foreign::accepted_by(self.process.pid()).len() == 1).then_some(())
        });
    }
}

fn node(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/config-center/node")
        .join(file)
}

fn rust(scene: &Scene, server: &Server) -> Setup {
    let setup = scene.herd(CENTER).args(["--listen", "127.0.0.1:0"]);
    setup
        .args(["--workers", &WORKERS.to_string()])
        .env("CONFIG_SERVER", server.address.to_string())
}

fn workers_in_node(scene: &Scene, server: &Server, library: &Path) -> Setup {
    let setup = scene.herd(Binary::HERDER).arg("run");
    // On a busy machine eight programs of Node need longer to begin than they are waited for.
    setup
        .args(["-i", &WORKERS.to_string(), "--listen-timeout", "20s"])
        .arg("--library")
        .arg(format!("config={}", library.display()))
        .arg(node("worker.js"))
        .env("CONFIG_SERVER", server.address.to_string())
        .env("PORT", "0")
}

/// Asks a worker by HTTP, and returns the body.
fn http(address: SocketAddr, request: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the herd listens");
    stream.set_read_timeout(Some(BOOT)).expect("no zero");
    let length = body.len();
    let text = format!(
        "{request} HTTP/1.1\r\nhost: herd\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).expect("it is there");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    body.trim_end().to_owned()
}

/// Asks until every worker has answered that the color is this one, and returns their pids.
fn all_have(address: SocketAddr, color: &str) -> Vec<i32> {
    let expected = format!(" color={color}");
    let mut last = BTreeMap::new();
    wait::until(BOOT, &format!("all have {color}"), || {
        let body = http(address, "GET /color", "");
        let pid = foreign::pid_of_body(body.as_bytes())?;
        last.insert(pid, body.ends_with(&expected));
        (last.len() == WORKERS && last.values().all(|it| *it)).then_some(())
    });
    last.into_keys().collect()
}

fn start(setup: Setup) -> (Herd, Life, SocketAddr) {
    let herd = setup.start();
    let library = wait_for(&herd, 0, 1, "ready", BOOT).remove(0);
    foreign::wait_for(&herd, 0, WORKERS, "ready", BOOT);
    let address = foreign::address(&herd);
    (herd, library, address)
}

/// The whole scenario.
fn play(setup: Setup, server: &Server) {
    let (herd, library, address) = start(setup);
    assert_seven_steps(&herd, &library);
    server.assert_one_connection(1);
    let pids = all_have(address, "green");

    assert_eq!(server.tell("set color blue"), "done");
    assert_eq!(all_have(address, "blue"), pids);
    let answer = http(address, "PUT /color", "dark red");
    assert!(answer.ends_with(" color=dark red"), "{answer}");
    let answer = http(address, "GET /fresh/color", "");
    assert!(
        answer.ends_with(" color=dark red"),
        "who changes it has it: {answer}"
    );
    assert_eq!(all_have(address, "dark red"), pids);

    let mark = herd.mark();
    herd.signal_to(library.pid, Signal::KILL);
    assert_eq!(server.tell("set color white"), "done");
    let next = wait_for(&herd, mark, 1, "ready", BOOT).remove(0);
    assert_eq!((next.name.as_str(), next.epoch), ("config", 2));
    assert_eq!(all_have(address, "white"), pids, "the workers stay");
    assert_eq!(server.tell("set color black"), "done");
    assert_eq!(all_have(address, "black"), pids);
    server.assert_one_connection(2);
    assert!(herd.end().success());
}

/// The places of the seven steps in the log grow, for each of the workers.
fn assert_seven_steps(herd: &Herd, library: &Life) {
    let lines = herd.texts(Stream::Stderr);
    let after = |place: usize, text: &str| {
        let found = lines[place..].iter().position(|line| line.contains(text));
        let found = found.unwrap_or_else(|| panic!("no {text:?} after {place} in {lines:#?}"));
        place + found + 1
    };
    let config = format!("config #1 [{}]", library.pid);
    let master = after(0, ": dispatch: ");
    let forked = after(master, &format!("library {config} started"));
    let signatures = after(forked, &format!("/{config} the library offers {METHODS}"));
    let ready = after(signatures, &format!("library {config} ready"));
    for slot in 0..WORKERS {
        let started = after(ready, &format!(" worker {slot} #"));
        let seat = foreign::told(&lines[started - 1], "started").expect("its first line");
        let who = format!("{slot} #{} [{}]", seat.id, seat.pid);
        let asks = after(started, &format!("/{who} asks the library what it offers"));
        let offers = after(asks, &format!("/{who} its agent offers {METHODS}"));
        after(offers, &format!(" worker {who} ready"));
    }
}

#[test]
fn s2_eight_workers_in_rust_share_one_connection() {
    let scene = Scene::new("s2_rust");
    let server = Server::start(&scene, "127.0.0.1:0");
    play(rust(&scene, &server), &server);
}

#[test]
fn s2_eight_workers_in_node_share_one_connection_of_a_library_in_rust() {
    let scene = Scene::new("s2_mixed");
    let server = Server::start(&scene, "127.0.0.1:0");
    play(workers_in_node(&scene, &server, &CENTER.path()), &server);
}

#[test]
fn s2_eight_workers_in_node_share_one_connection_of_a_library_in_node() {
    let scene = Scene::new("s2_node");
    let server = Server::start(&scene, "127.0.0.1:0");
    play(workers_in_node(&scene, &server, &node("lib.js")), &server);
}

#[test]
fn values_outlive_the_configuration_server_and_follow_the_next_one() {
    let scene = Scene::new("s2_away");
    for library in [None, Some(node("lib.js"))] {
        let server = Server::start(&scene, "127.0.0.1:0");
        let (herd, _, address) = start(match library {
            None => rust(&scene, &server),
            Some(library) => workers_in_node(&scene, &server, &library),
        });
        let place = server.address.to_string();
        assert_eq!(server.tell("set color blue"), "done");
        all_have(address, "blue");
        server.process.signal(Signal::KILL);
        server.process.wait_for_exit(BOOT);
        herd.wait_for_line("it is away", BOOT, |line| {
            line.contains(" the configuration server is away")
                .then_some(())
        });
        all_have(address, "blue");
        let refused = http(address, "PUT /color", "red");
        assert!(
            refused.contains("the configuration server is away"),
            "{refused}"
        );
        let server = Server::start(&scene, &place);
        all_have(address, "green");
        server.assert_one_connection(1);
        assert!(herd.end().success());
    }
}

#[test]
fn a_library_whose_server_cannot_be_reached_ends_the_herd_with_its_reason() {
    let scene = Scene::new("s2_none");
    // Bound, and nobody listens.
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let nowhere = taken.local_addr().expect("it has one").to_string();
    let setup = scene.herd(CENTER).args(["--listen", "127.0.0.1:0"]);
    let herd = setup.args(["--server", &nowhere]).start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(3));
    let said = herd.texts(Stream::Stderr).join("\n");
    let why = format!("cannot follow the configuration server {nowhere}: Connection refused");
    assert!(said.contains(&why), "{said}");
    assert!(!said.contains(" worker 0"), "{said}");
}
