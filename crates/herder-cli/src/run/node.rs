//! A script as a program of Node's cluster.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};

use herder_core::spec::{AppName, DispatchMode, PickerKind};
use herder_master::config::{Command, Farewell, NodeProgram, NodeReady, Shim};
use herder_sys::user::Identity;

use super::args::{DispatchArg, RunArgs};
use super::program::{self, Found, ProgramError};

/// Where Node puts its first inspector.
const INSPECTOR: u16 = 9229;

/// How much of a script is read for its first line.
const FIRST_LINE: u64 = 256;

/// Why a script cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    #[error("cannot read the script {path:?}: {problem}")]
    NoScript { path: PathBuf, problem: String },
    #[error(
        "{0:?} is no script that herder knows how to run; name its --interpreter, or write -- before \
         the program"
    )]
    UnknownScript(PathBuf),
    #[error("{name} {problem}; {cure}")]
    Wrapper {
        name: String,
        problem: &'static str,
        cure: &'static str,
    },
    #[error(
        "{0:?} is a directory without a script: its package.json names no main that is there, and it has \
         no index.js; name the script"
    )]
    NoEntry(PathBuf),
    #[error("--node-args {0}: with it the script would never run; leave it out")]
    NotRun(String),
    #[error("{0}: only a SCRIPT can be told so; leave the option out")]
    NoNode(&'static str),
    #[error(
        "--listen: a Node program listens by itself; leave the option out, or add --send-handle NAME"
    )]
    ListensItself,
    #[error("--send-handle: say with --listen where the herd listens")]
    NothingToSend,
    #[error("--send-handle: name the message that the listener goes with, such as server")]
    NamelessHandle,
    #[error(
        "{option}: a Node program listens by itself, and says so: {cure}; leave the option out"
    )]
    SaysItself {
        option: &'static str,
        cure: &'static str,
    },
    #[error("--wait-ready: with --send-handle a worker is ready when it has the handle")]
    ReadyTwice,
    #[error("--watchdog: a Node program sends no heartbeat; leave the option out")]
    NoHeartbeat,
    #[error(
        "--policy least-connections: nobody counts the connections that a Node program holds open; \
         use round-robin, two-choices or ip-hash"
    )]
    NoCount,
    #[error(
        "bun listens for itself, and the kernel chooses the worker; leave --dispatch pass and --policy out"
    )]
    BunListens,
    #[error("--dispatch shared: deno takes the listener and never serves; leave the option out")]
    DenoDoesNotShare,
    #[error(transparent)]
    Interpreter(#[from] ProgramError),
}

/// Who runs scripts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Engine {
    Bun,
    Deno,
    Node,
}

/// Whether options that only a script understands were given to something else.
pub(super) fn check_none(args: &RunArgs) -> Result<(), NodeError> {
    let node = &args.node;
    let given = [
        ("--interpreter", node.interpreter.is_some()),
        ("--node-args", !node.node_args.is_empty()),
        ("--wait-ready", node.wait_ready),
        ("--send-handle", node.send_handle.is_some()),
        ("--shutdown-with-message", node.shutdown_with_message),
        ("--no-node-shim", node.no_node_shim),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(NodeError::NoNode(option)),
        None => Ok(()),
    }
}

/// Finds what contradicts itself.
pub(super) fn check(args: &RunArgs) -> Result<(), NodeError> {
    match (&args.node.send_handle, args.listen.is_empty()) {
        (None, false) => return Err(NodeError::ListensItself),
        (Some(_), true) => return Err(NodeError::NothingToSend),
        (Some(name), false) if name.is_empty() => return Err(NodeError::NamelessHandle),
        (Some(_), false) if args.node.wait_ready => return Err(NodeError::ReadyTwice),
        (None, true) | (Some(_), false) => {}
    }
    if let Some(option) = super::without_listener(args) {
        let cure = match option {
            "--backlog" => "server.listen({ port, backlog })",
            _ => "server.listen({ path, readableAll: true, writableAll: true })",
        };
        return Err(NodeError::SaysItself { option, cure });
    }
    if args.watchdog.is_some() {
        return Err(NodeError::NoHeartbeat);
    }
    if args.policy == Some(PickerKind::LeastConnections) {
        return Err(NodeError::NoCount);
    }
    Ok(())
}

