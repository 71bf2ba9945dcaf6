//! Values of options.

use herder_api::app::{Max, Workers};
use herder_api::units::Period;

/// A duration as PM2 counts: a number without a unit is milliseconds.
pub(super) fn millis(text: &str) -> Result<Period, String> {
    let bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = if bare {
        format!("{text}ms")
    } else {
        text.to_owned()
    };
    text.parse()
        .map_err(|_| "use milliseconds, or a unit, as in 1600, 500ms, 30s or 5m".to_owned())
}

/// A duration; `never` is none at all.
pub(super) fn or_never(text: &str) -> Result<Period, String> {
    match text {
        "never" => Ok(Period::secs(0)),
        _ => text
            .parse()
            .map_err(|error: herder_api::units::UnitError| error.to_string()),
    }
}

/// How many workers: a number, or `max`; 0 is `max`, as for PM2.
pub(super) fn workers(text: &str) -> Result<Workers, String> {
    match text {
        "max" | "0" => Ok(Workers::Max(Max::Max)),
        _ => match text.parse() {
            Ok(count @ 1..=256) => Ok(Workers::Count(count)),
            Ok(_) | Err(_) => Err("use a number from 1 to 256, or max for one per CPU".to_owned()),
        },
    }
}

/// `NAME=VALUE`
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// PM2's way to write times (`YYYY-MM-DD HH:mm:ss Z`) as strftime has it. What has a `%` is strftime's
/// already.
pub(super) fn time_format(text: &str) -> Result<String, String> {
    if text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut format = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (literal, behind) = inner.split_once(']').ok_or("a [ has no ]")?;
            format.push_str(literal);
            rest = behind;
            continue;
        }
        let known = TOKENS.iter().find(|(token, _)| rest.starts_with(token));
        match known {
            Some((token, code)) => {
                format.push_str(code);
                rest = &rest[token.len()..];
            }
            // The T of ISO 8601 stands as it is.
            None if first.is_ascii_alphabetic() && first != 'T' => {
                return Err(format!(
                    "nothing is known of {first:?}; use YYYY MM DD HH mm ss SSS Z, or strftime's %Y and so on"
                ));
            }
            None => {
                format.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    Ok(format)
}

/// The longest first.
const TOKENS: [(&str, &str); 22] = [
    ("YYYY", "%Y"),
    ("YY", "%y"),
    ("MMMM", "%B"),
    ("MMM", "%b"),
    ("MM", "%m"),
    ("DDDD", "%j"),
    ("DD", "%d"),
    ("D", "%-d"),
    ("dddd", "%A"),
    ("ddd", "%a"),
    ("HH", "%H"),
    ("H", "%-H"),
    ("hh", "%I"),
    ("h", "%-I"),
    ("mm", "%M"),
    ("ss", "%S"),
    ("SSS", "%3f"),
    ("ZZ", "%z"),
    ("Z", "%:z"),
    ("A", "%p"),
    ("a", "%P"),
    ("X", "%s"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_pm2_are_understood() {
        for (text, expected) in [
            ("YYYY-MM-DD HH:mm:ss Z", "%Y-%m-%d %H:%M:%S %:z"),
            ("YYYY-MM-DDTHH:mm:ss.SSS", "%Y-%m-%dT%H:%M:%S.%3f"),
            ("[at] hh:mm A", "at %I:%M %p"),
            ("%H:%M", "%H:%M"),
            ("x[y", ""),
            ("q", ""),
        ] {
            assert_eq!(time_format(text).unwrap_or_default(), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_milliseconds_where_pm2_counts_so() {
        assert_eq!(millis("1600"), Ok(Period::millis(1600)));
        assert_eq!(millis("2s"), Ok(Period::secs(2)));
        assert!(millis("").is_err() && millis("1.5").is_ok() && millis("x").is_err());
    }
}
