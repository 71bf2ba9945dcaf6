//! What all herds have in common, whatever runs in them.

use herder_api::app::Stdin as AppStdin;
use herder_core::spec::{AppSpec, ListenAddress};
use herder_master::config::{Choice, Config, Numbering, Program, Stdin, Titles, WATCHDOG};

use super::description::Description;
use super::error::RunError;
use super::units;

/// How many connections the kernel queues when nothing else is said.
const BACKLOG: u32 = 4096;

/// The permission bits of a Unix listener when nothing else is said.
const OWNER_ONLY: u32 = 0o600;

/// What the master is told: `spec` and `program`, and `reason` for the dispatch mode, as its log gives it.
///
/// # Errors
/// When a setting of the rest is wrong.
pub(super) fn assemble(
    description: &Description,
    spec: AppSpec,
    program: Program,
    reason: &str,
) -> Result<Config, RunError> {
    let app = &description.app;
    let listen = app.listen.iter();
    let listen = listen.map(|text| description.parsed::<ListenAddress>("listen", text));
    let unix_mode = app.unix_mode.as_deref();
    let unix_mode = unix_mode.map(|text| description.parsed::<units::Mode>("unix_mode", text));
    let environment = description.environment.as_ref();
    let own = |(name, value): (&String, &String)| (name.into(), value.into());
    Ok(Config {
        spec,
        definition: String::new(),
        restart_only: Vec::new(),
        listen: listen.collect::<Result<_, _>>()?,
        messages: None,
        proxy: None,
        libraries: Vec::new(),
        backlog: app.backlog.unwrap_or(BACKLOG),
        unix_mode: unix_mode.transpose()?.map_or(OWNER_ONLY, |mode| mode.0),
        program,
        environment: environment.map(|all| all.iter().map(own).collect()),
        numbering: numbering(description)?,
        format: description.format,
        observer: None,
        titles: Titles::default(),
        choice: Choice::Said,
        dispatch_reason: reason.to_owned(),
        hints: Vec::new(),
        watchdog: match app.master_watchdog {
            None => Some(WATCHDOG),
            Some(time) => Some(time.0).filter(|time| !time.is_zero()),
        },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        verdict_file: description.verdict_file.clone(),
        control: description.control.clone(),
        stdin: match app.stdin {
            AppStdin::Null => Stdin::Null,
            AppStdin::Pipe => Stdin::Pipe,
        },
        logs: logs(description)?,
        event_log: description.event_log.clone(),
    })
}

/// Where the workers' lines go: to files, where there is a place for them.
fn logs(description: &Description) -> Result<Option<herder_logs::Settings>, RunError> {
    let directory = description.log_dir.as_deref();
    let settings = directory.map(|place| herder_logs::Settings::of(&description.app, place));
    settings.transpose().map_err(RunError::Problem)
}

/// The variables that tell a worker its slot.
fn numbering(description: &Description) -> Result<Numbering, RunError> {
    let app = &description.app;
    let wrong = |problem: String| RunError::Wrong {
        setting: description.setting("increment_var"),
        problem,
    };
    let first = |name: &String| {
        let Some(value) = description.variable(name) else {
            let text = format!("there is no variable {name}; give its first value in env");
            return Err(wrong(text));
        };
        let value = value.to_string_lossy();
        match value.trim().parse::<i64>() {
            Ok(number) => Ok((name.clone(), number)),
            Err(_) => Err(wrong(format!("{name} is {value:?}, and not a number"))),
        }
    };
    let added = app.increment_var.as_ref().map(first);
    Ok(Numbering {
        slot: app.instance_var.clone(),
        added: added.transpose()?,
    })
}
