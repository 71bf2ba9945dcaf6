//! Connections that travel from one image of the master to the next: they wait in sockets that outlive
//! the execution. All other descriptors lie with the keeper, which never gets a client's connection.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use herder_sys::socket;
use herder_wire::keeper::{FromKeeper, Key};

use crate::dispatch::Left;
use crate::estate::{Heard, hear};

/// How many travel in one socket: well below what a buffer of the usual size holds.
const LOAD: usize = 128;

/// Packs what the master holds. The results are the ends to unpack.
///
/// # Errors
/// When a socket cannot be made or filled. What was packed is still the caller's, too.
pub(crate) fn pack(hand: &[Left]) -> io::Result<Vec<OwnedFd>> {
    hand.chunks(LOAD).map(pack_one).collect()
}

fn pack_one(hand: &[Left]) -> io::Result<OwnedFd> {
    let (end, filled) = socket::seqpacket_pair()?;
    for left in hand {
        let key = Key::hand(left.conn, left.listener);
        let mut bytes = Vec::new();
        let frame = FromKeeper::Stored { key, pid: 0 };
        frame.encode(&mut bytes).map_err(io::Error::other)?;
        socket::send(filled.as_fd(), &bytes, &[left.socket.as_fd()])?;
    }
    Ok(end)
}

/// Unpacks what the image before has packed.
///
/// # Errors
/// When it is not what [`pack`] makes.
pub(crate) fn unpack(ends: Vec<OwnedFd>) -> io::Result<Vec<Left>> {
    let mut hand = Vec::new();
    for end in ends {
        while let Heard::Said(frame, fd) = hear(&end)? {
            let (Some(FromKeeper::Stored { key, .. }), Some(socket)) = (frame, fd) else {
                return Err(io::Error::other("a parcel without a connection"));
            };
            let (conn, listener) = key
                .as_hand()
                .ok_or_else(|| io::Error::other(format!("a parcel of {key}")))?;
            hand.push(Left {
                socket,
                conn,
                listener,
            });
        }
    }
    Ok(hand)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn r31_what_the_master_holds_arrives_in_order_and_alive() {
        let mut clients = Vec::new();
        let mut hand = Vec::new();
        for conn in 0..300 {
            let (client, server) = UnixStream::pair().expect("a pair");
            clients.push(client);
            hand.push(Left {
                socket: server.into(),
                conn,
                listener: conn % 3,
            });
        }
        let ends = pack(&hand).expect("packed");
        drop(hand);
        let unpacked = unpack(ends).expect("unpacked");
        assert_eq!(unpacked.len(), 300);
        for (left, (mut client, number)) in unpacked.into_iter().zip(clients.into_iter().zip(0..)) {
            assert_eq!((left.conn, left.listener), (number, number % 3));
            UnixStream::from(left.socket).write_all(b"x").expect("open");
            let mut heard = String::new();
            client.read_to_string(&mut heard).expect("then closed");
            assert_eq!(heard, "x");
        }
    }
}
