//! The time, as it stands before a line.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// How times are written when nothing else is said: the local time of day with its distance from UTC.
pub const DEFAULT: &str = "%Y-%m-%dT%H:%M:%S%.3f%:z";

/// How times are written, as by strftime. It is known to work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimeFormat(String);

/// Why a text is no [`TimeFormat`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text:?} is no format of a time: {problem}")]
pub struct TimeFormatError {
    text: String,
    problem: String,
}

impl TimeFormat {
    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many blanks a time has.
    pub(crate) fn blanks(&self) -> usize {
        let sample = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        let shown = strtime::format(&self.0, &sample).unwrap_or_default();
        shown.matches(' ').count()
    }
}

impl Default for TimeFormat {
    fn default() -> TimeFormat {
        TimeFormat(DEFAULT.to_owned())
    }
}

impl FromStr for TimeFormat {
    type Err = TimeFormatError;

    fn from_str(text: &str) -> Result<TimeFormat, TimeFormatError> {
        let error = |problem: String| TimeFormatError {
            text: text.to_owned(),
            problem,
        };
        if text.contains(['\n', '\r']) {
            return Err(error("a line would be two".to_owned()));
        }
        let sample = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        match strtime::format(text, &sample) {
            Ok(shown) if shown.len() > LONGEST => {
                Err(error(format!("it gives more than {LONGEST} bytes")))
            }
            Ok(_) => Ok(TimeFormat(text.to_owned())),
            Err(problem) => Err(error(problem.to_string())),
        }
    }
}

impl fmt::Display for TimeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest time, in bytes: it stands before every line.
const LONGEST: usize = 128;

/// Writes the time of the moment, cheaply when the moment is still the same millisecond.
#[derive(Debug)]
pub(crate) struct Clock {
    style: Style,
    zone: TimeZone,
    shown_ms: i64,
    text: Vec<u8>,
}

#[derive(Debug)]
enum Style {
    /// RFC 3339 in UTC, with milliseconds.
    Utc,
    Format(TimeFormat),
}

impl Clock {
    pub(crate) fn utc() -> Clock {
        Clock::new(Style::Utc, TimeZone::UTC)
    }

    /// In the machine's time zone.
    pub(crate) fn local(format: TimeFormat) -> Clock {
        Clock::new(Style::Format(format), TimeZone::system())
    }

    fn new(style: Style, zone: TimeZone) -> Clock {
        Clock {
            style,
            zone,
            shown_ms: i64::MIN,
            text: Vec::new(),
        }
    }

    /// Looks at the clock.
    pub(crate) fn look(&mut self) {
        self.show(Timestamp::now());
    }

    /// The time when it was last looked at.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    fn show(&mut self, now: Timestamp) {
        let now_ms = now.as_millisecond();
        if now_ms == self.shown_ms {
            return;
        }
        self.shown_ms = now_ms;
        self.text.clear();
        let text = match &self.style {
            Style::Utc => now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            Style::Format(format) => {
                let now = now.to_zoned(self.zone.clone());
                // It was tried when the format was made.
                strtime::format(format.as_str(), &now).unwrap_or_default()
            }
        };
        self.text.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_asked() {
        let now: Timestamp = "2026-11-21T10:00:00.1239Z".parse().expect("a time");
        let mut utc = Clock::utc();
        utc.show(now);
        assert_eq!(utc.text(), b"2026-11-21T10:00:00.123Z");
        let zone = TimeZone::get("Asia/Shanghai").expect("it is bundled");
        let mut clock = Clock::new(Style::Format(TimeFormat::default()), zone.clone());
        clock.show(now);
        assert_eq!(clock.text(), b"2026-11-21T18:00:00.123+08:00");
        let format = "%d.%m.%y %H:%M".parse().expect("a format");
        let mut clock = Clock::new(Style::Format(format), zone);
        clock.show(now);
        assert_eq!(clock.text(), b"21.11.26 18:00");
    }

    #[test]
    fn what_is_no_format_is_refused() {
        for text in ["%", "%!", "a\nb", &"%A".repeat(100)] {
            let error = text.parse::<TimeFormat>().expect_err(text);
            assert!(
                error.to_string().contains("is no format of a time"),
                "{error}"
            );
        }
    }
}
