//! What the command and the daemon say to each other: HTTP with JSON on `HERDER_HOME/herder.sock`.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/daemon` | | [`DaemonStatus`](crate::status::DaemonStatus) |
//! | `GET /v1/apps?target=…` | | list of [`AppStatus`](crate::status::AppStatus) |
//! | `GET /v1/apps/{name}` | | [`AppDetail`](crate::status::AppDetail) |
//! | `GET /v1/apps/{name}/environment` | | object of variables |
//! | `GET /v1/apps/{name}/history?lines=` | | list of [`Incident`] |
//! | `POST /v1/apps` | [`Start`] | stream of [`Progress`] |
//! | `POST /v1/actions` | [`Action`] | stream of [`Progress`] |
//! | `POST /v1/plan` | [`Apply`] | [`Plan`] |
//! | `POST /v1/apply` | [`Apply`] | stream of [`Progress`] |
//! | `POST /v1/save`, `/v1/resurrect` | | stream of [`Progress`] |
//! | `POST /v1/daemon/stop` | [`StopDaemon`] | stream of [`Progress`] |
//! | `GET /v1/events` | | stream of [`DaemonEvent`] |
//! | `GET /v1/logs?target=&lines=&follow=&stream=&slot=&contains=&marks=&from=` | | stream of [`LogLine`] |
//! | `GET /metrics` | | Prometheus' text format |
//! | `GET /openapi.json` | | this, as OpenAPI 3.1 |
//!
//! A stream is one JSON object a line (`application/x-ndjson`). What fails before it begins is a
//! [`Problem`] with its status.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::problem::Problem;

/// Apps to start.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Start {
    /// Their definitions, checked, with absolute paths.
    pub apps: Vec<App>,
    /// The environment of whoever starts them.
    pub environment: BTreeMap<String, String>,
    /// Which profile of variables is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What happens with those whose names are in the list.
    #[serde(default)]
    pub known: Known,
    /// The files that define them, by their names, as [`Apply::source`] has it: one that is not in its
    /// file any more is deleted when that is applied.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, std::path::PathBuf>,
}

/// What happens with an app that is in the list when it is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Known {
    /// A problem: it is named.
    #[default]
    Refuse,
    /// It gets the new definition and is restarted (`start` of a file, `startOrRestart`).
    Restart,
    /// It gets the new definition and is reloaded (`startOrReload`).
    Reload,
}

/// Something to do with apps of the list.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Action {
    /// What.
    pub verb: Verb,
    /// With which: names, numbers, namespaces, `all`, `/regex/`. At least one, and each names somebody.
    pub targets: Vec<String>,
    /// A new environment of the caller, when it is to be taken over (`--update-env`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<BTreeMap<String, String>>,
    /// Another profile of variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Settings that change with a restart or a reload: as in a definition.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// What can be done with apps.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Verb {
    /// Starts those that do not run.
    Start,
    /// Stops them. They stay in the list.
    Stop {
        /// Without grace.
        #[serde(default)]
        now: bool,
    },
    /// Stops and starts them.
    Restart,
    /// Replaces their workers, without loss.
    Reload,
    /// Stops them and takes them out of the list.
    Delete,
    /// Another number of workers.
    Scale(ScaleTo),
    /// A signal to the workers.
    Signal {
        /// `HUP`, `USR2` … or a number.
        signal: String,
    },
    /// A line to the stdin of the workers.
    Send {
        /// Without its newline.
        line: String,
    },
    /// Sets counters of restarts to 0.
    Reset,
    /// Empties the log files.
    Flush,
    /// Opens the log files again.
    ReopenLogs,
    /// The herds' masters become the build of herder that is installed.
    Upgrade,
}

/// A number of workers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ScaleTo {
    /// So many.
    To(u16),
    /// So many more.
    By(i32),
}

/// Definitions that shall hold.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Apply {
    /// All of a file's.
    pub apps: Vec<App>,
    /// The environment of the caller, for what is started or restarted.
    pub environment: BTreeMap<String, String>,
    /// Which profile of variables is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Where the definitions come from: apps that came from there and are gone are deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<std::path::PathBuf>,
    /// Whether these are not all that stand there: then none is deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The plan that was shown, for `POST /v1/apply`: if it is another one by now, nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// What an [`Apply`] would do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Plan {
    /// A step for each app, in the order in which they are done; `Keep` included.
    pub steps: Vec<PlanStep>,
    /// For `POST /v1/apply`.
    pub fingerprint: String,
}

/// What happens with one app.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanStep {
    /// Its name.
    pub app: String,
    /// What is done.
    pub step: StepKind,
    /// What differs. (Values of variables that look like secrets are `***`.)
    pub changes: Vec<Change>,
}

