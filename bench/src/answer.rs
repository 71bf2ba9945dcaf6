//! The answer that all servers of the benchmark give: 100 bytes that name the process.

use std::process;

/// Length of the whole answer, in bytes.
const LENGTH: usize = 100;
/// Its head; the body takes the rest.
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 42\r\nConnection: close\r\n\r\n";

/// The answer of this process.
pub fn own() -> Vec<u8> {
    let width = LENGTH - HEAD.len();
    format!("{HEAD}{:<width$}", format!("worker-{}", process::id())).into_bytes()
}

/// The process that has given an answer with this body.
pub fn worker(body: &[u8]) -> Option<i32> {
    std::str::from_utf8(body)
        .ok()?
        .strip_prefix("worker-")?
        .trim_end()
        .parse()
        .ok()
}

/// Whether `request` ends with the empty line that ends the head of a request.
pub fn is_whole_request(request: &[u8]) -> bool {
    request.ends_with(b"\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use herder_e2e::client::ResponseReader;

    #[test]
    fn the_answer_is_what_its_head_says_and_names_the_process() {
        let answer = own();
        let mut reader = ResponseReader::default();
        assert_eq!((answer.len(), reader.push(&answer)), (LENGTH, Ok(true)));
        let response = reader.take().unwrap();
        assert!(response.closes);
        assert_eq!(worker(&response.body), i32::try_from(process::id()).ok());
        assert_eq!(worker(b"something else"), None);
    }
}
