//! From a text to its [`Node`]s.

mod json5;
mod toml;
mod yaml;

use std::path::Path;

use crate::mistake::Mistake;
use crate::node::{Node, Value};

/// How a text is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    Toml,
    /// JSON with comments, commas at ends, and names without quotes: as PM2 reads it.
    Json,
    Yaml,
}

impl Format {
    /// By a file's name.
    pub(crate) fn of(name: &Path) -> Option<Format> {
        match name.extension()?.to_str()? {
            "toml" => Some(Format::Toml),
            "json" | "json5" | "jsonc" => Some(Format::Json),
            "yaml" | "yml" => Some(Format::Yaml),
            _ => None,
        }
    }
}

/// Reads a text of this format.
pub(crate) fn parse(text: &str, format: Format) -> Result<Node, Mistake> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Toml => toml::parse(text),
        Format::Json => json5::parse(text),
        Format::Yaml => yaml::parse(text),
    }
}

/// Reads a text that has to tell its format by itself: the first that makes a table or a list of it.
pub(crate) fn guess(text: &str) -> Result<(Node, Format), Mistake> {
    let mut said = None;
    for format in [Format::Toml, Format::Json, Format::Yaml] {
        match parse(text, format) {
            Ok(Node {
                value: Value::List(_) | Value::Table(_),
                ..
            }) if text.trim().is_empty() => {}
            Ok(node) if matches!(node.value, Value::List(_) | Value::Table(_)) => {
                return Ok((node, format));
            }
            Ok(_) => {}
            Err(mistake) if format == seems(text) => said = Some(mistake),
            Err(_) => {}
        }
    }
    let nothing = "this is no definition of apps, neither as TOML, nor as JSON or YAML";
    Err(said.unwrap_or_else(|| {
        Mistake::new(
            Node::new(crate::node::At::default(), Value::Null).at,
            nothing,
        )
    }))
}

/// What a text that is none of them was meant to be, most likely.
fn seems(text: &str) -> Format {
    let first = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'));
    let first = first.unwrap_or_default();
    let is_header = |line: &str| {
        let name = line.trim_start_matches('[');
        line.starts_with('[') && name.starts_with(|c: char| c.is_ascii_alphabetic())
    };
    if is_header(first) || first.contains('=') {
        Format::Toml
    } else if first.starts_with(['{', '[', '/']) {
        Format::Json
    } else {
        Format::Yaml
    }
}
