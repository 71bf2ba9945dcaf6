//! What a worker says.

use std::borrow::Cow;

use super::decoder::LineError;
use super::json::{members, text};
use super::query::Query;
use super::user::{UserValue, is_internal};

/// From a worker to the master: one line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FromNode {
    /// The worker has the descriptor of the oldest envelope that was not answered, and all that
    /// was written before. It says nothing of what it will do with it.
    Acknowledged,
    /// The worker no longer listens on this listener. No answer.
    Close {
        /// The key that the master gave.
        key: String,
    },
    /// The program ends this worker on purpose: nothing is to take its place. The worker waits for
    /// [`ToNode::AckExited`](super::ToNode::AckExited) for ever.
    ExitedAfterDisconnect {
        /// Number of this message, to be named in the answer.
        seq: u64,
    },
    /// A message with a descriptor, which came in the bytes up to the end of this line. It must be
    /// answered with [`ToNode::Acknowledged`](super::ToNode::Acknowledged), or with
    /// [`ToNode::NotReceived`](super::ToNode::NotReceived) if there was none: the worker holds
    /// back everything else until then.
    Handle {
        /// What the descriptor is to be.
        kind: HandleKind,
        /// The message. It is never a `Handle` itself.
        inner: Box<FromNode>,
    },
    /// A message of Node's that a master has no use for.
    Internal,
    /// A program listens, here on its real port. No answer.
    Listening {
        /// The query that led to it.
        query: Query,
    },
    /// The oldest envelope that was not answered came without its descriptor, which is lost.
    NotReceived,
    /// The first message. No answer.
    Online,
    /// A program wants to listen. To be answered with [`ToNode::Reply`](super::ToNode::Reply),
    /// unless the worker is leaving.
    Query {
        /// Number of this message, to be named in the answer.
        seq: u64,
        /// What it wants.
        query: Query,
    },
    /// How many of the connections that this worker's listener gave to the master are open? To be
    /// answered with [`ToNode::SocketCount`](super::ToNode::SocketCount).
    SocketCountAsked {
        /// The worker's name for its listener.
        key: String,
    },
    /// The worker closes a listener, and will not be done before it hears that the connections
    /// which it gave to the master are closed. To be answered with
    /// [`ToNode::SocketsClosed`](super::ToNode::SocketsClosed).
    SocketsClosedAsked {
        /// The worker's name for its listener.
        key: String,
    },
    /// A message of the program.
    User(UserValue),
    /// What the worker does with a connection that it was given.
    Verdict {
        /// Number of the [`ToNode::NewConnection`](super::ToNode::NewConnection).
        ack: u64,
        /// What it does.
        accepted: Accepted,
    },
}

/// A worker's verdict on a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accepted {
    /// It closed its copy unread: the listener is closed, or it has as many as it wants.
    No,
    /// It may have read from it already.
    Yes,
}

/// What the descriptor of a worker's envelope is to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandleKind {
    /// A bound TCP socket (Node 26).
    BoundSocket,
    /// A UDP socket.
    Datagram,
    /// A UDP socket as a bare handle.
    NativeDatagram,
    /// A socket or a listener as a bare handle.
    NativeStream,
    /// A kind that is not known here. Its descriptor is to be closed, and acknowledged.
    Other,
    /// A listener.
    Server,
    /// A connection.
    Socket,
}

/// The types of envelopes.
const KINDS: [(&str, HandleKind); 6] = [
    ("dgram.Native", HandleKind::NativeDatagram),
    ("dgram.Socket", HandleKind::Datagram),
    ("net.BoundSocket", HandleKind::BoundSocket),
    ("net.Native", HandleKind::NativeStream),
    ("net.Server", HandleKind::Server),
    ("net.Socket", HandleKind::Socket),
];

impl HandleKind {
    /// The type as an envelope names it.
    pub(super) fn name(self) -> &'static str {
        let found = KINDS.iter().find(|(_, kind)| *kind == self);
        found.map_or("", |(name, _)| name)
    }

    fn read(json: &str) -> Self {
        let said = text(json);
        let found = KINDS.iter().find(|(name, _)| said.as_deref() == Some(name));
        found.map_or(HandleKind::Other, |(_, kind)| *kind)
    }
}

/// Whether an envelope may be here.
#[derive(Clone, Copy, Debug)]
enum Place {
    InEnvelope,
    Line,
}

/// Reads one line without its end and without Bun's mark.
pub(super) fn read(json: &str) -> Result<FromNode, LineError> {
    read_at(json, Place::Line)
}

fn read_at(json: &str, place: Place) -> Result<FromNode, LineError> {
    let [cmd] = members(json, ["cmd"])?;
    if !is_internal(cmd) {
        return Ok(FromNode::User(UserValue::checked(json)));
    }
    let cmd = cmd.and_then(text);
    match (cmd.as_deref().unwrap_or_default(), place) {
        ("NODE_CLUSTER", _) => read_cluster(json),
        ("NODE_HANDLE", Place::Line) => read_envelope(json),
        ("NODE_HANDLE_ACK", _) => Ok(FromNode::Acknowledged),
        ("NODE_HANDLE_NACK", _) => Ok(FromNode::NotReceived),
        ("NODE_SOCKET_GET_COUNT", _) => Ok(FromNode::SocketCountAsked { key: key(json)? }),
        ("NODE_SOCKET_NOTIFY_CLOSE", _) => Ok(FromNode::SocketsClosedAsked { key: key(json)? }),
        _ => Ok(FromNode::Internal),
    }
}

/// An envelope without a message is one with `undefined`, which nobody sees.
fn read_envelope(json: &str) -> Result<FromNode, LineError> {
    let [kind, message] = members(json, ["type", "msg"])?;
    let inner = match message {
        Some(message) => read_at(message, Place::InEnvelope)?,
        None => FromNode::Internal,
    };
    Ok(FromNode::Handle {
        kind: kind.map_or(HandleKind::Other, HandleKind::read),
        inner: Box::new(inner),
    })
}

fn read_cluster(json: &str) -> Result<FromNode, LineError> {
    let [act, ack, accepted, seq] = members(json, ["act", "ack", "accepted", "seq"])?;
    if let Some(ack) = ack {
        return Ok(FromNode::Verdict {
            ack: number(Some(ack), "ack")?,
            accepted: match accepted {
                Some("true") => Accepted::Yes,
                Some("false") => Accepted::No,
                Some(_) | None => return Err(LineError::BadField { name: "accepted" }),
            },
        });
    }
    let query = || Query::read(json).map_err(|name| LineError::BadField { name });
    let act = act.and_then(text);
    Ok(match act.as_deref().unwrap_or_default() {
        "close" => FromNode::Close { key: key(json)? },
        "exitedAfterDisconnect" => FromNode::ExitedAfterDisconnect {
            seq: number(seq, "seq")?,
        },
        "listening" => FromNode::Listening { query: query()? },
        "online" => FromNode::Online,
        "queryServer" => FromNode::Query {
            seq: number(seq, "seq")?,
            query: query()?,
        },
        _ => FromNode::Internal,
    })
}

fn key(json: &str) -> Result<String, LineError> {
    let [key] = members(json, ["key"])?;
    let key = key.and_then(text);
    key.map(Cow::into_owned)
        .ok_or(LineError::BadField { name: "key" })
}

fn number(field: Option<&str>, name: &'static str) -> Result<u64, LineError> {
    field
        .and_then(|json| json.parse().ok())
        .ok_or(LineError::BadField { name })
}
