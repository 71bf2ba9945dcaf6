//! From what people call a program to what is run.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use herder_api::App;
use herder_api::problem::{Problem, ProblemKind};

/// A program as people name it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Program {
    /// A script of any language, an executable, the name of one in PATH, or a shell's command with blanks in it.
    pub program: String,
    /// What runs it; `none` = itself. [by its extension or first line]
    pub interpreter: Option<String>,
    /// Arguments for the interpreter.
    pub interpreter_args: Vec<String>,
    /// Arguments for the program.
    pub args: Vec<String>,
}

/// Extensions, and what runs such files.
const INTERPRETERS: [(&str, &str); 21] = [
    ("js", "node"),
    ("cjs", "node"),
    ("mjs", "node"),
    ("ts", "node"),
    ("cts", "node"),
    ("mts", "node"),
    ("jsx", "bun"),
    ("tsx", "bun"),
    ("py", "python3"),
    ("sh", "bash"),
    ("bash", "bash"),
    ("zsh", "zsh"),
    ("rb", "ruby"),
    ("php", "php"),
    ("pl", "perl"),
    ("lua", "lua"),
    ("coffee", "coffee"),
    ("ls", "lsc"),
    ("r", "Rscript"),
    ("ex", "elixir"),
    ("exs", "elixir"),
];

/// What is found where a program is said to be.
enum Found {
    /// A file that herder runs as a script: by this engine, if it is not Node.
    Script(Option<String>),
    /// A file that something else runs.
    Interpreted(String),
    /// A program that runs by itself.
    Executable,
    /// A text for a shell.
    Shell,
}

/// Sets what an app runs: `script` for what Node, Deno or Bun run, else `command`. Sets `name`, if there is none, by the program's.
/// Relative paths are those of the app's `cwd`, which is `directory`'s; nothing is made absolute.
///
/// # Errors
/// There is no such file, or nothing is known that runs it.
pub fn set_program(app: &mut App, program: &Program, directory: &Path) -> Result<(), Problem> {
    let cwd = app
        .cwd
        .as_ref()
        .map_or_else(|| directory.to_owned(), |cwd| directory.join(cwd));
    let found = look(program, &cwd)?;
    let file = &program.program;
    if app.name.is_empty() {
        app.name = name_of(program);
    }
    let alone = [file.clone()];
    let command = |parts: &[&[String]]| parts.concat();
    (app.script, app.command, app.args) = (None, Vec::new(), Vec::new());
    (app.interpreter, app.node_args) = (None, Vec::new());
    match found {
        Found::Script(engine) => {
            app.script = Some(PathBuf::from(file));
            app.args.clone_from(&program.args);
            app.node_args.clone_from(&program.interpreter_args);
            app.interpreter = engine;
        }
        Found::Interpreted(interpreter) => {
            app.command = command(&[
                &[interpreter],
                &program.interpreter_args,
                &alone,
                &program.args,
            ]);
        }
        Found::Executable => app.command = command(&[&[in_place(file, &cwd)], &program.args]),
        Found::Shell if program.args.is_empty() => app.command = alone.to_vec(),
        Found::Shell => {
            let shell = ["sh", "-c"].map(str::to_owned);
            // The arguments are the text's own, as if they stood behind it.
            let text = [format!("{file} \"$@\""), "sh".to_owned()];
            app.command = command(&[&shell, &text, &program.args]);
        }
    }
    Ok(())
}

fn look(program: &Program, cwd: &Path) -> Result<Found, Problem> {
    let path = cwd.join(&program.program);
    if let Some(named) = program
        .interpreter
        .as_deref()
        .filter(|named| !named.is_empty())
    {
        return Ok(match named {
            "none" => Found::Executable,
            _ if is_engine(named) => Found::Script((named != "node").then(|| named.to_owned())),
            "python" if !in_path("python") => Found::Interpreted("python3".to_owned()),
            _ => Found::Interpreted(named.to_owned()),
        });
    }
    match std::fs::metadata(&path) {
        Ok(there) if there.is_dir() => Ok(Found::Script(None)),
        Ok(there) => of_file(&path, there.permissions().mode() & 0o111 != 0),
        Err(_) if program.program.contains(char::is_whitespace) => Ok(Found::Shell),
        Err(_) if !program.program.contains('/') && in_path(&program.program) => {
            Ok(Found::Executable)
        }
        Err(_) => Err(nothing(program, &path)),
    }
}

