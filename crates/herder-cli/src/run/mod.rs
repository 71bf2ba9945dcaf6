//! `herder run`: from arguments to a configuration.

mod args;
mod entry;
mod library;
mod node;
mod program;
pub(crate) mod services;
mod typescript;
mod units;

use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;
use std::time::Duration;

use herder_core::spec::{
    AppName, AppSpec, DispatchMode, LifePolicy, NameError, PickerKind, Readiness, RecyclePolicy,
    ReloadPolicy, RestartPolicy, WorkerCount, WorkerCountError,
};
use herder_master::config::{Command, Config, Format, Program, Stdin, Titles};
use herder_sys::user;

use crate::launcher;
pub(crate) use args::RunArgs;
use args::{DispatchArg, ReadyArg, WorkersArg};
use library::LibraryError;
use node::NodeError;
use program::ProgramError;
use services::ServicesError;
use units::{OrNever, Seconds};

/// How many connections the kernel queues when nothing else is said.
const BACKLOG: u32 = 4096;

/// The permission bits of a Unix listener when nothing else is said.
const OWNER_ONLY: u32 = 0o600;

/// Why arguments do not make a herd.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(
        "say what is to run: herder run SCRIPT for a Node program, herder run -- PROGRAM for any other"
    )]
    Nothing,
    #[error("--name: {0}")]
    Name(#[from] NameError),
    #[error("--workers: {0}")]
    Workers(#[from] WorkerCountError),
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Services(#[from] ServicesError),
    #[error(
        "--dispatch pass: a foreign program has no channel on which connections could be passed; \
         use --dispatch shared (or auto)"
    )]
    NoChannel,
    #[error(
        "--policy {0}: in shared mode the kernel gives a connection to whichever worker is first; \
         leave the option out"
    )]
    NoPolicy(String),
    #[error(
        "--max-requests: in shared mode nobody counts a program's requests; use \
         --max-lifetime or --max-memory"
    )]
    NoCount,
    #[error("{0}: only what is opened by --listen has it; leave the option out")]
    NothingOpened(&'static str),
    #[error(
        "{option} {after:?}: a worker that is not ready within --boot-timeout ({limit:?}) is \
         killed; make one shorter or the other longer"
    )]
    ReadyTooLate {
        option: &'static str,
        after: Duration,
        limit: Duration,
    },
    #[error("--user {name:?}: {problem}")]
    User { name: String, problem: String },
    #[error("--cwd {path:?}: {problem}")]
    Directory {
        path: std::path::PathBuf,
        problem: String,
    },
}

/// What a herd of this program is to be.
pub(crate) fn config(args: RunArgs) -> Result<Config, RunError> {
    check_directory(&args)?;
    let identity = args.user.as_deref().map(identity).transpose()?;
    let mut libraries = library::libraries(&args, identity.as_ref())?;
    let config = match args.script.clone() {
        Some(script) => script_config(&args, &script, identity),
        None if args.program.is_empty() => Err(RunError::Nothing),
        None => foreign_config(&args, identity),
    }?;
    let built_in = services::library(&args, config.spec.name.as_str())?;
    libraries.extend(built_in);
    Ok(Config {
        libraries,
        ..config
    })
}

/// A script that Node, or an engine like it, runs.
fn script_config(
    args: &RunArgs,
    script: &Path,
    identity: Option<user::Identity>,
) -> Result<Config, RunError> {
    node::check(args)?;
    let script = &entry::resolve(script, args.cwd.as_deref())?;
    let program = node::program(args, script, identity)?;
    let (mode, reason) = node::dispatch(args, &program)?;
    if mode == DispatchMode::Shared {
        check_shared(args)?;
    }
    check_readiness(args, args.node.listen_timeout)?;
    let name = match &args.name {
        Some(name) => name.parse::<AppName>()?,
        None => node::default_name(script),
    };
    let mut spec = spec(args, name, args.node.listen_timeout)?;
    spec.dispatch.mode = mode;
    spec.dispatch.picker = args.policy.unwrap_or(PickerKind::RoundRobin);
    spec.recycle.max_requests = args.max_requests.and_then(NonZeroU64::new);
    let hint = typescript::hint(script, &program.command);
    let mut config = assemble(args, spec, Program::Node(program), reason);
    config.hints.extend(hint);
    Ok(config)
}

/// A program that knows nothing of us.
fn foreign_config(args: &RunArgs, identity: Option<user::Identity>) -> Result<Config, RunError> {
    node::check_none(args)?;
    if let Some(option) = without_listener(args) {
        return Err(RunError::NothingOpened(option));
    }
    if args.dispatch == DispatchArg::Pass {
        return Err(RunError::NoChannel);
    }
    check_shared(args)?;
    check_readiness(args, args.ready_after)?;
    let found = program::find(&args.program, args.cwd.as_deref())?;
    let hint = hint(args);
    let name = match &args.name {
        Some(name) => name.parse::<AppName>()?,
        None => program::default_name(&found),
    };
    let spec = spec(args, name, args.ready_after)?;
    let command = Command {
        path: found.path,
        sought: Some(found.sought),
        argv: found.argv,
        directory: args.cwd.clone(),
        identity,
    };
    let reason = "a foreign program accepts for itself";
    let mut config = assemble(args, spec, Program::Command(command), reason);
    config.hints.extend(hint);
    Ok(config)
}

