//! From the description of an app to what a master runs: `herder run`, and the herds of the daemon.

mod args;
mod definition;
mod description;
mod entry;
pub(crate) mod herd;
mod library;
mod node;
mod node_dispatch;
mod own;
mod policies;
mod program;
mod proxy;
pub(crate) mod services;
mod typescript;
mod units;
mod words;

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use herder_api::Problem;
use herder_api::app::{Dispatch, Ready, Stdin as AppStdin, Workers};
use herder_core::spec::{AppName, AppSpec, DispatchMode, ListenAddress, PickerKind, Readiness};
use herder_master::config::{Choice, Command, Config, Numbering, Program, Stdin, Titles, WATCHDOG};
use herder_sys::user::{self, Identity};

use crate::launcher;
pub(crate) use args::RunArgs;
pub(crate) use definition::{Apps, Origin};
pub(crate) use description::Description;
use library::LibraryError;
use node::NodeError;
use own::OwnError;
use program::ProgramError;
use proxy::ProxyError;
use services::ServicesError;
use words::Setting;

/// How many connections the kernel queues when nothing else is said.
const BACKLOG: u32 = 4096;

/// The permission bits of a Unix listener when nothing else is said.
const OWNER_ONLY: u32 = 0o600;

/// Why a description makes no herd.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(
        "say what is to run: herder run SCRIPT for a Node program, herder run -- PROGRAM for any other, \
         herder run FILE for what herder.toml or PM2's ecosystem file defines"
    )]
    Nothing,
    #[error("{setting}: {problem}")]
    Wrong { setting: Setting, problem: String },
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error("{0}: only a file that defines apps can be told so; leave the option out")]
    NoFile(&'static str),
    #[error("{given}: {path:?} says it; leave it out here, and change it there")]
    SaidByFile { given: String, path: PathBuf },
    #[error("{}{}", .0.place.as_deref().map_or_else(String::new, |it| format!("{it}: ")), .0.message)]
    Problem(Problem),
    #[error(transparent)]
    Own(#[from] OwnError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error(transparent)]
    Services(#[from] ServicesError),
    #[error("{}: a foreign program has no channel on which connections could be passed; use {} (or auto)",
        .0.with("pass"), .0.with("shared"))]
    NoChannel(Setting),
    #[error(
        "{}: in shared mode the kernel gives a connection to whichever worker is first; {}",
        .0.with(.1), .0.leave_out()
    )]
    NoPolicy(Setting, String),
    #[error(
        "{}: in shared mode nobody counts a program's requests; use {} or {}", .0,
        .0.other("max_lifetime"), .0.other("max_memory")
    )]
    NoCount(Setting),
    #[error("{}: only what is opened by {} has it; {}", .0, .0.other("listen"), .0.leave_out())]
    NothingOpened(Setting),
    #[error(
        "{setting} {after:?}: a worker that is not ready within {} ({limit:?}) is killed; make one \
         shorter or the other longer", .setting.other("boot_timeout")
    )]
    ReadyTooLate {
        setting: Setting,
        after: Duration,
        limit: Duration,
    },
    #[error("{setting} {given:?}: {problem}")]
    Unusable {
        setting: Setting,
        given: OsString,
        problem: String,
    },
}

/// What a herd of this description is to be.
///
/// # Errors
/// When it cannot be: a setting is wrong, or a program is not there.
pub(crate) fn config(description: &Description) -> Result<Config, RunError> {
    let identity = match &description.identity {
        Some(known) => known.clone(),
        None => {
            check_directory(description)?;
            identity(description)?
        }
    };
    if description.app.proxy.is_some() && description.app.dispatch != Dispatch::Proxy {
        return Err(ProxyError::NoProxy(proxy::said_by(description)).into());
    }
    let mut libraries = library::libraries(description, identity.as_ref())?;
    let config = match &description.app.script {
        _ if description.app.dispatch == Dispatch::Proxy => proxy::config(description, identity),
        Some(script) => script_config(description, script, identity),
        None if description.tail.is_empty() => Err(RunError::Nothing),
        None => foreign_config(description, identity),
    }?;
    let built_in = services::library(description, config.spec.name.as_str())?;
    libraries.extend(built_in);
    let mut hints = description.hints.clone();
    hints.extend(config.hints);
    Ok(Config {
        libraries,
        hints,
        restart_only: services::fixed(description),
        ..config
    })
}

