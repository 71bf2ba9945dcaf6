//! Whether an app works: [`Rounds`] decide, [`Probe`] asks.

mod checks;
mod each;
mod exec;
mod http;
mod rounds;
mod seat;

use std::time::Duration;

use herder_api::app::{Health, ProxyHeader};
use herder_core::spec::ListenAddress;
use herder_wire::proxy_protocol::{Header, Version};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

pub(super) use checks::{Act, Herd, Serving, Turn};
pub(super) use each::asks_each;
pub(super) use exec::Program;
pub(super) use rounds::Rounds;
pub(crate) use seat::sit;

/// How an app is asked.
#[derive(Debug)]
pub(super) enum Probe {
    Http(String),
    /// At the place of a worker.
    Path {
        place: Place,
        path: String,
    },
    /// The same, without a word but what comes ahead of all.
    Worker(Place),
    Tcp(String),
    Exec(Box<Program>),
}

/// Where a worker listens, and what it is to be told before anything else.
#[derive(Debug)]
pub(super) struct Place {
    address: String,
    ahead: Vec<u8>,
}

impl Probe {
    /// Asks once. A program that takes too long is killed.
    ///
    /// # Errors
    /// Why the app does not work, in a few words.
    pub(super) async fn ask(self, health: &Health) -> Result<(), String> {
        let limit = health.timeout.0;
        let late = || format!("no answer within {}", health.timeout);
        match self {
            Probe::Http(url) => {
                let answer = timeout(limit, http::get(&url)).await;
                let answer = answer.unwrap_or_else(|_| Err(late()));
                answer.map_err(|why| format!("{url}: {why}"))
            }
            Probe::Path { place, path } => {
                let answer = timeout(limit, http::get_at(&place, &path)).await;
                let answer = answer.unwrap_or_else(|_| Err(late()));
                answer.map_err(|why| format!("{path} at {}: {why}", place.address))
            }
            Probe::Worker(Place { address, ahead }) => {
                let answer = timeout(limit, connect(&address, &ahead)).await;
                let answer = answer.unwrap_or_else(|_| Err(late()));
                answer.map_err(|why| format!("{address}: {why}"))
            }
            Probe::Tcp(address) => {
                let answer = timeout(limit, connect(&address, b"")).await;
                let answer = answer.unwrap_or_else(|_| Err(late()));
                answer.map_err(|why| format!("{address}: {why}"))
            }
            Probe::Exec(program) => {
                let name = program.name();
                let answer = program.run(limit.max(Duration::from_millis(1))).await;
                answer.map_err(|why| format!("{name}: {why}"))
            }
        }
    }
}

/// How a worker is asked that listens at this address of its own. `sends`: what the gateway tells it of its
/// clients it is told of us, too.
pub(super) fn at_place(
    health: &Health,
    address: &str,
    sends: Option<ProxyHeader>,
) -> Option<Probe> {
    let mut ahead = Vec::new();
    // Nobody connects by us: a program that speaks the protocol takes that for the sender's own connection.
    match sends {
        None => {}
        Some(ProxyHeader::V1) => Header::Local.encode(Version::V1, &mut ahead),
        Some(ProxyHeader::V2) => Header::Local.encode(Version::V2, &mut ahead),
    }
    let address = address.to_owned();
    let place = Place { address, ahead };
    match (&health.http, &health.tcp) {
        (Some(path), _) => Some(Probe::Path {
            place,
            path: path.clone(),
        }),
        (None, Some(_)) => Some(Probe::Worker(place)),
        (None, None) => None,
    }
}

