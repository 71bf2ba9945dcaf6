//! What the code of `#[herder::object]` calls. No part of the crate's face.

use std::fmt::Display;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use herder_wire::rpc::{CallError, Codec, ErrorKind, Executed};
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

pub use futures_core::Stream;
pub use herder_wire::rpc::Argument;
pub use schemars::JsonSchema;
pub use {bytes, schemars, serde, serde_json};

use crate::server::Sink;
use crate::{Args, BoxFuture, Reply};

/// Schema of what a method takes.
#[must_use]
pub fn taken<T: JsonSchema>() -> Value {
    written(
        SchemaSettings::draft2020_12().for_deserialize(),
        |generator| generator.into_root_schema_for::<T>(),
    )
}

/// Schema of what a method returns.
#[must_use]
pub fn returned<T: JsonSchema>() -> Value {
    written(
        SchemaSettings::draft2020_12().for_serialize(),
        |generator| generator.into_root_schema_for::<T>(),
    )
}

/// Names this executable: two processes of it write the fields of their types in one order.
#[must_use]
pub fn layout() -> String {
    static LAYOUT: OnceLock<String> = OnceLock::new();
    let layout = LAYOUT.get_or_init(|| {
        // A file that was replaced on the disk is still another file than its replacement.
        let Ok(file) = std::fs::metadata("/proc/self/exe") else {
            return String::new();
        };
        let written = (file.mtime(), file.mtime_nsec());
        format!(
            "{:x}.{:x}.{:x}.{:x}.{:x}",
            file.dev(),
            file.ino(),
            file.len(),
            written.0,
            written.1
        )
    });
    layout.clone()
}

/// The method's own error, as it travels.
pub fn own_error<E: Serialize + Display>(error: &E) -> CallError {
    let data = serde_json::to_value(error).unwrap_or(Value::Null);
    CallError::app(code(&data), error.to_string()).with_data(data)
}

/// A result of a method that fails with an error of its own.
///
/// # Errors
///
/// That error, as it travels, and that of writing the value.
pub fn reply<T: Serialize, E: Serialize + Display>(
    codec: Codec,
    result: Result<T, E>,
) -> Result<Reply, CallError> {
    match result {
        Ok(value) => Reply::encode(codec, &value),
        Err(error) => Err(own_error(&error)),
    }
}

/// The answer to a number that no method has.
#[must_use]
pub fn no_method<T: Send + 'static>(
    object: &str,
    method: u16,
) -> BoxFuture<'static, Result<T, CallError>> {
    let message = format!("{object} has no such method of number {method}");
    Box::pin(std::future::ready(Err(CallError::new(
        ErrorKind::NoMethod,
        Executed::No,
        message,
    ))))
}

/// How the answer to `args` is written.
#[must_use]
pub fn codec(args: &Args) -> Codec {
    args.codec()
}

/// Feeds a subscriber from a stream that may borrow from its object.
///
/// # Errors
///
/// An item cannot be sent.
pub async fn drain<T: Serialize + Send + Sync>(
    stream: impl Stream<Item = T> + Send,
    sink: Sink,
) -> Result<(), CallError> {
    crate::server::drain(stream, sink).await
}

fn written(
    settings: SchemaSettings,
    root: impl FnOnce(schemars::SchemaGenerator) -> schemars::Schema,
) -> Value {
    let mut schema = root(settings.into_generator());
    // The dialect and Rust's name of the type say nothing to callers.
    schema.remove("$schema");
    schema.remove("title");
    schema.to_value()
}

/// The name of an enum's variant, for that is what errors most often are.
fn code(data: &Value) -> String {
    match data {
        Value::String(variant) => variant.clone(),
        Value::Object(fields) if fields.len() == 1 => {
            fields.keys().next().cloned().unwrap_or_default()
        }
        Value::Object(fields) => match fields.get("code").or_else(|| fields.get("type")) {
            Some(Value::String(code)) => code.clone(),
            Some(_) | None => "error".to_owned(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => "error".to_owned(),
    }
}
