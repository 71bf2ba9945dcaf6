//! Headers of the PROXY protocol.

use herder_wire::proxy_protocol::{Header, Origin, Tls, Version};

use super::{Seed, seed};

const TARGET: &str = "proxy_headers";

pub(crate) fn all() -> Vec<Seed> {
    let header = |name, version, header: &Header| {
        let mut bytes = Vec::new();
        header.encode(version, &mut bytes);
        seed(TARGET, name, bytes)
    };
    let tls = Tls {
        version: Some("TLSv1.3".to_owned()),
        alpn: Some(b"http/1.1".to_vec()),
        authority: Some("herder.example".to_owned()),
    };
    let v4 = client("192.0.2.1:56324", "198.51.100.7:443", None);
    let v6 = client("[2001:db8::1]:5", "[::1]:6", None);
    let secured = client("192.0.2.1:56324", "198.51.100.7:443", Some(tls));
    vec![
        header("v1-unknown", Version::V1, &Header::Unknown),
        header("v1-tcp4", Version::V1, &v4),
        header("v1-tcp6", Version::V1, &v6),
        header("v2-local", Version::V2, &Header::Local),
        header("v2-unknown", Version::V2, &Header::Unknown),
        header("v2-tcp4", Version::V2, &v4),
        header("v2-tcp6", Version::V2, &v6),
        header("v2-tls", Version::V2, &secured),
        seed(TARGET, "none", *b"GET / HTTP/1.1\r\n\r\n"),
        seed(
            TARGET,
            "v1-and-more",
            *b"PROXY UNKNOWN x\r\nGET / HTTP/1.1\r\n",
        ),
        seed(
            TARGET,
            "v1-too-long",
            [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 93]].concat(),
        ),
        seed(
            TARGET,
            "v1-bare-line-feed",
            *b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
        ),
        seed(TARGET, "v2-checksum", checksum()),
        seed(TARGET, "v2-datagram", v2(0x12, &[0; 12])),
        seed(TARGET, "v2-unix", v2(0x31, &[b'/'; 216])),
        seed(TARGET, "v2-short", v2(0x21, &[0; 35])),
        seed(
            TARGET,
            "v2-item-cut",
            v2(0x11, &[[0; 12].as_slice(), &[2, 0, 9]].concat()),
        ),
    ]
}

fn client(client: &str, server: &str, tls: Option<Tls>) -> Header {
    Header::Client(Origin {
        client: client.parse().expect("an address"),
        server: server.parse().expect("an address"),
        tls,
    })
}

/// A header for somebody, of this family and with this body.
fn v2(family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a seed is small");
    let [high, low] = length.to_be_bytes();
    [
        b"\r\n\r\n\0\r\nQUIT\n\x21".as_slice(),
        &[family, high, low],
        body,
    ]
    .concat()
}

fn checksum() -> Vec<u8> {
    let body = [192, 0, 2, 1, 198, 51, 100, 7, 1, 2, 3, 4, 3, 0, 4];
    v2(0x11, &[body.as_slice(), &SUM].concat())
}

/// The checksum of that header, with zeros in its place.
const SUM: [u8; 4] = [0x28, 0xC0, 0x5C, 0x0E];
