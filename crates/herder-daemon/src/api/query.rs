//! What stands in a path and behind it.

use super::answer::Refusal;

/// `name=value` pairs, in their order.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands behind the `?`. Only these names are known.
    pub(super) fn parse(text: Option<&str>, known: &[&str]) -> Result<Query, Refusal> {
        let mut pairs = Vec::new();
        let text = text.unwrap_or_default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name)?;
            if !known.contains(&name.as_str()) {
                let message = match known {
                    [] => format!("{name:?} means nothing here: no parameters are known."),
                    known => format!("{name:?} means nothing here: use {}.", known.join(", ")),
                };
                return Err(Refusal::invalid(message));
            }
            pairs.push((name, decode(&value.replace('+', " "))?));
        }
        Ok(Query(pairs))
    }

    /// All values of that name.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(this, _)| this == name);
        named.map(|(_, value)| value.clone()).collect()
    }

    /// The value of that name.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut named = self.0.iter().filter(|(this, _)| this == name);
        let first = named.next().map(|(_, value)| value.as_str());
        if named.next().is_some() {
            return Err(Refusal::invalid(format!("{name:?} is given twice.")));
        }
        Ok(first)
    }

    /// A number of that name, from 0 to `most`.
    pub(super) fn number(&self, name: &str, default: u32, most: u32) -> Result<u32, Refusal> {
        let Some(value) = self.one(name)? else {
            return Ok(default);
        };
        let number = value.parse().ok().filter(|number| *number <= most);
        number.ok_or_else(|| {
            let message = format!("{name}={value:?} is no number from 0 to {most}.");
            Refusal::invalid(message)
        })
    }

    /// A moment of that name, as events have theirs: in UTC, to milliseconds.
    pub(super) fn time(&self, name: &str) -> Result<Option<String>, Refusal> {
        let Some(value) = self.one(name)? else {
            return Ok(None);
        };
        let time: jiff::Timestamp = value.parse().map_err(|_no_time| {
            let message = format!("{name}={value:?} is no time like 2026-11-21T10:00:00.000Z.");
            Refusal::invalid(message)
        })?;
        Ok(Some(format!("{time:.3}")))
    }

    /// A truth value of that name; it is true when it is named without a value.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.one(name)? {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(value) => {
                let message = format!("{name}={value:?} is neither true nor false.");
                Err(Refusal::invalid(message))
            }
        }
    }
}

/// `%XX` stand for bytes, and all together for UTF-8.
pub(super) fn decode(text: &str) -> Result<String, Refusal> {
    let bad = || Refusal::invalid(format!("{text:?} is no UTF-8 with %XX in it."));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = char::from(rest.next()?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(bad());
        };
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(refusal: Refusal) -> String {
        let answer = refusal.into_answer();
        assert_eq!(answer.status(), 400);
        format!("{:?}", answer.body())
    }

    #[test]
    fn parameters_are_read() {
        let text = "target=%2F%5Ea%2F&target=web+1&lines=7&follow&since=2026-11-21T10:00:00Z";
        let query = Query::parse(Some(text), &["target", "lines", "follow", "since"]).unwrap();
        let since = query.time("since").unwrap();
        assert_eq!(since.as_deref(), Some("2026-11-21T10:00:00.000Z"));
        assert_eq!(query.time("until").unwrap(), None);
        assert_eq!(query.all("target"), ["/^a/", "web 1"]);
        assert_eq!(query.number("lines", 15, 100).unwrap(), 7);
        assert!(query.flag("follow").unwrap());
        assert_eq!(query.one("stream").unwrap(), None);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, named) in [
            ("lins=3", "lins"),
            ("lines=x", "lines="),
            ("lines=101", "from 0 to 100"),
            ("lines=-1", "from 0 to 100"),
            ("lines=1&lines=2", "twice"),
        ] {
            let query = Query::parse(Some(text), &["lines"]);
            let refusal = query.and_then(|query| query.number("lines", 1, 100));
            let said = message(refusal.unwrap_err());
            assert!(said.contains(named), "{text}: {said}");
        }
        for text in ["%", "%4", "%zz", "%ff", "%+1"] {
            assert!(decode(text).is_err(), "{text}");
        }
        let time = Query::parse(Some("since=noon"), &["since"]).unwrap();
        assert!(message(time.time("since").unwrap_err()).contains("no time like"));
        let flag = Query::parse(Some("follow=yes"), &["follow"]).unwrap();
        assert!(message(flag.flag("follow").unwrap_err()).contains("neither"));
    }
}
