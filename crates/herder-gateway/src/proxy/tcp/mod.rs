//! The front for everything that is not HTTP: a worker is chosen for each connection, and bytes go both
//! ways until both sides have said their last.

mod direction;
mod pipes;
mod relay;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use herder_core::proxy::{Key, Outcome};
use herder_wire::proxy_protocol::{Header, Origin, Version};

use crate::proxy::backends::{Backends, Failure, Lease};
use crate::proxy::entrance::{self, Client};
use crate::proxy::settings::{ProxySettings, ProxyVersion};
use crate::proxy::{Scheme, Visitor};

pub(crate) use pipes::Tools;
use relay::{Habits, Relay};

/// What all connections of the front share.
pub(crate) struct Front {
    settings: Rc<ProxySettings>,
    backends: Backends,
    habits: Habits,
    tools: Tools,
}

/// One of the two who talk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Side {
    Client,
    Worker,
}

/// How a connection ended.
#[derive(Debug)]
enum Finish {
    /// Both sides said their last.
    Whole,
    /// Nothing came for too long.
    Idle,
    /// One side is gone without having said so.
    Broken { side: Side, error: io::Error },
}

impl Front {
    /// A front for these workers.
    pub(crate) fn new(settings: Rc<ProxySettings>, backends: Backends) -> Front {
        let tcp = &settings.tcp;
        let idle = Duration::from_millis(tcp.idle_timeout_millis.into());
        let habits = Habits {
            idle: (!idle.is_zero()).then_some(idle),
            splice_above: (tcp.splice_above > 0)
                // What is read at a time is no more than the buffer.
                .then(|| {
                    usize::try_from(tcp.splice_above)
                        .map_or(pipes::BUFFER, |above| above.min(pipes::BUFFER))
                }),
        };
        Front {
            settings,
            backends,
            habits,
            tools: Tools::default(),
        }
    }
}

impl entrance::Front for Front {
    fn backends(&self) -> &Backends {
        &self.backends
    }

    async fn converse(self: Rc<Self>, mut client: Client, visitor: Visitor) {
        let Some((lease, worker)) = connect(&visitor, &self).await else {
            // Nobody is there. The client learns it by a reset, which says that nothing was read.
            client.reset();
            return;
        };
        let greeting = greeting(&client, &visitor, self.settings.tcp.proxy_protocol);
        let relay = Relay::new(client, worker, greeting, self.habits, self.tools.clone());
        lease.end(relay.run(self.habits.idle).await.outcome());
    }
}

/// What was read from each side before they were joined, and is for the other.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    pub(crate) to_worker: Vec<u8>,
    pub(crate) to_client: Vec<u8>,
}

/// Joins a client and a worker who speak something of their own from now on, until both have said
/// their last, or nothing came for so long.
pub(crate) async fn join(
    client: Client,
    worker: Client,
    ahead: Ahead,
    idle: Option<Duration>,
    tools: Tools,
) -> Outcome {
    let habits = Habits {
        idle,
        splice_above: Some(pipes::BUFFER),
    };
    let relay = Relay::new(client, worker, ahead.to_worker, habits, tools);
    relay.with_answer(ahead.to_client).run(idle).await.outcome()
}

/// Finds a worker that takes the connection. Nothing of it was sent yet, so that any other can have it
/// when one refuses.
async fn connect(visitor: &Visitor, front: &Front) -> Option<(Lease, Client)> {
    let key = Key {
        client_ip: visitor.client.map(|client| client.ip()),
        ..Key::default()
    };
    let mut refused = Vec::new();
    for attempt in 0..ATTEMPTS {
        let lease = match attempt {
            0 => front.backends.pick_or_wait(&key, &refused).await?,
            _ => front.backends.pick(&key, &refused)?,
        };
        match lease.connect().await {
            Ok(stream) => return Some((lease, Client::Plain(stream))),
            Err(error) => {
                if let Some(failure) = error.failure() {
                    refused.push(lease.worker());
                    lease.end(Outcome::Failed(failure));
                }
            }
        }
    }
    None
}

/// What the worker is to know of its client ahead of everything else.
fn greeting(client: &Client, visitor: &Visitor, version: Option<ProxyVersion>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let version = match version {
        None => return bytes,
        Some(ProxyVersion::V1) => Version::V1,
        Some(ProxyVersion::V2) => Version::V2,
    };
    let header = match (visitor.client, visitor.local) {
        (Some(address), Some(server)) => Header::Client(Origin {
            client: canonical(address),
            server: canonical(server),
            tls: match visitor.scheme {
                Scheme::Http => None,
                Scheme::Https => Some(client.tls().unwrap_or_default()),
            },
        }),
        _ => Header::Unknown,
    };
    header.encode(version, &mut bytes);
    bytes
}

/// A client of a listener for both kinds of addresses that came by IPv4 is told as such.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl Finish {
    /// What it says about the worker.
    fn outcome(&self) -> Outcome {
        match self {
            finish if finish.is_the_workers_fault() => Outcome::Failed(Failure::Broken),
            Finish::Whole => Outcome::Served,
            Finish::Idle | Finish::Broken { .. } => Outcome::Inconclusive,
        }
    }
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::Client => Side::Worker,
            Side::Worker => Side::Client,
        }
    }
}

/// How many workers are asked for one connection.
const ATTEMPTS: usize = 5;
