//! What a client is answered, and why that can fail.

use std::io;

use herder_wire::link::{Kind, MAX_MESSAGE};

/// A message to a client: text or bytes.
///
/// `&str` and `String` become text, `&[u8]` and `Vec<u8>` become bytes. A client that talks
/// WebSocket gets a text or a binary message; one that talks lines gets a line either way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    /// A text message.
    pub fn text(text: impl Into<String>) -> Reply {
        Reply {
            kind: Kind::Text,
            bytes: text.into().into_bytes(),
        }
    }

    /// A binary message.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Reply {
        Reply {
            kind: Kind::Bytes,
            bytes: bytes.into(),
        }
    }
}

impl From<&str> for Reply {
    fn from(text: &str) -> Reply {
        Reply::text(text)
    }
}

impl From<&String> for Reply {
    fn from(text: &String) -> Reply {
        Reply::text(text.as_str())
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Reply {
        Reply::text(text)
    }
}

impl From<&[u8]> for Reply {
    fn from(bytes: &[u8]) -> Reply {
        Reply::bytes(bytes)
    }
}

impl<const N: usize> From<&[u8; N]> for Reply {
    fn from(bytes: &[u8; N]) -> Reply {
        Reply::bytes(bytes.as_slice())
    }
}

impl From<Vec<u8>> for Reply {
    fn from(bytes: Vec<u8>) -> Reply {
        Reply::bytes(bytes)
    }
}

/// Why a reply did not go out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// Nobody is left to read it: the client has gone, or the gateway that held its connection.
    #[error("the client has gone")]
    Gone,
    /// A system call failed: a large reply needs memory and a descriptor.
    #[error("cannot send the reply: {0}")]
    Io(#[from] io::Error),
    /// It holds a line feed, and the client talks lines: it would be taken for two replies.
    #[error("a reply to a client that talks lines cannot hold a line feed")]
    NotALine,
    /// It is longer than the 16 MiB that a message may have.
    #[error("a reply of {length} bytes exceeds the limit of {MAX_MESSAGE}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
}
