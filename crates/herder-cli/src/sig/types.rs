//! Schemas as types of TypeScript.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::names;

/// Which way a value goes: what is taken may be given in more forms than what is returned has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Returned,
    Taken,
}

/// The types that have names.
#[derive(Default)]
pub(super) struct Types {
    /// Text and comment by name; while a type is being written, its text is empty.
    named: BTreeMap<String, Named>,
}

#[derive(Default)]
struct Named {
    schema: Value,
    text: String,
    comment: String,
}

/// One schema with the definitions that it refers to.
struct Root<'a> {
    types: &'a mut Types,
    schema: &'a Value,
    way: Way,
    /// What it is called if it refers to itself.
    name: &'a str,
}

impl Types {
    /// The type of a schema; `name` is what it is called if it must have a name.
    pub(super) fn of(&mut self, schema: &Value, way: Way, name: &str) -> String {
        let mut root = Root {
            types: self,
            schema,
            way,
            name,
        };
        if refers_to_root(schema) {
            return root.named(name, schema);
        }
        root.text(schema)
    }

    /// The declarations of all named types.
    pub(super) fn declarations(&self) -> String {
        let declaration = |(name, named): (&String, &Named)| {
            let comment = names::comment(&named.comment, "");
            format!("{comment}export type {name} = {};\n", named.text)
        };
        let all: Vec<String> = self.named.iter().map(declaration).collect();
        all.join("\n")
    }

    /// Keeps a name free for another declaration.
    pub(super) fn reserve(&mut self, name: String) {
        self.named.insert(name, Named::default());
    }

    /// Gives back what was only reserved.
    pub(super) fn release(&mut self) {
        self.named.retain(|_, named| !named.text.is_empty());
    }
}

