//! A front with workers whose every byte a test decides.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::proxy::House;
use crate::proxy::backends::{Backend, BackendAddress, Backends, News};
use crate::proxy::entrance::{Entrance, serve};
use crate::proxy::http::Front;
use crate::proxy::settings::ProxySettings;

/// No test takes so long, even on a machine that stands still for a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays a test to its end.
pub(super) fn play<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        timeout(PATIENCE, test)
            .await
            .expect("the test comes to an end")
    })
}

/// A front on a port of its own.
pub(super) struct Rig {
    pub(super) address: SocketAddr,
    pub(super) backends: Backends,
    pub(super) house: House,
    pub(super) news: RefCell<UnboundedReceiver<News>>,
}

impl Rig {
    pub(super) fn new(change: impl FnOnce(&mut ProxySettings)) -> Rig {
        let mut settings: ProxySettings = serde_json::from_str(r#"{"app": "shop"}"#).unwrap();
        change(&mut settings);
        let settings = Rc::new(settings);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let backends = Backends::new(&settings);
        let news = RefCell::new(backends.news().unwrap());
        let house = House::default();
        let entrance = Entrance {
            settings: Rc::clone(&settings),
            house: house.clone(),
            tls: None,
        };
        let front = Front::new(settings, backends.clone(), house.clone());
        let (entrance, front) = (Rc::new(entrance), Rc::new(front));
        let served = serve("test".to_owned(), listener.into(), entrance, front);
        spawn_local(async move { served.await.unwrap() });
        Rig {
            address,
            backends,
            house,
            news,
        }
    }

    /// A worker that has `serve` speak on each connection, which it numbers from 0.
    pub(super) fn worker<F>(&self, worker: u64, serve: impl Fn(TcpStream, usize) -> F + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        spawn_local(async move {
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                spawn_local(serve(stream, number));
            }
        });
        self.admit(worker, address);
    }

    /// A worker that listens there, as far as the front knows.
    pub(super) fn admit(&self, worker: u64, address: SocketAddr) {
        self.backends.admit(Backend {
            worker,
            slot: u16::try_from(worker).unwrap(),
            generation: 1,
            address: BackendAddress::Tcp(address),
        });
    }

    /// A worker that answers every request with `reply`, and keeps its connections.
    pub(super) fn steady(&self, worker: u64, reply: &'static str) {
        self.worker(worker, move |mut stream, _| async move {
            while read_request(&mut stream).await.is_some() {
                if stream.write_all(reply.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }

    /// A worker that answers with the request's head, and then the body of a known length.
    pub(super) fn mirror(&self, worker: u64) {
        self.worker(worker, move |mut stream, _| async move {
            while let Some(request) = read_request(&mut stream).await {
                let reply = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{request}",
                    request.len()
                );
                if stream.write_all(reply.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }

    pub(super) async fn client(&self) -> Talker {
        let stream = TcpStream::connect(self.address).await.unwrap();
        Talker {
            stream,
            inbox: Vec::new(),
        }
    }

    /// Sends this by a connection of its own, and reads all that comes until the end.
    pub(super) async fn all(&self, request: &str) -> String {
        let mut client = self.client().await;
        client.say(request).await;
        client.rest().await
    }

    /// Waits for something that the master would hear.
    pub(super) async fn hear(&self, is_it: impl Fn(&News) -> bool) -> News {
        loop {
            let news = poll_fn(|context| self.news.borrow_mut().poll_recv(context))
                .await
                .unwrap();
            if is_it(&news) {
                return news;
            }
        }
    }
}

/// A client.
pub(super) struct Talker {
    pub(super) stream: TcpStream,
    inbox: Vec<u8>,
}

/// What a client read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    /// With the chunks' framing, if there are chunks.
    pub(super) body: String,
}

impl Reply {
    /// The value of a header line.
    pub(super) fn line(&self, name: &str) -> Option<&str> {
        line(&self.head, name)
    }
}

impl Talker {
    pub(super) async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads one answer, which has a known end.
    pub(super) async fn reply(&mut self) -> Reply {
        self.reply_to("GET").await
    }

    pub(super) async fn reply_to(&mut self, method: &str) -> Reply {
        let head = self.until("\r\n\r\n").await;
        let status = head[9..12].parse().unwrap();
        let length = line(&head, "content-length").map(|it| it.parse().unwrap());
        let bodiless = method == "HEAD" || status < 200 || status == 204 || status == 304;
        let body = if bodiless {
            String::new()
        } else if line(&head, "transfer-encoding").is_some() {
            self.until("0\r\n\r\n").await
        } else {
            let length: usize = length.expect("the answer has an end");
            self.exactly(length).await
        };
        Reply { status, head, body }
    }

    pub(super) async fn ask(&mut self, request: &str) -> Reply {
        self.say(request).await;
        self.reply().await
    }

    pub(super) async fn until(&mut self, end: &str) -> String {
        loop {
            let found = self
                .inbox
                .windows(end.len())
                .position(|it| it == end.as_bytes());
            if let Some(found) = found {
                return self.take(found + end.len());
            }
            let read = self.stream.read_buf(&mut self.inbox).await.unwrap();
            let came = String::from_utf8_lossy(&self.inbox);
            assert!(read > 0, "it ended before {end:?}: {came:?}");
        }
    }

    pub(super) async fn exactly(&mut self, length: usize) -> String {
        while self.inbox.len() < length {
            assert!(self.stream.read_buf(&mut self.inbox).await.unwrap() > 0);
        }
        self.take(length)
    }

    /// All that comes until the end, or until it is broken.
    pub(super) async fn rest(&mut self) -> String {
        while matches!(self.stream.read_buf(&mut self.inbox).await, Ok(1..)) {}
        self.take(self.inbox.len())
    }

    fn take(&mut self, length: usize) -> String {
        let rest = self.inbox.split_off(length);
        let taken = std::mem::replace(&mut self.inbox, rest);
        String::from_utf8(taken).unwrap()
    }
}

fn line<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Reads up to this, and not a byte beyond; `None` if it does not come.
pub(super) async fn read_to(stream: &mut TcpStream, end: &str) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        bytes.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads a request as a worker: its head and its body, chunks as they stand; `None` at the end.
pub(super) async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end + 4]).into_owned();
            let body = &bytes[end + 4..];
            let is_whole = if line(&head, "transfer-encoding").is_some() {
                body.ends_with(b"0\r\n\r\n")
            } else {
                let length = line(&head, "content-length").map_or(0, |it| it.parse().unwrap());
                body.len() >= length
            };
            if is_whole {
                return Some(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        match stream.read_buf(&mut bytes).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return None,
        }
    }
}
