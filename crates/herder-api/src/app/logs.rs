//! What becomes of what the workers print.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{is_default, is_true};
use crate::units::{Period, Size};

/// What becomes of what the workers print.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Logs {
    /// Whether it is written at all.
    #[serde(skip_serializing_if = "is_true")]
    pub enabled: bool,
    /// The file for stdout. Default: NAME-out.log in the daemon's logs/.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<PathBuf>,
    /// The file for stderr; the same as `out` = one file for both. Default: NAME-error.log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<PathBuf>,
    /// One file for all workers, or one for each: `-SLOT` stands before the extension.
    #[serde(skip_serializing_if = "is_default")]
    pub files: LogFiles,
    /// How lines are written.
    #[serde(skip_serializing_if = "is_default")]
    pub format: LogFormat,
    /// With `format = "time"`: how, as by strftime. Default: "%Y-%m-%dT%H:%M:%S%.3f%:z".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_format: Option<String>,
    /// A file that is this large is put away; 0 = never.
    pub rotate_size: Size,
    /// A file that is this old is put away; 0 = never.
    pub rotate_age: Period,
    /// How many files that were put away are kept.
    pub keep: u32,
    /// Whether they are compressed (gzip).
    pub compress: bool,
    /// How many bytes all files of the app may have together; the oldest go first; 0 = any number.
    pub total_size: Size,
    /// What happens when a worker prints faster than the disk writes.
    #[serde(skip_serializing_if = "is_default")]
    pub overflow: Overflow,
}

impl Default for Logs {
    fn default() -> Logs {
        Logs {
            enabled: true,
            out: None,
            error: None,
            files: LogFiles::default(),
            format: LogFormat::default(),
            time_format: None,
            rotate_size: Size(64 << 20),
            rotate_age: Period::secs(0),
            keep: 10,
            compress: true,
            total_size: Size(1 << 30),
            overflow: Overflow::default(),
        }
    }
}

/// One file for all workers, or one for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum LogFiles {
    /// One for all.
    #[default]
    Merged,
    /// One for each.
    PerWorker,
}

/// How lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum LogFormat {
    /// As they come, byte for byte.
    #[default]
    Raw,
    /// The time before each line.
    Time,
    /// One JSON object a line: time, app, slot, id, stream, line.
    Json,
}

/// What happens when a worker prints faster than the disk writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Overflow {
    /// It waits.
    #[default]
    Block,
    /// Lines are dropped, and counted.
    Drop,
}
