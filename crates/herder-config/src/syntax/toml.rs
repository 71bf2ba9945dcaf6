//! TOML.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::mistake::Mistake;
use crate::node::{Entry, Lines, MAX_DEPTH, Node, Value};

pub(super) fn parse(text: &str) -> Result<Node, Mistake> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let place = error.span().map_or(0, |span| span.start);
        Mistake::new(lines.at(place), error.message())
    })?;
    let start = table.span().start;
    let value = convert_table(table.get_ref(), &lines, 0)?;
    Ok(Node::new(lines.at(start), value))
}

fn convert_table(table: &DeTable<'_>, lines: &Lines, depth: usize) -> Result<Value, Mistake> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    let entry = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &Spanned<std::borrow::Cow<'_, str>> = name;
        Ok(Entry {
            at: lines.at(name.span().start),
            name: name.get_ref().to_string(),
            node: convert(value, lines, depth + 1)?,
        })
    };
    let entries: Result<_, Mistake> = entries.into_iter().map(entry).collect();
    entries.map(Value::Table)
}

fn convert(value: &Spanned<DeValue<'_>>, lines: &Lines, depth: usize) -> Result<Node, Mistake> {
    let at = lines.at(value.span().start);
    if depth > MAX_DEPTH {
        return Err(Mistake::new(at, "this is nested too deep"));
    }
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            let number = parsed.map_err(|_| Mistake::new(at, "this number is too large"))?;
            Value::Integer(number)
        }
        DeValue::Float(number) => {
            let parsed = number.as_str().parse();
            Value::Float(parsed.map_err(|_| Mistake::new(at, "this is no number"))?)
        }
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| convert(item, lines, depth + 1));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => convert_table(table, lines, depth)?,
    };
    Ok(Node::new(at, value))
}
