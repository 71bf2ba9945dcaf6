//! Who calls, who answers, within which limits.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The version of the protocol that this crate speaks.
pub const VERSION: u16 = 1;

/// The longest document of a handshake, in bytes.
pub const MAX_HANDSHAKE: usize = 16 * 1024;

/// The caller's first words.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Hello {
    /// The lowest and the highest version that the caller speaks.
    pub versions: [u16; 2],
    /// What the caller is written in: `rust`, `node`.
    pub language: String,
    /// Name of the app.
    #[serde(default)]
    pub app: String,
    /// Which herd the caller belongs to, in hex; empty for a tool.
    #[serde(default)]
    pub herd: String,
    /// What the caller is.
    pub part: Part,
    /// Place of a worker in the herd.
    #[serde(default)]
    pub slot: u32,
    /// Which incarnation of the worker or library it is.
    #[serde(default)]
    pub worker: u64,
    /// Process id of the caller.
    #[serde(default)]
    pub pid: u32,
    /// Names of the codecs that the caller can read and write: `json`, `postcard`.
    #[serde(default)]
    pub codecs: Vec<String>,
    /// Hash of the signature that the caller knows already, or empty.
    #[serde(default)]
    pub hash: String,
}

/// The library's answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Welcome {
    /// The version that both speak from now on.
    pub version: u16,
    /// Name of the library.
    pub library: String,
    /// Which incarnation of the library it is: 1, 2, 3 ….
    pub epoch: u64,
    /// Hash of the library's signature.
    pub hash: String,
    /// Names of the codecs that the library can read and write.
    #[serde(default)]
    pub codecs: Vec<String>,
    /// What the caller must stay within.
    #[serde(default)]
    pub limits: Limits,
    /// How often a quiet connection is asked whether it lives, in milliseconds; 0: never.
    #[serde(default)]
    pub heartbeat_ms: u32,
}

/// What one connection may hold.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Limits {
    /// The longest frame, length field included, in bytes.
    pub frame: u32,
    /// How many calls may be unanswered.
    pub calls: u32,
    /// How many bytes the unanswered calls may have, frames included.
    pub bytes: u64,
}

/// What a caller is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Part {
    /// A library of the same herd, by name.
    Library(String),
    /// A command of the same user, such as a shell's.
    Tool,
    /// A worker.
    Worker,
}

/// Why a handshake's document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// It is longer than [`MAX_HANDSHAKE`].
    #[error("handshake of {length} bytes exceeds the limit of {MAX_HANDSHAKE}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// It is not the document that it should be.
    #[error("handshake cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl Hello {
    /// The highest version that both sides speak.
    #[must_use]
    pub fn common_version(&self) -> Option<u16> {
        let [lowest, highest] = self.versions;
        (lowest..=highest).contains(&VERSION).then_some(VERSION)
    }

    /// Whether the caller can read and write postcard.
    #[must_use]
    pub fn speaks_postcard(&self) -> bool {
        self.codecs.iter().any(|codec| codec == "postcard")
    }

    /// The body of a frame.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        write(self)
    }

    /// Reads the body of a frame.
    ///
    /// # Errors
    ///
    /// Any [`HandshakeError`].
    pub fn from_json(body: &[u8]) -> Result<Self, HandshakeError> {
        read(body)
    }
}

impl Welcome {
    /// Whether the library can read and write postcard.
    #[must_use]
    pub fn speaks_postcard(&self) -> bool {
        self.codecs.iter().any(|codec| codec == "postcard")
    }

    /// The body of a frame.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        write(self)
    }

    /// Reads the body of a frame.
    ///
    /// # Errors
    ///
    /// Any [`HandshakeError`].
    pub fn from_json(body: &[u8]) -> Result<Self, HandshakeError> {
        read(body)
    }
}

impl Default for Limits {
    fn default() -> Self {
        let frame = u32::try_from(super::MAX_FRAME).expect("the longest frame fits its field");
        Limits {
            frame,
            calls: 256,
            bytes: 4 * 1024 * 1024,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Library(name) => write!(out, "library:{name}"),
            Part::Tool => out.write_str("tool"),
            Part::Worker => out.write_str("worker"),
        }
    }
}

/// The text names no part.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is neither `worker` nor `tool` nor `library:` with a name")]
pub struct UnknownPart(String);

impl FromStr for Part {
    type Err = UnknownPart;

    fn from_str(text: &str) -> Result<Self, UnknownPart> {
        match text {
            "worker" => Ok(Part::Worker),
            "tool" => Ok(Part::Tool),
            _ => match text.strip_prefix("library:") {
                Some(name) if is_library_name(name) => Ok(Part::Library(name.to_owned())),
                Some(_) | None => Err(UnknownPart(truncated(text))),
            },
        }
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether `name` can be a library's: 1 to 32 of `a`–`z`, `0`–`9` and `-`.
#[must_use]
pub fn is_library_name(name: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=32).contains(&name.len()) && name.bytes().all(allowed)
}

fn truncated(text: &str) -> String {
    crate::text::truncate(text, 64).to_owned()
}

fn write(document: &impl Serialize) -> Bytes {
    let text = serde_json::to_vec(document);
    Bytes::from(text.expect("a handshake's fields are text and numbers"))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, HandshakeError> {
    if body.len() > MAX_HANDSHAKE {
        return Err(HandshakeError::TooLong { length: body.len() });
    }
    Ok(serde_json::from_slice(body)?)
}
