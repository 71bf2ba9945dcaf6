//! `GET`, and the status of the answer. Nothing more of HTTP is wanted here.

use std::time::Duration;

use herder_core::spec::ListenAddress;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::Place;

/// The longest first line.
const LINE: usize = 1024;

/// How much of the rest is read, in bytes and time, so that the server does not see its answer refused.
const REST: (usize, Duration) = (64 << 10, Duration::from_millis(200));

/// Asks for a URL.
///
/// # Errors
/// Why that is no answer from 200 to 399.
pub(super) async fn get(url: &str) -> Result<(), String> {
    let (host, path) = split(url).ok_or("it is no URL such as http://127.0.0.1:3000/health")?;
    let connected = TcpStream::connect(with_port(host)).await;
    let stream = connected.map_err(|error| error.to_string())?;
    ask(stream, host, &path).await
}

/// Asks for a path where a worker listens: at `HOST:PORT` or `unix:/path`.
///
/// # Errors
/// As of [`get`].
pub(super) async fn get_at(place: &Place, path: &str) -> Result<(), String> {
    let Place { address, ahead } = place;
    let text = |error: std::io::Error| error.to_string();
    match address.parse() {
        Ok(ListenAddress::Unix(place)) => {
            let mut stream = UnixStream::connect(place).await.map_err(text)?;
            stream.write_all(ahead).await.map_err(text)?;
            ask(stream, "localhost", path).await
        }
        Ok(ListenAddress::Tcp { .. }) => {
            let mut stream = TcpStream::connect(address).await.map_err(text)?;
            stream.write_all(ahead).await.map_err(text)?;
            ask(stream, address, path).await
        }
        Err(error) => Err(error.to_string()),
    }
}

async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    path: &str,
) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: herder/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    stream.write_all(request.as_bytes()).await.map_err(text)?;
    let mut line = Vec::with_capacity(LINE);
    let status = loop {
        let mut part = [0; LINE];
        let read = stream.read(&mut part).await.map_err(text)?;
        line.extend_from_slice(&part[..read]);
        match status(&line) {
            Line::Complete(status) => break status,
            Line::Bad => return Err("what it answers is no HTTP".to_owned()),
            Line::Partial if read == 0 => {
                return Err("it ended the connection without an answer".to_owned());
            }
            Line::Partial => {}
        }
    };
    drop(timeout(REST.1, finish(&mut stream)).await);
    if (200..400).contains(&status) {
        return Ok(());
    }
    Err(format!("it answers {status}"))
}

async fn finish(stream: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 4096];
    let mut left = REST.0;
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        left = left.saturating_sub(read);
        if left == 0 {
            return;
        }
    }
}

/// `HOST[:PORT]`, and the path with what follows.
fn split(url: &str) -> Option<(&str, String)> {
    let rest = url.strip_prefix("http://")?;
    let rest = rest.split('#').next()?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let is_plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_graphic() || byte >= 0x80)
    };
    if host.is_empty() || !is_plain(url) {
        return None;
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some((host, format!("{slash}{path}")))
}

fn with_port(host: &str) -> String {
    match host.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => host.to_owned(),
        _ => format!("{host}:80"),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    Partial,
    Complete(u16),
    Bad,
}

/// `HTTP/1.1 200 …`
fn status(line: &[u8]) -> Line {
    const START: &[u8] = b"HTTP/1.";
    let known = line.len().min(START.len());
    if line[..known] != START[..known] {
        return Line::Bad;
    }
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        return if line.len() < LINE {
            Line::Partial
        } else {
            Line::Bad
        };
    };
    let mut words = line[..end].split(|byte| *byte == b' ').skip(1);
    let number = words.next().unwrap_or_default().trim_ascii();
    let number = std::str::from_utf8(number).ok().filter(|it| it.len() == 3);
    match number.and_then(|number| number.parse().ok()) {
        Some(number) => Line::Complete(number),
        None => Line::Bad,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request so, and ends; gives the request.
    pub(in crate::triggers::health) async fn answer(
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        answer: &str,
    ) -> String {
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut asked).await.expect("a request");
        }
        let written = stream.write_all(answer.as_bytes()).await;
        written.expect("it listens");
        stream.shutdown().await.expect("it listens");
        String::from_utf8(asked).expect("text")
    }

    /// Answers one request so, in pieces.
    async fn ask(answer: &'static [&'static str]) -> (Result<(), String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut asked).await.expect("a request");
            }
            for part in answer {
                stream.write_all(part.as_bytes()).await.expect("it listens");
                tokio::task::yield_now().await;
            }
            String::from_utf8(asked).expect("text")
        });
        let result = get(&format!("http://{address}/health?full=1#top")).await;
        (result, served.await.expect("it served"))
    }

    #[tokio::test]
    async fn from_200_to_399_is_well() {
        for answer in [
            &["HTTP/1.1 200 OK\r\n\r\n"][..],
            &["HTTP", "/1.1 20", "4 No Content\r\n", "\r\n"],
            &["HTTP/1.0 302\r\nLocation: /\r\n\r\n"],
        ] {
            let (result, asked) = ask(answer).await;
            assert_eq!(result, Ok(()), "{answer:?}");
            assert!(asked.starts_with("GET /health?full=1 HTTP/1.1\r\nHost: 127.0.0.1:"));
            assert!(asked.contains("\r\nConnection: close\r\n"), "{asked}");
        }
    }

    #[tokio::test]
    async fn all_else_is_not_and_says_why() {
        for (answer, why) in [
            (&["HTTP/1.1 503 Busy\r\n\r\n"][..], "it answers 503"),
            (&["HTTP/1.1 404 Not Found\r\n\r\n"], "it answers 404"),
            (&["SSH-2.0-OpenSSH\r\n"], "what it answers is no HTTP"),
            (&["HTTP/1.1 abc\r\n"], "what it answers is no HTTP"),
            (&["HTTP/1.1 2"], "it ended the connection without an answer"),
            (&[], "it ended the connection without an answer"),
        ] {
            assert_eq!(ask(answer).await.0, Err(why.to_owned()), "{answer:?}");
        }
    }

    #[test]
    fn a_line_without_an_end_has_one() {
        let mut line = b"HTTP/1.1 200 ".to_vec();
        line.resize(LINE, b'x');
        assert_eq!(status(&line), Line::Bad);
    }

    #[test]
    fn urls_are_taken_apart() {
        for (url, host, path) in [
            ("http://a", "a:80", "/"),
            ("http://a:81/x?y", "a:81", "/x?y"),
            ("http://[::1]?y", "[::1]:80", "/?y"),
            ("http://[::1]:3000/", "[::1]:3000", "/"),
        ] {
            let (found, rest) = split(url).expect(url);
            assert_eq!((with_port(found).as_str(), rest.as_str()), (host, path));
        }
        for url in ["https://a", "http://", "http://a/\r\nX: y", "a"] {
            assert_eq!(split(url), None, "{url}");
        }
    }
}
