//! Heads that chance has changed: what passes has one meaning.

use std::net::SocketAddr;

use bytes::BytesMut;

use crate::proxy::House;
use crate::proxy::http::answer::{Answer, Circumstances};
use crate::proxy::http::bad::After;
use crate::proxy::http::chunks::{Chunks, Frames};
use crate::proxy::http::forwarded::Forwarding;
use crate::proxy::http::id::Ids;
use crate::proxy::http::request::{Body, Request};
use crate::proxy::http::scan::{Limits, Scan};
use crate::proxy::settings::HttpSettings;
use crate::proxy::{Scheme, Trust, Visitor};

const LIMITS: Limits = Limits {
    bytes: 4096,
    lines: 64,
};

const CASES: u64 = 30_000;

/// A little generator, so that a failure can be played again.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }
}

const SEEDS: [&str; 6] = [
    "GET /a?b=c HTTP/1.1\r\nHost: a:80\r\nAccept: */*\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nCookie: x=y\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n",
    "GET http://a/b HTTP/1.1\r\nHost: a\r\nConnection: X, keep-alive\r\nX: y\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "PUT / HTTP/1.0\r\nX-Forwarded-For: 1\r\nForwarded: for=1\r\nExpect: 100-continue\r\n\r\n",
];

const PIECES: [&str; 24] = [
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    "\0",
    ":",
    ",",
    ";",
    "Content-Length: 5\r\n",
    "Content-Length: 6\r\n",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding:chunked\r\n",
    "Transfer-Encoding: x\r\n",
    "Host: b\r\n",
    "content_length: 7\r\n",
    "Connection: close\r\n",
    "Connection: Content-Length\r\n",
    "Connection: X-Forwarded-For\r\n",
    "chunked",
    "HTTP/1.0",
    "X-Forwarded-For: 6.6.6.6\r\n",
    "\u{e9}",
    "GET / HTTP/1.1\r\n",
];

