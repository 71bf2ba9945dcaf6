//! One text, and one hash, for each JSON document that means the same.

use std::fmt::Write as _;

use serde_json::Value;

/// Words of a schema that only people read.
const FOR_PEOPLE: [&str; 3] = ["$schema", "description", "title"];

/// Words of a schema whose values are data, not schemas.
const DATA: [&str; 4] = ["const", "default", "enum", "examples"];

/// `schema` without what only people read.
pub(super) fn meaning(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, value)| {
                // A property that is called "title" has a schema, not a text.
                !(value.is_string() && FOR_PEOPLE.contains(&name.as_str()))
            });
            let cleaned = kept.map(|(name, value)| {
                let value = if DATA.contains(&name.as_str()) {
                    value.clone()
                } else {
                    meaning(value)
                };
                (name.clone(), value)
            });
            Value::Object(cleaned.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(meaning).collect()),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}

/// 16 hex digits that are equal for equal documents, whatever the order of their fields.
pub(super) fn hash(document: &Value) -> String {
    let mut text = String::new();
    write(document, &mut text);
    let hash = fnv1a(text.as_bytes());
    let folded = u64::try_from((hash >> 64) ^ (hash & u128::from(u64::MAX)));
    format!("{:016x}", folded.expect("two halves are no wider than one"))
}

/// JSON with the fields of each object in the order of their names.
pub(super) fn write(document: &Value, out: &mut String) {
    match document {
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in sorted {
                write_scalar(&Value::from(name.as_str()), out);
                out.push(':');
                write(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            write_scalar(document, out);
        }
    }
}

fn write_scalar(scalar: &Value, out: &mut String) {
    write!(out, "{scalar}").expect("writing to a string cannot fail");
}

/// FNV-1a of 128 bits.
fn fnv1a(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{fnv1a, hash, meaning};

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv1a(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(fnv1a(b"foobar"), 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18);
    }

    #[test]
    fn only_what_people_read_is_taken_away() {
        let schema = json!({
            "title": "A", "description": "text", "type": "object",
            "properties": {"title": {"type": "string", "description": "d"}},
            "default": {"title": "kept"},
        });
        assert_eq!(
            meaning(&schema),
            json!({
                "type": "object",
                "properties": {"title": {"type": "string"}},
                "default": {"title": "kept"},
            })
        );
    }

    #[test]
    fn different_documents_have_different_hashes() {
        let documents = [json!([1, 2]), json!([12]), json!({"a": 1}), json!(["a", 1])];
        let mut hashes: Vec<_> = documents.iter().map(hash).collect();
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), documents.len());
    }
}
