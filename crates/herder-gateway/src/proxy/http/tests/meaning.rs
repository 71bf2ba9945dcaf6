//! Whatever is passed on has one meaning: heads that are nearly right, by the ten thousand, each
//! held against readers that are as sloppy as programs behind a proxy may be.

use std::net::SocketAddr;

use bytes::BytesMut;

use crate::proxy::http::forwarded::Forwarding;
use crate::proxy::http::id::Ids;
use crate::proxy::http::request::{Body, Request};
use crate::proxy::http::scan::{Limits, Scan};
use crate::proxy::settings::HttpSettings;
use crate::proxy::{Scheme, Trust, Visitor};

const BASE_SEED: u64 = 0x006D_6561_6E69_6E67;

const ROUNDS: u32 = 50_000;

/// What the others are made of.
const SEEDS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: shop\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: shop:80\r\nContent-Length: 5\r\nAccept: */*\r\n\r\n",
    "POST /b HTTP/1.1\r\nhost: shop\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n",
    "GET http://shop/c?d HTTP/1.1\r\nHost: shop\r\nCookie: a=b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: shop\r\nConnection: close, X-Own\r\nX-Own: 1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: shop\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: shop\r\nContent_Length: 7\r\nX_Forwarded_For: 6.6.6.6\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: [::1]\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\n\r\n",
];

/// What is put in.
const PIECES: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\0",
    b":",
    b",",
    b";",
    b"_",
    b"-",
    b"\x0b",
    b"\x7f",
    b"\x80",
    b"0",
    b"5",
    b"+",
    b"chunked",
    b"identity",
    b"Content-Length: 5\r\n",
    b"Content-Length: 6\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer_Encoding: chunked\r\n",
    b"Host: bank\r\n",
    b"Connection: Content-Length\r\n",
    b"Connection: X-Own\r\n",
    b"X: y\r\n",
    b"\r\n\r\n",
    b"HTTP/1.0",
];

struct Dice(u64);

impl Dice {
    /// SplitMix64.
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.throw() % end.max(1) as u64).unwrap()
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// A head that is nearly one of the seeds.
    fn head(&mut self) -> Vec<u8> {
        let mut head = self.one(SEEDS).as_bytes().to_vec();
        for _ in 0..self.below(4) {
            let at = self.below(head.len() + 1);
            match self.below(5) {
                0 => drop(head.splice(at..at, self.one(PIECES).iter().copied())),
                // At the beginning of a line, where it is most likely to pass.
                1 | 2 => {
                    let line = head[..at].iter().rposition(|byte| *byte == b'\n');
                    let at = line.map_or(0, |line| line + 1);
                    drop(head.splice(at..at, self.one(PIECES).iter().copied()));
                }
                3 => {
                    let end = (at + self.below(3)).min(head.len());
                    drop(head.drain(at..end));
                }
                _ => {
                    if let Some(byte) = head.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
            }
        }
        head
    }
}

/// All values of this name, for somebody who takes any line feed for the end of a line, and does
/// not care for blanks or capitals. An underscore is a hyphen for CGI and what followed it.
fn sloppily<'a>(head: &'a [u8], name: &str) -> Vec<&'a [u8]> {
    let lines = head.split(|byte| matches!(byte, b'\n' | b'\r')).skip(1);
    lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let called = line[..colon].trim_ascii().to_ascii_lowercase();
            let called: Vec<u8> = called
                .iter()
                .map(|it| if *it == b'_' { b'-' } else { *it })
                .collect();
            (called == name.as_bytes()).then(|| line[colon + 1..].trim_ascii())
        })
        .collect()
}

fn is_token(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_part)
}

/// What the worker gets to read has the form that it must have.
fn check_form(out: &[u8], context: &str) {
    let text = out.strip_suffix(b"\r\n\r\n").expect(context);
    let lines: Vec<&[u8]> = split_lines(text);
    for line in &lines {
        let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        assert!(line.iter().all(is_text), "{context}");
    }
    let words: Vec<&[u8]> = lines[0].split(|byte| *byte == b' ').collect();
    let is_first = matches!(*words, [method, target, b"HTTP/1.1"]
        if is_token(method) && matches!(target.first(), Some(b'/' | b'*')));
    assert!(is_first, "{context}");
    for line in &lines[1..] {
        let colon = line.iter().position(|byte| *byte == b':').expect(context);
        assert!(is_token(&line[..colon]), "{context}");
    }
}

fn split_lines(text: &[u8]) -> Vec<&[u8]> {
    let (mut lines, mut begin) = (Vec::new(), 0);
    while let Some(end) = text[begin..].windows(2).position(|it| it == b"\r\n") {
        lines.push(&text[begin..begin + end]);
        begin += end + 2;
    }
    lines.push(&text[begin..]);
    lines
}

/// Everybody sees the same body, in what came and in what is passed on.
fn check_body(head: &[u8], out: &[u8], body: Body, context: &str) {
    let lengths = sloppily(out, "content-length");
    let codings = sloppily(out, "transfer-encoding");
    let number = |text: &&[u8]| {
        std::str::from_utf8(text)
            .ok()
            .and_then(|it| it.parse::<u64>().ok())
    };
    match body {
        Body::Chunks => {
            assert!(lengths.is_empty() && codings == [b"chunked"], "{context}");
        }
        Body::Length(length) => {
            assert!(codings.is_empty() && lengths.len() <= 1, "{context}");
            let said = lengths.first().map_or(Some(0), number);
            assert_eq!(said, Some(length), "{context}");
        }
    }
    // Who sent it meant the same.
    let meant = |name: &str| {
        split_lines(head).iter().skip(1).any(|line| {
            let colon = line.iter().position(|byte| *byte == b':').unwrap_or(0);
            line[..colon]
                .trim_ascii()
                .eq_ignore_ascii_case(name.as_bytes())
        })
    };
    assert_eq!(
        meant("transfer-encoding"),
        body == Body::Chunks,
        "{context}"
    );
    assert_eq!(meant("content-length"), !lengths.is_empty(), "{context}");
}

/// Nothing of what is for one hop alone, or that clients may not say, goes on.
fn check_hop(out: &[u8], context: &str) {
    assert_eq!(sloppily(out, "host").len(), 1, "{context}");
    assert_eq!(
        sloppily(out, "x-forwarded-for"),
        [b"192.0.2.1"],
        "{context}"
    );
    for name in [
        "forwarded",
        "keep-alive",
        "proxy-connection",
        "http2-settings",
        "proxy",
    ] {
        assert!(sloppily(out, name).is_empty(), "{name}: {context}");
    }
    for value in sloppily(out, "connection") {
        assert!(matches!(value, b"Upgrade" | b"TE"), "{context}");
    }
}

#[test]
fn whatever_is_passed_on_has_one_meaning() {
    let visitor = Visitor {
        client: Some(SocketAddr::from(([192, 0, 2, 1], 1000))),
        local: Some(SocketAddr::from(([192, 0, 2, 2], 80))),
        scheme: Scheme::Http,
        trust: Trust::No,
    };
    let forwarding = Forwarding::new(&visitor, &HttpSettings::default(), &Ids::new());
    let limits = Limits {
        bytes: 4096,
        lines: 50,
    };
    let mut dice = Dice(BASE_SEED);
    let (mut passed, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let bytes = dice.head();
        let context = format!("round {round}: {:?}", String::from_utf8_lossy(&bytes));
        let Ok(Some(length)) = Scan::default().look(&bytes, limits) else {
            refused += 1;
            continue;
        };
        let head = &bytes[..length];
        let mut out = BytesMut::new();
        let Ok(request) = Request::read(head, &forwarding, |_| None, &mut out) else {
            refused += 1;
            continue;
        };
        passed += 1;
        let context = format!("{context}\nbecame {:?}", String::from_utf8_lossy(&out));
        check_form(&out, &context);
        check_body(head, &out, request.body, &context);
        check_hop(&out, &context);
        // Who reads it as strictly as we do reads the same.
        let mut again = BytesMut::new();
        let reread = Request::read(&out, &forwarding, |_| None, &mut again);
        let same = reread.is_ok_and(|it| it.body == request.body);
        assert!(same, "{context}");
    }
    assert!(
        passed > ROUNDS / 10 && refused > ROUNDS / 10,
        "{passed}, {refused}"
    );
}
