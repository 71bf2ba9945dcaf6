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
    /// HTTP: 1000 requests a second on a schedule, on kept connections.
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
    pub const ALL: [Part; 4] = [
        Part::HttpSmall,
        Part::HttpLight,
        Part::TcpSmall,
        Part::TcpLarge,
    ];

    /// What is measured, in words.
    pub fn name(self) -> &'static str {
        match self {
            Part::HttpSmall => "HTTP, small answers, 64 kept connections",
            Part::HttpLight => "HTTP, 1000 requests a second",
            Part::TcpSmall => "TCP, small answers, 64 kept connections",
            Part::TcpLarge => "TCP, answers of 64 KiB, 16 kept connections",
        }
    }

    /// What the proxy is to know.
    pub fn kind(self) -> Kind {
        match self {
            Part::HttpLight | Part::HttpSmall => Kind::Http,
            Part::TcpLarge | Part::TcpSmall => Kind::Tcp,
        }
    }

    /// The load on `address`.
    pub(super) fn load(self, address: SocketAddr, time: Duration) -> Load {
        let path = match self {
            Part::TcpLarge => LARGE,
            Part::HttpLight | Part::HttpSmall | Part::TcpSmall => "/",
        };
        let load = Load::http(address, path).keep_alive().lasting(time);
        let load = load.worker_from(answer::worker);
        match self {
            Part::HttpSmall | Part::TcpSmall => load.clients(64),
            Part::HttpLight => load.at_rate(LIGHT_RATE),
            Part::TcpLarge => load.clients(16),
        }
    }
}
