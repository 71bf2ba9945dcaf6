//! What runs.

use serde::{Deserialize, Serialize};

use crate::app::App;

/// An app, as `herder list` shows it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppStatus {
    /// Its number, for those who do not like to type names. Never changes while it is in the list.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// What it does.
    pub phase: AppPhase,
    /// Why it is so, if that needs saying: how it failed, when it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How many workers it shall have.
    pub workers: u16,
    /// How many of them are ready.
    pub ready: u16,
    /// The herd, if it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub herd: Option<HerdStatus>,
    /// How often workers were started again since the app was started, or the counters reset.
    pub restarts: u64,
    /// Of these, because a worker failed.
    pub failures: u64,
    /// When it was started, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// What its processes use now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Whether files are watched.
    pub watching: bool,
    /// Whether its health checks pass; absent = it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
}

/// What an app does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AppPhase {
    /// It waits for the apps that it depends on.
    Waiting,
    /// Its first workers start.
    Starting,
    /// It serves.
    Online,
    /// It serves, with fewer workers than it shall have.
    Degraded,
    /// A new generation takes over.
    Reloading,
    /// Its workers leave.
    Stopping,
    /// It was stopped.
    Stopped,
    /// It has ended by itself, as it was to (a job that is done).
    Done,
    /// It failed. It is tried again if the note says so.
    Errored,
}

/// A herd, told by its master.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HerdStatus {
    /// The master's process.
    pub master: i32,
    /// The keeper's process.
    pub keeper: i32,
    /// What this build of herder calls itself.
    pub version: String,
    /// The generation in service.
    pub generation: u64,
    /// How connections reach the workers: a mode, or two (`kernel+pass`) where listeners differ in it.
    pub dispatch: String,
    /// Where it listens.
    pub listening: Vec<String>,
    /// Whether a reload or an upgrade is under way.
    pub busy: bool,
    /// How many workers it shall have.
    pub wanted: u16,
    /// Its slots, in order.
    pub slots: Vec<SlotStatus>,
    /// Its libraries and its gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<WorkerStatus>,
    /// Connections that were accepted by the master so far; absent where it does not accept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// The last verdict of a reload or upgrade, as in the verdict file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// A place of an app.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SlotStatus {
    /// From 0.
    pub slot: u16,
    /// `waiting` (for its next start), `quarantined`, `done`, or empty when workers say it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rests: String,
    /// When the next start is, in milliseconds from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// How often a worker was started here after the first.
    pub restarts: u64,
    /// How often a worker failed here: it crashed, hung, was not ready in time, could not be started,
    /// broke the protocol, or was found broken.
    pub failures: u64,
    /// The processes that live: the one that serves first.
    pub workers: Vec<WorkerStatus>,
}

/// A process of a herd.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerStatus {
    /// Empty for a worker; `gateway`, `library NAME`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub part: String,
    /// Its life, never reused.
    pub id: u64,
    /// Its process.
    pub pid: i32,
    /// `starting`, `ready`, `suspect`, `standby`, `draining` or `killing`.
    pub phase: String,
    /// Whether it merely lived long enough to count as ready.
    #[serde(default, skip_serializing_if = "is_false")]
    pub guessed: bool,
    /// What it was started from.
    pub generation: u64,
    /// How long it has lived, in milliseconds.
    pub age_ms: u64,
    /// What it uses, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Behind a proxy: where it listens, and what the proxy has counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxied: Option<Proxied>,
}

/// A worker, as a proxy knows it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Proxied {
    /// Where it listens.
    pub address: String,
    /// Requests, or connections, that it has now.
    pub open: u32,
    /// Those that it has finished.
    pub served: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Whether it gets nothing for now because it failed too often.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ejected: bool,
}

/// What processes use.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Usage {
    /// Of one CPU, in percent, since it was looked at last.
    pub cpu: f64,
    /// Resident memory in bytes.
    pub memory: u64,
}

/// What became of a reload or an upgrade.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdict {
    /// `reload` or `upgrade`.
    pub operation: String,
    /// `done`, `refused` or `rolled_back`.
    pub outcome: String,
    /// The generation that was to be put in service; of an upgrade, the one that is.
    pub generation: u64,
    /// Why it was not done. Empty when it was.
    #[serde(default)]
    pub reason: String,
    /// What the process that was the reason printed last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// When it was given, as RFC 3339 in UTC.
    pub at: String,
    /// How long it took.
    pub took_ms: u64,
}

/// All that is known of an app.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppDetail {
    /// What it does.
    pub status: AppStatus,
    /// What it is. Values of variables that look like secrets are `***`.
    pub app: App,
    /// Which profile of variables was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Its log files.
    pub logs: Vec<std::path::PathBuf>,
}

/// The daemon.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DaemonStatus {
    /// Its process.
    pub pid: i32,
    /// What it calls itself.
    pub version: String,
    /// Where it lives.
    pub home: std::path::PathBuf,
    /// When it was started, in milliseconds since 1970.
    pub since_ms: u64,
    /// How many apps it has.
    pub apps: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde lends a field")]
fn is_false(value: &bool) -> bool {
    !*value
}
