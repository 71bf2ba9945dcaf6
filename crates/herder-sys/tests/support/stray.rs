//! Packets that belong to nobody.

use std::net::SocketAddr;

use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};

/// Sends a packet that belongs to no connection: an acknowledgement, as the last of one that was forgotten. It takes
/// `CAP_NET_RAW`.
pub(crate) fn stray_packet(to: SocketAddr) {
    let SocketAddr::V4(to) = to else {
        panic!("{to} is of another family");
    };
    let mut header = [0; 20];
    header[0..2].copy_from_slice(&9u16.to_be_bytes());
    header[2..4].copy_from_slice(&to.port().to_be_bytes());
    header[12] = 5 << 4;
    header[13] = 0x10;
    // The sum covers both addresses, the protocol, and the length, too (RFC 9293, 3.1).
    let pseudo = [to.ip().octets(), to.ip().octets(), [0, 6, 0, 20]].concat();
    let words = pseudo.chunks(2).chain(header.chunks(2));
    let sum: u32 = words
        .map(|it| u32::from(u16::from_be_bytes([it[0], it[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap();
    header[16..18].copy_from_slice(&(!folded).to_be_bytes());
    let (family, kind) = (AddressFamily::INET, SocketType::RAW);
    let socket = socket(family, kind, Some(ipproto::TCP)).unwrap();
    sendto(&socket, &header, SendFlags::empty(), &SocketAddr::V4(to)).unwrap();
}
