//! Version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443`, and the end of the line.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::{Header, HeaderError, MAX_V1, Origin, Pair};

/// What the line begins with.
pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// Reads a line that begins with the signature as far as it goes.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Header, usize)>, HeaderError> {
    let most = &bytes[..bytes.len().min(MAX_V1)];
    let Some(end) = most.iter().position(|byte| *byte == b'\n') else {
        if bytes.len() >= MAX_V1 {
            return Err(HeaderError::TooLong(MAX_V1));
        }
        return Ok(None);
    };
    let line = most[..end]
        .strip_suffix(b"\r")
        .and_then(|line| line.strip_prefix(SIGNATURE))
        .and_then(|line| std::str::from_utf8(line).ok())
        .ok_or(HeaderError::Malformed(
            "the line must be text that ends with CR LF",
        ))?;
    Ok(Some((header(line)?, end + 1)))
}

/// Writes the line.
pub(super) fn encode(header: &Header, to: &mut Vec<u8>) {
    let written = match header {
        Header::Local | Header::Unknown => write!(to, "PROXY UNKNOWN\r\n"),
        Header::Client(origin) => match Pair::of(origin) {
            Pair::V4([client, server]) => write!(
                to,
                "PROXY TCP4 {} {} {} {}\r\n",
                client.ip(),
                server.ip(),
                client.port(),
                server.port()
            ),
            Pair::V6([client, server]) => write!(
                to,
                "PROXY TCP6 {} {} {} {}\r\n",
                client.0, server.0, client.1, server.1
            ),
        },
    };
    written.expect("a vector takes everything");
}

/// What stands after `PROXY `.
fn header(line: &str) -> Result<Header, HeaderError> {
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Ok(Header::Unknown);
    }
    let words: Vec<&str> = line.splitn(6, ' ').collect();
    let [kind, client, server, client_port, server_port] = words[..] else {
        return Err(HeaderError::Malformed(
            "it must have two addresses and two ports, with one blank between",
        ));
    };
    let kind = match kind {
        "TCP4" => Kind::V4,
        "TCP6" => Kind::V6,
        _ => return Err(HeaderError::Malformed("it must say TCP4, TCP6 or UNKNOWN")),
    };
    Ok(Header::Client(Origin {
        client: SocketAddr::new(kind.address(client)?, port(client_port)?),
        server: SocketAddr::new(kind.address(server)?, port(server_port)?),
        tls: None,
    }))
}

enum Kind {
    V4,
    V6,
}

impl Kind {
    fn address(&self, word: &str) -> Result<IpAddr, HeaderError> {
        let address = match self {
            Kind::V4 => FromStr::from_str(word).map(IpAddr::V4),
            Kind::V6 => FromStr::from_str(word).map(IpAddr::V6),
        };
        address.map_err(|_| HeaderError::Malformed("an address is none of the kind it says"))
    }
}

/// A number has one form only, so that everybody who reads it reads the same.
fn port(word: &str) -> Result<u16, HeaderError> {
    let canonical = word == "0" || (!word.starts_with('0') && !word.starts_with('+'));
    let number = word.parse().ok().filter(|_| canonical);
    number.ok_or(HeaderError::Malformed(
        "a port must be a number up to 65535",
    ))
}
