//! [`Timing`]: when a job is due.

use std::str::FromStr;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use herder_core::schedule::{Calendar, Wall};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// The times of a job.
///
/// Text: a pattern of cron (`0 3 * * *`, with seconds `*/10 * * * * *`, `@hourly`, and a time zone
/// behind it: `0 3 * * * Europe/Berlin`; UTC if there is none), or `every 10s`, with the units
/// `ms s m h d`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timing {
    text: String,
    times: Times,
}

/// Why a text is no timing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is no timing such as `0 3 * * * Europe/Berlin` or `every 10s`: {reason}")]
pub struct TimingError {
    text: String,
    reason: String,
}

#[derive(Clone, Debug)]
enum Times {
    Cron(Box<Cron>, TimeZone),
    /// At the multiples of this since 1970, so that all machines mean the same ticks.
    Every(Duration),
}

impl Timing {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Timing {
    type Err = TimingError;

    fn from_str(text: &str) -> Result<Timing, TimingError> {
        let wrong = |reason: String| TimingError {
            text: text.to_owned(),
            reason,
        };
        let trimmed = text.trim();
        let times = match trimmed.strip_prefix("every ") {
            Some(period) => Times::Every(parse_period(period).map_err(wrong)?),
            None => parse_cron(trimmed).map_err(wrong)?,
        };
        let timing = Timing {
            text: trimmed.to_owned(),
            times,
        };
        // A date that never comes is a mistake that is noticed in a year, or never.
        if timing.next_after(now()).is_none() {
            return Err(wrong("it never comes".to_owned()));
        }
        Ok(timing)
    }
}

impl TryFrom<String> for Timing {
    type Error = TimingError;

    fn try_from(text: String) -> Result<Timing, TimingError> {
        text.parse()
    }
}

impl From<Timing> for String {
    fn from(timing: Timing) -> String {
        timing.text
    }
}

impl PartialEq for Timing {
    fn eq(&self, other: &Timing) -> bool {
        self.text == other.text
    }
}

impl Eq for Timing {}

impl Calendar for Timing {
    fn next_after(&self, after: Wall) -> Option<Wall> {
        match &self.times {
            Times::Every(period) => {
                let period = i64::try_from(period.as_millis()).ok()?;
                let step = after.as_millis().div_euclid(period).checked_add(1)?;
                step.checked_mul(period).map(Wall::from_millis)
            }
            Times::Cron(cron, zone) => {
                let after = Timestamp::from_millisecond(after.as_millis()).ok()?;
                let next = cron.find_next_occurrence(&after.to_zoned(zone.clone()), false);
                let next = next.ok()?.timestamp();
                Some(Wall::from_millis(next.as_millisecond()))
            }
        }
    }
}

fn parse_cron(text: &str) -> Result<Times, String> {
    let (pattern, zone) = split_zone(text)?;
    let parser = CronParser::builder().seconds(Seconds::Optional).build();
    let cron = parser.parse(pattern).map_err(|error| error.to_string())?;
    Ok(Times::Cron(Box::new(cron), zone))
}

/// A last word that has a slash between letters, or is `UTC`, is a time zone.
fn split_zone(text: &str) -> Result<(&str, TimeZone), String> {
    let Some((pattern, last)) = text.rsplit_once(char::is_whitespace) else {
        return Ok((text, TimeZone::UTC));
    };
    let starts_like_a_zone = last.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts_like_a_zone || !(last.contains('/') || last == "UTC") {
        return Ok((text, TimeZone::UTC));
    }
    let zone = TimeZone::get(last).map_err(|_| format!("there is no time zone {last}"))?;
    Ok((pattern.trim_end(), zone))
}

fn parse_period(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u32 = number
        .parse()
        .map_err(|_| "the period is no whole number".to_owned())?;
    let unit = match unit.trim() {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        "d" => Duration::from_secs(24 * 3600),
        other => return Err(format!("{other:?} is none of the units ms, s, m, h, d")),
    };
    let period = unit.checked_mul(number).ok_or("the period is too long")?;
    if period < Duration::from_millis(100) {
        return Err("a period is at least 100ms".to_owned());
    }
    Ok(period)
}

fn now() -> Wall {
    Wall::from_millis(Timestamp::now().as_millisecond())
}
