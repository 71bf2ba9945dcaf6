//! Who answers behind a proxy: a thread for each connection, for what it costs itself is not asked.

use std::env;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process;
use std::thread;

/// The path of a large answer.
pub const LARGE: &str = "/large";

/// The length of a large answer's body, in bytes.
pub const LARGE_BODY: usize = 64 * 1024;

/// The length of a small answer's body, in bytes.
const SMALL_BODY: usize = 42;

/// The longest request that is read.
const LONGEST: usize = 16 * 1024;

/// Serves at `PORT`, or anywhere if there is none, until it is killed.
///
/// # Errors
/// When `PORT` is no port, or not free.
pub fn run() -> io::Result<()> {
    let port = env::var("PORT").map_or(Ok(0), |port| port.parse());
    let port = port.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    // As many as all clients of a proxy together.
    rustix::net::listen(&listener, 4096)?;
    rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
    writeln!(io::stdout().lock(), "listening {}", listener.local_addr()?)?;
    let (small, large) = (answer(SMALL_BODY), answer(LARGE_BODY));
    loop {
        let (client, _) = listener.accept()?;
        let (small, large) = (small.clone(), large.clone());
        // Who has gone ends its connection, and nothing else.
        thread::spawn(move || serve(client, &small, &large));
    }
}

/// An answer with a body of so many bytes, which names this process.
fn answer(length: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let mut answer = format!("{head}worker-{}", process::id()).into_bytes();
    answer.resize(head.len() + length, b' ');
    answer
}

fn serve(mut client: TcpStream, small: &[u8], large: &[u8]) -> io::Result<()> {
    let mut request = [0; LONGEST];
    let mut length = 0;
    loop {
        let count = client.read(&mut request[length..])?;
        length += count;
        if count == 0 {
            return Ok(());
        }
        let Some(head) = request[..length].strip_suffix(b"\r\n\r\n") else {
            continue;
        };
        let is_large = head.starts_with(format!("GET {LARGE} ").as_bytes());
        client.write_all(if is_large { large } else { small })?;
        if is_last(head) {
            return Ok(());
        }
        length = 0;
    }
}

/// Whether the connection ends after this request.
fn is_last(head: &[u8]) -> bool {
    let mut lines = head.split(|byte| *byte == b'\n');
    lines.any(|line| line.trim_ascii().eq_ignore_ascii_case(b"connection: close"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::worker;
    use herder_e2e::client::ResponseReader;

    #[test]
    fn an_answer_has_its_length_and_names_the_process() {
        for length in [SMALL_BODY, LARGE_BODY] {
            let mut reader = ResponseReader::default();
            assert_eq!(reader.push(&answer(length)), Ok(true));
            let response = reader.take().unwrap();
            assert_eq!(response.body.len(), length);
            assert_eq!(worker(&response.body), i32::try_from(process::id()).ok());
        }
    }

    #[test]
    fn a_client_says_that_a_request_is_its_last() {
        assert!(is_last(b"GET / HTTP/1.1\r\nHost: x\r\nconnection: close"));
        assert!(!is_last(b"GET / HTTP/1.1\r\nConnection: keep-alive"));
    }
}
