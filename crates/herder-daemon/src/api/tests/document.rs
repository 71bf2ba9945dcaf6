//! The OpenAPI document, made of the types.

use herder_api::Problem;
use herder_api::control::{
    Action, Apply, DaemonEvent, Incident, LogLine, Plan, Progress, Start, StopDaemon,
};
use herder_api::status::{AppDetail, AppStatus, DaemonStatus};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

use super::super::routes::{ROUTES, Route};
use super::super::service::parameters;
use super::super::{history, logs};

/// What a body is.
enum Shape {
    Json(Schema),
    Lines(Schema),
    Text,
    Document,
}

/// The document.
pub(super) fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut types = settings.into_generator();
    let mut paths = Map::new();
    for (method, path, route) in ROUTES {
        let operation = operation(*route, path, &mut types);
        let entry = paths.entry(*path).or_insert_with(|| json!({}));
        entry[method.as_str().to_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "herder",
            "version": "1",
            "description": "The control API of herder's daemon: HTTP and JSON on the Unix socket HERDER_HOME/herder.sock. The daemon's own user and root may do everything; members of its read group may GET. A connection carries one request, which has to be whole after 5 s. A stream (application/x-ndjson) is one JSON value a line.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "http://localhost", "description": "HERDER_HOME/herder.sock" }],
        "paths": paths,
        "components": { "schemas": types.take_definitions(true) },
    })
}

fn operation(route: Route, path: &str, types: &mut SchemaGenerator) -> Value {
    let (name, summary, answer) = about(route, types);
    let mut problem = |description: &str| {
        let schema = types.subschema_for::<Problem>();
        json!({ "description": description, "content": { "application/json": { "schema": schema } } })
    };
    let mut operation = json!({
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": { "description": "It is so.", "content": content(answer) },
            "4XX": problem("It was not done: what was asked for makes no sense, is not there, is not allowed or conflicts with what runs."),
            "5XX": problem("It was not done: the daemon is too busy, is ending, or has a defect."),
        },
    });
    let mut described: Vec<Value> = parameters(route)
        .iter()
        .map(|name| query(name, route))
        .collect();
    if path.contains("{name}") {
        described.push(json!({
            "name": "name", "in": "path", "required": true,
            "description": "The app's name or number.", "schema": { "type": "string" },
        }));
    }
    if !described.is_empty() {
        operation["parameters"] = described.into();
    }
    if let Some((schema, required)) = body(route, types) {
        operation["requestBody"] = json!({
            "required": required, "content": { "application/json": { "schema": schema } },
        });
    }
    operation
}

fn content(shape: Shape) -> Value {
    match shape {
        Shape::Json(schema) => json!({ "application/json": { "schema": schema } }),
        Shape::Lines(schema) => json!({ "application/x-ndjson": { "schema": schema } }),
        Shape::Text => json!({ "text/plain": { "schema": { "type": "string" } } }),
        Shape::Document => json!({ "application/json": { "schema": { "type": "object" } } }),
    }
}

fn query(name: &str, route: Route) -> Value {
    let (description, schema) = match name {
        "target" => (
            "Names, numbers, namespaces, `all`, or /regex/. It may be repeated; none = all apps.",
            json!({ "type": "array", "items": { "type": "string" } }),
        ),
        "lines" if route == Route::History => (
            "How many of the last ones.",
            json!({ "type": "integer", "minimum": 0, "maximum": history::MOST, "default": history::DEFAULT }),
        ),
        "lines" => (
            "How many of the last ones, of each file.",
            json!({ "type": "integer", "minimum": 0, "maximum": logs::MOST, "default": logs::DEFAULT }),
        ),
        "follow" => (
            "Whether lines that are written later are told too, until the client goes.",
            json!({ "type": "boolean", "default": false }),
        ),
        "stream" => (
            "Only these: what workers print, or what the herd says of itself.",
            json!({ "type": "string", "enum": ["out", "error", "herder"] }),
        ),
        "slot" => (
            "Only those of this slot. Lines of which it is not known are left out.",
            json!({ "type": "integer", "minimum": 0, "maximum": 65535 }),
        ),
        "contains" => (
            "Only lines with this text in them.",
            json!({ "type": "string" }),
        ),
        "marks" => (
            "Whether it is said, between the lines, up to where files have been told: in a line whose stream is `marks`.",
            json!({ "type": "boolean", "default": false }),
        ),
        "since" => (
            "What has happened since then comes first, as far as it was written down.",
            json!({ "type": "string", "format": "date-time" }),
        ),
        "from" => (
            "Where to go on: the last marks of a stream that has broken off. `lines` says nothing then.",
            json!({ "type": "string" }),
        ),
        other => panic!("{other} is not described"),
    };
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn body(route: Route, types: &mut SchemaGenerator) -> Option<(Schema, bool)> {
    Some(match route {
        Route::Act => (types.subschema_for::<Action>(), true),
        Route::Apply | Route::Plan => (types.subschema_for::<Apply>(), true),
        Route::Start => (types.subschema_for::<Start>(), true),
        Route::Stop => (types.subschema_for::<StopDaemon>(), false),
        Route::App
        | Route::Apps
        | Route::Daemon
        | Route::Environment
        | Route::Events
        | Route::History
        | Route::Logs
        | Route::Metrics
        | Route::OpenApi
        | Route::Resurrect
        | Route::Save => return None,
    })
}

// A table reads best as one.
#[rustfmt::skip]
fn about(route: Route, types: &mut SchemaGenerator) -> (&'static str, &'static str, Shape) {
    fn json<T: JsonSchema>(types: &mut SchemaGenerator) -> Shape {
        Shape::Json(types.subschema_for::<T>())
    }
    fn lines<T: JsonSchema>(types: &mut SchemaGenerator) -> Shape {
        Shape::Lines(types.subschema_for::<T>())
    }
    match route {
        Route::Act => ("act", "Does something with apps of the list.", lines::<Progress>(types)),
        Route::App => ("app", "All that is known of an app.", json::<AppDetail>(types)),
        Route::Apply => ("apply", "Makes definitions hold.", lines::<Progress>(types)),
        Route::Apps => ("apps", "The apps, in the order of their numbers.", json::<Vec<AppStatus>>(types)),
        Route::Daemon => ("daemon", "Who the daemon is.", json::<DaemonStatus>(types)),
        Route::Environment => ("environment", "The variables that an app's next worker would find; secrets are `***`.", json::<BTreeMap<String, String>>(types)),
        Route::Events => ("events", "What happens from now on, until the client goes.", lines::<DaemonEvent>(types)),
        Route::History => ("history", "What ended or changed an app's workers, the newest last.", json::<Vec<Incident>>(types)),
        Route::Logs => ("logs", "Lines of log files.", lines::<LogLine>(types)),
        Route::Metrics => ("metrics", "Metrics, in Prometheus' text format.", Shape::Text),
        Route::OpenApi => ("openapi", "This document.", Shape::Document),
        Route::Plan => ("plan", "What `apply` would do.", json::<Plan>(types)),
        Route::Resurrect => ("resurrect", "Starts what was saved and is not in the list.", lines::<Progress>(types)),
        Route::Save => ("save", "Saves the list for `resurrect`.", lines::<Progress>(types)),
        Route::Start => ("start", "Takes apps into the list, and starts them.", lines::<Progress>(types)),
        Route::Stop => ("stop", "Ends the daemon.", lines::<Progress>(types)),
    }
}