/// Who gives a listener means a program that takes it.
fn hint(args: &RunArgs) -> Option<String> {
    let words = args.program.iter();
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let directory = args.cwd.as_deref().unwrap_or(Path::new("."));
    let may_help = args.listen.is_empty() && args.workers != WorkersArg::Count(1);
    launcher::hint(&words, directory).filter(|_| may_help)
}

fn assemble(args: &RunArgs, spec: AppSpec, program: Program, reason: &str) -> Config {
    Config {
        spec,
        listen: args.listen.clone(),
        messages: None,
        libraries: Vec::new(),
        backlog: args.backlog.unwrap_or(BACKLOG),
        unix_mode: args.unix_mode.map_or(OWNER_ONLY, |mode| mode.0),
        program,
        format: if args.json {
            Format::Json
        } else {
            Format::Text
        },
        observer: None,
        titles: Titles::default(),
        dispatch_reason: reason.to_owned(),
        hints: Vec::new(),
        watchdog: match args.reload.master_watchdog {
            OrNever::Never => None,
            OrNever::After(Seconds(time)) => Some(time),
        },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        verdict_file: args.reload.verdict_file.clone(),
        control: None,
        stdin: Stdin::Null,
        logs: None,
        event_log: None,
    }
}

/// An option for listeners of the herd's own, where there are none.
fn without_listener(args: &RunArgs) -> Option<&'static str> {
    let given = [
        ("--backlog", args.backlog.is_some()),
        ("--unix-mode", args.unix_mode.is_some()),
    ];
    let mut given = given.into_iter().filter(|(_, given)| *given);
    let (option, _) = given.next()?;
    args.listen.is_empty().then_some(option)
}

fn check_shared(args: &RunArgs) -> Result<(), RunError> {
    if let Some(policy) = args.policy {
        return Err(RunError::NoPolicy(policy.to_string()));
    }
    if args.max_requests.is_some() {
        return Err(RunError::NoCount);
    }
    Ok(())
}

fn check_readiness(args: &RunArgs, after: Seconds) -> Result<(), RunError> {
    let (after, limit) = (after.0, args.boot_timeout.0);
    if args.ready == ReadyArg::Alive && after >= limit {
        let option = match args.script {
            Some(_) => "--listen-timeout",
            None => "--ready-after",
        };
        return Err(RunError::ReadyTooLate {
            option,
            after,
            limit,
        });
    }
    Ok(())
}

fn check_directory(args: &RunArgs) -> Result<(), RunError> {
    if let Some(path) = &args.cwd {
        let problem = match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(_) => "it is not a directory".to_owned(),
            Err(error) => error.to_string(),
        };
        return Err(RunError::Directory {
            path: path.clone(),
            problem,
        });
    }
    Ok(())
}

fn spec(args: &RunArgs, name: AppName, ready_after: Seconds) -> Result<AppSpec, RunError> {
    let count = match args.workers {
        WorkersArg::Max => std::thread::available_parallelism().map_or(1, usize::from),
        WorkersArg::Count(count) => count,
    };
    let mut spec = AppSpec::new(name, WorkerCount::new(count)?);
    spec.dispatch.mode = DispatchMode::Shared;
    spec.restart = RestartPolicy {
        max_restarts: NonZeroU32::new(args.max_restarts),
        window: args.restart_window.0,
        retry: args.restart_window.0,
        ..RestartPolicy::default()
    };
    spec.recycle = RecyclePolicy {
        max_requests: None,
        max_lifetime: args.max_lifetime.map(|lifetime| lifetime.0),
        max_memory: args.max_memory.and_then(|size| NonZeroU64::new(size.0)),
    };
    spec.life = LifePolicy {
        readiness: match args.ready {
            ReadyArg::Notify => Readiness::Message,
            ReadyArg::Alive => Readiness::MessageOrAlive(ready_after.0),
        },
        boot_timeout: args.boot_timeout.0,
        grace: args.grace.0,
        hang: args.watchdog.map(|watchdog| watchdog.0),
        hang_kill: hang_kill(args.watchdog),
        ..LifePolicy::default()
    };
    spec.reload = ReloadPolicy {
        surge: args.reload.surge,
        max_unavailable: args.reload.max_unavailable,
        soak: args.reload.soak.0,
        latch: args.reload.reload_latch.0,
        max_generations: args.reload.max_generations,
    };
    Ok(spec)
}

/// A silent worker gets as long again to come back, but not longer than usual.
fn hang_kill(watchdog: Option<Seconds>) -> Duration {
    let usual = LifePolicy::default().hang_kill;
    watchdog.map_or(usual, |watchdog| watchdog.0.min(usual))
}

fn identity(name: &str) -> Result<user::Identity, RunError> {
    let error = |problem: String| RunError::User {
        name: name.to_owned(),
        problem,
    };
    if !user::is_root() {
        return Err(error(
            "only root can start workers as another user".to_owned(),
        ));
    }
    match user::lookup(name) {
        Ok(Some(identity)) => Ok(identity),
        Ok(None) => Err(error("there is no such user".to_owned())),
        Err(failed) => Err(error(failed.to_string())),
    }
}
