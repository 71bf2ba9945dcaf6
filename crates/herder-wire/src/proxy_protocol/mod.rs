//! HAProxy's PROXY protocol, versions 1 and 2: what a proxy says ahead of a connection of the client
//! for whom it connects.
//!
//! The header comes before everything else, TLS too. Whoever believes it must know by the address of
//! the sender that it is a proxy: anybody can write one.

mod crc;
mod v1;
mod v2;

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

/// The longest header of version 1, in bytes.
pub const MAX_V1: usize = 107;

/// The longest header of version 2 that is taken, in bytes. The addresses take at most 216 of them.
pub const MAX_V2: usize = 4096;

/// What a header says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Header {
    /// The sender connects for itself, for instance to see whether somebody answers.
    Local,
    /// It connects for somebody whose address it does not know or cannot say.
    Unknown,
    /// It connects for a client.
    Client(Origin),
}

/// Whose connection it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    /// Where the client connected from.
    pub client: SocketAddr,
    /// Where it connected to.
    pub server: SocketAddr,
    /// What was agreed by TLS, if the client spoke it with the sender. Version 1 cannot say it.
    pub tls: Option<Tls>,
}

/// What a client and the proxy before us agreed on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tls {
    /// The version, as in `TLSv1.3`.
    pub version: Option<String>,
    /// The protocol within, as in `h2`.
    pub alpn: Option<Vec<u8>>,
    /// The name that the client asked for.
    pub authority: Option<String>,
}

/// How a header is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// Why a connection does not begin with a header. It has to be closed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum HeaderError {
    /// It begins with something else.
    #[error("it does not begin with a PROXY protocol header")]
    None,
    /// The header claims to be longer than any may be, or its line does not end.
    #[error("its PROXY protocol header is longer than {0} bytes")]
    TooLong(usize),
    /// The header contradicts the specification.
    #[error("its PROXY protocol header is wrong: {0}")]
    Malformed(&'static str),
    /// The header does not have the checksum that it names.
    #[error("its PROXY protocol header is damaged: the checksum is another")]
    Damaged,
}

impl Header {
    /// Reads the header at the beginning of `bytes`: what it says, and how many bytes it takes. `None`
    /// means that more bytes are needed, and that all of these belong to the header.
    ///
    /// # Errors
    ///
    /// As soon as no bytes to come could make a header of it.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Header, usize)>, HeaderError> {
        if begins(bytes, v2::SIGNATURE) {
            return v2::decode(bytes);
        }
        if begins(bytes, v1::SIGNATURE) {
            return v1::decode(bytes);
        }
        Err(HeaderError::None)
    }

    /// Writes the header. What the version cannot say is left out.
    pub fn encode(&self, version: Version, to: &mut Vec<u8>) {
        match version {
            Version::V1 => v1::encode(self, to),
            Version::V2 => v2::encode(self, to),
        }
    }
}

/// Two addresses of one kind, for a header has room for one kind only.
enum Pair {
    V4([std::net::SocketAddrV4; 2]),
    V6([(std::net::Ipv6Addr, u16); 2]),
}

impl Pair {
    fn of(origin: &Origin) -> Pair {
        if let (SocketAddr::V4(client), SocketAddr::V4(server)) = (origin.client, origin.server) {
            return Pair::V4([client, server]);
        }
        Pair::V6(
            [origin.client, origin.server].map(|address| match address.ip() {
                IpAddr::V4(ip) => (ip.to_ipv6_mapped(), address.port()),
                IpAddr::V6(ip) => (ip, address.port()),
            }),
        )
    }
}

/// Whether `bytes` begin with the signature, as far as they go.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    let common = bytes.len().min(signature.len());
    bytes[..common] == signature[..common]
}

#[cfg(test)]
mod tests;
