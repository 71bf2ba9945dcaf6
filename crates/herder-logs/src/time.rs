//! The time, as it stands before a line.

use std::fmt;
use std::str::FromStr;

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
        let sample = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
        match jiff::fmt::strtime::format(text, &sample) {
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
