//! Version 2: a signature, four bytes that say how to read on, the addresses, and more that may be said.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::crc::crc32c;
use super::{Header, HeaderError, MAX_V2, Origin, Pair, Tls};

/// What no other protocol begins with.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, version and command, family and transport, length of the rest.
const HEAD: usize = SIGNATURE.len() + 4;

/// The longest that a name of a protocol, of a host or of a version may be.
const LONGEST_NAME: usize = 255;

/// Reads a header that begins with the signature as far as it goes.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Header, usize)>, HeaderError> {
    let client = match bytes.get(12) {
        None => return Ok(None),
        Some(0x20) => false,
        Some(0x21) => true,
        Some(_) => {
            return Err(HeaderError::Malformed(
                "neither version 2 nor a command of it",
            ));
        }
    };
    let Some(head) = bytes.first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let end = HEAD + usize::from(u16::from_be_bytes([head[14], head[15]]));
    if end > MAX_V2 {
        return Err(HeaderError::TooLong(MAX_V2));
    }
    let Some(header) = bytes.get(..end) else {
        return Ok(None);
    };
    let said = if client {
        self::header(head[13], header)?
    } else {
        // The rest has no meaning then.
        Header::Local
    };
    Ok(Some((said, end)))
}

/// Writes the header.
pub(super) fn encode(header: &Header, to: &mut Vec<u8>) {
    let begin = to.len();
    to.extend_from_slice(SIGNATURE);
    match header {
        Header::Local => to.extend_from_slice(&[0x20, 0, 0, 0]),
        Header::Unknown => to.extend_from_slice(&[0x21, 0, 0, 0]),
        Header::Client(origin) => {
            client(origin, to);
            let length = u16::try_from(to.len() - begin - HEAD).unwrap_or(u16::MAX);
            to[begin + 14..begin + HEAD].copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// A whole header that was sent for somebody.
fn header(family: u8, header: &[u8]) -> Result<Header, HeaderError> {
    const SHORT: HeaderError = HeaderError::Malformed("it is too short for its addresses");
    let body = &header[HEAD..];
    let (client, server, more) = match family {
        0x00 | 0x31 => return Ok(Header::Unknown),
        0x11 => {
            let (bytes, more) = body.split_first_chunk::<12>().ok_or(SHORT)?;
            let [a, b, c, d, e, f, g, h, ports @ ..] = *bytes;
            let client = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
            let server = IpAddr::V4(Ipv4Addr::new(e, f, g, h));
            let (client, server) = with_ports(client, server, ports);
            (client, server, more)
        }
        0x21 => {
            let (client, rest) = body.split_first_chunk::<16>().ok_or(SHORT)?;
            let (server, rest) = rest.split_first_chunk::<16>().ok_or(SHORT)?;
            let (ports, more) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
            let client = IpAddr::V6(Ipv6Addr::from(*client));
            let server = IpAddr::V6(Ipv6Addr::from(*server));
            let (client, server) = with_ports(client, server, *ports);
            (client, server, more)
        }
        0x12 | 0x22 | 0x32 => {
            return Err(HeaderError::Malformed(
                "it speaks of datagrams, on a connection",
            ));
        }
        _ => {
            return Err(HeaderError::Malformed(
                "neither family nor transport is known",
            ));
        }
    };
    let tls = extras(header, header.len() - more.len())?;
    Ok(Header::Client(Origin {
        client,
        server,
        tls,
    }))
}

fn with_ports(client: IpAddr, server: IpAddr, ports: [u8; 4]) -> (SocketAddr, SocketAddr) {
    let [a, b, c, d] = ports;
    (
        SocketAddr::new(client, u16::from_be_bytes([a, b])),
        SocketAddr::new(server, u16::from_be_bytes([c, d])),
    )
}

/// Kinds of what may be said beside the addresses.
mod kind {
    pub(super) const ALPN: u8 = 0x01;
    pub(super) const AUTHORITY: u8 = 0x02;
    pub(super) const CRC32C: u8 = 0x03;
    pub(super) const SSL: u8 = 0x20;
    pub(super) const SSL_VERSION: u8 = 0x21;
}

/// What stands from `begin` to the end of the header.
fn extras(header: &[u8], begin: usize) -> Result<Option<Tls>, HeaderError> {
    let mut alpn = None;
    let mut authority = None;
    let mut crc = None;
    let mut ssl = None;
    let mut at = begin;
    while let Some((kind, value)) = item(&header[at..])? {
        let value_at = at + 3;
        at = value_at + value.len();
        let fresh = match kind {
            kind::ALPN => alpn.replace(name(value)?.to_vec()).is_none(),
            kind::AUTHORITY => authority.replace(text(value)?).is_none(),
            kind::CRC32C => crc.replace((value_at, value)).is_none(),
            kind::SSL => ssl.replace(value).is_none(),
            _ => true,
        };
        if !fresh {
            return Err(HeaderError::Malformed("it says something twice"));
        }
    }
    if let Some((at, value)) = crc {
        check(header, at, value)?;
    }
    let tls = ssl.map(tls).transpose()?.flatten();
    Ok(tls.map(|tls| Tls {
        alpn,
        authority,
        ..tls
    }))
}

/// The next item: its kind and its value. `None` = there is none.
fn item(bytes: &[u8]) -> Result<Option<(u8, &[u8])>, HeaderError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let whole = || {
        let (&[kind, high, low], rest) = bytes.split_first_chunk::<3>()?;
        let value = rest.get(..usize::from(u16::from_be_bytes([high, low])))?;
        Some((kind, value))
    };
    let item = whole().ok_or(HeaderError::Malformed("its last item is cut off"))?;
    Ok(Some(item))
}

/// The checksum is made with zeros in its own place.
fn check(header: &[u8], at: usize, value: &[u8]) -> Result<(), HeaderError> {
    let Ok(value) = <[u8; 4]>::try_from(value) else {
        return Err(HeaderError::Malformed(
            "its checksum does not have four bytes",
        ));
    };
    let bytes = header.iter().enumerate();
    let blank = bytes.map(|(index, byte)| {
        if (at..at + 4).contains(&index) {
            0
        } else {
            *byte
        }
    });
    if crc32c(blank) == u32::from_be_bytes(value) {
        Ok(())
    } else {
        Err(HeaderError::Damaged)
    }
}

/// What the item that speaks of TLS says. `None` = the client did not speak it.
fn tls(value: &[u8]) -> Result<Option<Tls>, HeaderError> {
    const SPOKE_TLS: u8 = 1;
    let Some((&[client, ..], mut rest)) = value.split_first_chunk::<5>() else {
        return Err(HeaderError::Malformed("what it says of TLS is cut off"));
    };
    let mut tls = Tls::default();
    while let Some((kind, value)) = item(rest)? {
        rest = &rest[3 + value.len()..];
        if kind == kind::SSL_VERSION {
            tls.version = Some(text(value)?);
        }
    }
    Ok((client & SPOKE_TLS != 0).then_some(tls))
}

fn text(value: &[u8]) -> Result<String, HeaderError> {
    let text = std::str::from_utf8(name(value)?).ok().map(str::to_owned);
    text.ok_or(HeaderError::Malformed("a name in it is no text"))
}

fn name(value: &[u8]) -> Result<&[u8], HeaderError> {
    if value.len() > LONGEST_NAME {
        return Err(HeaderError::Malformed(
            "a name in it is longer than 255 bytes",
        ));
    }
    Ok(value)
}

/// Everything after the signature; the length is still 0.
fn client(origin: &Origin, to: &mut Vec<u8>) {
    match Pair::of(origin) {
        Pair::V4([client, server]) => {
            to.extend_from_slice(&[0x21, 0x11, 0, 0]);
            to.extend_from_slice(&client.ip().octets());
            to.extend_from_slice(&server.ip().octets());
        }
        Pair::V6([client, server]) => {
            to.extend_from_slice(&[0x21, 0x21, 0, 0]);
            to.extend_from_slice(&client.0.octets());
            to.extend_from_slice(&server.0.octets());
        }
    }
    to.extend_from_slice(&origin.client.port().to_be_bytes());
    to.extend_from_slice(&origin.server.port().to_be_bytes());
    let Some(tls) = &origin.tls else {
        return;
    };
    if let Some(alpn) = &tls.alpn {
        put(kind::ALPN, alpn, to);
    }
    if let Some(authority) = &tls.authority {
        put(kind::AUTHORITY, authority.as_bytes(), to);
    }
    // It spoke TLS; no certificate of its own was verified.
    let mut ssl = vec![1, 0, 0, 0, 1];
    if let Some(version) = &tls.version {
        put(kind::SSL_VERSION, version.as_bytes(), &mut ssl);
    }
    put(kind::SSL, &ssl, to);
}

/// Writes an item. A name that is longer than any may be is left out.
fn put(kind: u8, value: &[u8], to: &mut Vec<u8>) {
    // The item of TLS has a version within.
    const LONGEST: usize = LONGEST_NAME + 8;
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    if usize::from(length) > LONGEST {
        return;
    }
    to.push(kind);
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(value);
}
