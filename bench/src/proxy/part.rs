//! What the clients do.

use super::worker::LARGE;
use crate::answer;
use herder_e2e::client::Load;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;

/// Requests a second where the proxy has little to do.
const LIGHT_RATE: u32 = 1000;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// HTTP: 64 clients that keep their connections, each asking for little as fast as it is answered.
    HttpSmall,
    /// HTTP: 64 clients, each asking for little by a connection of its own each time.
    HttpConnections,
    /// HTTP: 16 clients that keep their connections and ask for 64 KiB each time.
    HttpLarge,
    /// HTTP: 1000 requests a second on a schedule, on at most 16 kept connections.
    HttpLight,
    /// TCP: as `HttpSmall`, and nobody knows that it is HTTP.
    TcpSmall,
    /// TCP: 16 clients that keep their connections and ask for 64 KiB each time.
    TcpLarge,
}

/// What a proxy knows of what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Requests.
    Http,
    /// Bytes.
    Tcp,
}

impl Part {
    /// All of them, in the order in which they are measured.
    pub const ALL: [Part; 6] = [
        Part::HttpSmall,
        Part::HttpConnections,
        Part::HttpLarge,
        Part::HttpLight,
        Part::TcpSmall,
        Part::TcpLarge,
    ];

    /// What is measured, in words.
    pub fn name(self) -> &'static str {
        match self {
            Part::HttpSmall => "HTTP, small answers, 64 kept connections",
            Part::HttpConnections => {
                "HTTP, small answers, 64 clients, a connection for each request"
            }
            Part::HttpLarge => "HTTP, answers of 64 KiB, 16 kept connections",
            Part::HttpLight => "HTTP, small answers, 1000 requests a second",
            Part::TcpSmall => "TCP, small answers, 64 kept connections",
            Part::TcpLarge => "TCP, answers of 64 KiB, 16 kept connections",
        }
    }

    /// What the proxy is to know.
    pub fn kind(self) -> Kind {
        match self {
            Part::HttpConnections | Part::HttpLarge | Part::HttpLight | Part::HttpSmall => {
                Kind::Http
            }
            Part::TcpLarge | Part::TcpSmall => Kind::Tcp,
        }
    }

    /// The load on `address`.
    pub(super) fn load(self, address: SocketAddr, time: Duration) -> Load {
        let path = match self {
            Part::HttpLarge | Part::TcpLarge => LARGE,
            Part::HttpConnections | Part::HttpLight | Part::HttpSmall | Part::TcpSmall => "/",
        };
        let load = Load::http(address, path).lasting(time);
        let load = load.worker_from(answer::worker);
        match self {
            Part::HttpSmall | Part::TcpSmall => load.keep_alive().clients(64),
            Part::HttpConnections => load.clients(64),
            // More would be more threads of a worker than there are connections from a proxy to it.
            Part::HttpLight => load.keep_alive().at_rate(LIGHT_RATE).clients(16),
            Part::HttpLarge | Part::TcpLarge => load.keep_alive().clients(16),
        }
    }
}