/// Connects, says this, and has nothing more to say.
async fn connect(address: &str, ahead: &[u8]) -> Result<(), String> {
    let connected = match address.parse() {
        Ok(ListenAddress::Tcp { host, port }) => {
            let host = host.unwrap_or_else(|| "localhost".to_owned());
            match TcpStream::connect((host, port)).await {
                Ok(mut stream) => stream.write_all(ahead).await,
                Err(error) => Err(error),
            }
        }
        Ok(ListenAddress::Unix(path)) => match UnixStream::connect(path).await {
            Ok(mut stream) => stream.write_all(ahead).await,
            Err(error) => Err(error),
        },
        Err(error) => return Err(error.to_string()),
    };
    connected.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use herder_api::units::Period;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, UnixListener};

    use super::*;
    use crate::triggers::tests::Place as Directory;

    fn health() -> Health {
        Health {
            timeout: Period::millis(300),
            ..Health::default()
        }
    }

    #[tokio::test]
    async fn a_listener_is_enough_for_tcp() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Probe::Tcp(address.clone()).ask(&health()).await.unwrap();
        drop(listener);
        let why = Probe::Tcp(address.clone()).ask(&health()).await;
        assert!(
            why.unwrap_err()
                .starts_with(&format!("{address}: Connection refused"))
        );
    }

    #[tokio::test]
    async fn so_it_is_for_a_path() {
        let place = Directory::new("tcp");
        let path = place.path().join("sock");
        let address = format!("unix:{}", path.display());
        assert!(Probe::Tcp(address.clone()).ask(&health()).await.is_err());
        let _listener = UnixListener::bind(&path).unwrap();
        Probe::Tcp(address).ask(&health()).await.unwrap();
    }

    #[tokio::test]
    async fn a_worker_is_asked_at_its_place() {
        let place = Directory::new("path");
        let path = place.path().join("sock");
        let unix = format!("unix:{}", path.display());
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = tcp.local_addr().unwrap().to_string();
        let listener = UnixListener::bind(&path).unwrap();
        let served = tokio::spawn(async move {
            let (mut by_port, _) = tcp.accept().await.unwrap();
            let (mut by_path, _) = listener.accept().await.unwrap();
            let by_port = http::tests::answer(&mut by_port, "HTTP/1.1 200 OK\r\n\r\n").await;
            let by_path = http::tests::answer(&mut by_path, "HTTP/1.1 500 No\r\n\r\n").await;
            (by_port, by_path)
        });
        let health = Health {
            http: Some("/health?a".to_owned()),
            timeout: Period::secs(30),
            ..Health::default()
        };
        let ask = |address: &str| at_place(&health, address, None).unwrap().ask(&health);
        let (good, bad) = tokio::join!(ask(&port), ask(&unix));
        assert_eq!(good, Ok(()));
        assert_eq!(bad, Err(format!("/health?a at {unix}: it answers 500")));
        let (by_port, by_path) = served.await.unwrap();
        let head = format!("GET /health?a HTTP/1.1\r\nHost: {port}\r\n");
        assert!(by_port.starts_with(&head), "{by_port}");
        let head = "GET /health?a HTTP/1.1\r\nHost: localhost\r\n";
        assert!(by_path.starts_with(head), "{by_path}");
    }

    /// What a worker reads that sends this, if it is asked so.
    async fn heard(health: &Health, sends: ProxyHeader, answer: &str) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let probe = at_place(health, &address, Some(sends)).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            heard
        };
        let (asked, heard) = tokio::join!(probe.ask(health), serve);
        assert_eq!(asked, Ok(()));
        heard
    }

    #[tokio::test]
    async fn a_worker_that_expects_the_proxy_protocol_hears_that_nobody_connects_by_us() {
        let http = Health {
            http: Some("/health".to_owned()),
            timeout: Period::secs(30),
            ..Health::default()
        };
        let tcp = Health {
            http: None,
            tcp: Some("worker".to_owned()),
            ..http.clone()
        };
        let line = b"PROXY UNKNOWN\r\n";
        let binary = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        assert_eq!(heard(&tcp, ProxyHeader::V1, "").await, line);
        assert_eq!(heard(&tcp, ProxyHeader::V2, "").await, binary);
        for (sends, ahead) in [(ProxyHeader::V1, &line[..]), (ProxyHeader::V2, binary)] {
            let heard = heard(&http, sends, "HTTP/1.1 204 Good\r\n\r\n").await;
            let rest = heard.strip_prefix(ahead).expect("the header is first");
            assert!(rest.starts_with(b"GET /health HTTP/1.1\r\n"), "{heard:?}");
        }
    }

    #[tokio::test]
    async fn who_takes_a_connection_and_says_nothing_is_late() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let why = Probe::Http(url.clone()).ask(&health()).await.unwrap_err();
        assert_eq!(why, format!("{url}: no answer within 300ms"));
    }
}
