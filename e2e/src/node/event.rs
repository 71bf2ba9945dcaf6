//! What primaries and workers say, in one form for both primaries.

use serde_json::Value;

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this status.
    Code(i64),
    /// By this signal, for instance `SIGKILL`.
    Signal(String),
}

/// One line of a cluster's output. Workers are known by `cluster.worker.id`.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A worker has ended.
    Ended {
        /// Which one.
        worker: u64,
        /// How.
        end: End,
    },
    /// There is a listener: `127.0.0.1:80`, `unix:/path`. Node's own primary says so for each worker.
    Listening(String),
    /// A worker runs.
    Online {
        /// Which one.
        worker: u64,
        /// Its process.
        pid: i32,
    },
    /// Anything else that the primary says.
    Other(Value),
    /// A worker wrote a line to its standard output or error. One that is no JSON is a string.
    Said {
        /// The worker, as far as it is known: Node's own primary does not know.
        worker: Option<u64>,
        /// What it wrote.
        value: Value,
    },
}

impl Event {
    /// Reads a line of a primary of either kind.
    pub(super) fn of(line: &str) -> Event {
        let Some(value) = object(line) else {
            return said(None, line);
        };
        let worker = value["worker"].as_u64();
        match (value["event"].as_str(), worker) {
            (Some("line"), _) => said(worker, value["line"].as_str().unwrap_or_default()),
            (Some("online"), Some(worker)) => Event::Online {
                worker,
                pid: value["pid"]
                    .as_i64()
                    .and_then(|pid| pid.try_into().ok())
                    .unwrap_or_default(),
            },
            (Some("listening"), _) => {
                Event::Listening(value["address"].as_str().unwrap_or_default().to_owned())
            }
            (Some("exited"), Some(worker)) => Event::Ended {
                worker,
                end: end(&value),
            },
            (Some(_), _) => Event::Other(value),
            (None, _) => Event::Said {
                worker: None,
                value,
            },
        }
    }
}

fn object(line: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(line).ok()?;
    value.is_object().then_some(value)
}

fn said(worker: Option<u64>, line: &str) -> Event {
    let value = object(line).unwrap_or_else(|| Value::from(line));
    Event::Said { worker, value }
}

fn end(value: &Value) -> End {
    match value["code"].as_i64() {
        Some(code) => End::Code(code),
        None => End::Signal(value["signal"].as_str().unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_primaries_are_understood() {
        let line = r#"{"event":"online","worker":3,"pid":77}"#;
        assert_eq!(Event::of(line), Event::Online { worker: 3, pid: 77 });
        let line = r#"{"event":"line","worker":3,"line":"{\"a\":1}"}"#;
        let value = json!({"a": 1});
        let worker = Some(3);
        assert_eq!(Event::of(line), Event::Said { worker, value });
        let value = json!("plain 5");
        let worker = None;
        assert_eq!(Event::of("plain 5"), Event::Said { worker, value });
        let line = r#"{"event":"exited","worker":3,"exit":"signal","signal":"SIGKILL"}"#;
        let end = End::Signal("SIGKILL".to_owned());
        assert_eq!(Event::of(line), Event::Ended { worker: 3, end });
    }
}
