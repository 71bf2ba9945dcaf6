//! Reading the PROXY protocol from a connection that has just come.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use herder_sys::pipe;
use herder_sys::socket::{Wait, peek};
use herder_wire::proxy_protocol::{Header, HeaderError};
use thiserror::Error;
use tokio::io::Interest;
use tokio::time::timeout;

use crate::edge::stream::Stream;

/// Why there is no header. The connection has to be closed.
#[derive(Debug, Error)]
pub(crate) enum NoHeader {
    /// What came is none.
    #[error(transparent)]
    Wrong(#[from] HeaderError),
    /// It did not come, or not as a whole, in time.
    #[error("no PROXY protocol header came within {} seconds", PATIENCE.as_secs())]
    Late,
    /// The peer has gone before.
    #[error("it ended before its PROXY protocol header: {0}")]
    Gone(#[from] io::Error),
}

/// Reads the header that comes ahead of everything else, and nothing beyond it: what follows is still to
/// be read, by whoever the connection is for.
pub(crate) async fn read(stream: &Stream) -> Result<Header, NoHeader> {
    let late = |_| Err(NoHeader::Late);
    timeout(PATIENCE, read_whole(stream))
        .await
        .unwrap_or_else(late)
}

/// Waits for the first byte, and leaves it where it is.
#[cfg(feature = "tls")]
pub(crate) async fn first_byte(stream: &Stream) -> io::Result<u8> {
    let mut seen = Vec::new();
    look(stream, &mut seen).await?;
    Ok(seen[0])
}

async fn read_whole(stream: &Stream) -> Result<Header, NoHeader> {
    let mut bytes = Vec::new();
    loop {
        let before = bytes.len();
        look(stream, &mut bytes).await?;
        // Without a whole header all that is there belongs to it; with one, what is behind it does not.
        let (header, length) = match Header::decode(&bytes)? {
            None => (None, bytes.len()),
            Some((header, length)) => (Some(header), length),
        };
        take(stream, &mut bytes[before..length])?;
        bytes.truncate(length);
        if let Some(header) = header {
            return Ok(header);
        }
    }
}

/// Waits for bytes, and adds them to `bytes` without taking them from the socket.
async fn look(stream: &Stream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; PIECE];
    loop {
        std::future::poll_fn(|context| stream.poll_read_ready(context)).await?;
        let see = |socket: BorrowedFd<'_>| peek(socket, &mut piece, Wait::DontWait);
        match stream.try_io(Interest::READABLE, see) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                bytes.extend_from_slice(&piece[..count]);
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Takes what was seen.
fn take(stream: &Stream, seen: &mut [u8]) -> io::Result<()> {
    let wanted = seen.len();
    let receive = |socket: BorrowedFd<'_>| pipe::read(socket, seen);
    let count = stream.try_io(Interest::READABLE, receive)?;
    if count < wanted {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// How long a header may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much is looked at at a time. Headers are shorter as a rule.
const PIECE: usize = 536;

#[cfg(test)]
mod tests;
