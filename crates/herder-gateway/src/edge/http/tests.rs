//! Requests over real sockets, with a whole edge behind them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::rc::Rc;

use futures_util::{SinkExt, StreamExt};
use herder_sys::directory::open_directory;
use herder_wire::gateway::{Origins, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::Instant;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Site, serve};
use crate::edge::closing::House;
use crate::edge::testing::settings;
use crate::edge::{Door, Edge, Settings};
use crate::hub::loopback::{Answering, Loopback};
use crate::hub::{WorkerState, WorkerView};

/// An edge that listens, with a page of its own.
struct Served {
    port: u16,
    edge: Edge,
    loopback: Rc<Loopback>,
    root: PathBuf,
}

impl Served {
    fn new(name: &str, settings: Settings) -> Served {
        let root = format!("herder-page-{}-{name}", std::process::id());
        let root = std::env::temp_dir().join(root);
        fs::create_dir_all(root.join("page/sub")).unwrap();
        fs::write(root.join("page/index.html"), "<p>page").unwrap();
        fs::write(root.join("page/sub/index.html"), "<p>sub").unwrap();
        let page = open_directory(&root.join("page")).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let door = Door {
            name: "test".into(),
            listener: listener.into(),
            protocol: Protocol::WebSocket,
        };
        let loopback = Loopback::new(Answering::AtOnce);
        let edge = Edge::open(loopback.hub(), settings, vec![door], Some(page)).unwrap();
        Served {
            port,
            edge,
            loopback,
            root,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// What is answered to a request that is the last of its connection.
    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        let request = format!("{request}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: here"))
            .await
    }

