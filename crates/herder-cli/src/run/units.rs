//! Durations, sizes and modes as people write them.

use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::Duration;

use herder_api::units::Period;

/// A duration: `30`, `500ms`, `30s`, `5m`, `2h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seconds(pub(crate) Duration);

/// A duration that may be 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OrZero(pub(crate) Duration);

/// A duration, or `never`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OrNever {
    After(Seconds),
    Never,
}

/// A size: `1024`, `64K`, `300M`, `2G`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size(pub(crate) u64);

/// Permission bits in octal: `600`, `0660`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mode(pub(crate) u32);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Seconds, String> {
        let (number, unit) = split(text);
        let millis = match unit {
            "ms" => Some(1),
            "" | "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let number = number.parse::<u64>().ok();
        match number
            .zip(millis)
            .and_then(|(number, millis)| number.checked_mul(millis))
        {
            Some(0) => Err("it must be more than 0".to_owned()),
            Some(millis) => Ok(Seconds(Duration::from_millis(millis))),
            None => Err("use seconds, or a number with a unit: 500ms, 30s, 5m, 2h".to_owned()),
        }
    }
}

impl From<Seconds> for Period {
    fn from(Seconds(time): Seconds) -> Period {
        Period(time)
    }
}

impl FromStr for OrZero {
    type Err = String;

    fn from_str(text: &str) -> Result<OrZero, String> {
        match text.trim_end_matches(|c: char| c.is_ascii_alphabetic()) {
            "0" => Ok(OrZero(Duration::ZERO)),
            _ => text.parse().map(|Seconds(time)| OrZero(time)),
        }
    }
}

impl FromStr for OrNever {
    type Err = String;

    fn from_str(text: &str) -> Result<OrNever, String> {
        match text {
            "never" => Ok(OrNever::Never),
            _ => text.parse().map(OrNever::After),
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let (number, unit) = split(text);
        let bytes = match unit.strip_suffix(['b', 'B']).unwrap_or(unit) {
            "" => Some(1),
            "k" | "K" => Some(1 << 10),
            "m" | "M" => Some(1 << 20),
            "g" | "G" => Some(1 << 30),
            _ => None,
        };
        let number = number.parse::<u64>().ok();
        match number
            .zip(bytes)
            .and_then(|(number, bytes): (u64, u64)| number.checked_mul(bytes))
        {
            Some(0) => Err("it must be more than 0".to_owned()),
            Some(bytes) => Ok(Size(bytes)),
            None => Err("use bytes, or a number with a unit: 64K, 300M, 2G".to_owned()),
        }
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Mode, String> {
        match u32::from_str_radix(text, 8) {
            Ok(bits) if bits <= 0o777 => Ok(Mode(bits)),
            _ => Err("use permission bits in octal, from 000 to 777".to_owned()),
        }
    }
}

/// For --max-requests.
pub(crate) fn requests(text: &str) -> Result<u64, &'static str> {
    text.parse()
        .map_err(|_| "use a whole number, such as 10000")
}

/// For --max-restarts.
pub(crate) fn restarts(text: &str) -> Result<u32, &'static str> {
    text.parse()
        .map_err(|_| "use a whole number; 0 is no limit")
}

/// For --surge and --max-generations.
pub(crate) fn at_least_one(text: &str) -> Result<NonZeroU16, &'static str> {
    text.parse()
        .map_err(|_| "use a whole number from 1 to 65535")
}

/// For --max-unavailable.
pub(crate) fn count(text: &str) -> Result<u16, &'static str> {
    text.parse()
        .map_err(|_| "use a whole number from 0 to 65535")
}

/// For --backlog.
pub(crate) fn backlog(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "use a whole number, such as 4096")
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_or_are_seconds() {
        for (text, millis) in [
            ("2", 2_000),
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
        ] {
            assert_eq!(
                text.parse(),
                Ok(Seconds(Duration::from_millis(millis))),
                "{text}"
            );
        }
        for text in [
            "",
            "s",
            "-1",
            "1.5s",
            "1d",
            "0",
            "99999999999999999999",
            "18446744073709551615h",
        ] {
            assert!(text.parse::<Seconds>().is_err(), "{text}");
        }
    }

    #[test]
    fn some_durations_may_be_nothing_and_some_forever() {
        for text in ["0", "0s", "0ms"] {
            assert_eq!(text.parse(), Ok(OrZero(Duration::ZERO)), "{text}");
        }
        assert_eq!("2m".parse(), Ok(OrZero(Duration::from_secs(120))));
        assert_eq!("never".parse(), Ok(OrNever::Never));
        let second = Seconds(Duration::from_secs(1));
        assert_eq!("1s".parse(), Ok(OrNever::After(second)));
        for text in ["", "x", "-1", "00", "Never"] {
            assert!(text.parse::<OrZero>().is_err(), "{text}");
        }
        assert!("0".parse::<OrNever>().is_err());
    }

    #[test]
    fn sizes_have_units_or_are_bytes() {
        for (text, bytes) in [
            ("7", 7),
            ("64K", 65_536),
            ("300MB", 314_572_800),
            ("2g", 1 << 31),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "M", "1T", "1.5G", "0"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn whoever_writes_no_number_is_told_what_would_be_one() {
        assert_eq!(requests("10000"), Ok(10_000));
        assert_eq!((restarts("0"), backlog("128")), (Ok(0), Ok(128)));
        for text in ["x", "", "-1", "1.5", "99999999999999999999"] {
            assert!(requests(text).is_err_and(|told| told.contains("whole number")));
            assert!(restarts(text).is_err_and(|told| told.contains("0 is no limit")));
            assert!(backlog(text).is_err_and(|told| told.contains("4096")));
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!("0660".parse(), Ok(Mode(0o660)));
        assert!("888".parse::<Mode>().is_err());
        assert!("1777".parse::<Mode>().is_err());
    }
}
