//! A script as a program of Node's cluster.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use herder_core::spec::{AppName, PickerKind};
use herder_master::config::{Farewell, NodeProgram, NodeReady, Shim};
use herder_sys::user::Identity;

use super::description::Description;
use super::error::NodeError;
use super::words::Setting;
use super::{cure, program};

/// Where Node puts its first inspector.
const INSPECTOR: u16 = 9229;

/// A worker that has not said by then that it listens is taken for ready.
pub(super) const LISTENING: Duration = Duration::from_secs(3);

/// How much of a script is read for its first line.
const FIRST_LINE: u64 = 256;

/// Who runs scripts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Engine {
    Bun,
    Deno,
    Node,
}

/// Whether settings that only a script understands were given to something else.
pub(super) fn check_none(description: &Description) -> Result<(), NodeError> {
    let app = &description.app;
    let given = [
        ("interpreter", app.interpreter.is_some()),
        ("node_args", !app.node_args.is_empty()),
        ("wait_ready", app.wait_ready),
        ("listen_timeout", app.listen_timeout.is_some()),
        ("send_handle", app.send_handle.is_some()),
        ("shutdown_with_message", app.shutdown_with_message),
        ("node_shim", !app.node_shim),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((field, _)) => Err(NodeError::NoNode(description.setting(field))),
        None => Ok(()),
    }
}

/// Finds what contradicts itself.
pub(super) fn check(
    description: &Description,
    policy: Option<PickerKind>,
) -> Result<(), NodeError> {
    let (app, setting) = (&description.app, |field| description.setting(field));
    match (&app.send_handle, app.listen.is_empty()) {
        (None, false) => return Err(NodeError::ListensItself(setting("listen"))),
        (Some(_), true) => return Err(NodeError::NothingToSend(setting("send_handle"))),
        (Some(name), false) if name.is_empty() => {
            return Err(NodeError::NamelessHandle(setting("send_handle")));
        }
        (Some(_), false) if app.wait_ready => {
            return Err(NodeError::ReadyTwice(setting("wait_ready")));
        }
        (None, true) | (Some(_), false) => {}
    }
    if let Some(setting) = description.without_listener() {
        let cure = match app.backlog {
            Some(_) => "server.listen({ port, backlog })",
            None => "server.listen({ path, readableAll: true, writableAll: true })",
        };
        return Err(NodeError::SaysItself { setting, cure });
    }
    if app.watchdog.is_some() {
        return Err(NodeError::NoHeartbeat(setting("watchdog")));
    }
    if policy == Some(PickerKind::LeastConnections) {
        return Err(NodeError::NoCount(setting("policy")));
    }
    Ok(())
}

/// The herd's name when none is given: the script's.
pub(super) fn default_name(script: &Path) -> AppName {
    program::name_from(script.file_stem())
}

/// The program that a worker is.
pub(super) fn program(
    description: &Description,
    script: &Path,
    identity: Option<Identity>,
) -> Result<NodeProgram, NodeError> {
    let app = &description.app;
    let interpreter: OsString = match &app.interpreter {
        Some(given) => given.into(),
        None => interpreter_of(script, description)?.into(),
    };
    check_interpreter(&interpreter, description)?;
    let engine = engine_of(&interpreter);
    let own = app
        .node_args
        .iter()
        .flat_map(|text| text.split_whitespace());
    let own: Vec<String> = own.map(str::to_owned).collect();
    check_own(&own, engine, &description.setting("node_args"))?;
    let mut argv = vec![interpreter];
    if engine == Engine::Deno {
        argv.extend(["run".into(), "-A".into()]);
    }
    argv.extend(own.iter().map(OsString::from));
    argv.push(script.as_os_str().to_owned());
    argv.extend(description.tail.iter().cloned());
    let found = program::find(&argv, description)?;
    Ok(NodeProgram {
        command: found.command(description, identity),
        ready: match &app.send_handle {
            Some(name) => NodeReady::Handle(name.clone()),
            None if app.wait_ready => NodeReady::Message,
            None => NodeReady::Listening,
        },
        farewell: if app.shutdown_with_message {
            Farewell::Message
        } else {
            Farewell::Disconnect
        },
        shim: if app.node_shim && engine == Engine::Node {
            Shim::Preloaded
        } else {
            Shim::Off
        },
        inspect: inspector(&own),
    })
}

