//! What the gateway serves besides messages: the app's page, and the live feed.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use herder_e2e::client::{Load, Outcome, get};
use herder_e2e::foreign::{BOOT, wait_for};
use herder_e2e::herd::Herd;
use herder_e2e::jobs::{addresses, herd, started};
use herder_e2e::message::{Chat, Door};
use herder_e2e::scene::Scene;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// The status of `GET path`.
fn status(address: SocketAddr, path: &str) -> u16 {
    let ledger = Load::http(address, path).count(1).timeout(BOOT).run();
    if let Outcome::Status(status) = ledger.entries[0].outcome {
        return status;
    }
    ledger.assert_no_failure();
    200
}

fn with_page(scene: &Scene) -> Herd {
    let page = scene.directory().join("page");
    fs::create_dir_all(page.join("sub")).unwrap();
    fs::write(page.join("index.html"), "<title>front</title>").unwrap();
    fs::write(page.join("sub/code.js"), "let x;").unwrap();
    fs::write(scene.directory().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", page.join("link")).unwrap();
    herd(scene, &["--feed", "/robots", "--page"])
        .arg(page)
        .start()
}

#[test]
fn r60_a_page_is_served_and_nothing_beside_it() {
    let scene = Scene::new("page");
    let herd = with_page(&scene);
    let address = addresses(&herd, 1)[0];
    assert_eq!(get(address, "/").unwrap(), "<title>front</title>");
    assert_eq!(get(address, "/index.html").unwrap(), "<title>front</title>");
    assert_eq!(get(address, "/sub/code.js").unwrap(), "let x;");
    for path in [
        "/missing",
        "/sub/",
        "/link",
        "/../secret",
        "/%2e%2e/secret",
        "/sub/../../secret",
    ] {
        let status = status(address, path);
        assert!([400, 403, 404].contains(&status), "{path}: {status}");
    }
    assert_eq!(status(address, "/sub"), 308, "to /sub/");
    // The same door leads to the workers.
    let mut chat = Chat::open(&Door::web_socket(address));
    chat.say("echo a");
    assert_eq!(chat.hear_reply().id, "a");
    drop(chat);
    assert!(herd.end().success());
}

#[test]
fn without_a_page_a_browser_is_told_to_upgrade() {
    let scene = Scene::new("nopage");
    let (herd, _) = started(&scene, &[]);
    assert_eq!(status(addresses(&herd, 1)[0], "/"), 426);
    assert!(herd.end().success());
}

#[test]
fn who_connects_and_says_nothing_is_sent_away() {
    let scene = Scene::new("silent");
    let (herd, _) = started(&scene, &["--handshake-timeout", "300"]);
    let mut silent = TcpStream::connect(addresses(&herd, 1)[0]).unwrap();
    silent.set_read_timeout(Some(BOOT)).unwrap();
    let mut said = Vec::new();
    // Perhaps with a word, perhaps without; not never.
    silent.read_to_end(&mut said).unwrap();
    assert!(herd.end().success());
}

/// A live feed being read.
struct Feed {
    stream: BufReader<TcpStream>,
    /// What was heard and not looked at: workers, one by one.
    heard: VecDeque<Value>,
}

impl Feed {
    fn open(address: SocketAddr, path: &str) -> Feed {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(BOOT)).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut feed = Feed {
            stream: BufReader::new(stream),
            heard: VecDeque::new(),
        };
        // The first event is a list.
        let Value::Array(workers) = feed.read() else {
            panic!("it does not begin with a list");
        };
        feed.heard.extend(workers);
        feed
    }

    /// The next event's data, whatever the chunks that it comes in.
    fn read(&mut self) -> Value {
        loop {
            let mut line = String::new();
            let length = self.stream.read_line(&mut line).unwrap();
            assert_ne!(length, 0, "the feed ended");
            if let Some(data) = line.strip_prefix("data:") {
                return serde_json::from_str(data.trim()).unwrap();
            }
        }
    }

    /// Reads on until this worker is in this state.
    fn wait_for(&mut self, worker: u64, state: &str) -> Value {
        loop {
            let event = match self.heard.pop_front() {
                Some(event) => event,
                None => self.read(),
            };
            if event["worker"] == worker && event["state"] == state {
                return event;
            }
        }
    }
}

#[test]
fn the_feed_tells_what_becomes_of_workers() {
    let scene = Scene::new("feed");
    let herd = with_page(&scene);
    let address = addresses(&herd, 1)[0];
    let mut workers = wait_for(&herd, 0, 2, "ready", BOOT);
    workers.sort_by_key(|seat| seat.id);
    let mut feed = Feed::open(address, "/robots");
    for seat in &workers {
        let told = feed.wait_for(seat.id, "ready");
        assert_eq!(
            (&told["pid"], &told["slot"]),
            (&seat.pid.into(), &seat.slot.into())
        );
    }
    let mut chat = Chat::open(&Door::web_socket(address));
    chat.say("watch a");
    let busy = chat.hear_reply().worker;
    loop {
        let told = feed.wait_for(busy, "ready");
        if (&told["jobs"], &told["running"]) == (&1.into(), &1.into()) {
            break;
        }
    }
    drop(chat);
    herd.signal_to(workers[0].pid, Signal::KILL);
    feed.wait_for(workers[0].id, "gone");
    let next = feed.wait_for(3, "ready");
    assert_eq!(next["slot"], workers[0].slot);
    drop(feed);
    assert!(herd.end().success());
}
