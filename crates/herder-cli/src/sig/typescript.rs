//! The signature of a library as declarations of TypeScript.

use std::fmt::Write;

use herder_rpc::{MethodKind, MethodSignature, ObjectSignature, Signature};
use serde_json::Value;

use super::names;
use super::types::{Types, Way};

/// What a program imports, to know what the objects of this library take and return.
pub(super) fn declarations(signature: &Signature) -> String {
    let mut types = Types::default();
    let library = names::type_name(&signature.library);
    let interfaces: Vec<(String, String)> = {
        let name = |object: &String| match names::type_name(object) {
            name if name == library => format!("{name}Object"),
            name => name,
        };
        signature
            .objects
            .keys()
            .map(|object| (object.clone(), name(object)))
            .collect()
    };
    types.reserve(library.clone());
    for (_, name) in &interfaces {
        types.reserve(name.clone());
    }
    let mut members = String::new();
    let mut bodies = String::new();
    for (object, name) in &interfaces {
        let given = &signature.objects[object];
        members.push_str(&names::comment(&given.doc, "  "));
        push(
            &mut members,
            format_args!("  {}: {name};\n", names::member(object)),
        );
        bodies.push_str(&interface(name, given, &mut types));
        bodies.push('\n');
    }
    types.release();
    let head = format!(
        "// What the library {} offers, as `herder sig --ts` wrote it.\n",
        signature.library
    );
    let imports = "import type { CallOptions, Subscription } from 'herder';\n";
    let named = types.declarations();
    let gap = if named.is_empty() { "" } else { "\n" };
    format!("{head}{imports}\nexport interface {library} {{\n{members}}}\n\n{bodies}{named}{gap}")
        .trim_end()
        .to_owned()
        + "\n"
}

fn interface(name: &str, object: &ObjectSignature, types: &mut Types) -> String {
    let mut text = names::comment(&object.doc, "");
    push(&mut text, format_args!("export interface {name} {{\n"));
    for (method, given) in &object.methods {
        text.push_str(&names::comment(&documentation(given), "  "));
        let own = format!("{name}{}", names::type_name(method));
        let returns = returns(given, &own, types);
        for parameters in parameters(given, &own, types) {
            let method = names::member(method);
            push(
                &mut text,
                format_args!("  {method}({parameters}): {returns};\n"),
            );
        }
    }
    text.push_str("}\n");
    text
}

fn documentation(method: &MethodSignature) -> String {
    let mut text = method.doc.trim().to_owned();
    if let Some(deadline) = method.deadline_ms {
        push(
            &mut text,
            format_args!("\nFails after {deadline} ms, unless the call says otherwise."),
        );
    }
    text
}

fn returns(method: &MethodSignature, own: &str, types: &mut Types) -> String {
    let value = method.returns.as_ref();
    let value = value.map(|schema| types.of(schema, Way::Returned, &format!("{own}Result")));
    match (method.kind, value) {
        (MethodKind::Events | MethodKind::State, item) => {
            format!("Subscription<{}>", item.unwrap_or_else(|| "any".to_owned()))
        }
        (MethodKind::Notify, _) => "Promise<void>".to_owned(),
        (MethodKind::Call, value) => {
            format!("Promise<{}>", value.unwrap_or_else(|| "any".to_owned()))
        }
    }
}

/// The lists of parameters that a method can be called with: options stand behind the last argument
/// that is given, and the last ones may be left out that may be null.
fn parameters(method: &MethodSignature, own: &str, types: &mut Types) -> Vec<String> {
    if method.variadic {
        return vec!["...args: any[]".to_owned()];
    }
    let needed = method
        .args
        .iter()
        .rposition(|argument| !allows_null(&argument.schema))
        .map_or(0, |last| last + 1);
    let mut all = Vec::new();
    for (place, argument) in method.args.iter().enumerate() {
        let name = names::parameter(&argument.name, place);
        let text = types.of(
            &argument.schema,
            Way::Taken,
            &format!("{own}{}", names::type_name(&argument.name)),
        );
        let mark = if place < needed { "" } else { "?" };
        all.push(format!("{name}{mark}: {text}"));
    }
    let with_options = |arguments: &[String], mark: &str| {
        let options = format!("options{mark}: CallOptions");
        let whole: Vec<&str> = arguments
            .iter()
            .map(String::as_str)
            .chain([options.as_str()])
            .collect();
        whole.join(", ")
    };
    let mut lists = vec![with_options(&all, "?")];
    for count in needed..all.len() {
        let given: Vec<String> = all[..count]
            .iter()
            .map(|one| one.replacen("?:", ":", 1))
            .collect();
        lists.push(with_options(&given, ""));
    }
    lists
}

