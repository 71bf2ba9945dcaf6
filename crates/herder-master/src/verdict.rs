//! What became of a reload or of an upgrade, as data.

use std::time::Duration;

use herder_core::{Exit, Generation};
use serde::{Deserialize, Serialize};

/// What became of a reload or of an upgrade. There is exactly one for each that was begun or refused.
///
/// As JSON: `operation`, `outcome`, `generation`, `reason`, `exit`, `last_lines`, `at`, `took_ms`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// What was asked for.
    pub operation: Operation,
    /// What became of it.
    pub outcome: Ruling,
    /// The generation that was to be put in service; of an upgrade, the one that is.
    pub generation: Generation,
    /// Why it was not done. Empty when it was.
    pub reason: String,
    /// How the process ended that was the reason, if one was, and has ended.
    #[serde(with = "exit")]
    pub exit: Option<Exit>,
    /// What that process printed last: at most 20 lines, as it wrote them.
    pub last_lines: Vec<String>,
    /// When it was given, as RFC 3339 in UTC.
    pub at: String,
    /// How long it took from its begin.
    #[serde(rename = "took_ms", with = "milliseconds")]
    pub took: Duration,
}

/// What an operator asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Another generation of the program.
    Reload,
    /// Another version of the master.
    Upgrade,
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// It is done.
    Done,
    /// It was not even begun.
    Refused,
    /// It was begun, and everything is as it was before.
    RolledBack,
}

impl Verdict {
    /// One that went as it was to go.
    pub(crate) fn done(
        operation: Operation,
        generation: Generation,
        took: Duration,
        at: String,
    ) -> Verdict {
        Verdict {
            operation,
            outcome: Ruling::Done,
            generation,
            reason: String::new(),
            exit: None,
            last_lines: Vec::new(),
            at,
            took,
        }
    }
}

impl Operation {
    /// Its name in sentences and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Operation::Reload => "reload",
            Operation::Upgrade => "upgrade",
        }
    }
}

/// An end of a process as `{"code": 1}`, `{"signal": 9}`, `"out_of_memory"` or `"unknown"`.
mod exit {
    use herder_core::Exit;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Written {
        Code(i32),
        Signal(i32),
        OutOfMemory,
        Unknown,
    }

    #[expect(clippy::ref_option, reason = "serde lends a field as it is")]
    pub(super) fn serialize<S: Serializer>(exit: &Option<Exit>, to: S) -> Result<S::Ok, S::Error> {
        let written = exit.map(|exit| match exit {
            Exit::Code(code) => Written::Code(code),
            Exit::Signal(number) => Written::Signal(number),
            Exit::OutOfMemory => Written::OutOfMemory,
            Exit::Unknown => Written::Unknown,
        });
        written.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Exit>, D::Error> {
        let written = Option::<Written>::deserialize(from)?;
        Ok(written.map(|written| match written {
            Written::Code(code) => Exit::Code(code),
            Written::Signal(number) => Exit::Signal(number),
            Written::OutOfMemory => Exit::OutOfMemory,
            Written::Unknown => Exit::Unknown,
        }))
    }
}

/// A duration as whole milliseconds.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_plain_json_and_comes_back() {
        let verdict = Verdict {
            operation: Operation::Reload,
            outcome: Ruling::RolledBack,
            generation: Generation(2),
            reason: "worker 0 #3 [1234] ended before it was ready: exit status 1".to_owned(),
            exit: Some(Exit::Code(1)),
            last_lines: vec!["SyntaxError".to_owned()],
            at: "2026-11-21T02:10:49.123Z".to_owned(),
            took: Duration::from_millis(1200),
        };
        let text = serde_json::to_string(&verdict).expect("JSON");
        assert_eq!(
            text,
            concat!(
                r#"{"operation":"reload","outcome":"rolled_back","generation":2,"#,
                r#""reason":"worker 0 #3 [1234] ended before it was ready: exit status 1","#,
                r#""exit":{"code":1},"last_lines":["SyntaxError"],"#,
                r#""at":"2026-11-21T02:10:49.123Z","took_ms":1200}"#
            )
        );
        assert_eq!(
            serde_json::from_str::<Verdict>(&text).expect("ours"),
            verdict
        );
        let no_exit = Verdict {
            exit: None,
            ..verdict
        };
        let text = serde_json::to_string(&no_exit).expect("JSON");
        assert!(text.contains(r#""exit":null"#), "{text}");
        assert_eq!(
            serde_json::from_str::<Verdict>(&text).expect("ours"),
            no_exit
        );
    }
}
