//! Whether an app works: [`Rounds`] decide, [`Probe`] asks.

mod checks;
mod each;
mod exec;
mod http;
mod rounds;
mod seat;

use std::time::Duration;

use herder_api::app::Health;
use herder_core::spec::ListenAddress;
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
        address: String,
        path: String,
    },
    Tcp(String),
    Exec(Box<Program>),
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
            Probe::Path { address, path } => {
                let answer = timeout(limit, http::get_at(&address, &path)).await;
                let answer = answer.unwrap_or_else(|_| Err(late()));
                answer.map_err(|why| format!("{path} at {address}: {why}"))
            }
            Probe::Tcp(address) => {
                let answer = timeout(limit, connect(&address)).await;
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

/// How a worker is asked that listens at this place of its own.
pub(super) fn at_place(health: &Health, address: &str) -> Option<Probe> {
    let address = address.to_owned();
    match (&health.http, &health.tcp) {
        (Some(path), _) => Some(Probe::Path {
            address,
            path: path.clone(),
        }),
        (None, Some(_)) => Some(Probe::Tcp(address)),
        (None, None) => None,
    }
}

async fn connect(address: &str) -> Result<(), String> {
    let connected = match address.parse() {
        Ok(ListenAddress::Tcp { host, port }) => {
            let host = host.unwrap_or_else(|| "localhost".to_owned());
            TcpStream::connect((host, port)).await.map(drop)
        }
        Ok(ListenAddress::Unix(path)) => UnixStream::connect(path).await.map(drop),
        Err(error) => return Err(error.to_string()),
    };
    connected.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use herder_api::units::Period;
    use tokio::net::{TcpListener, UnixListener};

    use super::*;
    use crate::triggers::tests::Place;

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
        let place = Place::new("tcp");
        let path = place.path().join("sock");
        let address = format!("unix:{}", path.display());
        assert!(Probe::Tcp(address.clone()).ask(&health()).await.is_err());
        let _listener = UnixListener::bind(&path).unwrap();
        Probe::Tcp(address).ask(&health()).await.unwrap();
    }

    #[tokio::test]
    async fn a_worker_is_asked_at_its_place() {
        let place = Place::new("path");
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
        let ask = |address: &str| at_place(&health, address).unwrap().ask(&health);
        let (good, bad) = tokio::join!(ask(&port), ask(&unix));
        assert_eq!(good, Ok(()));
        assert_eq!(bad, Err(format!("/health?a at {unix}: it answers 500")));
        let (by_port, by_path) = served.await.unwrap();
        let head = format!("GET /health?a HTTP/1.1\r\nHost: {port}\r\n");
        assert!(by_port.starts_with(&head), "{by_port}");
        let head = "GET /health?a HTTP/1.1\r\nHost: localhost\r\n";
        assert!(by_path.starts_with(head), "{by_path}");
    }

    #[tokio::test]
    async fn who_takes_a_connection_and_says_nothing_is_late() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let why = Probe::Http(url.clone()).ask(&health()).await.unwrap_err();
        assert_eq!(why, format!("{url}: no answer within 300ms"));
    }
}