/// What is done with an app.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StepKind {
    /// Nothing: it is as it shall be.
    Keep,
    /// It is taken over without touching a process.
    Update,
    /// Only the number of workers changes.
    Scale,
    /// New workers take over, nothing is lost.
    Reload,
    /// It is stopped and started: its listeners, or who runs it, change.
    Restart,
    /// It is new.
    Start,
    /// It is not in the file any more.
    Delete,
}

/// A setting that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Change {
    /// As in a file: `grace`, `env.PORT`, `logs.keep`.
    pub setting: String,
    /// What it was, as JSON; absent = the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it shall be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What it takes.
    pub needs: StepKind,
}

/// The end of the daemon.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StopDaemon {
    /// The apps run on; the next daemon takes them over.
    #[serde(default)]
    pub leave_apps: bool,
}

/// How far something has come.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Progress {
    /// Something begins with an app.
    Begun {
        /// Its name.
        app: String,
        /// `start`, `stop`, `restart`, `reload`, `delete`, `scale` …
        verb: String,
    },
    /// A slot of it has come so far.
    Slot {
        /// Its name.
        app: String,
        /// Which.
        slot: u16,
        /// `starting`, `ready`, `leaving`, `gone`, `failed`.
        phase: String,
        /// The process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pid: Option<i32>,
    },
    /// Something that should be known.
    Note {
        /// Its name.
        app: String,
        /// A sentence.
        text: String,
    },
    /// It is done with an app.
    Done {
        /// Its name.
        app: String,
        /// What there is to say, as in `4 workers ready in 310 ms`.
        text: String,
    },
    /// It failed with an app; others go on.
    Failed {
        /// Its name.
        app: String,
        /// Why.
        problem: Problem,
    },
    /// The last line: how many were done, and how many failed.
    End {
        /// Done.
        done: u32,
        /// Failed.
        failed: u32,
    },
}

/// Something that happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DaemonEvent {
    /// RFC 3339 in UTC.
    pub time: String,
    /// The app; empty = the daemon itself.
    pub app: String,
    /// What kind: those of the JSON log, and the daemon's own: `app_started`, `app_stopped`, `app_deleted`,
    /// `app_errored`, `app_retried`, `herd_lost`, `herd_found`, `cron`, `watch`, `unhealthy`, `healthy`, `saved`.
    pub event: String,
    /// A sentence.
    pub message: String,
    /// `info` or `warning`.
    pub level: String,
    /// What else belongs to it.
    #[serde(default, flatten)]
    pub fields: BTreeMap<String, serde_json::Value>,
}

/// A restart in an app's history, or something else that explains one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Incident {
    /// RFC 3339 in UTC.
    pub time: String,
    /// Why: see [`Reason`].
    pub reason: Reason,
    /// The slot, if it is one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u16>,
    /// The life that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// A sentence.
    pub message: String,
}

/// Why a worker ended or an app was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Reason {
    /// It ended by itself, with a status that nobody meant.
    Crash,
    /// It ended by itself, as it was to: with 0, or with one of its `stop_exit_codes`.
    Done,
    /// Somebody else's signal ended it.
    Signal,
    /// The kernel had no memory.
    OutOfMemory,
    /// It was silent or hung.
    Watchdog,
    /// It did not become ready.
    Boot,
    /// It announced its own end.
    Retired,
    /// It reached a limit.
    Recycle,
    /// A new version took over.
    Deploy,
    /// A new version failed.
    Rollback,
    /// There are fewer workers than before.
    Scale,
    /// Somebody stopped or started it.
    Operator,
    /// Its times (cron).
    Cron,
    /// Files changed.
    Watch,
    /// A health check failed.
    Health,
    /// The master was replaced.
    Master,
    /// Too many restarts.
    Quarantine,
}

/// A line of a log file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogLine {
    /// The app.
    pub app: String,
    /// `out`, `error` or `herder`. `marks`, where that was asked for: no line, but up to where files have
    /// been told, for who goes on there later (`from`).
    pub stream: String,
    /// Whose, where files or format say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u16>,
    /// When, where the format says it: RFC 3339 or as the app's `time_format` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// As it was written. Escape it before it is shown.
    pub line: String,
}

impl Reason {
    /// Its name in JSON and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reason::Crash => "crash",
            Reason::Done => "done",
            Reason::Signal => "signal",
            Reason::OutOfMemory => "out_of_memory",
            Reason::Watchdog => "watchdog",
            Reason::Boot => "boot",
            Reason::Retired => "retired",
            Reason::Recycle => "recycle",
            Reason::Deploy => "deploy",
            Reason::Rollback => "rollback",
            Reason::Scale => "scale",
            Reason::Operator => "operator",
            Reason::Cron => "cron",
            Reason::Watch => "watch",
            Reason::Health => "health",
            Reason::Master => "master",
            Reason::Quarantine => "quarantine",
        }
    }
}
