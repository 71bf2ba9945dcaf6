//! What is run.

use herder_api::{App, Problem};

/// What is run, and how it is called.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Program {
    /// How the app is called. [default: the program's name]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// What runs the program, by its name or path; none = it runs by itself. [default: by the file's name or
    /// its first line]
    #[arg(long, value_name = "PROGRAM")]
    interpreter: Option<String>,

    /// Arguments for the interpreter, separated by blanks. May be repeated.
    #[arg(
        long,
        visible_alias = "interpreter-args",
        value_name = "ARGS",
        allow_hyphen_values = true
    )]
    node_args: Vec<String>,

    /// Have Node translate positions in stack traces by source maps.
    #[arg(long, hide_short_help = true)]
    source_map_support: bool,

    /// Run it by itself, as a program of any kind, even if it is a script of Node.
    #[arg(short = 'x', long = "execute-command", hide_short_help = true)]
    by_itself: bool,
}

impl Program {
    /// The definition of `program`, without settings.
    pub(crate) fn app(
        &self,
        program: &str,
        args: &[String],
        directory: &std::path::Path,
    ) -> Result<App, Problem> {
        let mut app = App {
            name: self.name.clone().unwrap_or_default(),
            ..App::default()
        };
        let interpreter_args = self.node_args.iter().flat_map(|all| all.split_whitespace());
        let mut interpreter_args: Vec<String> = interpreter_args.map(str::to_owned).collect();
        if self.source_map_support {
            interpreter_args.push("--enable-source-maps".to_owned());
        }
        let program = herder_config::Program {
            program: program.to_owned(),
            interpreter: self.interpreter.clone(),
            interpreter_args,
            args: args.to_vec(),
        };
        herder_config::set_program(&mut app, &program, directory)?;
        if self.by_itself {
            by_itself(&mut app);
        }
        Ok(app)
    }

    /// Whether anything was said that only a program can be told, and no file.
    pub(crate) fn option_for_programs(&self) -> Option<&'static str> {
        let given = [
            ("--name", self.name.is_some()),
            ("--interpreter", self.interpreter.is_some()),
            ("--node-args", !self.node_args.is_empty()),
            ("--source-map-support", self.source_map_support),
            ("--execute-command", self.by_itself),
        ];
        let found = given.into_iter().find(|(_, given)| *given);
        found.map(|(option, _)| option)
    }
}

/// A script becomes a command: what ran it runs it, and nobody speaks with it as with a worker of Node's
/// cluster.
fn by_itself(app: &mut App) {
    if let Some(script) = app.script.take() {
        let engine = app.interpreter.take().unwrap_or_else(|| "node".to_owned());
        let mut command = vec![engine];
        command.append(&mut app.node_args);
        command.push(script.to_string_lossy().into_owned());
        command.append(&mut app.args);
        app.command = command;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Alone {
        #[command(flatten)]
        program: Program,
    }

    /// What runs it, and the words before the file; and the whole line, where it is one.
    fn described(words: &str, file: &str) -> (Option<String>, Vec<String>, Vec<String>) {
        let directory = std::env::temp_dir().join(format!("herder-words-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        std::fs::write(directory.join(file), "").expect("a file");
        let words = std::iter::once("x").chain(words.split_whitespace());
        let alone: Alone = clap::Parser::try_parse_from(words).expect("options");
        let app = alone.program.app(file, &[], &directory);
        std::fs::remove_dir_all(&directory).expect("ours");
        let app = app.expect("a program");
        (app.interpreter, app.node_args, app.command)
    }

    #[test]
    fn options_of_programs_are_words_of_the_command() {
        let (_, args, _) = described("--node-args=--inspect --source-map-support", "one.js");
        assert_eq!(args, ["--inspect", "--enable-source-maps"]);
        let (engine, args, _) = described("--interpreter deno --interpreter-args=-x", "two.js");
        assert_eq!(engine.as_deref(), Some("deno"));
        assert_eq!(args, ["-x"]);
        let (_, _, command) = described("--interpreter sh --node-args=-e", "three.txt");
        assert_eq!(&command[..2], ["sh", "-e"]);
        let (_, _, command) = described("-x --source-map-support", "four.js");
        assert_eq!(&command[..2], ["node", "--enable-source-maps"]);
        let (_, _, command) = described("--execute-command", "four.js");
        assert_eq!(command[0], "node");
    }

    #[test]
    fn a_script_by_itself_is_a_command() {
        let mut app = App {
            script: Some("app.js".into()),
            node_args: vec!["--inspect".to_owned()],
            args: vec!["a b".to_owned()],
            ..App::default()
        };
        by_itself(&mut app);
        assert_eq!(app.command, ["node", "--inspect", "app.js", "a b"]);
        assert!(app.script.is_none() && app.args.is_empty() && app.node_args.is_empty());
    }
}
