//! What becomes of bytes: the requests that a program reads in them, and how that ends.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A request as Node has read it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) version: String,
    /// Names and values, in their order, each byte a character.
    pub(super) lines: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) trailers: Vec<(String, String)>,
}

/// How it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The connection was closed after an answer, as was asked for.
    Whole,
    /// With an answer that says what is wrong.
    Refused { status: u16, why: String },
    /// More was waited for.
    Unfinished,
    /// The connection was closed without a word.
    Cut,
}

/// What becomes of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) seen: Vec<Seen>,
    pub(super) end: End,
}

impl Verdict {
    /// Sends these bytes, and reads what is said to them. Who says nothing for so long is taken to wait
    /// for more.
    pub(super) async fn of(address: SocketAddr, bytes: &[u8], patience: Duration) -> Verdict {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Who refuses may close before it has read everything.
        let _refused = stream.write_all(bytes).await;
        let mut said = Vec::new();
        // What was said until the other side was taken to wait.
        let mut waits = None;
        loop {
            match timeout(patience, stream.read_buf(&mut said)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) => break,
                Err(_) if waits.is_some() => break,
                Err(_) => {
                    waits = Some(said.len());
                    let _gone = stream.shutdown().await;
                }
            }
        }
        Verdict::read(&said, waits)
    }

    fn read(all: &[u8], waits: Option<usize>) -> Verdict {
        let mut said = all;
        let mut seen = Vec::new();
        let end = loop {
            let Some(length) = said.windows(4).position(|it| it == b"\r\n\r\n") else {
                break match (waits, seen.is_empty()) {
                    (Some(_), _) => End::Unfinished,
                    (None, true) => End::Cut,
                    (None, false) => End::Whole,
                };
            };
            let (head, rest) = said.split_at(length + 4);
            said = rest;
            let head = String::from_utf8_lossy(head);
            let status: u16 = head[9..12].parse().unwrap();
            if status < 200 {
                continue;
            }
            let text = head
                .split("\r\n")
                .find_map(|it| it.strip_prefix("X-Seen: "));
            match text {
                Some(text) => seen.push(serde_json::from_slice(&plain(text)).unwrap()),
                // It was told to one who waited that nothing more came.
                None if waits.is_some_and(|waits| all.len() - said.len() > waits) => {
                    break End::Unfinished;
                }
                None => {
                    let why = String::from_utf8_lossy(said);
                    let why = why.lines().nth(1).unwrap_or_default().to_owned();
                    break End::Refused { status, why };
                }
            }
        };
        Verdict { seen, end }.without_what_follows_an_end()
    }

    /// Nobody needs to read what comes after a request that asks for the connection's end; llhttp
    /// may complain of it.
    fn without_what_follows_an_end(mut self) -> Verdict {
        if self.seen.last().is_some_and(Seen::ends) {
            self.end = End::Whole;
        }
        self
    }

    /// One word for it.
    pub(super) fn word(&self) -> String {
        let end = match &self.end {
            End::Whole => "whole".to_owned(),
            End::Refused { status, why } => format!("{status} {why}"),
            End::Unfinished => "waits".to_owned(),
            End::Cut => "cut".to_owned(),
        };
        format!("{} read, {end}", self.seen.len())
    }
}

impl Seen {
    /// The values of all lines of this name.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = self.lines.iter();
        let ours = lines.filter(move |(other, _)| other.eq_ignore_ascii_case(name));
        ours.map(|(_, value)| value.as_str())
    }

    /// Whether it asks to speak something else: Node then forgets what came with it, also where nobody
    /// listens for that.
    pub(super) fn upgrades(&self) -> bool {
        self.is_asked_for("upgrade") && self.values("upgrade").next().is_some()
    }

    /// Whether llhttp takes a trailer for an end of the connection.
    pub(super) fn ends_by_trailer(&self) -> bool {
        let mut trailers = self.trailers.iter();
        trailers.any(|(name, _)| name.eq_ignore_ascii_case("connection"))
    }

    /// Whether it asks for the connection's end.
    pub(super) fn ends(&self) -> bool {
        self.is_asked_for("close") || (self.version == "1.0" && !self.is_asked_for("keep-alive"))
    }

    /// Whether it asks for both, the connection's end and that it is kept.
    pub(super) fn says_both(&self) -> bool {
        self.is_asked_for("close") && self.is_asked_for("keep-alive")
    }

    /// Whether it is an old one that asks for the connection to be kept.
    pub(super) fn is_to_be_kept(&self) -> bool {
        self.version == "1.0" && self.is_asked_for("keep-alive")
    }

    /// Whether its `Connection` has this word.
    fn is_asked_for(&self, word: &str) -> bool {
        let mut words = self.values("connection").flat_map(|list| list.split(','));
        words.any(|it| it.trim().eq_ignore_ascii_case(word))
    }
}

/// What a text in base64 stands for.
fn plain(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        bits = bits << 6 | u32::from(digit(byte));
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff).try_into().unwrap());
        }
    }
    bytes
}
