//! Whether an app works: [`Checks`] decide, [`Probe`] asks.

mod checks;
mod exec;
mod http;
mod seat;

use std::time::Duration;

use herder_api::app::Health;
use herder_core::spec::ListenAddress;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

pub(super) use checks::{Act, Checks, Herd, Serving};
pub(super) use exec::Program;
pub(crate) use seat::sit;

/// How an app is asked.
#[derive(Debug)]
pub(super) enum Probe {
    Http(String),
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
    async fn who_takes_a_connection_and_says_nothing_is_late() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let why = Probe::Http(url.clone()).ask(&health()).await.unwrap_err();
        assert_eq!(why, format!("{url}: no answer within 300ms"));
    }
}
