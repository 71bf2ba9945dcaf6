//! What a worker and its primary have said, as `tap.py` has seen it.

use serde_json::Value;
use std::fs;
use std::path::Path;

/// The lines of one worker's channel, both ways, in the order in which they went on.
#[derive(Debug)]
pub struct Wire {
    lines: Vec<(Way, Value)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ToWorker,
    ToPrimary,
}

impl Wire {
    /// What was seen so far between worker `id` and its primary.
    ///
    /// # Panics
    /// When that worker was not tapped into `directory`.
    pub fn of(directory: &Path, id: u64) -> Wire {
        let path = directory.join(format!("wire-{id}.jsonl"));
        let text = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
        let lines = text.split_inclusive('\n').filter(|it| it.ends_with('\n'));
        Wire {
            lines: lines.map(read).collect(),
        }
    }

    /// What the worker has said, as it was.
    pub fn said(&self) -> Vec<Value> {
        self.on(Way::ToPrimary)
    }

    /// What the worker was told, as it was.
    pub fn told(&self) -> Vec<Value> {
        self.on(Way::ToWorker)
    }

    /// Both sides of the conversation, each by itself, as far as all primaries are to have the same: without the
    /// numbers of messages, without names of listeners, and with each port 1.
    pub fn plain(&self) -> Value {
        let plain = |lines: Vec<Value>| -> Vec<Value> { lines.into_iter().map(plain).collect() };
        serde_json::json!({"said": plain(self.said()), "told": plain(self.told())})
    }

    fn on(&self, wanted: Way) -> Vec<Value> {
        let lines = self.lines.iter().filter(|(way, _)| *way == wanted);
        lines.map(|(_, line)| line.clone()).collect()
    }
}

fn read(line: &str) -> (Way, Value) {
    let mut record: Value = serde_json::from_str(line).expect("the tap writes JSON");
    let way = match record["way"].as_str() {
        Some("down") => Way::ToWorker,
        _ => Way::ToPrimary,
    };
    (way, record["line"].take())
}

/// A message without what each primary chooses for itself.
fn plain(line: Value) -> Value {
    match line {
        Value::Object(fields) => {
            let keep = |(name, value): &(String, Value)| match name.as_str() {
                "key" | "seq" => false,
                // All are ways to say that there was no error.
                "errno" => value.as_i64().is_some_and(|errno| errno != 0),
                _ => true,
            };
            let field = |(name, value): (String, Value)| {
                let value = match name.as_str() {
                    // Whether it is an answer, not to what.
                    "ack" => Value::from(1),
                    "port" if value.as_i64().is_some_and(|port| port > 0) => Value::from(1),
                    _ => plain(value),
                };
                (name, value)
            };
            fields.into_iter().filter(keep).map(field).collect()
        }
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            line
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_primary_chooses_is_left_out() {
        let line = json!({"cmd": "NODE_CLUSTER", "ack": 7, "errno": 0, "key": "a",
            "sockname": {"port": 80, "address": "::"}, "seq": 3});
        let expected = json!({"cmd": "NODE_CLUSTER", "ack": 1,
            "sockname": {"port": 1, "address": "::"}});
        assert_eq!(plain(line), expected);
        assert_eq!(plain(json!({"errno": -98})), json!({"errno": -98}));
    }
}
