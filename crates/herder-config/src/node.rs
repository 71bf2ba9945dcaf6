//! What a text says, with the places where it says it: the same for all formats.

use std::fmt;

use serde_json::{Map, Value as Json};

/// How deep tables and lists may stand in one another. (An app needs four.)
pub(crate) const MAX_DEPTH: usize = 64;

/// A place in a text, counted from 1. 0:0 = none is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct At {
    pub(crate) line: usize,
    /// In characters.
    pub(crate) column: usize,
}

/// A value, and where it begins.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) value: Value,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Table),
}

/// Its names are different, and in the order of the text.
pub(crate) type Table = Vec<Entry>;

/// A name and its value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Entry {
    /// Where the name begins.
    pub(crate) at: At,
    pub(crate) name: String,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn new(at: At, value: Value) -> Node {
        Node { at, value }
    }

    /// Its entries, if it is a table.
    pub(crate) fn table(&self) -> Option<&Table> {
        let Value::Table(table) = &self.value else {
            return None;
        };
        Some(table)
    }

    /// Its items, if it is a list.
    pub(crate) fn list(&self) -> Option<&[Node]> {
        let Value::List(items) = &self.value else {
            return None;
        };
        Some(items)
    }

    /// The text that it is.
    pub(crate) fn text(&self) -> Option<&str> {
        let Value::Text(text) = &self.value else {
            return None;
        };
        Some(text)
    }

    /// The whole number that it is.
    pub(crate) fn integer(&self) -> Option<i64> {
        let Value::Integer(number) = self.value else {
            return None;
        };
        Some(number)
    }

    /// The value of this name, if it is a table that has it.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        let entry = self.table()?.iter().find(|entry| entry.name == name);
        entry.map(|entry| &entry.node)
    }

    pub(crate) fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// How many values it is made of.
    pub(crate) fn size(&self) -> usize {
        let inner: usize = match &self.value {
            Value::List(items) => items.iter().map(Node::size).sum(),
            Value::Table(table) => table.iter().map(|entry| entry.node.size()).sum(),
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) => {
                0
            }
        };
        inner + 1
    }

    /// What it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a truth value",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Integer(number) => Json::from(*number),
            Value::Float(number) => Json::from(*number),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Table(table) => {
                let entries = table.iter();
                let entries = entries.map(|entry| (entry.name.clone(), entry.node.to_json()));
                Json::Object(entries.collect::<Map<_, _>>())
            }
        }
    }

    /// Of a value that has no places.
    pub(crate) fn of_json(json: &Json) -> Node {
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Value::Integer(number),
                None => Value::Float(number.as_f64().unwrap_or(f64::MAX)),
            },
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(Node::of_json).collect()),
            Json::Object(map) => {
                let entry = |(name, json): (&String, &Json)| Entry {
                    at: At::default(),
                    name: name.clone(),
                    node: Node::of_json(json),
                };
                Value::Table(map.iter().map(entry).collect())
            }
        };
        Node::new(At::default(), value)
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Finds the line and column of a byte, in O(log n).
#[derive(Debug)]
pub(crate) struct Lines {
    /// Where lines begin.
    starts: Vec<usize>,
    /// Bytes that are no beginning of a character.
    continued: Vec<usize>,
}

impl Lines {
    pub(crate) fn of(text: &str) -> Lines {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(newlines.map(|(place, _)| place + 1));
        let continued = text.bytes().enumerate();
        let continued = continued.filter(|(_, byte)| byte & 0xc0 == 0x80);
        Lines {
            starts: starts.collect(),
            continued: continued.map(|(place, _)| place).collect(),
        }
    }

    pub(crate) fn at(&self, byte: usize) -> At {
        let line = self.starts.partition_point(|start| *start <= byte).max(1);
        let start = self.starts[line - 1];
        let before = |place: usize| self.continued.partition_point(|byte| *byte < place);
        let continued = before(byte) - before(start);
        At {
            line,
            column: byte - start - continued + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters() {
        let text = "a\nüöx\n\n日本z";
        let lines = Lines::of(text);
        for (part, line, column) in [("a", 1, 1), ("x", 2, 3), ("z", 4, 3)] {
            let byte = text.find(part).unwrap();
            assert_eq!(lines.at(byte), At { line, column }, "{part}");
        }
        assert_eq!(lines.at(text.len()).line, 4);
        assert_eq!(Lines::of("").at(0), At { line: 1, column: 1 });
    }
}
