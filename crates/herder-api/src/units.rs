//! Durations and sizes, as people write them: `30s`, `500ms`, `300M`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A duration. Written as a number of seconds, or with a unit: `500ms`, `30s`, `5m`, `2h`, `1d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Period(pub Duration);

/// A number of bytes. Written as a number, or with a unit: `64K`, `300M`, `2G` (powers of 1024).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Size(pub u64);

/// Why a text is neither.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UnitError {
    /// It is no duration.
    #[error("{0:?} is no duration: use seconds, or a unit, as in 500ms, 30s, 5m, 2h or 1d")]
    Period(String),
    /// It is no size.
    #[error("{0:?} is no size: use bytes, or a unit, as in 64K, 300M or 2G")]
    Size(String),
}

impl Period {
    /// So many milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Period {
        Period(Duration::from_millis(millis))
    }

    /// So many seconds.
    #[must_use]
    pub const fn secs(secs: u64) -> Period {
        Period(Duration::from_secs(secs))
    }
}

/// The number before a unit, and the unit.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    text.split_at(end.unwrap_or(text.len()))
}

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Period, UnitError> {
        let error = || UnitError::Period(text.to_owned());
        let (number, unit) = split(text.trim());
        let seconds = match unit {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return Err(error()),
        };
        let number: f64 = number.parse().map_err(|_| error())?;
        let time = Duration::try_from_secs_f64(number * seconds).map_err(|_| error())?;
        // A float has no milliseconds of its own.
        let micros = (time + Duration::from_nanos(500)).as_micros();
        let micros = u64::try_from(micros).map_err(|_| error())?;
        Ok(Period(Duration::from_micros(micros)))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let units = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1000, "s"),
        ];
        let whole = units
            .into_iter()
            .find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit));
        match whole {
            Some((unit, name)) => write!(f, "{}{name}", millis / unit),
            None if millis == 0 => f.write_str("0s"),
            None => write!(f, "{millis}ms"),
        }
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Size, UnitError> {
        let error = || UnitError::Size(text.to_owned());
        let (number, unit) = split(text.trim());
        let shift = match unit.to_ascii_uppercase().as_str() {
            "" | "B" => 0,
            "K" | "KB" | "KIB" => 10,
            "M" | "MB" | "MIB" => 20,
            "G" | "GB" | "GIB" => 30,
            "T" | "TB" | "TIB" => 40,
            _ => return Err(error()),
        };
        let number: u64 = number.parse().map_err(|_| error())?;
        let bytes = number.checked_mul(1 << shift).ok_or_else(error)?;
        Ok(Size(bytes))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
        let whole = units
            .into_iter()
            .find(|(shift, _)| self.0 >= 1 << shift && self.0.is_multiple_of(1 << shift));
        match whole {
            Some((shift, name)) => write!(f, "{}{name}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Period, D::Error> {
        from.deserialize_any(Text("a duration, as in 30s"))
            .and_then(|text| text.parse().map_err(de::Error::custom))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Size, D::Error> {
        from.deserialize_any(Text("a size, as in 300M"))
            .and_then(|text| text.parse().map_err(de::Error::custom))
    }
}

/// A text, or a number as a text.
struct Text(&'static str);

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Period, Size};

    impl JsonSchema for Period {
        fn schema_name() -> Cow<'static, str> {
            "Duration".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "type": ["string", "number"],
                "description": "Seconds, or with a unit: 500ms, 30s, 5m, 2h, 1d",
                "pattern": "^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)?$",
                "minimum": 0,
            })
        }
    }

    impl JsonSchema for Size {
        fn schema_name() -> Cow<'static, str> {
            "Size".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "type": ["string", "integer"],
                "description": "Bytes, or with a unit (powers of 1024): 64K, 300M, 2G",
                "pattern": "^[0-9]+([KkMmGgTt]([Ii]?[Bb])?|[Bb])?$",
                "minimum": 0,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_come_back_as_they_were() {
        for (text, millis, shown) in [
            ("500ms", 500, "500ms"),
            ("1.5s", 1500, "1500ms"),
            ("30", 30_000, "30s"),
            ("90s", 90_000, "90s"),
            ("5m", 300_000, "5m"),
            ("2h", 7_200_000, "2h"),
            ("1d", 86_400_000, "1d"),
            ("0", 0, "0s"),
        ] {
            let period: Period = text.parse().expect(text);
            assert_eq!(period, Period::millis(millis), "{text}");
            assert_eq!(period.to_string(), shown);
            assert_eq!(shown.parse(), Ok(period));
        }
        for text in ["", "s", "-1", "1w", "1 s", "1e99d", "NaN", "ten"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_come_back_as_they_were() {
        for (text, bytes, shown) in [
            ("300M", 300 << 20, "300M"),
            ("2g", 2 << 30, "2G"),
            ("64KiB", 64 << 10, "64K"),
            ("1000", 1000, "1000"),
        ] {
            let size: Size = text.parse().expect(text);
            assert_eq!(size, Size(bytes), "{text}");
            assert_eq!(size.to_string(), shown);
        }
        for text in ["", "M", "-1", "1.5G", "99999999T", "1X"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn both_may_be_numbers() {
        let period: Period = serde_json::from_str("1.5").expect("seconds");
        assert_eq!(period, Period::millis(1500));
        let size: Size = serde_json::from_str("4096").expect("bytes");
        assert_eq!(serde_json::to_string(&size).expect("text"), r#""4K""#);
    }
}
