//! What stands behind a path.

/// Which lines of log files are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogQuery {
    /// Whose: names, numbers, namespaces, `all`, `/regex/`. None = those of all apps.
    pub targets: Vec<String>,
    /// How many lines of what is there already, per app and stream. Default: 15.
    pub lines: Option<u32>,
    /// Whether lines that are written later are told too, until the stream is dropped.
    pub follow: bool,
    /// Only these.
    pub stream: Option<LogStream>,
    /// Only those of this slot. Lines of which it is not known are left out.
    pub slot: Option<u16>,
    /// Only lines with this text in them.
    pub contains: Option<String>,
    /// Whether it is said, between the lines, up to where files have been told: in a [`LogLine`] whose
    /// stream is `marks`, and whose line is for [`LogQuery::from`].
    ///
    /// [`LogLine`]: herder_api::control::LogLine
    pub marks: bool,
    /// Where to go on: the last marks of a stream that has broken off. Without `lines`, then.
    pub from: Option<String>,
}

/// A stream of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogStream {
    /// What workers write to stdout.
    Out,
    /// What workers write to stderr.
    Error,
    /// What the herd says about itself.
    Herder,
}

impl LogStream {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LogStream::Out => "out",
            LogStream::Error => "error",
            LogStream::Herder => "herder",
        }
    }
}

impl LogQuery {
    pub(crate) fn path(&self) -> String {
        let mut query = Query::new("/v1/logs");
        for target in &self.targets {
            query.push("target", target);
        }
        if let Some(lines) = self.lines {
            query.push("lines", &lines.to_string());
        }
        if self.follow {
            query.push("follow", "true");
        }
        if let Some(stream) = self.stream {
            query.push("stream", stream.as_str());
        }
        if let Some(slot) = self.slot {
            query.push("slot", &slot.to_string());
        }
        if let Some(text) = &self.contains {
            query.push("contains", text);
        }
        if self.marks {
            query.push("marks", "true");
        }
        if let Some(marks) = &self.from {
            query.push("from", marks);
        }
        query.path
    }
}

/// A path that gets parameters.
pub(crate) struct Query {
    pub(crate) path: String,
    any: bool,
}

impl Query {
    pub(crate) fn new(path: &str) -> Query {
        Query {
            path: path.to_owned(),
            any: false,
        }
    }

    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.path.push(if self.any { '&' } else { '?' });
        self.any = true;
        self.path.push_str(name);
        self.path.push('=');
        escape(value, &mut self.path);
    }
}

/// One part of a path.
pub(crate) fn part(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    escape(text, &mut escaped);
    escaped
}

/// Everything but what RFC 3986 calls unreserved is written as `%XX`.
fn escape(text: &str, into: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.push(char::from(HEX[usize::from(byte >> 4)]));
            into.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_is_escaped() {
        assert_eq!(part("web-1.x_y"), "web-1.x_y");
        assert_eq!(part("a/b ü%"), "a%2Fb%20%C3%BC%25");
        let query = LogQuery {
            targets: vec!["/^a&b/".to_owned(), "all".to_owned()],
            lines: Some(5),
            follow: true,
            stream: Some(LogStream::Error),
            slot: Some(2),
            contains: Some("a b".to_owned()),
            marks: true,
            from: Some("1.2.3,4.5.6".to_owned()),
        };
        assert_eq!(
            query.path(),
            "/v1/logs?target=%2F%5Ea%26b%2F&target=all&lines=5&follow=true&stream=error&slot=2&contains=a%20b&marks=true&from=1.2.3%2C4.5.6"
        );
        assert_eq!(LogQuery::default().path(), "/v1/logs");
    }
}
