//! Settings of an app, each by its name: which there are, and whether a value is one for it.

mod names;

use std::fmt;

use herder_api::App;
use herder_api::app::{Health, Logs, Proxy, Watch};
use serde::Deserialize;
use serde::de::value::Error as NoValue;
use serde::de::{self, Deserializer, Visitor};
use serde_json::{Map, Value as Json, json};

use crate::mistake::Mistake;
use crate::node::{Entry, Node, Value};

pub(crate) use names::{meant, nearest};

/// More of them say nothing more, and each costs a search for what was meant.
pub(crate) const MAX_MISTAKES: usize = 100;

/// What a setting is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// One value, even if that is a table.
    Value,
    /// A table of these settings.
    Fields(&'static [&'static str]),
    /// A table with names of the user's.
    Map,
    /// A table of such tables.
    Maps,
}

/// The names of an app's settings, in the order of their description.
pub(crate) fn all() -> &'static [&'static str] {
    fields_of::<App>()
}

/// What a setting is made of.
pub(crate) fn shape(setting: &str) -> Shape {
    match setting {
        "health" => Shape::Fields(fields_of::<Health>()),
        "watch" => Shape::Fields(fields_of::<Watch>()),
        "logs" => Shape::Fields(fields_of::<Logs>()),
        "proxy" => Shape::Fields(fields_of::<Proxy>()),
        "env" | "libraries" | "state" | "jobs" => Shape::Map,
        "profiles" => Shape::Maps,
        _ => Shape::Value,
    }
}

/// Everything that is wrong with a table of settings, each by itself.
pub(crate) fn mistakes(table: &[Entry]) -> Vec<Mistake> {
    let mut found = Vec::new();
    for entry in table {
        if found.len() >= MAX_MISTAKES {
            break;
        }
        if !all().contains(&entry.name.as_str()) {
            found.push(names::unknown(entry, "", all()));
            continue;
        }
        inspect(
            &mut vec![&entry.name],
            &entry.node,
            shape(&entry.name),
            &mut found,
        );
    }
    found
}

/// Looks at a setting, and into it.
fn inspect<'a>(path: &mut Vec<&'a str>, node: &'a Node, shape: Shape, found: &mut Vec<Mistake>) {
    let table = match (&node.value, shape) {
        (Value::Null, _) => return,
        (Value::Table(table), Shape::Fields(_) | Shape::Map | Shape::Maps) => table,
        _ => {
            found.extend(refused(path, node));
            return;
        }
    };
    for entry in table {
        if found.len() >= MAX_MISTAKES {
            break;
        }
        let inner = match shape {
            Shape::Fields(fields) if !fields.contains(&entry.name.as_str()) => {
                found.push(names::unknown(entry, path[0], fields));
                continue;
            }
            Shape::Maps => Shape::Map,
            Shape::Value | Shape::Fields(_) | Shape::Map => Shape::Value,
        };
        path.push(&entry.name);
        inspect(path, &entry.node, inner, found);
        path.pop();
    }
}

/// Why a value is none for its setting, if it is none.
fn refused(path: &[&str], node: &Node) -> Option<Mistake> {
    let nested = path
        .iter()
        .rev()
        .fold(node.to_json(), |inner, name| json!({ *name: inner }));
    let error = serde_json::from_value::<App>(nested).err()?;
    let why = readable(&error.to_string(), node);
    Some(Mistake::new(node.at, format!("{}: {why}", path.join("."))))
}

/// What serde says, in words for people.
fn readable(said: &str, node: &Node) -> String {
    match said
        .strip_prefix("invalid type: ")
        .and_then(|said| said.split_once(", expected "))
    {
        Some((_, expected)) => {
            let expected = match expected {
                "a boolean" => "true or false",
                "a string" | "path string" => "a text",
                "a sequence" => "a list",
                "a map" => "a table",
                "u16" | "u32" | "u64" => "a whole number, 0 or more",
                "i32" => "a whole number",
                other => other,
            };
            format!("this is {}, but it has to be {expected}", node.kind())
        }
        None => said.to_owned(),
    }
}

/// A table of settings as JSON, without what is null: that is not given.
pub(crate) fn given(table: &[Entry]) -> Map<String, Json> {
    let entries = table.iter().filter(|entry| !entry.node.is_null());
    let value = |entry: &Entry| match (&entry.node.value, shape(&entry.name)) {
        (Value::Table(inner), Shape::Fields(_) | Shape::Map) => Json::Object(given(inner)),
        (Value::Table(inner), Shape::Maps) => {
            let inner = inner.iter().filter_map(|entry| {
                let profile = entry.node.table()?;
                Some((entry.name.clone(), Json::Object(given(profile))))
            });
            Json::Object(inner.collect())
        }
        _ => entry.node.to_json(),
    };
    entries
        .map(|entry| (entry.name.clone(), value(entry)))
        .collect()
}

/// Lays settings over others: tables of settings are merged, everything else is replaced.
/// What is null takes away what was there.
pub(crate) fn lay_over(below: &mut Map<String, Json>, above: Map<String, Json>) {
    for (name, value) in above {
        let depth = match shape(&name) {
            Shape::Value => 0,
            Shape::Fields(_) | Shape::Map => 1,
            Shape::Maps => 2,
        };
        lay(below, name, value, depth);
    }
}

fn lay(below: &mut Map<String, Json>, name: String, value: Json, depth: usize) {
    match (below.get_mut(&name), value) {
        (_, Json::Null) => {
            below.remove(&name);
        }
        (Some(Json::Object(below)), Json::Object(above)) if depth > 0 => {
            for (name, value) in above {
                lay(below, name, value, depth - 1);
            }
        }
        (None, Json::Object(above)) if depth > 0 => {
            let kept = above.into_iter().filter(|(_, value)| !value.is_null());
            below.insert(name, Json::Object(kept.collect()));
        }
        (_, value) => {
            below.insert(name, value);
        }
    }
}

/// The fields of a type that is read as a table.
fn fields_of<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // It asks for its fields first of all, and is refused then.
    let refused = T::deserialize(Asked(&mut fields));
    debug_assert!(refused.is_err());
    fields
}

/// Is asked for a structure, and keeps the names of its fields.
struct Asked<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = NoValue;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NoValue> {
        Err(de::Error::custom("nothing is here"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, NoValue> {
        *self.0 = fields;
        Err(de::Error::custom("nothing is here"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked")
    }
}
