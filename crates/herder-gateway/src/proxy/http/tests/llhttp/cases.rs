//! Requests by the idea that is in them.
//!
//! All of them are our own. What llhttp's tests have an idea for (methods, targets, versions, `Connection`,
//! `Content-Length`, `Transfer-Encoding`, chunks with extensions and trailers, pipelining, ends of lines,
//! corrupted names, what it calls lenient) and what h1spec has one for (requests that stop at every place,
//! bytes that names and values cannot have, hosts, lengths and codings that contradict each other) has a
//! family here; the bytes at every place, folded lines, addresses as targets, `Expect`, `Upgrade`, names with
//! underscores and what is known of smuggling have come to them.

mod bodies;
mod heads;
mod smuggling;

/// Bytes, and what they are to try.
pub(super) struct Case {
    pub(super) idea: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// A request that can be read by everybody, and that is the last one.
pub(super) const LAST: &str = "GET /last HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n";

/// First lines, header lines and their ends.
pub(super) fn heads() -> Vec<Case> {
    let mut list = List::default();
    heads::add(&mut list);
    list.cases
}

/// What follows a head, and what is hidden in the one or the other.
pub(super) fn bodies() -> Vec<Case> {
    let mut list = List::default();
    bodies::add(&mut list);
    smuggling::add(&mut list);
    list.cases
}

/// Bodies in chunks.
pub(super) fn chunks() -> Vec<Case> {
    let mut list = List::default();
    bodies::chunks(&mut list);
    list.cases
}

/// All requests, in the order of their ideas.
pub(super) fn all() -> Vec<Case> {
    let parts = [heads(), bodies(), chunks()];
    parts.into_iter().flatten().collect()
}

#[derive(Default)]
struct List {
    cases: Vec<Case>,
    idea: &'static str,
}

impl List {
    /// What follows is to try this.
    fn idea(&mut self, idea: &'static str) {
        self.idea = idea;
    }

    /// Bytes with another request behind them.
    fn push(&mut self, bytes: impl AsRef<[u8]>) {
        self.alone([bytes.as_ref(), LAST.as_bytes()].concat());
    }

    /// Bytes with nothing behind them.
    fn alone(&mut self, bytes: impl Into<Vec<u8>>) {
        self.cases.push(Case {
            idea: self.idea,
            bytes: bytes.into(),
        });
    }

    /// A request with this first line.
    fn line(&mut self, line: impl AsRef<[u8]>) {
        self.push([line.as_ref(), b"\r\nHost: a\r\n\r\n"].concat());
    }

    /// A request with these lines below a host.
    fn lines(&mut self, lines: impl AsRef<[u8]>) {
        let before = b"GET /lines HTTP/1.1\r\nHost: a\r\n";
        self.push([before, lines.as_ref(), b"\r\n\r\n"].concat());
    }

    /// A request with these lines, and this behind its head.
    fn body(&mut self, lines: &str, body: impl AsRef<[u8]>) {
        let head = format!("POST /body HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
        self.push([head.as_bytes(), body.as_ref()].concat());
    }

    /// A request in chunks.
    fn chunks(&mut self, body: impl AsRef<[u8]>) {
        self.body("Transfer-Encoding: chunked", body);
    }
}