/// Who accepts, and why.
pub(super) fn dispatch(
    args: &RunArgs,
    program: &NodeProgram,
) -> Result<(DispatchMode, &'static str), NodeError> {
    let (pass, shared) = (DispatchMode::Pass, DispatchMode::Shared);
    let policy = std::env::var("NODE_CLUSTER_SCHED_POLICY").ok();
    let engine = engine_of(program.command.path.as_os_str());
    if engine == Engine::Bun {
        if args.dispatch == DispatchArg::Pass || args.policy.is_some() {
            return Err(NodeError::BunListens);
        }
        return Ok((shared, "bun listens for itself, and the kernel chooses"));
    }
    if args.node.send_handle.is_some() {
        return Ok((shared, "each worker is sent the listener"));
    }
    match (args.dispatch, policy.as_deref()) {
        (DispatchArg::Pass, _) => Ok((pass, "--dispatch pass")),
        (DispatchArg::Shared, _) if engine == Engine::Deno => Err(NodeError::DenoDoesNotShare),
        (DispatchArg::Shared, _) => Ok((shared, "--dispatch shared")),
        (DispatchArg::Auto, Some("none")) if engine == Engine::Node => {
            Ok((shared, "NODE_CLUSTER_SCHED_POLICY=none"))
        }
        (DispatchArg::Auto, _) => Ok((pass, "a program of Node's cluster")),
    }
}

/// The herd's name when none is given: the script's.
pub(super) fn default_name(script: &Path) -> AppName {
    program::name_from(script.file_stem())
}

/// The program that a worker is.
pub(super) fn program(
    args: &RunArgs,
    script: &Path,
    identity: Option<Identity>,
) -> Result<NodeProgram, NodeError> {
    let directory = args.cwd.as_deref();
    let given = args.node.interpreter.clone();
    let interpreter = match given {
        Some(given) => given,
        None => interpreter_of(script, directory)?.into(),
    };
    check_interpreter(&interpreter)?;
    let engine = engine_of(&interpreter);
    let own: Vec<String> = args
        .node
        .node_args
        .iter()
        .flat_map(|text| text.split_whitespace())
        .map(str::to_owned)
        .collect();
    check_own(&own, engine)?;
    let mut argv = vec![interpreter];
    if engine == Engine::Deno {
        argv.extend(["run".into(), "-A".into()]);
    }
    argv.extend(own.iter().map(OsString::from));
    argv.push(script.as_os_str().to_owned());
    argv.extend(args.program.iter().cloned());
    let found = program::find(&argv, directory)?;
    let Found { path, sought, argv } = found;
    Ok(NodeProgram {
        command: Command {
            path,
            sought: Some(sought),
            argv,
            directory: args.cwd.clone(),
            identity,
        },
        ready: match &args.node.send_handle {
            Some(name) => NodeReady::Handle(name.clone()),
            None if args.node.wait_ready => NodeReady::Message,
            None => NodeReady::Listening,
        },
        farewell: if args.node.shutdown_with_message {
            Farewell::Message
        } else {
            Farewell::Disconnect
        },
        shim: if args.node.no_node_shim || engine != Engine::Node {
            Shim::Off
        } else {
            Shim::Preloaded
        },
        inspect: inspector(&own),
    })
}

/// Who runs the script, by its name or its first line.
pub(super) fn interpreter_of(
    script: &Path,
    directory: Option<&Path>,
) -> Result<&'static str, NodeError> {
    let path = program::within(directory, script);
    let unreadable = |error: std::io::Error| NodeError::NoScript {
        path: path.clone(),
        problem: error.to_string(),
    };
    let file = std::fs::File::open(&path).map_err(unreadable)?;
    if file.metadata().is_ok_and(|found| found.is_dir()) {
        return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
    }
    let extension = script.extension().and_then(OsStr::to_str);
    if matches!(extension, Some("js" | "cjs" | "mjs" | "ts" | "cts" | "mts")) {
        return Ok("node");
    }
    let mut start = Vec::new();
    file.take(FIRST_LINE)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    let start = String::from_utf8_lossy(&start);
    let words = start
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("#!"));
    let mut words = words.unwrap_or_default().split_whitespace();
    let known = |word: &str| {
        let name = word.rsplit('/').next().unwrap_or(word);
        ["node", "deno", "bun"]
            .into_iter()
            .find(|known| *known == name)
    };
    words
        .find_map(known)
        .ok_or_else(|| NodeError::UnknownScript(script.to_owned()))
}

fn check_interpreter(interpreter: &OsStr) -> Result<(), NodeError> {
    let name = file_name(interpreter);
    let cure = match name.as_str() {
        "npm" | "npx" | "pnpm" | "yarn" | "nodemon" => "use node",
        "tsx" | "ts-node" => "use node with --node-args '--import tsx'",
        _ => return Ok(()),
    };
    Err(NodeError::Wrapper {
        name: format!("--interpreter {name}"),
        problem: "would keep the program's channel to the master for itself",
        cure,
    })
}

fn check_own(own: &[String], engine: Engine) -> Result<(), NodeError> {
    if let Some(arg) = own.iter().find(|arg| does_something_else(arg, engine)) {
        return Err(NodeError::NotRun(arg.clone()));
    }
    let starts_another = |arg: &&String| {
        let name = arg.split('=').next().unwrap_or_default();
        matches!(name, "--run" | "--watch" | "--watch-path")
    };
    match own.iter().find(starts_another) {
        None => Ok(()),
        Some(arg) => Err(NodeError::Wrapper {
            name: format!("--node-args {arg}"),
            problem: "would make node start the program in a process of its own, without its channel",
            cure: "leave it out",
        }),
    }
}