fn of_file(path: &Path, can_run: bool) -> Result<Found, Problem> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let known = INTERPRETERS
        .iter()
        .find(|(known, _)| Some(*known) == extension);
    let named = match known {
        Some((_, interpreter)) => Some((*interpreter).to_owned()),
        None => first_line(path).filter(|name| is_engine(name) || !can_run),
    };
    match named {
        Some(named) if is_engine(&named) => Ok(Found::Script((named != "node").then_some(named))),
        Some(named) => Ok(Found::Interpreted(named)),
        None if can_run => Ok(Found::Executable),
        None => {
            let path = path.display();
            let message =
                format!("{path} cannot be executed, and nothing is known that runs such a file.");
            let hint =
                format!("Try: chmod +x {path} (if it is a program), or name its interpreter.");
            Err(Problem::new(ProblemKind::Invalid, message).hint(hint))
        }
    }
}

fn nothing(program: &Program, path: &Path) -> Problem {
    let name = &program.program;
    // Without `.` in it.
    let path: PathBuf = path.components().collect();
    let message = match name.contains('/') || name.contains('.') {
        true => format!("There is no {}.", path.display()),
        false => format!(
            "There is no program {name} in PATH, and no file {}.",
            path.display()
        ),
    };
    Problem::new(ProblemKind::NotFound, message)
}

/// What a script's first line names, without its path.
fn first_line(path: &Path) -> Option<String> {
    let mut start = Vec::new();
    File::open(path)
        .ok()?
        .take(256)
        .read_to_end(&mut start)
        .ok()?;
    let start = String::from_utf8_lossy(&start);
    let mut words = start.lines().next()?.strip_prefix("#!")?.split_whitespace();
    let name = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    let first = name(words.next()?);
    if first != "env" {
        return Some(first);
    }
    words
        .find(|word| !word.starts_with('-') && !word.contains('='))
        .map(name)
}

/// Whether such a program runs scripts as workers of Node's cluster.
fn is_engine(interpreter: &str) -> bool {
    let name = interpreter.rsplit('/').next().unwrap_or(interpreter);
    ["node", "nodejs", "deno", "bun"].contains(&name)
}

fn in_path(name: &str) -> bool {
    is_in(name, &std::env::var_os("PATH").unwrap_or_default())
}

/// A program that an app names without a path, and that its PATH does not have.
pub(crate) fn not_in_path(app: &App) -> Option<(&'static str, &str)> {
    let first = app
        .command
        .first()
        .map(|program| ("command", program.as_str()));
    let interpreter = app.interpreter.as_deref().map(|name| ("interpreter", name));
    let (setting, name) = first.or(interpreter)?;
    let is_name = !name.contains('/') && !name.contains(char::is_whitespace);
    let path = match app.env.get("PATH") {
        Some(path) => String::from(path.clone()).into(),
        None => std::env::var_os("PATH").unwrap_or_default(),
    };
    (is_name && !is_in(name, &path)).then_some((setting, name))
}

fn is_in(name: &str, path: &OsStr) -> bool {
    let can_run = |directory: PathBuf| {
        let there = std::fs::metadata(directory.join(name));
        there.is_ok_and(|there| there.is_file() && there.permissions().mode() & 0o111 != 0)
    };
    !name.is_empty() && std::env::split_paths(path).any(can_run)
}

/// A file of the directory is named by its path: a bare name is looked up in PATH.
fn in_place(file: &str, cwd: &Path) -> String {
    match file.contains('/') || !cwd.join(file).is_file() {
        true => file.to_owned(),
        false => format!("./{file}"),
    }
}

