//! Just enough HTTP.

use crate::deed::Deed;

/// The longest head that is understood.
pub(crate) const MAX_HEAD: usize = 2048;

/// A request.
pub(crate) struct Request {
    pub(crate) deed: Deed,
    /// The number that the test gave it.
    pub(crate) id: Option<u64>,
}

impl Request {
    /// Reads a head; `None` while it is not whole.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Request> {
        let head = std::str::from_utf8(bytes).ok()?.split_once("\r\n\r\n")?.0;
        let mut lines = head.split("\r\n");
        let path = lines.next()?.split(' ').nth(1)?;
        let id = lines.find_map(|line| line.strip_prefix("X-Request: "));
        Some(Request {
            deed: Deed::of_path(path),
            id: id.and_then(|id| id.parse().ok()),
        })
    }
}

/// The whole answer with this body.
pub(crate) fn answer(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}