fn change(chance: &mut Chance, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=chance.below(3) {
        let at = chance.below(bytes.len());
        match chance.below(4) {
            0 => drop(bytes.remove(at)),
            1 => bytes[at] = u8::try_from(chance.below(256)).unwrap(),
            _ => {
                let piece = PIECES[chance.below(PIECES.len())].as_bytes();
                // At the beginning of a line, half of the time.
                let lines = bytes[at..].iter().position(|byte| *byte == b'\n');
                let at = lines.map_or(at, |line| {
                    if chance.below(2) == 0 {
                        at
                    } else {
                        at + line + 1
                    }
                });
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
    bytes
}

fn forwarding() -> Forwarding {
    let visitor = Visitor {
        client: Some(SocketAddr::from(([127, 0, 0, 9], 1))),
        local: Some(SocketAddr::from(([127, 0, 0, 1], 80))),
        scheme: Scheme::Http,
        trust: Trust::No,
    };
    Forwarding::new(&visitor, &HttpSettings::default(), &Ids::new())
}

fn head(bytes: &[u8]) -> Option<&[u8]> {
    let length = Scan::default().look(bytes, LIMITS).ok()??;
    Some(&bytes[..length])
}

#[test]
fn what_passes_is_read_the_same_by_everybody() {
    let mut chance = Chance(0x5eed);
    let (forwarding, mut passed) = (forwarding(), 0);
    for case in 0..CASES {
        let seed = SEEDS[chance.below(SEEDS.len())];
        let text = change(&mut chance, seed);
        let Some(head) = head(&text) else { continue };
        let mut out = BytesMut::new();
        let Ok(request) = Request::read(head, &forwarding, |_| None, &mut out) else {
            continue;
        };
        passed += 1;
        let shown = String::from_utf8_lossy(&out).into_owned();
        let shown = shown.as_str();
        assert_eq!(
            Scan::default().look(&out, LIMITS),
            Ok(Some(out.len())),
            "{case}: {shown}"
        );
        // Somebody who knows nothing of us reads it.
        let mut lines = [httparse::EMPTY_HEADER; 100];
        let mut other = httparse::Request::new(&mut lines);
        assert!(other.parse(&out).unwrap().is_complete(), "{case}: {shown}");
        let values = |name: &str| -> Vec<&[u8]> {
            let lines = other.headers.iter();
            let same = lines.filter(|line| line.name.replace('_', "-").eq_ignore_ascii_case(name));
            same.map(|line| line.value).collect()
        };
        assert_eq!(values("host").len(), 1, "{case}: {shown}");
        assert_eq!(values("x-forwarded-for"), [b"127.0.0.9"], "{case}: {shown}");
        assert!(values("forwarded").is_empty(), "{case}: {shown}");
        let lengths = values("content-length");
        let codings = values("transfer-encoding");
        match request.body {
            Body::Chunks => assert_eq!((lengths.len(), codings), (0, vec![&b"chunked"[..]])),
            Body::Length(0) => assert!(lengths.len() < 2 && codings.is_empty(), "{case}: {shown}"),
            Body::Length(length) => {
                assert_eq!((lengths.len(), codings.len()), (1, 0), "{case}: {shown}");
                let text = str::from_utf8(lengths[0]).unwrap();
                assert_eq!(text.parse(), Ok(length), "{case}: {shown}");
            }
        }
        assert_eq!(other.version, Some(1));
    }
    assert!(passed > CASES / 20, "only {passed} passed");
}

#[test]
fn no_answer_is_too_strange() {
    const SEEDS: [&str; 3] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\n\r\n",
        "HTTP/1.0 304 \r\nUpgrade: x\r\n\r\n",
    ];
    let mut chance = Chance(0xfeed);
    let mut space = BytesMut::new();
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let request = Request::read(get, &forwarding(), |_| None, &mut space).unwrap();
    let house = House::default();
    let circumstances = Circumstances {
        request: &request,
        after: After::GoOn,
        house: &house,
        is_early: false,
        cookie: None,
    };
    let mut passed = 0;
    for case in 0..CASES {
        let seed = SEEDS[chance.below(SEEDS.len())];
        let text = change(&mut chance, seed);
        let Some(head) = head(&text) else { continue };
        let mut out = BytesMut::new();
        if Answer::read(head, circumstances, &mut out).is_err() {
            continue;
        }
        passed += 1;
        let shown = String::from_utf8_lossy(&out).into_owned();
        let mut lines = [httparse::EMPTY_HEADER; 100];
        let mut other = httparse::Response::new(&mut lines);
        assert!(other.parse(&out).unwrap().is_complete(), "{case}: {shown}");
        let count = |name: &str| {
            let lines = other.headers.iter();
            lines
                .filter(|line| line.name.eq_ignore_ascii_case(name))
                .count()
        };
        let (lengths, codings) = (count("content-length"), count("transfer-encoding"));
        assert!(lengths + codings < 2, "{case}: {shown}");
    }
    assert!(passed > CASES / 20, "only {passed} passed");
}

#[test]
fn chunks_that_pass_are_read_the_same_by_everybody() {
    let mut chance = Chance(0xc0de);
    let mut passed = 0;
    for case in 0..CASES {
        let text = change(
            &mut chance,
            "5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nA: b\r\n\r\n",
        );
        let mut body = BytesMut::from(&text[..]);
        let mut chunks = Chunks::new(Frames::Kept, 0);
        let Ok(end) = chunks.feed(&mut body, 0) else {
            continue;
        };
        if !chunks.is_done() {
            continue;
        }
        let Ok(tail) = chunks.take_tail() else {
            continue;
        };
        passed += 1;
        body.truncate(end);
        body.extend_from_slice(&tail);
        let shown = String::from_utf8_lossy(&body).into_owned();
        // Somebody who knows nothing of us reads it.
        let mut at = 0;
        loop {
            let httparse::Status::Complete((length, size)) =
                httparse::parse_chunk_size(&body[at..]).unwrap()
            else {
                panic!("{case}: {shown}");
            };
            assert!(!body[at..at + length].contains(&b';'), "{case}: {shown}");
            at += length + usize::try_from(size).unwrap();
            if size == 0 {
                break;
            }
            assert_eq!(&body[at..at + 2], b"\r\n", "{case}: {shown}");
            at += 2;
        }
        let mut lines = [httparse::EMPTY_HEADER; 100];
        let trailers = httparse::parse_headers(&body[at..], &mut lines).unwrap();
        assert!(trailers.is_complete(), "{case}: {shown}");
    }
    assert!(passed > CASES / 20, "only {passed} passed");
}