/// A script that Node, or an engine like it, runs.
fn script_config(
    description: &Description,
    script: &Path,
    identity: Option<Identity>,
) -> Result<Config, RunError> {
    let app = &description.app;
    let policy = policy(description)?;
    node::check(description, policy)?;
    if app.hang.is_some() {
        return Err(OwnError::NodeHang(description.setting("hang")).into());
    }
    let weights = own::weights(description)?;
    match own::wanted(app.dispatch, policy) {
        Some(wanted) => own::check(description, wanted)?,
        None if policy == Some(PickerKind::LeastLoaded) => {
            return Err(OwnError::NoLoads(description.setting("policy")).into());
        }
        None => {}
    }
    let script = &entry::resolve(script, description.directory())?;
    let program = node::program(description, script, identity)?;
    let (mode, reason) = node_dispatch::mode(description, &program)?;
    if mode == DispatchMode::Shared {
        check_shared(description)?;
    }
    let name = name(description, || node::default_name(script))?;
    let listening = ("listen_timeout", app.listen_timeout, node::LISTENING);
    let mut spec = policies::spec(description, name, listening)?;
    // Node says when the program begins: until then there is nothing to guess.
    if let Readiness::MessageOrAlive(after) = spec.life.readiness {
        spec.life.readiness = Readiness::MessageOrBegun(after);
    }
    spec.dispatch.mode = mode;
    spec.dispatch.picker = policy.unwrap_or(PickerKind::RoundRobin);
    spec.dispatch.weights = weights;
    spec.recycle.max_requests = app.max_requests.and_then(NonZeroU64::new);
    let hint = if description.is_recalled() {
        None
    } else {
        typescript::hint(script, &program.command)
    };
    let choice = node_dispatch::choice(description, &program, mode);
    let mut config = assemble(description, spec, Program::Node(program), reason)?;
    config.choice = choice;
    config.hints.extend(hint);
    Ok(config)
}

/// A program that knows nothing of us.
fn foreign_config(
    description: &Description,
    identity: Option<Identity>,
) -> Result<Config, RunError> {
    /// How long a program must live to count as ready.
    const ALIVE: Duration = Duration::from_secs(1);
    let app = &description.app;
    node::check_none(description)?;
    if let Some(setting) = without_listener(description) {
        return Err(RunError::NothingOpened(setting));
    }
    if app.dispatch == Dispatch::Pass {
        return Err(RunError::NoChannel(description.setting("dispatch")));
    }
    let own = own::wanted(app.dispatch, policy(description)?);
    let weights = own::weights(description)?;
    match own {
        Some(wanted) => own::check(description, wanted)?,
        None => check_shared(description)?,
    }
    let found = program::find(&description.tail, description)?;
    let hint = hint(description);
    let name = name(description, || program::default_name(&found))?;
    let mut spec = policies::spec(description, name, ("ready_after", app.ready_after, ALIVE))?;
    let (choice, mut reason) = own::choice(description)?;
    if choice == Choice::KernelFirst {
        spec.dispatch.hang = own::hang(app);
    }
    if let Some((mode, _)) = own {
        spec.dispatch.mode = mode;
        spec.dispatch.picker = policy(description)?.unwrap_or(PickerKind::RoundRobin);
        spec.dispatch.hang = own::hang(app);
        spec.dispatch.weights = weights;
        reason = "as asked";
    } else if app.hang.is_some() {
        return Err(OwnError::NoHang(description.setting("hang")).into());
    }
    let command = Command {
        path: found.path,
        sought: Some(found.sought),
        argv: found.argv,
        directory: app.cwd.clone(),
        identity,
    };
    let mut config = assemble(description, spec, Program::Command(command), reason)?;
    config.choice = choice;
    config.hints.extend(hint);
    Ok(config)
}

