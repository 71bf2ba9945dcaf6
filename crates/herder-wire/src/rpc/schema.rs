//! The schemas of values that JSON has no form for.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::tagged::{Blob, I64, U64};

impl JsonSchema for Blob {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "$bytes": { "type": "string", "contentEncoding": "base64" },
            },
            "required": ["$bytes"],
            "additionalProperties": false,
        })
    }
}

impl JsonSchema for I64 {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Int64".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        wide("int64")
    }
}

impl JsonSchema for U64 {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Uint64".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        wide("uint64")
    }
}

/// A number as long as it is exact, then its digits.
fn wide(format: &str) -> Schema {
    json_schema!({
        "anyOf": [
            { "type": "integer", "format": format },
            {
                "type": "object",
                "properties": { "$int": { "type": "string" } },
                "required": ["$int"],
                "additionalProperties": false,
            },
        ],
    })
}
