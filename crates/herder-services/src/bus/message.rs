//! What goes over the bus.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// Who a message is for. Only those get it that subscribed to its topic.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum To {
    /// Every worker and library of this machine's herd, the sender as well.
    All,
    /// Every worker and library of every machine that shares the store, the sender as well.
    Everywhere,
    /// The library of this name.
    Library(String),
    /// Every worker and library but the sender.
    Others,
    /// The worker with this process.
    Pid(u32),
    /// One of the workers, by chance; the sender only if it is the only one.
    Random,
    /// The worker at this place.
    Slot(u32),
    /// The worker of this life.
    Worker(u64),
    /// Every worker.
    Workers,
}

/// Who sent a message.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Sender {
    /// `worker`, `library:NAME` or `tool`.
    pub part: String,
    /// Its place, if it is a worker.
    pub slot: u32,
    /// Its life.
    pub worker: u64,
    /// Its process.
    pub pid: u32,
}

/// A message, as it arrives.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Message {
    /// What it is about.
    pub topic: String,
    /// What it says.
    pub payload: Json,
    /// Who says it.
    pub from: Sender,
    /// To be given with the answer; `None` = none is expected.
    pub request: Option<u64>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Delivery {
    /// How many subscribers of this machine get it.
    pub receivers: u32,
    /// To how many other machines it went, if it was for all.
    pub machines: u32,
}

/// Any JSON value. Where a format cannot be read without knowing what comes, its text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Json(pub serde_json::Value);

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        let text = serde_json::to_string(&self.0).map_err(ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        if deserializer.is_human_readable() {
            return Ok(Json(serde_json::Value::deserialize(deserializer)?));
        }
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text)
            .map(Json)
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

impl Message {
    /// What it costs to keep, in bytes, roughly.
    pub(super) fn size(&self) -> usize {
        const OVERHEAD: usize = 200;
        OVERHEAD + self.topic.len() + size(&self.payload.0)
    }
}

fn size(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    const EACH: usize = 32;
    EACH + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| name.len() + size(value))
            .sum(),
    }
}
