//! The time of day, as people and log collectors write it.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment on both clocks: people read the wall clock, but only the other one never leaps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    /// Milliseconds since 1970 in UTC.
    pub(super) wall_ms: i64,
    /// Microseconds of the monotonic clock.
    pub(super) mono_us: u64,
}

impl Stamp {
    /// This moment.
    pub(super) fn now() -> Stamp {
        Stamp {
            wall_ms: milliseconds(SystemTime::now()),
            mono_us: herder_sys::clock::monotonic_micros(),
        }
    }

    /// The wall clock as RFC 3339 in UTC: `2026-11-21T02:10:49.123Z`.
    pub(super) fn wall(self) -> Wall {
        Wall(self.wall_ms)
    }
}

/// Displays milliseconds since 1970 as RFC 3339 in UTC.
pub(super) struct Wall(i64);

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY_MS: i64 = 86_400_000;
        let (year, month, day) = civil(self.0.div_euclid(DAY_MS));
        let of_day = self.0.rem_euclid(DAY_MS);
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
        )
    }
}

/// Milliseconds since 1970; negative before. A clock beyond all reason saturates.
fn milliseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |before| -before)
        }
    }
}

/// Year, month and day of the Gregorian calendar, `days` after 1970-01-01.
///
/// The year is taken to begin in March, so that the leap day is its last; then the months repeat
/// in a pattern of five (153 days) and the years in eras of 400 (146,097 days).
fn civil(days: i64) -> (i64, i64, i64) {
    let from_march_0000 = days + 719_468;
    let era = from_march_0000.div_euclid(146_097);
    let day_of_era = from_march_0000.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, next_year) = match month_from_march {
        0..=9 => (month_from_march + 3, 0),
        _ => (month_from_march - 9, 1),
    };
    (year_of_era + era * 400 + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_wall_clock_is_written_as_rfc_3339() {
        for (wall_ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (1_735_689_600_000, "2025-01-01T00:00:00.000Z"),
            (1_795_227_049_123, "2026-11-21T02:10:49.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(
                Stamp {
                    wall_ms,
                    mono_us: 0
                }
                .wall()
                .to_string(),
                expected
            );
        }
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let length = |year: i64, month: i64| match month {
            2 if year % 400 == 0 || (year % 4 == 0 && year % 100 != 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let mut expected = (1970, 1, 1);
        for day in 0..146_097 {
            assert_eq!(civil(day), expected);
            let (year, month, of_month) = expected;
            expected = match (month, of_month) {
                (12, 31) => (year + 1, 1, 1),
                _ if of_month == length(year, month) => (year, month + 1, 1),
                _ => (year, month, of_month + 1),
            };
        }
    }

    #[test]
    fn r42_a_clock_before_1970_is_no_panic() {
        assert_eq!(milliseconds(UNIX_EPOCH - Duration::from_secs(1)), -1000);
        assert_eq!(milliseconds(UNIX_EPOCH + Duration::from_millis(1)), 1);
    }
}