    async fn status(&self, request: &str) -> u16 {
        status(&self.ask(request).await)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.root).unwrap();
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = answer.split("\r\n").take_while(|line| !line.is_empty());
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

async fn with<F: Future>(test: F) -> F::Output {
    LocalSet::new().run_until(test).await
}

fn view(worker: u64, state: WorkerState) -> WorkerView {
    WorkerView {
        worker,
        slot: 0,
        pid: 7,
        state,
        jobs: 0,
        running: 0,
    }
}

#[tokio::test]
async fn a_websocket_is_had_on_any_path() {
    with(async {
        let served = Served::new("websocket", settings());
        for path in ["/", "/any/where?it=is", "/robots"] {
            let url = format!("ws://127.0.0.1:{}{path}", served.port);
            let stream = served.connect().await;
            let (mut socket, answer) = client_async(url, stream).await.unwrap();
            assert_eq!(answer.status(), 101);
            socket.send(Message::text("hello")).await.unwrap();
            assert_eq!(
                socket.next().await.unwrap().unwrap(),
                Message::text("hello")
            );
            socket.close(None).await.unwrap();
            while socket.next().await.is_some() {}
        }
        served.edge.close();
        served.edge.empty().await;
        assert!(served.loopback.places().is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_comes_right_behind_the_request_is_not_lost() {
    with(async {
        let served = Served::new("behind", settings());
        let mut stream = served.connect().await;
        let mut ask = UPGRADE.as_bytes().to_vec();
        ask.extend(crate::edge::testing::frame(1, b"early"));
        stream.write_all(&ask).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\x81\x05early") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "));
    })
    .await;
}

#[tokio::test]
async fn strangers_pages_are_refused() {
    with(async {
        let served = Served::new("origin", settings());
        let try_from = async |origin: &str| {
            let url = format!("ws://localhost:{}/", served.port);
            let mut request = url.into_client_request().unwrap();
            request
                .headers_mut()
                .insert("origin", origin.parse().unwrap());
            let stream = served.connect().await;
            match client_async(request, stream).await {
                Ok(_) => 101,
                Err(Error::Http(answer)) => answer.status().as_u16(),
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(try_from("https://elsewhere.example").await, 403);
        assert_eq!(try_from("null").await, 403);
        let same = format!("http://localhost:{}", served.port);
        assert_eq!(try_from(&same).await, 101);
    })
    .await;
}

#[tokio::test]
async fn bad_handshakes_are_told_what_is_wrong() {
    with(async {
        let served = Served::new("handshake", settings());
        let upgrade = UPGRADE.trim_end();
        let old = upgrade.replace("Version: 13", "Version: 8");
        for (asked, expected) in [
            (upgrade.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400),
            (upgrade.replace("Sec-WebSocket-Key", "X-Key"), 400),
            (upgrade.replace("GET", "POST"), 400),
            (upgrade.replace("HTTP/1.1", "HTTP/1.0"), 400),
            (upgrade.replace("Host: here\r\n", ""), 400),
            (
                upgrade.replace("Host: here", "Host: here\r\nHost: there"),
                400,
            ),
            (upgrade.replace("Version: 13", "Version: x"), 426),
            (upgrade.replace("Sec-WebSocket-Version", "X-Version"), 426),
            ("POST /\u{1} HTTP/1.1\r\nHost: here".into(), 400),
            ("nonsense".into(), 400),
        ] {
            assert_eq!(served.status(&asked).await, expected, "{asked}");
        }
        let answer = served.ask(&old).await;
        assert_eq!(status(&answer), 426);
        assert_eq!(header(&answer, "sec-websocket-version"), Some("13"));
        let long = format!("GET / HTTP/1.1\r\nHost: here\r\nX: {}", "x".repeat(20_000));
        assert_eq!(served.status(&long).await, 431);
        assert!(served.loopback.places().is_empty());
    })
    .await;
}

#[tokio::test]
async fn files_are_shown_with_their_kind() {
    with(async {
        let served = Served::new("files", settings());
        let page = served.get("/").await;
        assert_eq!((status(&page), body(&page)), (200, "<p>page"));
        assert_eq!(
            header(&page, "content-type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(header(&page, "content-length"), Some("7"));
        assert_eq!(header(&page, "x-content-type-options"), Some("nosniff"));
        assert_eq!(header(&page, "cache-control"), Some("no-cache"));
        let head = served.ask("HEAD /sub/ HTTP/1.1\r\nHost: here").await;
        assert_eq!((status(&head), body(&head)), (200, ""));
        assert_eq!(header(&head, "content-length"), Some("6"));
        let old = served.ask("GET /index.html HTTP/1.0").await;
        assert_eq!(body(&old), "<p>page");
        let moved = served.get("/sub?a=b").await;
        assert_eq!(status(&moved), 308);
        assert_eq!(header(&moved, "location"), Some("/sub/?a=b"));
        let moved = served.get("//sub").await;
        assert_eq!(header(&moved, "location"), Some("/sub/"));
    })
    .await;
}

#[tokio::test]
async fn a_file_that_did_not_change_is_not_sent_again() {
    with(async {
        let served = Served::new("etag", settings());
        let page = served.get("/").await;
        let tag = header(&page, "etag").unwrap();
        let again = async |known: &str| {
            let ask = format!("GET / HTTP/1.1\r\nHost: here\r\nIf-None-Match: {known}");
            served.ask(&ask).await
        };
        for known in [tag.to_owned(), format!("\"x\", W/{tag}"), "*".into()] {
            let same = again(&known).await;
            assert_eq!((status(&same), body(&same)), (304, ""), "{known}");
            assert_eq!(header(&same, "etag"), Some(tag));
        }
        assert_eq!(status(&again("\"x\"").await), 200);
        fs::write(served.root.join("page/index.html"), "<p>longer page").unwrap();
        assert_eq!(body(&again(tag).await), "<p>longer page");
    })
    .await;
}

#[tokio::test]
async fn nothing_else_is_shown() {
    with(async {
        let served = Served::new("nothing", settings());
        fs::write(served.root.join("secret"), "secret").unwrap();
        symlink("../secret", served.root.join("page/out")).unwrap();
        symlink("sub/index.html", served.root.join("page/in")).unwrap();
        std::os::unix::net::UnixListener::bind(served.root.join("page/socket")).unwrap();
        for (path, expected) in [
            ("/none", 404),
            ("/index.html/", 404),
            ("/../secret", 404),
            ("/%2e%2e/secret", 404),
            ("/sub/..%2f..%2fsecret", 404),
            ("/.hidden", 404),
            ("/out", 403),
            ("/in", 200),
            ("/socket", 403),
            ("/%zz", 400),
            ("/a%00b", 400),
        ] {
            assert_eq!(status(&served.get(path).await), expected, "{path}");
        }
        let long = format!("/{}", "x".repeat(300));
        assert_eq!(status(&served.get(&long).await), 404);
        let answer = served
            .ask("PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 0")
            .await;
        assert_eq!(status(&answer), 405);
        assert_eq!(header(&answer, "allow"), Some("GET, HEAD"));
    })
    .await;
}

#[tokio::test]
async fn large_files_come_whole_and_shortened_ones_are_seen_to_be_cut() {
    with(async {
        let served = Served::new("large", settings());
        let line = "0123456789abcde\n";
        fs::write(served.root.join("page/large.txt"), line.repeat(100_000)).unwrap();
        let answer = served.get("/large.txt").await;
        assert_eq!(header(&answer, "content-length"), Some("1600000"));
        assert_eq!(body(&answer).len(), 1_600_000);
        assert!(body(&answer).ends_with(line));

        let mut file = fs::File::create(served.root.join("page/cut.bin")).unwrap();
        file.set_len(64 * 1024 * 1024).unwrap();
        let mut stream = served.connect().await;
        let ask = b"GET /cut.bin HTTP/1.1\r\nHost: here\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        let mut some = [0; 1024];
        stream.read_exact(&mut some).await.unwrap();
        file.set_len(0).unwrap();
        file.flush().unwrap();
        let mut rest = Vec::new();
        let _reset = stream.read_to_end(&mut rest).await;
        assert!(rest.len() < 64 * 1024 * 1024);
    })
    .await;
}

#[tokio::test]
async fn several_requests_share_a_connection() {
    with(async {
        let served = Served::new("several", settings());
        let mut stream = served.connect().await;
        let ask = "GET /none HTTP/1.1\r\nHost: here\r\n\r\n".repeat(3);
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut answers = Vec::new();
        while String::from_utf8_lossy(&answers)
            .matches("There is nothing here")
            .count()
            < 3
        {
            assert_ne!(stream.read_buf(&mut answers).await.unwrap(), 0);
        }
        // It waits for a fourth, and is not waited for.
        served.edge.close();
        assert_eq!(stream.read_buf(&mut answers).await.unwrap(), 0);
        drop(stream);
        served.edge.empty().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_takes_too_long_to_ask_is_gone() {
    with(async {
        let begun = "GET / HTTP/1.1\r\nHost";
        let once = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
        for (said, answered) in [("", ""), (begun, ""), (once, "HTTP/1.1 426 ")] {
            let house = House::default();
            let hub = Loopback::new(Answering::AtOnce).hub();
            let site = Site::new(hub, Rc::new(settings()), house.clone(), None);
            let (mut client, stream) = duplex(4096);
            let begun = Instant::now();
            tokio::task::spawn_local(serve(stream, Rc::new(site), house.enter()));
            client.write_all(said.as_bytes()).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(answered), "{answer}");
            assert_eq!(begun.elapsed().as_secs(), 10, "{said:?}");
            drop(client);
            house.fewer_than(1).await;
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_page_it_says_what_it_is() {
    with(async {
        let house = House::default();
        let hub = Loopback::new(Answering::AtOnce).hub();
        let site = Site::new(hub, Rc::new(settings()), house.clone(), None);
        let (mut client, stream) = duplex(4096);
        tokio::task::spawn_local(serve(stream, Rc::new(site), house.enter()));
        let ask = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
        client.write_all(ask).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(status(&answer), 426);
        assert_eq!(header(&answer, "upgrade"), Some("websocket"));
        assert_eq!(
            body(&answer),
            "This is a WebSocket; connect to it as such.\n"
        );
    })
    .await;
}

#[tokio::test]
async fn whoever_watches_sees_the_workers_come_and_go() {
    with(async {
        let served = Served::new("feed", settings());
        let board = &served.loopback.board;
        board.set(view(1, WorkerState::Ready));
        let mut stream = served.connect().await;
        let ask = b"GET /robots HTTP/1.1\r\nHost: here\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        let mut seen = Vec::new();
        let mut see = async |expected: &str| {
            while !String::from_utf8_lossy(&seen).contains(expected) {
                assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
            }
            String::from_utf8_lossy(&seen).into_owned()
        };
        let ready = r#"{"worker":1,"slot":0,"pid":7,"state":"ready","jobs":0,"running":0}"#;
        let answer = see(&format!("event: workers\ndata: [{ready}]\n\n")).await;
        assert_eq!(status(&answer), 200);
        assert_eq!(header(&answer, "content-type"), Some("text/event-stream"));
        board.set(view(2, WorkerState::Starting));
        let starting = ready.replace(":1,", ":2,").replace("ready", "starting");
        see(&format!("event: workers\ndata: {starting}\n\n")).await;
        board.set(view(1, WorkerState::Gone));
        let all = see(&ready.replace("ready", "gone")).await;
        assert_eq!(all.matches("data: ").count(), 3, "only what has changed");
        served.edge.close();
        while stream.read_buf(&mut seen).await.unwrap() > 0 {}
        assert!(seen.ends_with(b"0\r\n\r\n"), "the end is told");
        drop(stream);
        served.edge.empty().await;
    })
    .await;
}

#[tokio::test]
async fn strangers_pages_may_not_watch() {
    with(async {
        let served = Served::new("watch", settings());
        let ask = "GET /robots HTTP/1.1\r\nHost: here\r\nOrigin: http://elsewhere";
        let answer = served.ask(ask).await;
        assert_eq!(status(&answer), 403);
        let any = Settings {
            origins: Origins::Any,
            ..settings()
        };
        let served = Served::new("watch-any", any);
        let head = served.ask(&ask.replace("GET", "HEAD")).await;
        assert_eq!(status(&head), 200);
    })
    .await;
}

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
