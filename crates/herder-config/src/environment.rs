//! The environment of workers.

use std::collections::BTreeMap;

use herder_api::app::EnvMode;
use herder_api::herd::HerdOrder;

/// What is kept of the caller's environment with `env_mode = "clean"`, beside `LC_*`.
const CLEAN: [&str; 9] = [
    "HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
];

/// The variables that each worker finds: those of whoever started the app, as far as `env_mode` and `env_remove` let them,
/// then `env`, then the chosen profile. Never there: what tells a process about channels and listeners that are not its own.
/// (What differs from worker to worker is added by who starts them.)
#[must_use]
pub fn environment(order: &HerdOrder) -> BTreeMap<String, String> {
    let app = &order.app;
    let inherited = order.inherited.iter().filter(|(name, _)| {
        let kept = match app.env_mode {
            EnvMode::Inherit => true,
            EnvMode::Clean => CLEAN.contains(&name.as_str()) || name.starts_with("LC_"),
        };
        kept && !app.env_remove.contains(name)
    });
    let inherited = inherited.map(|(name, value)| (name.clone(), value.clone()));
    let profile = order
        .profile
        .as_ref()
        .and_then(|name| app.profiles.get(name));
    let own = app.env.iter().chain(profile.into_iter().flatten());
    let own = own.map(|(name, value)| (name.clone(), String::from(value.clone())));
    let mut all: BTreeMap<String, String> = inherited.chain(own).collect();
    all.retain(|name, _| !is_foreign(name));
    all
}

/// Whether a variable speaks of channels or listeners of the process that has it.
fn is_foreign(name: &str) -> bool {
    let starts = ["LISTEN_", "WATCHDOG_", "NODE_CHANNEL_"];
    let is = ["HERDER_ROLE", "NOTIFY_SOCKET", "NODE_UNIQUE_ID"];
    is.contains(&name) || starts.iter().any(|start| name.starts_with(start))
}