/// Whether an engine that is told so does something other than running a script.
fn does_something_else(arg: &str, engine: Engine) -> bool {
    let name = arg.split('=').next().unwrap_or_default();
    match name {
        "-e" | "--eval" | "-p" | "--print" | "-pe" => true,
        "-h" | "--help" | "--version" => true,
        // For the others these are other words.
        "-c" | "--check" | "-v" | "-i" | "--interactive" | "--v8-options" => engine == Engine::Node,
        _ => false,
    }
}

pub(super) fn engine_of(interpreter: &OsStr) -> Engine {
    let name = file_name(interpreter);
    if name.starts_with("deno") {
        Engine::Deno
    } else if name.starts_with("bun") {
        Engine::Bun
    } else {
        Engine::Node
    }
}

fn file_name(path: &OsStr) -> String {
    let name = Path::new(path).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The port of the first inspector, if there are to be any. With port 0 each worker finds its own.
fn inspector(own: &[String]) -> Option<u16> {
    let asks = |arg: &&String| {
        let name = arg.split('=').next().unwrap_or_default();
        matches!(name, "--inspect" | "--inspect-brk" | "--inspect-wait")
    };
    let asked = own.iter().rev().find(asks)?;
    let port = match asked.split_once('=') {
        None => INSPECTOR,
        Some((_, address)) => {
            let port = address.rsplit(':').next().unwrap_or_default();
            port.parse().unwrap_or(INSPECTOR)
        }
    };
    (port != 0).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launcher_is_named_with_the_cure() {
        let tsx = check_interpreter(OsStr::new("/usr/bin/tsx")).expect_err("a launcher");
        assert!(tsx.to_string().contains("--import tsx"), "{tsx}");
        let check_own = |arg: &str| check_own(&[arg.to_owned()], Engine::Node);
        let watch = check_own("--watch").expect_err("a launcher");
        assert!(watch.to_string().contains("leave it out"), "{watch}");
        for other in ["--watch-path=src", "--run=start"] {
            assert!(check_own(other).is_err(), "{other}");
        }
        assert!(check_own("--enable-source-maps").is_ok());
    }

    #[test]
    fn what_would_keep_the_script_from_running_is_refused() {
        let own = |text: &str, engine| {
            let own: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            check_own(&own, engine)
        };
        for text in [
            "-e 1",
            "--eval=1",
            "-p 1",
            "--print 1",
            "--check",
            "-c",
            "--version",
            "-v",
            "--help",
            "--trace-warnings -h",
        ] {
            let told = own(text, Engine::Node).expect_err(text).to_string();
            assert!(told.contains("would never run"), "{told}");
        }
        assert!(
            own("--check", Engine::Deno).is_ok(),
            "it runs it all the same"
        );
        assert!(own("-c bunfig.toml", Engine::Bun).is_ok());
        assert!(own("--conditions=dev --env-file=.env", Engine::Node).is_ok());
    }

    #[test]
    fn the_first_line_says_who_runs_a_script() {
        let scene = std::env::temp_dir().join(format!("herder-cli-{}", std::process::id()));
        std::fs::create_dir(&scene).expect("a directory");
        for (name, text, expected) in [
            ("a.mjs", "", Some("node")),
            ("a.mts", "", Some("node")),
            ("b", "#!/usr/bin/env node\n", Some("node")),
            ("c", "#!/usr/bin/env -S deno run -A\n", Some("deno")),
            ("d", "#!/bin/sh\n# node", None),
            ("e.py", "", None),
        ] {
            std::fs::write(scene.join(name), text).expect("a file");
            let found = interpreter_of(Path::new(name), Some(&scene));
            assert_eq!(found.ok(), expected, "{name}");
        }
        let missing = interpreter_of(Path::new("f.js"), Some(&scene));
        assert!(matches!(missing, Err(NodeError::NoScript { .. })));
        std::fs::create_dir(scene.join("g.js")).expect("a directory");
        let directory = interpreter_of(Path::new("g.js"), Some(&scene));
        assert!(matches!(directory, Err(NodeError::NoScript { .. })));
        std::fs::remove_dir_all(&scene).expect("ours");
    }

    #[test]
    fn inspectors_stand_above_a_port() {
        let port = |arg: &str| inspector(&[arg.to_owned()]);
        assert_eq!(port("--inspect"), Some(9229));
        assert_eq!(port("--inspect-brk=9300"), Some(9300));
        assert_eq!(port("--inspect=127.0.0.1:9400"), Some(9400));
        assert_eq!(port("--inspect=0"), None);
        assert_eq!(port("--no-inspect"), None);
    }
}
