//! Who may call.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use herder_wire::rpc::handshake::MAX_HANDSHAKE;
use herder_wire::rpc::{
    CallError, Decoder, ErrorKind, Executed, Frame, FrameError, Hello, Limits, MAX_FRAME, Part,
    VERSION, Welcome,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::connection::{MAX_CALL_BYTES, MAX_CALLS};
use super::host::Host;
use crate::Caller;

/// In what time a caller says who it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a quiet connection is asked whether it lives, in milliseconds.
const HEARTBEAT_MS: u32 = 5000;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the caller closed the connection")]
    Closed,
    #[error("the caller is refused: {0}")]
    Refused(CallError),
    #[error("the caller sent what it must not")]
    Garbage,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Lets a caller in, or tells it why not.
pub(super) async fn greet(
    socket: &mut UnixStream,
    decoder: &mut Decoder,
    host: &Host,
) -> Result<Arc<Caller>, Ended> {
    // A caller of another user learns nothing, not even why.
    check_user(socket)?;
    let hello = tokio::time::timeout(PATIENCE, hear(socket, decoder));
    let hello = hello
        .await
        .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
    if let Err(error) = check(&hello, host) {
        say(socket, &Frame::Refused(error.to_json())).await?;
        return Err(Ended::Refused(error));
    }
    let welcome = Welcome {
        version: VERSION,
        library: host.identity.name.clone(),
        epoch: host.identity.epoch,
        hash: host.hash.clone(),
        codecs: vec!["json".to_owned(), "postcard".to_owned()],
        limits: limits(),
        heartbeat_ms: HEARTBEAT_MS,
    };
    say(socket, &Frame::Welcome(welcome.to_json())).await?;
    let Hello {
        part,
        slot,
        worker,
        pid,
        ..
    } = hello;
    Ok(Arc::new(Caller {
        part,
        slot,
        worker,
        pid,
    }))
}

async fn hear(socket: &mut UnixStream, decoder: &mut Decoder) -> Result<Hello, Ended> {
    decoder.set_limit(MAX_HANDSHAKE);
    loop {
        if let Some(frame) = decoder.next()? {
            decoder.set_limit(MAX_FRAME);
            let Frame::Hello(body) = frame else {
                return Err(Ended::Garbage);
            };
            return Hello::from_json(&body).map_err(|_unreadable| Ended::Garbage);
        }
        if socket.read_buf(decoder.space()).await? == 0 {
            return Err(Ended::Closed);
        }
    }
}

async fn say(socket: &mut UnixStream, frame: &Frame) -> Result<(), Ended> {
    let mut out = bytes::BytesMut::new();
    frame.encode(MAX_FRAME, &mut out)?;
    let written = tokio::time::timeout(PATIENCE, socket.write_all(&out));
    Ok(written
        .await
        .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??)
}

fn check_user(socket: &UnixStream) -> Result<(), Ended> {
    let theirs = socket.peer_cred()?.uid();
    if theirs == 0 || theirs == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let message = format!("user {theirs} may not call");
    Err(Ended::Refused(CallError::new(
        ErrorKind::Refused,
        Executed::No,
        message,
    )))
}

fn check(hello: &Hello, host: &Host) -> Result<(), CallError> {
    let refuse = |message: &str| Err(CallError::new(ErrorKind::Refused, Executed::No, message));
    if hello.common_version().is_none() {
        return refuse("caller and library speak no common version of the protocol");
    }
    let is_tool = hello.part == Part::Tool && hello.herd.is_empty();
    if !is_tool && hello.herd != host.identity.herd {
        return refuse("the caller belongs to another herd");
    }
    Ok(())
}

fn limits() -> Limits {
    Limits {
        calls: u32::try_from(MAX_CALLS).expect("a small constant"),
        bytes: MAX_CALL_BYTES as u64,
        ..Limits::default()
    }
}
