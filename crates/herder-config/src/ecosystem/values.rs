//! Values as PM2 takes them: numbers as texts, texts as lists, milliseconds without a unit.

use herder_api::app::Scalar;
use herder_api::units::{Period, Size};

use crate::node::{Node, Value};

/// Whether it says that something is not wanted: what is not wanted need not be reported.
pub(super) fn is_off(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(false) | Value::Integer(0) => true,
        Value::Text(text) => matches!(text.as_str(), "" | "false" | "0"),
        Value::List(items) => items.is_empty(),
        Value::Table(table) => table.is_empty(),
        Value::Bool(true) | Value::Integer(_) | Value::Float(_) => false,
    }
}

pub(super) fn truth(node: &Node) -> Result<bool, String> {
    if let Value::Bool(value) = node.value {
        return Ok(value);
    }
    match (node.integer(), node.text()) {
        (Some(0), _) | (_, Some("false")) => Ok(false),
        (Some(1), _) | (_, Some("true")) => Ok(true),
        _ => Err(format!(
            "this is {}, but it has to be true or false",
            node.kind()
        )),
    }
}

/// `~/` is the caller's home.
pub(super) fn at_home(path: String) -> String {
    match (path.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(rest), Ok(home)) => format!("{home}/{rest}"),
        _ => path,
    }
}

/// A text, or a number as one.
pub(super) fn text(node: &Node) -> Result<String, String> {
    match &node.value {
        Value::Text(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Null | Value::List(_) | Value::Table(_) => {
            Err(format!("this is {}, but it has to be a text", node.kind()))
        }
    }
}

pub(super) fn integer(node: &Node) -> Result<i64, String> {
    let written = || node.text()?.trim().parse().ok();
    let number = node.integer().or_else(written);
    number.ok_or_else(|| format!("this is {}, but it has to be a whole number", node.kind()))
}

/// A list of texts, or one.
pub(super) fn texts(node: &Node) -> Result<Vec<String>, String> {
    match node.list() {
        Some(items) => items.iter().map(text).collect(),
        None => text(node).map(|text| vec![text]),
    }
}

/// Arguments: a list of them, or a line as a shell would split it.
pub(super) fn arguments(node: &Node) -> Result<Vec<String>, String> {
    match node.text() {
        Some(line) => words(line),
        None => texts(node),
    }
}

/// Milliseconds, or a text with a unit.
pub(super) fn period(node: &Node) -> Result<Period, String> {
    let millis = integer(node)
        .ok()
        .and_then(|millis| u64::try_from(millis).ok());
    let millis = millis.map(Period::millis);
    let with_unit = || node.text()?.parse().ok();
    millis
        .or_else(with_unit)
        .ok_or_else(|| "use milliseconds, or a text with a unit, as in \"3s\"".to_owned())
}

pub(super) fn size(node: &Node) -> Result<Size, String> {
    let text = text(node)?;
    text.parse()
        .map_err(|error: herder_api::units::UnitError| error.to_string())
}

/// A variable's value. What has parts becomes JSON, as with PM2.
pub(super) fn scalar(node: &Node) -> Option<Scalar> {
    match &node.value {
        Value::Null => None,
        Value::Bool(value) => Some(Scalar::Bool(*value)),
        Value::Integer(number) => Some(Scalar::Integer(*number)),
        Value::Float(number) => Some(Scalar::Text(number.to_string())),
        Value::Text(text) => Some(Scalar::Text(text.clone())),
        Value::List(_) | Value::Table(_) => Some(Scalar::Text(node.to_json().to_string())),
    }
}

/// The words of a line: separated by blanks, unless those stand in quotes or behind a backslash.
pub(super) fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quote {
        None => Ok(words),
        Some(quote) => Err(format!("the quote {quote} has no end")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_as_by_a_shell() {
        for (line, expected) in [
            ("", &[][..]),
            ("  a  b ", &["a", "b"]),
            (r#"--name "a b" 'c "d'"#, &["--name", "a b", "c \"d"]),
            (r"a\ b \\", &["a b", "\\"]),
            (r#"x="" ''"#, &["x=", ""]),
        ] {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
        assert!(words("it's").is_err());
    }
}
