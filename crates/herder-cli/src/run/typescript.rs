//! TypeScript, which not every Node runs by itself.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command as Process, Stdio};

use herder_master::config::Command;

use super::node::{Engine, engine_of};

/// What is to be known of a script that its Node will take for JavaScript, and die of with an error that
/// does not say so.
pub(super) fn hint(script: &Path, command: &Command) -> Option<String> {
    let extension = script.extension().and_then(OsStr::to_str);
    if !matches!(extension, Some("ts" | "cts" | "mts"))
        || engine_of(command.path.as_os_str()) != Engine::Node
    {
        return None;
    }
    let behind = command.argv.iter().skip(1);
    let mut own = behind.take_while(|word| *word != script);
    // Options from elsewhere may translate as well.
    let may_translate = own.any(translates) || std::env::var_os("NODE_OPTIONS").is_some();
    (!may_translate && !understands(&command.path)).then(|| {
        format!(
            "{} is TypeScript, which this Node does not run by itself (22.18 or newer does): install tsx, \
             and add --node-args '--import tsx'",
            script.display()
        )
    })
}

/// Whether an argument of Node's own makes it understand, or loads a module that may well translate.
fn translates(argument: &OsString) -> bool {
    const TRANSLATORS: [&str; 7] = [
        "-r",
        "--require",
        "--import",
        "--loader",
        "--experimental-loader",
        "--experimental-strip-types",
        "--experimental-transform-types",
    ];
    let text = argument.to_string_lossy();
    let name = text.split('=').next().unwrap_or_default();
    TRANSLATORS.contains(&name)
}

/// Asks it. Who gives no answer will say so when it runs.
fn understands(engine: &Path) -> bool {
    let mut asked = Process::new(engine);
    asked
        .args(["-p", "Boolean(process.features.typescript)"])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let answer = asked.output();
    !answer.is_ok_and(|answer| answer.stdout.trim_ascii() == b"false")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// An engine that answers so to everything.
    fn engine(name: &str, answer: &str) -> Command {
        let path = std::env::temp_dir().join(format!("node-{name}-{}", std::process::id()));
        let unfinished = path.with_extension("unfinished");
        std::fs::write(&unfinished, format!("#!/bin/sh\necho {answer}\n")).expect("a file");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&unfinished, mode).expect("ours");
        // Of a file that is still open for writing, in whatever child of this process, nothing is run.
        let copied = Process::new("cp")
            .arg("-p")
            .arg(&unfinished)
            .arg(&path)
            .status();
        assert!(copied.is_ok_and(|it| it.success()));
        std::fs::remove_file(&unfinished).expect("ours");
        Command {
            argv: vec![path.clone().into(), "a.ts".into()],
            path,
            sought: None,
            directory: None,
            identity: None,
        }
    }

    #[test]
    fn who_does_not_understand_it_is_known_before() {
        for (name, answer, knows) in [
            ("old", "false", false),
            ("new", "true", true),
            ("mute", "", true),
        ] {
            let command = engine(name, answer);
            let said = hint(Path::new("a.ts"), &command);
            assert_eq!(said.is_none(), knows, "{name}: {said:?}");
            assert_eq!(hint(Path::new("a.js"), &command), None);
            std::fs::remove_file(command.path).expect("ours");
        }
    }

    #[test]
    fn who_loads_a_translator_is_left_alone() {
        let mut command = engine("loader", "false");
        command.argv.insert(1, "--import=tsx".into());
        assert_eq!(hint(Path::new("a.ts"), &command), None);
        std::fs::remove_file(command.path).expect("ours");
    }
}