/// The name of an app that has none: its program's, as far as that is one.
fn name_of(program: &Program) -> String {
    let first = program
        .program
        .split_whitespace()
        .next()
        .unwrap_or_default();
    let stem = Path::new(first)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    name_from(&stem)
}

/// As much of a text as can be a name.
pub(crate) fn name_from(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let blanks = |c: char| if allowed(c) { c } else { '-' };
    let name: String = text.trim().chars().map(blanks).take(64).collect();
    let name = name.trim_matches('-').to_owned();
    match crate::check::bad_name(&name) {
        None => name,
        Some(_) => {
            let longer = format!("app-{name}");
            let longer = longer.trim_end_matches(['-', '.']);
            longer.chars().take(64).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Scene;

    fn set(scene: &Scene, program: &str) -> Result<App, Problem> {
        let program = Program {
            program: program.to_owned(),
            args: vec!["x y".to_owned()],
            ..Program::default()
        };
        let mut app = App::default();
        set_program(&mut app, &program, scene.path()).map(|()| app)
    }

    #[test]
    fn a_file_says_what_runs_it() {
        let scene = Scene::new("program");
        for name in ["a.js", "b.py", "c.sh", "d.tsx"] {
            scene.write(name, "");
        }
        scene.write("shebang", "#!/usr/bin/env -S bun run\n");
        scene.write("tool", "#!/bin/sh\n");
        scene.executable("tool");
        scene.write("data", "nothing");
        let script = |name: &str| set(&scene, name).unwrap();
        let app = script("a.js");
        assert_eq!(
            (app.script, app.args),
            (Some("a.js".into()), vec!["x y".to_owned()])
        );
        assert_eq!((app.name.as_str(), app.interpreter), ("a", None));
        assert_eq!(script("b.py").command, ["python3", "b.py", "x y"]);
        assert_eq!(script("c.sh").command, ["bash", "c.sh", "x y"]);
        assert_eq!(script("d.tsx").interpreter.as_deref(), Some("bun"));
        assert_eq!(script("shebang").interpreter.as_deref(), Some("bun"));
        assert_eq!(script("tool").command, ["./tool", "x y"]);
        assert_eq!(script("sh").command, ["sh", "x y"]);
        assert_eq!(
            script("echo a; echo b").command,
            ["sh", "-c", "echo a; echo b \"$@\"", "sh", "x y"]
        );
        let refused = set(&scene, "data").unwrap_err();
        assert!(refused.hint.unwrap().contains("chmod +x"));
        let refused = set(&scene, "missing.js").unwrap_err();
        assert_eq!(refused.kind, ProblemKind::NotFound);
        let refused = set(&scene, "no-such-program").unwrap_err();
        assert!(refused.message.contains("in PATH"), "{refused}");
    }

    #[test]
    fn an_interpreter_that_is_named_runs_it() {
        let scene = Scene::new("interpreter");
        scene.write("a.py", "");
        let with = |name: &str| {
            let program = Program {
                program: "a.py".to_owned(),
                interpreter: Some(name.to_owned()),
                interpreter_args: vec!["-u".to_owned()],
                args: Vec::new(),
            };
            let mut app = App::default();
            set_program(&mut app, &program, scene.path()).unwrap();
            app
        };
        assert_eq!(with("pypy").command, ["pypy", "-u", "a.py"]);
        assert_eq!(with("none").command, ["./a.py"]);
        let app = with("/opt/bin/deno");
        assert_eq!(app.interpreter.as_deref(), Some("/opt/bin/deno"));
        assert_eq!(app.node_args, ["-u"]);
    }

    #[test]
    fn every_text_gives_a_name() {
        for (text, name) in [
            ("my app", "my-app"),
            ("@scope/web", "scope-web"),
            ("all", "app-all"),
            ("123", "app-123"),
            ("..", "app"),
            ("", "app"),
            ("日本", "app"),
            ("-rf", "rf"),
        ] {
            assert_eq!(name_from(text), name, "{text}");
            assert_eq!(crate::check::bad_name(&name_from(text)), None);
        }
        assert_eq!(name_from(&"x".repeat(10_000)).len(), 64);
    }
}
