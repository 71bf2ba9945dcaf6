//! The answer that all servers of the benchmark give: one that names the process.

use rustix::time::{ClockId, clock_gettime};
use std::hint;
use std::process;
use std::time::Duration;

/// Length of the whole last answer on a connection, in bytes.
const LENGTH: usize = 100;
/// Its head; the body takes the rest.
const LAST: &str = "HTTP/1.1 200 OK\r\nContent-Length: 42\r\nConnection: close\r\n\r\n";
/// The head of an answer after which the connection stays.
const KEPT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n";

/// The path of a request that costs [`SLOW_WORK`].
pub const SLOW_PATH: &str = "/slow";
/// How much processor time a slow request costs.
pub const SLOW_WORK: Duration = Duration::from_millis(50);

/// What a native worker answers.
#[derive(Clone, Debug)]
pub struct Answers {
    last: Vec<u8>,
    kept: Vec<u8>,
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It ends.
    Close,
    /// The next request comes on it.
    Keep,
}

impl Answers {
    /// Those of this process.
    pub fn own() -> Answers {
        let width = LENGTH - LAST.len();
        let body = format!("{:<width$}", format!("worker-{}", process::id()));
        Answers {
            last: format!("{LAST}{body}").into_bytes(),
            kept: format!("{KEPT}{body}").into_bytes(),
        }
    }

    /// The answer to `request`, after the work that it asks for; `None` when it is not whole. The clients send
    /// each request in one piece, with `Connection` as the last of its headers.
    pub fn to(&self, request: &[u8]) -> Option<(&[u8], Then)> {
        let head = request.strip_suffix(b"\r\n\r\n")?;
        if request.starts_with(b"GET /slow ") {
            work(SLOW_WORK);
        }
        Some(if head.ends_with(b"keep-alive") {
            (&self.kept, Then::Keep)
        } else {
            (&self.last, Then::Close)
        })
    }
}

/// Uses the processor for so long.
fn work(time: Duration) {
    let end = processor_time(ClockId::ThreadCPUTime) + time;
    while processor_time(ClockId::ThreadCPUTime) < end {
        hint::spin_loop();
    }
}

/// What a clock of processor time says.
pub(crate) fn processor_time(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).expect("processor time does not go below zero")
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

#[cfg(test)]
mod tests {
    use super::*;
    use herder_e2e::client::ResponseReader;

    #[test]
    fn the_answers_are_what_their_heads_say_and_name_the_process() {
        let answers = Answers::own();
        for (connection, wanted) in [("close", Then::Close), ("keep-alive", Then::Keep)] {
            let request = format!("GET / HTTP/1.1\r\nConnection: {connection}\r\n\r\n");
            let (answer, then) = answers.to(request.as_bytes()).unwrap();
            assert_eq!(then, wanted);
            let mut reader = ResponseReader::default();
            assert_eq!(reader.push(answer), Ok(true));
            let response = reader.take().unwrap();
            assert_eq!(response.closes, then == Then::Close);
            assert_eq!(worker(&response.body), i32::try_from(process::id()).ok());
        }
        assert_eq!(answers.last.len(), LENGTH);
        assert_eq!(worker(b"something else"), None);
    }

    #[test]
    fn a_slow_request_costs_processor_time_and_half_a_one_nothing() {
        let answers = Answers::own();
        let spent = |request: &[u8]| {
            let before = processor_time(ClockId::ThreadCPUTime);
            let answered = answers.to(request).is_some();
            (answered, processor_time(ClockId::ThreadCPUTime) - before)
        };
        let request = format!("GET {SLOW_PATH} HTTP/1.1\r\nConnection: close\r\n\r\n");
        let (answered, time) = spent(request.as_bytes());
        assert!(answered && time >= SLOW_WORK, "{time:?}");
        let (answered, time) = spent(&request.as_bytes()[..20]);
        assert!(!answered && time < SLOW_WORK, "{time:?}");
    }
}