/// Who runs the script, by its name or its first line.
pub(super) fn interpreter_of(
    script: &Path,
    description: &Description,
) -> Result<&'static str, NodeError> {
    let path = program::within(description.directory(), script);
    let unreadable = |error: std::io::Error| NodeError::NoScript {
        path: path.clone(),
        problem: error.to_string(),
    };
    let file = std::fs::File::open(&path).map_err(unreadable)?;
    if file.metadata().is_ok_and(|found| found.is_dir()) {
        return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
    }
    if let Some(known) = interpreter_by_name(script) {
        return Ok(known);
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
        .ok_or_else(|| NodeError::UnknownScript {
            path: script.to_owned(),
            cure: cure::of(script, description),
        })
}

/// Who runs a script of this name, if that says it.
pub(super) fn interpreter_by_name(script: &Path) -> Option<&'static str> {
    let extension = script.extension().and_then(OsStr::to_str);
    matches!(extension, Some("js" | "cjs" | "mjs" | "ts" | "cts" | "mts")).then_some("node")
}

fn check_interpreter(interpreter: &OsStr, description: &Description) -> Result<(), NodeError> {
    let name = file_name(interpreter);
    let cure = match name.as_str() {
        "npm" | "npx" | "pnpm" | "yarn" | "nodemon" => "use node".to_owned(),
        "tsx" | "ts-node" => {
            let own = description.setting("node_args");
            format!("use node with {}", own.with("--import tsx"))
        }
        _ => return Ok(()),
    };
    Err(NodeError::Wrapper {
        name: description.setting("interpreter").with(&name),
        problem: "would keep the program's channel to the master for itself",
        cure,
    })
}

fn check_own(own: &[String], engine: Engine, setting: &Setting) -> Result<(), NodeError> {
    if let Some(arg) = own.iter().find(|arg| does_something_else(arg, engine)) {
        return Err(NodeError::NotRun(setting.with(arg)));
    }
    let starts_another = |arg: &&String| {
        let name = arg.split('=').next().unwrap_or_default();
        matches!(name, "--run" | "--watch" | "--watch-path")
    };
    match own.iter().find(starts_another) {
        None => Ok(()),
        Some(arg) => Err(NodeError::Wrapper {
            name: setting.with(arg),
            problem: "would make node start the program in a process of its own, without its channel",
            cure: "leave it out".to_owned(),
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
    use crate::run::words::Words;

    #[test]
    fn a_launcher_is_named_with_the_cure() {
        let told = |words| {
            let description = Description::bare(words);
            let tsx = check_interpreter(OsStr::new("/usr/bin/tsx"), &description);
            tsx.expect_err("a launcher").to_string()
        };
        assert!(
            told(Words::Options).contains("--node-args '--import tsx'"),
            "{}",
            told(Words::Options)
        );
        assert!(
            told(Words::Fields).contains("node_args = \"--import tsx\""),
            "{}",
            told(Words::Fields)
        );
        let own = Words::Options.of("node_args");
        let check_own = |arg: &str| check_own(&[arg.to_owned()], Engine::Node, &own);
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
            check_own(&own, engine, &Words::Options.of("node_args"))
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
        let mut description = Description::bare(Words::Options);
        description.app.cwd = Some(scene.clone());
        for (name, text, expected) in [
            ("a.mjs", "", Some("node")),
            ("a.mts", "", Some("node")),
            ("b", "#!/usr/bin/env node\n", Some("node")),
            ("c", "#!/usr/bin/env -S deno run -A\n", Some("deno")),
            ("d", "#!/bin/sh\n# node", None),
            ("e.py", "", None),
        ] {
            std::fs::write(scene.join(name), text).expect("a file");
            let found = interpreter_of(Path::new(name), &description);
            assert_eq!(found.ok(), expected, "{name}");
        }
        let unknown = interpreter_of(Path::new("e.py"), &description);
        let told = unknown.expect_err("it is Python's").to_string();
        let none = "\"e.py\" is no script that herder knows how to run; if it listens on PORT";
        assert!(told.starts_with(none), "{told}");
        let missing = interpreter_of(Path::new("f.js"), &description);
        assert!(matches!(missing, Err(NodeError::NoScript { .. })));
        std::fs::create_dir(scene.join("g.js")).expect("a directory");
        let directory = interpreter_of(Path::new("g.js"), &description);
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