impl Root<'_> {
    fn text(&mut self, schema: &Value) -> String {
        let Value::Object(schema) = schema else {
            return if *schema == Value::Bool(false) {
                "never".to_owned()
            } else {
                "any".to_owned()
            };
        };
        if let Some(tagged) = self.tagged(schema) {
            return tagged;
        }
        let mut parts = Vec::new();
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            parts.push(self.referred(reference));
        }
        if let Some(value) = schema.get("const") {
            parts.push(value.to_string());
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            parts.push(union(values.iter().map(Value::to_string)));
        }
        for several in ["anyOf", "oneOf"] {
            if let Some(Value::Array(schemas)) = schema.get(several) {
                let texts: Vec<_> = schemas.iter().map(|schema| self.text(schema)).collect();
                parts.push(union(texts));
            }
        }
        if let Some(Value::Array(schemas)) = schema.get("allOf") {
            parts.extend(schemas.iter().map(|schema| self.text(schema)));
        }
        let is_said = schema.contains_key("const") || schema.contains_key("enum");
        if !is_said {
            parts.extend(self.by_type(schema));
        }
        parts.retain(|part| part != "any");
        match parts.len() {
            0 => "any".to_owned(),
            1 => parts.remove(0),
            _ => parts
                .iter()
                .map(|part| bracketed(part))
                .collect::<Vec<_>>()
                .join(" & "),
        }
    }

    /// What the package makes of tagged forms.
    fn tagged(&self, schema: &Map<String, Value>) -> Option<String> {
        let properties = schema.get("properties")?.as_object()?;
        if properties.len() != 1 {
            return None;
        }
        let text = match (properties.keys().next()?.as_str(), self.way) {
            ("$bytes", Way::Returned) => "Buffer",
            ("$bytes", Way::Taken) => "Uint8Array | ArrayBuffer",
            ("$int", _) => "bigint",
            _ => return None,
        };
        Some(text.to_owned())
    }

    fn by_type(&mut self, schema: &Map<String, Value>) -> Option<String> {
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ if schema.contains_key("properties") => vec!["object"],
            _ => return None,
        };
        let mut texts = Vec::new();
        for name in types {
            texts.push(match name {
                "array" => self.array(schema),
                "object" => self.object(schema),
                "integer" | "number" => "number".to_owned(),
                "boolean" | "null" | "string" => name.to_owned(),
                _ => "any".to_owned(),
            });
        }
        Some(union(texts))
    }

    fn array(&mut self, schema: &Map<String, Value>) -> String {
        let rest = schema.get("items").map(|items| self.text(items));
        let Some(Value::Array(first)) = schema.get("prefixItems") else {
            let item = rest.unwrap_or_else(|| "any".to_owned());
            return format!("{}[]", bracketed(&item));
        };
        let mut items: Vec<String> = first.iter().map(|item| self.text(item)).collect();
        let length = first.len() as u64;
        let is_closed = schema.get("maxItems").and_then(Value::as_u64) == Some(length);
        if let Some(rest) = rest.filter(|rest| rest != "never" && !is_closed) {
            items.push(format!("...{}[]", bracketed(&rest)));
        }
        format!("[{}]", items.join(", "))
    }

    fn object(&mut self, schema: &Map<String, Value>) -> String {
        let required: Vec<&str> = match schema.get("required") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let none = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut members = Vec::new();
        for (name, property) in properties.unwrap_or(&none) {
            let mark = if required.contains(&name.as_str()) {
                ""
            } else {
                "?"
            };
            let text = self.text(property);
            members.push(format!("{}{mark}: {text}", names::member(name)));
        }
        let others = match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => None,
            Some(others @ Value::Object(_)) => Some(self.text(others)),
            _ if members.is_empty() => Some("any".to_owned()),
            _ => None,
        };
        match (members.is_empty(), others) {
            (true, None) => "Record<string, never>".to_owned(),
            (true, Some(others)) => format!("Record<string, {others}>"),
            (false, None) => format!("{{ {} }}", members.join("; ")),
            // An index must allow what the members have.
            (false, Some(_)) => format!("{{ {}; [name: string]: any }}", members.join("; ")),
        }
    }

    fn referred(&mut self, reference: &str) -> String {
        let name = self.name;
        if reference == "#" {
            return self.named(name, self.schema);
        }
        let pointer = reference.strip_prefix('#').unwrap_or_default();
        match self.schema.pointer(pointer) {
            Some(schema) => {
                let name = pointer.rsplit('/').next().unwrap_or_default();
                self.named(&names::type_name(&name.replace("~1", "/")), schema)
            }
            None => "any".to_owned(),
        }
    }

    /// A type with a name: one for each schema and way, wherever it stands.
    fn named(&mut self, wanted: &str, schema: &Value) -> String {
        let suffix = match self.way {
            Way::Returned => "",
            Way::Taken => "Input",
        };
        let mut names = [wanted.to_owned(), format!("{wanted}{suffix}")]
            .into_iter()
            .chain((2..).map(|n| format!("{wanted}{suffix}{n}")));
        let way = match self.way {
            _ if !has_bytes(schema, self.schema) => Value::Null,
            Way::Returned => "returned".into(),
            Way::Taken => "taken".into(),
        };
        let identity = Value::Array(vec![schema.clone(), way]);
        let found = names.find(|name| {
            let known = self.types.named.get(name);
            known.is_none_or(|known| known.schema == identity)
        });
        let name = found.expect("the numbers do not end");
        if self.types.named.contains_key(&name) {
            return name;
        }
        let comment = schema.get("description").and_then(Value::as_str);
        let named = Named {
            schema: identity,
            text: String::new(),
            comment: comment.unwrap_or_default().to_owned(),
        };
        // There before its text, for it may refer to itself.
        self.types.named.insert(name.clone(), named);
        let text = self.text(schema);
        if let Some(named) = self.types.named.get_mut(&name) {
            named.text = text;
        }
        name
    }
}

