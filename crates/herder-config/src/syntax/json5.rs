//! JSON, and what people write in its place: comments, commas at ends, names without quotes, single quotes (JSON5).

use std::collections::HashMap;

use crate::mistake::Mistake;
use crate::node::{Entry, Lines, MAX_DEPTH, Node, Table, Value};

pub(super) fn parse(text: &str) -> Result<Node, Mistake> {
    let mut reader = Reader {
        text,
        place: 0,
        lines: Lines::of(text),
    };
    reader.skip()?;
    let node = reader.node(0)?;
    reader.skip()?;
    match reader.peek() {
        None => Ok(node),
        Some(c) => Err(reader.wrong(format!("nothing should follow, but here is {c:?}"))),
    }
}

struct Reader<'a> {
    text: &'a str,
    /// The byte that is next.
    place: usize,
    lines: Lines,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.place..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.place += next.len_utf8();
        Some(next)
    }

    fn takes(&mut self, wanted: char) -> bool {
        let is = self.peek() == Some(wanted);
        if is {
            self.place += wanted.len_utf8();
        }
        is
    }

    /// The next characters, as long as they are such.
    fn take_while(&mut self, such: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !such(c)).unwrap_or(rest.len());
        self.place += end;
        &rest[..end]
    }

    fn wrong(&self, message: impl Into<String>) -> Mistake {
        self.wrong_at(self.place, message)
    }

    fn wrong_at(&self, place: usize, message: impl Into<String>) -> Mistake {
        Mistake::new(self.lines.at(place), message)
    }

    fn unexpected(&self, wanted: &str) -> Mistake {
        self.wrong(match self.peek() {
            Some(c) => format!("here is {c:?}, where {wanted} should be"),
            None => format!("the text ends where {wanted} should be"),
        })
    }

    /// Blanks and comments.
    fn skip(&mut self) -> Result<(), Mistake> {
        loop {
            self.take_while(|c| c.is_whitespace() || c == '\u{feff}');
            if self.rest().starts_with("//") {
                self.take_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                let Some(end) = self.rest().find("*/") else {
                    return Err(self.wrong("this comment has no end"));
                };
                self.place += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn node(&mut self, depth: usize) -> Result<Node, Mistake> {
        let start = self.place;
        if depth > MAX_DEPTH {
            return Err(self.wrong("this is nested too deep"));
        }
        let value = match self.peek() {
            Some('{') => self.table(depth)?,
            Some('[') => self.list(depth)?,
            Some(quote @ ('"' | '\'' | '`')) => Value::Text(self.quoted(quote)?),
            Some(c) if c.is_ascii_digit() || "+-.".contains(c) => self.number()?,
            Some(c) if is_name(c) => self.word()?,
            Some(_) | None => return Err(self.unexpected("a value")),
        };
        Ok(Node::new(self.lines.at(start), value))
    }

    fn list(&mut self, depth: usize) -> Result<Value, Mistake> {
        self.take();
        let mut items = Vec::new();
        loop {
            self.skip()?;
            if self.takes(']') {
                return Ok(Value::List(items));
            }
            items.push(self.node(depth + 1)?);
            self.skip()?;
            if !self.takes(',') && self.peek() != Some(']') {
                return Err(self.unexpected("a comma or ]"));
            }
        }
    }

    /// Of what is given twice the last holds, as in JavaScript.
    fn table(&mut self, depth: usize) -> Result<Value, Mistake> {
        self.take();
        let mut table = Table::new();
        let mut places = HashMap::new();
        loop {
            self.skip()?;
            if self.takes('}') {
                return Ok(Value::Table(table));
            }
            let at = self.lines.at(self.place);
            let name = self.name()?;
            self.skip()?;
            if !self.takes(':') {
                return Err(self.unexpected("a colon"));
            }
            self.skip()?;
            let node = self.node(depth + 1)?;
            let place = *places.entry(name.clone()).or_insert(table.len());
            let entry = Entry { at, name, node };
            match table.get_mut(place) {
                Some(earlier) => *earlier = entry,
                None => table.push(entry),
            }
            self.skip()?;
            if !self.takes(',') && self.peek() != Some('}') {
                return Err(self.unexpected("a comma or }"));
            }
        }
    }

    fn name(&mut self) -> Result<String, Mistake> {
        match self.peek() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote),
            Some(c) if is_name(c) || c.is_ascii_digit() => Ok(self.take_while(is_name).to_owned()),
            Some(_) | None => Err(self.unexpected("a name")),
        }
    }

    fn word(&mut self) -> Result<Value, Mistake> {
        let start = self.place;
        match self.take_while(is_name) {
            "null" | "undefined" => Ok(Value::Null),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "Infinity" => Ok(Value::Float(f64::INFINITY)),
            "NaN" => Ok(Value::Float(f64::NAN)),
            word => Err(self.wrong_at(
                start,
                format!("{word} is no value; a text stands in quotes"),
            )),
        }
    }

    fn number(&mut self) -> Result<Value, Mistake> {
        let start = self.place;
        let text = self.take_while(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let is_plain = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        let hex = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
        let integer = match hex {
            Some(hex) => i64::from_str_radix(hex, 16)
                .ok()
                .filter(|number| *number >= 0),
            None if is_plain => digits.parse().ok(),
            None => None,
        };
        if let Some(number) = integer {
            let number: i64 = number;
            return Ok(Value::Integer(sign * number));
        }
        match digits.parse::<f64>() {
            Ok(number) if is_plain => Ok(Value::Float(if sign < 0 { -number } else { number })),
            _ => Err(self.wrong_at(start, format!("{text} is no number"))),
        }
    }

    /// A text in quotes.
    fn quoted(&mut self, quote: char) -> Result<String, Mistake> {
        let start = self.place;
        self.take();
        let mut text = String::new();
        loop {
            text.push_str(
                self.take_while(|c| c != quote && c != '\\' && (c != '\n' || quote == '`')),
            );
            match self.take() {
                Some('\\') => self.escape(&mut text)?,
                Some(c) if c == quote => return Ok(text),
                Some(_) | None => return Err(self.wrong_at(start, "this text has no end")),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<(), Mistake> {
        let start = self.place - 1;
        let plain = match self.take() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('v') => '\u{b}',
            Some('0') => '\0',
            // A text that goes on in the next line.
            Some('\n') => return Ok(()),
            Some('\r') => {
                self.takes('\n');
                return Ok(());
            }
            Some('x') => self.hex(2, start)?,
            Some('u') => self.hex(4, start)?,
            Some(other) => other,
            None => return Err(self.wrong("the text ends in the middle of an escape")),
        };
        text.push(plain);
        Ok(())
    }

    /// A character by its number, or by both halves of it.
    fn hex(&mut self, digits: usize, start: usize) -> Result<char, Mistake> {
        let first = self.hex_number(digits, start)?;
        let number = match first {
            0xd800..0xdc00 if self.rest().starts_with("\\u") => {
                self.place += 2;
                let second = self.hex_number(4, start)?;
                let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400);
                low.map(|low| 0x10000 + ((first - 0xd800) << 10) + low)
            }
            _ => Some(first),
        };
        let found = number.and_then(char::from_u32);
        found.ok_or_else(|| self.wrong_at(start, "there is no such character"))
    }

    fn hex_number(&mut self, digits: usize, start: usize) -> Result<u32, Mistake> {
        let text = self.rest().get(..digits);
        let number = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let number = number.and_then(|text| u32::from_str_radix(text, 16).ok());
        let number = number.ok_or_else(|| self.wrong_at(start, "this escape is cut short"))?;
        self.place += digits;
        Ok(number)
    }
}

/// Whether a name without quotes may have it.
fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}