fn allows_null(schema: &Value) -> bool {
    match schema {
        Value::Bool(any) => *any,
        Value::Object(fields) => {
            let is_null = |value: &Value| value.as_str() == Some("null");
            let by_type = match fields.get("type") {
                Some(Value::Array(several)) => several.iter().any(is_null),
                Some(one) => is_null(one),
                None => fields.is_empty(),
            };
            let among = |name: &str| match fields.get(name) {
                Some(Value::Array(schemas)) => schemas.iter().any(allows_null),
                _ => false,
            };
            by_type || among("anyOf") || among("oneOf")
        }
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
    }
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more)
        .expect("a string takes whatever is written");
}

#[cfg(test)]
mod tests {
    use herder_rpc::client::Client;
    use herder_services::library::{BusApiClient, JobsApiClient, NAME, StateApiClient};
    use serde_json::json;

    use super::*;

    fn library(objects: Value) -> Signature {
        serde_json::from_value(json!({ "library": "core", "hash": "", "objects": objects }))
            .expect("a signature")
    }

    /// `UPDATE_SNAPSHOTS=1 cargo test -p herder-cli` writes it anew.
    #[test]
    fn the_types_of_the_built_in_library_are_as_recorded() {
        // Without what it says of itself: that may change every day.
        let object = |name: &str, object: std::sync::Arc<ObjectSignature>| {
            let mut object = (*object).clone();
            object.doc.clear();
            for method in object.methods.values_mut() {
                method.doc.clear();
            }
            (name.to_owned(), object)
        };
        let objects = [
            object(BusApiClient::NAME, BusApiClient::signature()),
            object(JobsApiClient::NAME, JobsApiClient::signature()),
            object(StateApiClient::NAME, StateApiClient::signature()),
        ];
        let found = declarations(&Signature::new(NAME, objects));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/services.d.ts");
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(path, &found).expect("the snapshot can be written");
        }
        let recorded = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(found, recorded, "the types have changed: update {path}");
    }

    #[test]
    fn what_a_library_of_node_offers_has_types() {
        let any = |name: &str| json!({ "name": name, "schema": true });
        let signature = library(json!({ "kv": { "id": 0, "doc": "Values.", "methods": {
            "close-all": { "id": 0, "kind": "notify", "args": [any("in")] },
            "get": { "id": 1, "kind": "call", "args": [
                { "name": "key", "schema": { "type": "string" } }, any("more"),
            ], "deadline_ms": 200 },
            "send": { "id": 2, "kind": "call", "variadic": true },
            "watch": { "id": 3, "kind": "state", "returns": { "type": "integer" } },
        } } }));
        let expected = "\
// What the library core offers, as `herder sig --ts` wrote it.
import type { CallOptions, Subscription } from 'herder';

export interface Core {
  /** Values. */
  kv: Kv;
}

/** Values. */
export interface Kv {
  \"close-all\"(in_?: any, options?: CallOptions): Promise<void>;
  \"close-all\"(options: CallOptions): Promise<void>;
  /** Fails after 200 ms, unless the call says otherwise. */
  get(key: string, more?: any, options?: CallOptions): Promise<any>;
  get(key: string, options: CallOptions): Promise<any>;
  send(...args: any[]): Promise<any>;
  watch(options?: CallOptions): Subscription<number>;
}
";
        assert_eq!(declarations(&signature), expected);
    }

    #[test]
    fn a_library_and_its_object_may_have_one_name() {
        let signature = library(json!({ "core": { "id": 0, "methods": {} } }));
        let found = declarations(&signature);
        assert!(found.contains("  core: CoreObject;"), "{found}");
        assert!(
            found.contains("export interface CoreObject {\n}"),
            "{found}"
        );
    }
}