/// `A | B`, each once.
fn union(texts: impl IntoIterator<Item = String>) -> String {
    let mut seen: Vec<String> = Vec::new();
    for text in texts {
        if text == "any" {
            return text;
        }
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    match seen.len() {
        0 => "never".to_owned(),
        1 => seen.remove(0),
        _ => seen
            .iter()
            .map(|text| {
                if text.contains(" & ") {
                    bracketed(text)
                } else {
                    text.clone()
                }
            })
            .collect::<Vec<_>>()
            .join(" | "),
    }
}

fn bracketed(text: &str) -> String {
    let is_one = !text.contains(" | ") && !text.contains(" & ");
    let is_closed = text.starts_with('{') && text.ends_with('}');
    if is_one || is_closed {
        text.to_owned()
    } else {
        format!("({text})")
    }
}

fn refers_to_root(schema: &Value) -> bool {
    any(schema, &mut |value| {
        value.get("$ref").and_then(Value::as_str) == Some("#")
    })
}

/// Whether what is taken and what is returned differ.
fn has_bytes(schema: &Value, root: &Value) -> bool {
    let tag = &mut |value: &Value| value.get("$bytes").is_some();
    let refers = &mut |value: &Value| value.get("$ref").is_some();
    any(schema, tag) || (any(schema, refers) && any(root, tag))
}

fn any(value: &Value, found: &mut dyn FnMut(&Value) -> bool) -> bool {
    found(value)
        || match value {
            Value::Array(items) => items.iter().any(|item| any(item, found)),
            Value::Object(fields) => fields.values().any(|field| any(field, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_are_types() {
        for (schema, expected) in [
            (json!(true), "any"),
            (json!(false), "never"),
            (json!({ "type": "integer", "format": "uint64" }), "number"),
            (json!({ "type": ["string", "null"] }), "string | null"),
            (json!({ "enum": ["skip", "once"] }), r#""skip" | "once""#),
            (json!({ "const": 1 }), "1"),
            (
                json!({ "type": "array", "items": { "type": ["string", "null"] } }),
                "(string | null)[]",
            ),
            (
                json!({ "type": "array", "prefixItems": [{ "type": "string" }, true], "maxItems": 2 }),
                "[string, any]",
            ),
            (
                json!({ "type": "object", "additionalProperties": { "type": "boolean" } }),
                "Record<string, boolean>",
            ),
            (json!({ "type": "object" }), "Record<string, any>"),
            (
                json!({
                    "type": "object",
                    "properties": { "a-b": { "type": "string" }, "c": { "type": "null" } },
                    "required": ["c"],
                }),
                r#"{ "a-b"?: string; c: null }"#,
            ),
            (
                json!({ "anyOf": [
                    { "type": "integer" },
                    { "properties": { "$int": { "type": "string" } } },
                ] }),
                "number | bigint",
            ),
            (
                json!({ "allOf": [{ "type": "object", "properties": { "a": true } }],
                    "oneOf": [{ "type": "string" }, { "type": "null" }] }),
                "(string | null) & { a?: any }",
            ),
        ] {
            let found = Types::default().of(&schema, Way::Returned, "T");
            assert_eq!(found, expected, "{schema}");
        }
    }

    #[test]
    fn bytes_are_taken_in_more_forms_than_they_are_returned() {
        let bytes = json!({ "type": "object", "properties": { "$bytes": { "type": "string" } } });
        let schema = json!({ "$ref": "#/$defs/Entry", "$defs": { "Entry": {
            "type": "object", "properties": { "value": bytes }, "required": ["value"],
        } } });
        let mut types = Types::default();
        assert_eq!(types.of(&schema, Way::Returned, "A"), "Entry");
        assert_eq!(types.of(&schema, Way::Taken, "B"), "EntryInput");
        assert_eq!(types.of(&schema, Way::Returned, "C"), "Entry");
        assert_eq!(
            types.declarations(),
            "export type Entry = { value: Buffer };\n\n\
             export type EntryInput = { value: Uint8Array | ArrayBuffer };\n"
        );
    }

    #[test]
    fn a_type_may_contain_itself() {
        let tree = json!({
            "type": "object",
            "properties": { "left": { "anyOf": [{ "$ref": "#" }, { "type": "null" }] } },
        });
        let mut types = Types::default();
        assert_eq!(types.of(&tree, Way::Returned, "Tree"), "Tree");
        let expected = "export type Tree = { left?: Tree | null };\n";
        assert_eq!(types.declarations(), expected);
    }
}
