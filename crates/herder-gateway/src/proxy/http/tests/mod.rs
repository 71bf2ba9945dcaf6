//! The front, between clients and workers that speak by raw sockets.

mod basics;
mod bodies;
mod heads;
#[cfg(feature = "http2")]
mod http2;
mod leaving;
mod limits;
mod llhttp;
mod meaning;
mod retries;
mod rig;
mod slowloris;
mod strict;
mod unflushed;
mod upgrades;
mod workers;

use rig::{Rig, play, read_request, read_to};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::proxy::backends::{Failure, News};

/// A request for anything.
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// An answer that says next to nothing.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
