//! What the master says.

use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZero;

use serde::{Deserialize, Serialize};

use super::json::{Json, write_text};
use super::user::UserValue;
use super::{BUN_MARK, Framing};

/// From the master to a worker: one line.
///
/// Every number `seq` is the master's own, counted over all workers or for each; an answer names
/// the worker's in `ack`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ToNode<'a> {
    /// The answer to [`FromNode::ExitedAfterDisconnect`](super::FromNode::ExitedAfterDisconnect).
    AckExited {
        /// Number of what is answered.
        ack: u64,
        /// Number of this message.
        seq: u64,
    },
    /// The descriptor of the worker's oldest envelope has arrived. Never say it unasked: the
    /// worker dies of it.
    Acknowledged,
    /// Finish what there is, then leave: listeners are closed, and the channel when the last
    /// connection is.
    Disconnect {
        /// Number of this message.
        seq: u64,
    },
    /// A connection, with its descriptor. Not before the reply that gave the key.
    NewConnection {
        /// Key of the listener that it came to.
        key: &'a str,
        /// Number of this message, which the verdict names.
        seq: u64,
    },
    /// The worker's oldest envelope came without a descriptor.
    NotReceived,
    /// The answer to [`FromNode::Query`](super::FromNode::Query).
    Reply(Reply<'a>),
    /// The answer to [`FromNode::SocketCountAsked`](super::FromNode::SocketCountAsked).
    SocketCount {
        /// The worker's name for its listener.
        key: &'a str,
        /// How many of its connections are open here.
        count: u32,
    },
    /// The answer to [`FromNode::SocketsClosedAsked`](super::FromNode::SocketsClosedAsked): none
    /// of them is open here. The worker waits for it as long as it has a channel.
    SocketsClosed {
        /// The worker's name for its listener.
        key: &'a str,
    },
    /// A message for the program.
    User(&'a UserValue),
    /// A message for the program, with a descriptor.
    UserWithHandle {
        /// What the descriptor is to the program.
        handle: UserHandle,
        /// The message.
        value: &'a UserValue,
    },
}

/// The answer to a query.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reply<'a> {
    /// Number of the query.
    pub ack: u64,
    /// Number of this message.
    pub seq: u64,
    /// A name for the listener, chosen by the master. No two listeners that a worker holds at once
    /// may have the same: the worker dies of it.
    pub key: &'a str,
    /// What the first worker of this listener sent in its query.
    pub data: Option<&'a Json>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a query.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The master listens and will pass connections on.
    Listening {
        /// Where, for TCP; the worker takes a port other than it asked for as an error. `None` for
        /// Unix sockets.
        address: Option<SocketAddr>,
    },
    /// There is no such listener, for this reason as of `errno(3)`, of either sign.
    Refused {
        /// The error number.
        errno: NonZero<i32>,
    },
    /// The worker listens itself, on the bound socket that travels with this message.
    Shared(SharedKind),
}

/// What kind of socket a worker gets to share.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum SharedKind {
    /// UDP.
    Datagram,
    /// TCP or a Unix socket.
    Stream,
}

/// What a descriptor is to the program that gets it as the second argument of `message`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UserHandle {
    /// A UDP socket of IPv4: `dgram.Socket`.
    Datagram4,
    /// A UDP socket of IPv6: `dgram.Socket`.
    Datagram6,
    /// A listener: `net.Server`.
    Server,
    /// A connection: `net.Socket`.
    Socket,
}

