//! What a line of a file says.

use herder_api::app::LogFormat;
use herder_api::control::LogLine;
use serde_json::Value;

use super::{LogFile, Stream};

/// A line, without its newline. Bytes that are no UTF-8 become U+FFFD.
pub(super) fn parse(file: &LogFile, line: &[u8]) -> LogLine {
    let text = String::from_utf8_lossy(line);
    let plain = |time: Option<&str>, line: &str| LogLine {
        app: file.app.clone(),
        stream: file.stream.name().to_owned(),
        slot: file.slot,
        time: time.map(str::to_owned),
        line: line.to_owned(),
    };
    if file.stream == Stream::Herder {
        let object: Option<Value> = serde_json::from_str(&text).ok();
        let time = object.as_ref().and_then(|it| it.get("time")?.as_str());
        return plain(time, &text);
    }
    match file.format {
        LogFormat::Raw => plain(None, &text),
        LogFormat::Time => match split(&text, file.time.blanks()) {
            Some((time, line)) => plain(Some(time), line),
            None => plain(None, &text),
        },
        // What was there before the format was chosen is no JSON.
        LogFormat::Json => object(file, &text).unwrap_or_else(|| plain(None, &text)),
    }
}

/// Splits behind the time, which has so many blanks in it.
fn split(text: &str, blanks: usize) -> Option<(&str, &str)> {
    let (at, _) = text.match_indices(' ').nth(blanks)?;
    Some((&text[..at], &text[at + 1..]))
}

fn object(file: &LogFile, text: &str) -> Option<LogLine> {
    let object: Value = serde_json::from_str(text).ok()?;
    let said = |name: &str| Some(object.get(name)?.as_str()?.to_owned());
    let slot = object.get("slot").and_then(Value::as_u64);
    // A gateway or a library has a place of its own, which is no slot.
    let slot = slot.filter(|_| object.get("part").is_none());
    Some(LogLine {
        app: file.app.clone(),
        stream: said("stream")?,
        slot: slot.and_then(|slot| u16::try_from(slot).ok()),
        time: Some(said("time")?),
        line: said("line")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimeFormat;

    fn file(stream: Stream, format: LogFormat, time: &str) -> LogFile {
        LogFile {
            app: "web".to_owned(),
            path: "/none".into(),
            stream,
            slot: None,
            format,
            time: time.parse().unwrap(),
        }
    }

    fn line(stream: &str, slot: Option<u16>, time: Option<&str>, line: &str) -> LogLine {
        LogLine {
            app: "web".to_owned(),
            stream: stream.to_owned(),
            slot,
            time: time.map(str::to_owned),
            line: line.to_owned(),
        }
    }

    #[test]
    fn every_format_is_read_as_it_is_written() {
        let raw = file(Stream::Error, LogFormat::Raw, "%s");
        assert_eq!(
            parse(&raw, b"a \xff"),
            line("error", None, None, "a \u{fffd}")
        );
        let time = file(Stream::Out, LogFormat::Time, "%F %T");
        assert_eq!(
            parse(&time, b"2026-11-21 10:00:00 hello you"),
            line("out", None, Some("2026-11-21 10:00:00"), "hello you")
        );
        assert_eq!(
            parse(&time, b"short line"),
            line("out", None, None, "short line")
        );
        let json = file(Stream::Out, LogFormat::Json, "%s");
        let text =
            br#"{"time":"2026Z","app":"web","slot":3,"id":7,"stream":"error","line":"x\ty"}"#;
        assert_eq!(
            parse(&json, text),
            line("error", Some(3), Some("2026Z"), "x\ty")
        );
        assert_eq!(parse(&json, b"{}"), line("out", None, None, "{}"));
        let text = br#"{"time":"2026Z","event":"ready","message":"it is"}"#;
        let events = file(Stream::Herder, LogFormat::Raw, "%s");
        let text = std::str::from_utf8(text).unwrap();
        let expected = line("herder", None, Some("2026Z"), text);
        assert_eq!(parse(&events, text.as_bytes()), expected);
    }

    #[test]
    fn the_default_time_has_no_blank() {
        assert_eq!(TimeFormat::default().blanks(), 0);
    }
}
