//! JSON Schema, as much of it as the document uses.

use serde_json::{Map, Value, json};

/// Whether a value is what a schema says; if not, why not.
pub(super) fn valid(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Some(schema) = schema.as_object() else {
        return match schema == &json!(false) {
            true => Err("nothing may be here".to_owned()),
            false => Ok(()),
        };
    };
    for (key, said) in schema {
        let fine = match key.as_str() {
            "$ref" => {
                let place = said.as_str().unwrap().trim_start_matches('#');
                let target = document.pointer(place);
                let target = target.unwrap_or_else(|| panic!("{place} is not there"));
                valid(document, target, value).map(|()| true)?
            }
            "properties" | "additionalProperties" | "required" => {
                fields(document, schema, key, value).map(|()| true)?
            }
            "items" => {
                for of in value.as_array().into_iter().flatten() {
                    valid(document, said, of)?;
                }
                true
            }
            "oneOf" => matching(document, said, value) == 1,
            "anyOf" => matching(document, said, value) >= 1,
            "allOf" => matching(document, said, value) == said.as_array().unwrap().len(),
            _ => simple(key, said, value),
        };
        if !fine {
            return Err(format!("{key} {said} does not hold"));
        }
    }
    Ok(())
}

/// What is said about an object's fields.
fn fields(
    document: &Value,
    schema: &Map<String, Value>,
    key: &str,
    value: &Value,
) -> Result<(), String> {
    let Some(object) = value.as_object() else {
        return Ok(());
    };
    let known = schema.get("properties").and_then(Value::as_object);
    if key == "required" {
        let mut names = schema[key].as_array().unwrap().iter();
        return match names.find(|name| !object.contains_key(name.as_str().unwrap())) {
            Some(missing) => Err(format!("{missing} is missing")),
            None => Ok(()),
        };
    }
    for (name, of) in object {
        let at = |why| format!("{name}: {why}");
        match (known.and_then(|known| known.get(name)), key) {
            (Some(schema), "properties") => valid(document, schema, of).map_err(at)?,
            (None, "additionalProperties") => valid(document, &schema[key], of).map_err(at)?,
            // Stricter than a schema: what the document does not describe is a defect.
            (None, _) if !schema.contains_key("additionalProperties") => {
                return Err(format!("{name} is not described"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What is said about a value by itself.
fn simple(key: &str, said: &Value, value: &Value) -> bool {
    let bound = || said.as_f64().unwrap();
    match key {
        "type" => match said.as_array() {
            Some(types) => types.iter().any(|kind| is(kind.as_str().unwrap(), value)),
            None => is(said.as_str().unwrap(), value),
        },
        "enum" => said.as_array().unwrap().contains(value),
        "const" => said == value,
        "minimum" => value.as_f64().is_none_or(|number| number >= bound()),
        "maximum" => value.as_f64().is_none_or(|number| number <= bound()),
        "description" | "default" | "format" | "pattern" | "title" => true,
        other => panic!("this test does not know {other:?}"),
    }
}

fn matching(document: &Value, schemas: &Value, value: &Value) -> usize {
    let schemas = schemas.as_array().unwrap().iter();
    schemas
        .filter(|schema| valid(document, schema, value).is_ok())
        .count()
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        other => panic!("{other} is no type"),
    }
}
