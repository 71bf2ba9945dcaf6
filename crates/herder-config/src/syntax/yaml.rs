//! YAML 1.2, and merge keys (`<<`) as of 1.1, because files that people have use them.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use crate::mistake::Mistake;
use crate::node::{At, Entry, MAX_DEPTH, Node, Table, Value};

/// How many values a text may come to when each alias is what it stands for.
const MAX_VALUES: usize = 100_000;

pub(super) fn parse(text: &str) -> Result<Node, Mistake> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        values: 0,
    };
    let mut document = None;
    loop {
        let (event, span) = reader.next()?;
        if event == Event::StreamEnd {
            break;
        }
        if !is_value(&event) {
            continue;
        }
        if document.is_some() {
            let message = "only one document can be read; this is the second";
            return Err(Mistake::new(at(&span.start), message));
        }
        document = Some(reader.node(event, span, 0)?);
    }
    Ok(document.unwrap_or(Node::new(At { line: 1, column: 1 }, Value::Null)))
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// What aliases stand for, and how many values that is.
    anchors: HashMap<usize, (Node, usize)>,
    values: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Mistake> {
        let wrong = |error: ScanError| Mistake::new(at(error.marker()), error.info());
        match self.parser.next_event() {
            Some(event) => event.map_err(wrong),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Mistake> {
        let at = at(&span.start);
        if depth > MAX_DEPTH {
            return Err(Mistake::new(at, "this is nested too deep"));
        }
        let before = self.values;
        self.count(1, at)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (scalar(&text, style, tag.as_deref(), at)?, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.table(depth)?, anchor),
            Event::Alias(anchor) => return self.alias(anchor, at),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(Mistake::new(at, "a value is missing here")),
        };
        let node = Node::new(at, value);
        if anchor != 0 {
            self.anchors
                .insert(anchor, (node.clone(), self.values - before));
        }
        Ok(node)
    }

    fn count(&mut self, values: usize, at: At) -> Result<(), Mistake> {
        self.values += values;
        match self.values > MAX_VALUES {
            true => Err(Mistake::new(at, "these are too many values")),
            false => Ok(()),
        }
    }

    /// What stands inside of itself has no anchor yet.
    fn alias(&mut self, anchor: usize, at: At) -> Result<Node, Mistake> {
        let Some((node, values)) = self.anchors.get(&anchor) else {
            return Err(Mistake::new(
                at,
                "this alias stands for nothing that ended before it",
            ));
        };
        let (node, values) = (node.clone(), *values);
        self.count(values, at)?;
        Ok(Node::new(at, node.value))
    }

    fn list(&mut self, depth: usize) -> Result<Value, Mistake> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Value::List(items));
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn table(&mut self, depth: usize) -> Result<Value, Mistake> {
        let mut table = Table::new();
        let mut names = HashSet::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                merge(&mut table, &mut names, merged);
                return Ok(Value::Table(table));
            }
            let is_merge = is_merge(&event);
            let name = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            if is_merge {
                merged.push(node);
                continue;
            }
            let at = name.at;
            let name = text_of(name)?;
            if !names.insert(name.clone()) {
                return Err(Mistake::new(at, format!("{name:?} is given twice")));
            }
            table.push(Entry { at, name, node });
        }
    }
}

/// Whether a value begins.
fn is_value(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Alias(_) | Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..)
    )
}

fn is_merge(event: &Event<'_>) -> bool {
    matches!(event, Event::Scalar(text, ScalarStyle::Plain, _, _) if text == "<<")
}

/// What a table has by itself stays; of those that are merged into it the first wins.
fn merge(table: &mut Table, names: &mut HashSet<String>, merged: Vec<Node>) {
    let flat = merged.into_iter().flat_map(|node| match node.value {
        Value::List(nodes) => nodes,
        Value::Null
        | Value::Bool(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Table(_) => {
            vec![node]
        }
    });
    for node in flat {
        if let Value::Table(entries) = node.value {
            let new = entries
                .into_iter()
                .filter(|entry| names.insert(entry.name.clone()));
            table.extend(new);
        }
    }
}

/// A name may look like something else.
fn text_of(name: Node) -> Result<String, Mistake> {
    Ok(match name.value {
        Value::Text(text) => text,
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::List(_) | Value::Table(_) => {
            return Err(Mistake::new(name.at, "a name has to be a text"));
        }
    })
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: At) -> Result<Value, Mistake> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() => match tag.suffix.as_str() {
            "str" => Ok(Value::Text(text.to_owned())),
            "null" | "bool" | "int" | "float" => Ok(plain(text)),
            other => Err(Mistake::new(
                at,
                format!("nothing is known of the tag !!{other}"),
            )),
        },
        // A lone exclamation mark: a text.
        Some(_) => Ok(Value::Text(text.to_owned())),
        None if style == ScalarStyle::Plain => Ok(plain(text)),
        None => Ok(Value::Text(text.to_owned())),
    }
}

/// By the rules of YAML's core schema.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let radix = |prefix, radix| {
        let digits = text.strip_prefix(prefix)?;
        i64::from_str_radix(digits, radix)
            .ok()
            .filter(|_| !digits.starts_with(['+', '-']))
    };
    let integer = text.parse().ok();
    if let Some(number) = integer
        .or_else(|| radix("0x", 16))
        .or_else(|| radix("0o", 8))
    {
        return Value::Integer(number);
    }
    let looks_so = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text.contains(|c: char| c.is_ascii_digit());
    match text.parse() {
        Ok(number) if looks_so => Value::Float(number),
        _ => Value::Text(text.to_owned()),
    }
}

fn at(marker: &Marker) -> At {
    At {
        line: marker.line(),
        column: marker.col() + 1,
    }
}