impl ToNode<'_> {
    /// Appends this message as one line.
    pub fn encode(&self, framing: Framing, out: &mut Vec<u8>) {
        if !matches!(self, ToNode::User(_)) {
            begin(framing, out);
        }
        self.write(out);
        end(out);
    }

    /// Whether one descriptor must go with the bytes of this message, in the same `sendmsg(2)`.
    /// The worker answers each such message with
    /// [`FromNode::Acknowledged`](super::FromNode::Acknowledged) or
    /// [`FromNode::NotReceived`](super::FromNode::NotReceived), in order.
    #[must_use]
    pub fn carries_descriptor(&self) -> bool {
        match self {
            ToNode::NewConnection { .. } | ToNode::UserWithHandle { .. } => true,
            ToNode::Reply(reply) => matches!(reply.outcome, Outcome::Shared(_)),
            ToNode::AckExited { .. }
            | ToNode::Acknowledged
            | ToNode::Disconnect { .. }
            | ToNode::NotReceived
            | ToNode::SocketCount { .. }
            | ToNode::SocketsClosed { .. }
            | ToNode::User(_) => false,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            ToNode::AckExited { ack, seq } => {
                put(out, r#"{"cmd":"NODE_CLUSTER","ack":"#);
                put_number(out, *ack);
                put_seq(out, *seq);
            }
            ToNode::Acknowledged => put(out, r#"{"cmd":"NODE_HANDLE_ACK"}"#),
            ToNode::Disconnect { seq } => {
                put(out, r#"{"cmd":"NODE_CLUSTER","act":"disconnect""#);
                put_seq(out, *seq);
            }
            ToNode::NewConnection { key, seq } => {
                put(out, r#"{"cmd":"NODE_HANDLE","type":"net.Native","msg":"#);
                put(out, r#"{"cmd":"NODE_CLUSTER","act":"newconn","key":"#);
                write_text(key, out);
                put_seq(out, *seq);
                put(out, "}");
            }
            ToNode::NotReceived => put(out, r#"{"cmd":"NODE_HANDLE_NACK"}"#),
            ToNode::Reply(reply) => reply.write(out),
            ToNode::SocketCount { key, count } => {
                put(out, r#"{"cmd":"NODE_SOCKET_COUNT","key":"#);
                write_text(key, out);
                put(out, r#","count":"#);
                put_number(out, u64::from(*count));
                put(out, "}");
            }
            ToNode::SocketsClosed { key } => {
                put(out, r#"{"cmd":"NODE_SOCKET_ALL_CLOSED","key":"#);
                write_text(key, out);
                put(out, "}");
            }
            ToNode::User(value) => put(out, value.as_json()),
            ToNode::UserWithHandle { handle, value } => {
                put(out, r#"{"cmd":"NODE_HANDLE","type":"#);
                put(out, handle.fields());
                put(out, r#","msg":"#);
                put(out, value.as_json());
                put(out, "}");
            }
        }
    }
}

impl Reply<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self.outcome {
            Outcome::Listening { address } => {
                self.write_answer("null", address, out);
            }
            Outcome::Refused { errno } => {
                // Node counts errors down from 0, and throws at what is above.
                let errno = -i64::from(errno.get()).abs();
                self.write_answer(&errno.to_string(), None, out);
            }
            Outcome::Shared(kind) => {
                put(out, r#"{"cmd":"NODE_HANDLE","type":"#);
                put(out, kind.field());
                put(out, r#","msg":"#);
                self.write_answer("0", None, out);
                put(out, "}");
            }
        }
    }

    fn write_answer(&self, errno: &str, address: Option<SocketAddr>, out: &mut Vec<u8>) {
        put(out, r#"{"cmd":"NODE_CLUSTER","errno":"#);
        put(out, errno);
        put(out, r#","key":"#);
        write_text(self.key, out);
        put(out, r#","ack":"#);
        put_number(out, self.ack);
        put(out, r#","data":"#);
        put(out, self.data.map_or("null", Json::as_str));
        if let Some(address) = address {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            let (ip, port) = (address.ip(), address.port());
            let sockname =
                format!(r#","sockname":{{"address":"{ip}","family":"{family}","port":{port}}}"#);
            put(out, &sockname);
        }
        put_seq(out, self.seq);
    }
}

impl SharedKind {
    fn field(self) -> &'static str {
        match self {
            SharedKind::Datagram => r#""dgram.Native""#,
            SharedKind::Stream => r#""net.Native""#,
        }
    }
}

impl UserHandle {
    fn fields(self) -> &'static str {
        match self {
            UserHandle::Datagram4 => r#""dgram.Socket","dgramType":"udp4""#,
            UserHandle::Datagram6 => r#""dgram.Socket","dgramType":"udp6""#,
            UserHandle::Server => r#""net.Server""#,
            UserHandle::Socket => r#""net.Socket""#,
        }
    }
}

/// Begins an internal line.
pub(super) fn begin(framing: Framing, out: &mut Vec<u8>) {
    if framing == Framing::Bun {
        out.push(BUN_MARK);
    }
}

/// Ends a line.
pub(super) fn end(out: &mut Vec<u8>) {
    out.push(b'\n');
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn put_seq(out: &mut Vec<u8>, seq: u64) {
    put(out, r#","seq":"#);
    put_number(out, seq);
    put(out, "}");
}

fn put_number(out: &mut Vec<u8>, number: u64) {
    write!(out, "{number}").expect("a number can always be written to memory");
}
