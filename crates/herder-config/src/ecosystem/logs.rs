//! Log files.

use std::path::PathBuf;

use herder_api::App;
use herder_api::app::{LogFiles, LogFormat};

use super::reader::Reader;
use super::values;

const OUT: [&str; 4] = ["out_file", "out", "output", "out_log"];
const ERROR: [&str; 5] = ["error_file", "error", "err", "err_file", "err_log"];
const BOTH: [&str; 2] = ["log_file", "log"];

/// How PM2 writes times when nothing else is said.
const TIME: &str = "%Y-%m-%dT%H:%M:%S";

pub(super) fn logs(reader: &mut Reader<'_>, app: &mut App) {
    let out = reader.take(&OUT, values::text);
    let error = reader
        .take(&ERROR, values::text)
        .or_else(|| reader.take(&["error_log"], values::text));
    let both = reader
        .take(&BOTH, values::text)
        .filter(|path| !is_nothing(path));
    let is_off = reader.is_set(&["disable_logs"]);
    let nothing = |path: &Option<String>| path.as_deref().is_some_and(is_nothing);
    let (no_out, no_error) = (nothing(&out), nothing(&error));
    if no_out != no_error {
        let key = if no_out {
            OUT
        } else {
            ["error_file", "error", "err", "err_file"]
        };
        reader.note(
            &key,
            format!(
                "{}: one of the two streams cannot be left out; both are written",
                key[0]
            ),
        );
    }
    app.logs.enabled = !(is_off || no_out && no_error && both.is_none());
    let file = |path: Option<String>| {
        path.filter(|path| !is_nothing(path))
            .map(|path| PathBuf::from(values::at_home(path)))
    };
    app.logs.out = file(out);
    app.logs.error = file(error);
    if let Some(both) = both {
        if app.logs.out.is_some() || app.logs.error.is_some() {
            let message = "log_file is not taken over: there are files for each stream, and lines are written once";
            reader.note(&BOTH, message);
        } else {
            let both = PathBuf::from(values::at_home(both));
            (app.logs.out, app.logs.error) = (Some(both.clone()), Some(both));
        }
    }
    if reader.take(&["merge_logs", "combine_logs"], values::truth) == Some(false) {
        app.logs.files = LogFiles::PerWorker;
    }
    format(reader, app);
}

/// Where nothing is written.
fn is_nothing(path: &str) -> bool {
    matches!(path, "" | "NULL" | "null" | "/dev/null" | "\\\\.\\NUL")
}

fn format(reader: &mut Reader<'_>, app: &mut App) {
    let date = reader.take(&["log_date_format", "logDateFormat"], values::text);
    if let Some(date) = date.filter(|date| !date.is_empty()) {
        app.logs.format = LogFormat::Time;
        app.logs.time_format = strftime(&date);
        if app.logs.time_format.is_none() {
            let message = format!(
                "log_date_format: {date:?} cannot be written here; it is the time of ISO 8601"
            );
            reader.note(&["log_date_format", "logDateFormat"], message);
        }
    }
    if reader.is_set(&["time"]) && app.logs.format == LogFormat::Raw {
        app.logs.format = LogFormat::Time;
        app.logs.time_format = Some(TIME.to_owned());
    }
    match reader.take(&["log_type"], values::text).as_deref() {
        Some("json") => {
            app.logs.format = LogFormat::Json;
            app.logs.time_format = None;
        }
        None | Some("raw" | "") => {}
        Some(other) => {
            reader.note(
                &["log_type"],
                format!("log_type is not taken over: nothing is known of {other:?}"),
            );
        }
    }
}

/// A pattern of moment.js as one of strftime.
fn strftime(pattern: &str) -> Option<String> {
    // The longest first.
    const PARTS: [(&str, &str); 25] = [
        ("YYYY", "%Y"),
        ("MMMM", "%B"),
        ("dddd", "%A"),
        ("DDDD", "%j"),
        ("SSS", "%3f"),
        ("MMM", "%b"),
        ("ddd", "%a"),
        ("YY", "%y"),
        ("MM", "%m"),
        ("DD", "%d"),
        ("HH", "%H"),
        ("hh", "%I"),
        ("mm", "%M"),
        ("ss", "%S"),
        ("ZZ", "%z"),
        ("Z", "%:z"),
        ("M", "%-m"),
        ("D", "%-d"),
        ("H", "%-H"),
        ("h", "%-I"),
        ("m", "%-M"),
        ("s", "%-S"),
        ("A", "%p"),
        ("a", "%P"),
        ("X", "%s"),
    ];
    let mut rest = pattern;
    let mut format = String::new();
    while let Some(c) = rest.chars().next() {
        if let Some(text) = rest.strip_prefix('[') {
            let (text, after) = text.split_once(']')?;
            format.push_str(&text.replace('%', "%%"));
            rest = after;
        } else if let Some((part, known)) = PARTS.iter().find(|(part, _)| rest.starts_with(part)) {
            format.push_str(known);
            rest = &rest[part.len()..];
        } else if c == 'T' || !c.is_ascii_alphabetic() {
            format.push_str(if c == '%' {
                "%%"
            } else {
                &rest[..c.len_utf8()]
            });
            rest = &rest[c.len_utf8()..];
        } else {
            return None;
        }
    }
    Some(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_were() {
        for (pattern, format) in [
            ("YYYY-MM-DD HH:mm:ss.SSS", Some("%Y-%m-%d %H:%M:%S.%3f")),
            ("YYYY-MM-DDTHH:mm:ss Z", Some("%Y-%m-%dT%H:%M:%S %:z")),
            ("DD/MM/YY [at] h:mm A", Some("%d/%m/%y at %-I:%M %p")),
            ("100%", Some("100%%")),
            ("Qo", None),
            ("[open", None),
        ] {
            assert_eq!(strftime(pattern).as_deref(), format, "{pattern}");
        }
    }
}