/// Who gives a listener means a program that takes it.
fn hint(description: &Description) -> Option<String> {
    let words = description.tail.iter();
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let app = &description.app;
    let directory = description.directory().unwrap_or(Path::new("."));
    let may_help = app.listen.is_empty() && app.workers != Workers::Count(1);
    launcher::hint(&words, directory).filter(|_| may_help)
}

fn assemble(
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

fn name(description: &Description, default: impl FnOnce() -> AppName) -> Result<AppName, RunError> {
    match description.app.name.as_str() {
        "" => Ok(default()),
        name => description.parsed("name", name),
    }
}

fn policy(description: &Description) -> Result<Option<PickerKind>, RunError> {
    let policy = description.app.policy.as_deref();
    let policy = policy.map(|text| description.parsed("policy", text));
    policy.transpose()
}

/// A setting of listeners of the herd's own, where there are none.
fn without_listener(description: &Description) -> Option<Setting> {
    let app = &description.app;
    let given = [
        ("backlog", app.backlog.is_some()),
        ("unix_mode", app.unix_mode.is_some()),
    ];
    let mut given = given.into_iter().filter(|(_, given)| *given);
    let (field, _) = given.next()?;
    let has_none = app.listen.is_empty();
    has_none.then(|| description.setting(field))
}

fn check_shared(description: &Description) -> Result<(), RunError> {
    if let Some(policy) = policy(description)? {
        let setting = description.setting("policy");
        return Err(RunError::NoPolicy(setting, policy.to_string()));
    }
    if description.app.max_requests.is_some() {
        return Err(RunError::NoCount(description.setting("max_requests")));
    }
    Ok(())
}

fn check_readiness(
    description: &Description,
    field: &'static str,
    after: Duration,
    limit: Duration,
) -> Result<(), RunError> {
    if description.app.ready == Ready::Alive && after >= limit {
        return Err(RunError::ReadyTooLate {
            setting: description.setting(field),
            after,
            limit,
        });
    }
    Ok(())
}

fn check_directory(description: &Description) -> Result<(), RunError> {
    let Some(path) = description.directory() else {
        return Ok(());
    };
    let problem = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => "it is not a directory".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(RunError::Unusable {
        setting: description.setting("cwd"),
        given: path.into(),
        problem,
    })
}

/// Whose rights the workers have.
fn identity(description: &Description) -> Result<Option<Identity>, RunError> {
    let app = &description.app;
    let user = app.user.as_deref();
    let user = user.map(|name| look_up(description, "user", name, user::lookup));
    let group = app.group.as_deref();
    let group = group.map(|name| look_up(description, "group", name, user::lookup_group));
    Ok(match (user.transpose()?, group.transpose()?) {
        (None, None) => None,
        (Some(identity), None) => Some(identity),
        (Some(identity), Some(gid)) => Some(Identity { gid, ..identity }),
        (None, Some(gid)) => Some(Identity {
            uid: user::effective_uid(),
            gid,
            groups: vec![gid],
        }),
    })
}

fn look_up<T>(
    description: &Description,
    field: &'static str,
    name: &str,
    find: fn(&str) -> std::io::Result<Option<T>>,
) -> Result<T, RunError> {
    let error = |problem: String| RunError::Unusable {
        setting: description.setting(field),
        given: name.into(),
        problem,
    };
    if !user::is_root() {
        let text = format!("only root can start workers as another {field}");
        return Err(error(text));
    }
    match find(name) {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(error(format!("there is no such {field}"))),
        Err(failed) => Err(error(failed.to_string())),
    }
}
