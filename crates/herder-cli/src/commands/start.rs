//! `herder start`: programs, files that define apps, and apps that are known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use herder_api::app::Scalar;
use herder_api::control::{Known, Start, Verb};
use herder_api::problem::ProblemKind;
use herder_api::status::AppStatus;
use herder_api::{App, Problem};
use serde_json::{Map, Value};

use super::context::{Context, directory, environment};
use super::options::{Program, Settings, by_option, changed};
use super::outcome::{act, action, follow, show_list};
use super::targets::{Defined, FileArgs, default_file, is_file, load};
use super::{Failure, Outcome};

const AFTER_HELP: &str = "\
What is started: an app of the list, by its name; a file that defines apps (herder.toml, or an
ecosystem file of PM2), or - for one on stdin; else a program: a script, an executable, a name in
PATH, or a shell's command with blanks in it. Without anything, the herder.toml or ecosystem file of
this directory.

  herder start app.js -i max
  herder start 'npm run serve' --name site
  herder start app.py -- --port 8000
  herder start --listen 8080 -- ./server --quiet
  herder start herder.toml --only web --env production

Durations are seconds, or have a unit: 500ms, 30s, 5m, 2h; those marked MS are milliseconds, as PM2
has them. Sizes are bytes, or have a unit: 300M, 2G.";

/// Start programs, the apps of a file, or apps that were stopped.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    /// What to start: see below.
    #[arg(value_name = "APP|FILE|PROGRAM")]
    what: Vec<String>,

    /// Arguments for the program; without anything before it, the program and its arguments, as for `herder
    /// run`.
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,

    #[command(flatten)]
    program: Program,

    /// Start a program anew if an app of its name is known: it gets the new definition.
    #[arg(short, long)]
    force: bool,

    /// An app that is known gets the environment of this shell. One that runs is reloaded for it.
    #[arg(short = 'a', long)]
    update_env: bool,

    #[command(flatten)]
    file: FileArgs,

    #[command(flatten)]
    settings: Settings,

    /// PM2's options that say nothing here: they are accepted.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    no_pmx: Option<Option<String>>,
    #[arg(long, hide = true)]
    no_vizion: bool,
    #[arg(long, hide = true)]
    no_treekill: bool,
    #[arg(long, hide = true)]
    disable_source_map_support: bool,
    #[arg(long, hide = true)]
    parallel: Option<u32>,
    #[arg(long, hide = true)]
    no_daemon: bool,
    #[arg(long, hide = true)]
    attach: bool,
}

/// What words come to.
#[derive(Debug, Default)]
struct Asked {
    names: Vec<String>,
    files: Vec<PathBuf>,
    programs: Vec<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    if args.no_daemon {
        let problem = Problem::new(
            ProblemKind::Invalid,
            "`herder start` leaves the foreground.",
        );
        let problem = problem.place("--no-daemon");
        return Err(problem
            .hint("herder run runs an app in the foreground")
            .into());
    }
    let attach = args.attach;
    context.wait(async {
        let names = started(args, context).await?;
        if attach {
            return super::logs::attach(context, names).await;
        }
        show_list(context).await
    })
}

/// Starts everything; says which apps.
async fn started(args: Args, context: &Context) -> Result<Vec<String>, Failure> {
    let asked = sort(&args, context).await?;
    let settings = args.settings.table()?;
    // Everything is read before anything is started.
    let of_files = of_files(&args, &asked.files, &settings, context)?;
    let of_programs = Defined {
        apps: programs(&args, &asked.programs, &settings)?,
        ..Defined::default()
    };
    let known = if args.force {
        Known::Restart
    } else {
        Known::Refuse
    };
    let mut names = asked.names.clone();
    for (defined, known) in [(of_files, Known::Restart), (of_programs, known)] {
        names.extend(defined.apps.iter().map(|app| app.name.clone()));
        start(context, defined, known, args.file.env.clone()).await?;
    }
    if !asked.names.is_empty() {
        let mut again = action(Verb::Start, asked.names);
        again.environment = args.update_env.then(environment);
        again.profile = args.file.env.clone();
        again.settings = settings;
        act(context, &again).await?;
    }
    Ok(names)
}

async fn start(
    context: &Context,
    defined: Defined,
    known: Known,
    profile: Option<String>,
) -> Outcome {
    if defined.apps.is_empty() {
        return Ok(());
    }
    let start = Start {
        apps: defined.apps,
        environment: environment(),
        profile,
        known,
        sources: defined.sources,
    };
    follow(context, context.client().start(&start).await?).await
}

/// Tells names, files and programs apart. The list is asked for only where a word could be a name.
async fn sort(args: &Args, context: &Context) -> Result<Asked, Failure> {
    let mut asked = Asked::default();
    let mut list: Option<Vec<AppStatus>> = None;
    for word in &args.what {
        if is_file(word) {
            asked.files.push(PathBuf::from(word));
            continue;
        }
        if let Some(file) = Path::new(word)
            .is_dir()
            .then(|| herder_config::find(Path::new(word)))
        {
            match file {
                Some(file) => asked.files.push(file),
                None => asked.programs.push(word.clone()),
            }
            continue;
        }
        if could_be_name(word) {
            if list.is_none() {
                list = Some(context.client().apps(&[]).await?);
            }
            if is_known(word, list.as_deref().unwrap_or_default()) {
                asked.names.push(word.clone());
                continue;
            }
        }
        asked.programs.push(word.clone());
    }
    if args.what.is_empty() && args.args.is_empty() {
        asked.files.push(default_file()?.ok_or_else(nothing)?);
    }
    Ok(asked)
}

fn nothing() -> Problem {
    let message =
        "There is nothing to start: this directory has no herder.toml and no ecosystem file.";
    Problem::new(ProblemKind::Invalid, message)
        .hint("name a program: herder start app.js\nor write a file: herder init")
}

/// Whether a word can name apps of the list: a path and a shell's command cannot.
fn could_be_name(word: &str) -> bool {
    let is_pattern = word.len() > 2 && word.starts_with('/') && word.ends_with('/');
    is_pattern || !word.contains(['/', ' ', '\t'])
}

/// Whether a word names apps of the list.
fn is_known(word: &str, list: &[AppStatus]) -> bool {
    let is_pattern = word.len() > 2 && word.starts_with('/') && word.ends_with('/');
    let names =
        |app: &AppStatus| app.name == word || app.id.to_string() == word || app.namespace == word;
    is_pattern || word == "all" || list.iter().any(names)
}

/// The apps of files, changed by the options.
fn of_files(
    args: &Args,
    files: &[PathBuf],
    settings: &Map<String, Value>,
    context: &Context,
) -> Result<Defined, Failure> {
    if let (false, Some(option)) = (files.is_empty(), args.program.option_for_programs()) {
        let message = "A file says this of its apps itself.";
        let problem = Problem::new(ProblemKind::Invalid, message).place(option);
        return Err(problem
            .hint("leave the option out, or change the file")
            .into());
    }
    let mut defined = Defined::default();
    for file in files {
        defined.add(load(context, file, &args.file)?);
    }
    for app in &mut defined.apps {
        *app = finished(app, settings)?;
    }
    Ok(defined)
}

/// The apps of programs, with the options' settings.
fn programs(
    args: &Args,
    programs: &[String],
    settings: &Map<String, Value>,
) -> Result<Vec<App>, Failure> {
    let directory = match settings.get("cwd").and_then(Value::as_str) {
        Some(cwd) => directory()?.join(cwd),
        None => directory()?,
    };
    let mut apps = Vec::new();
    if args.what.is_empty()
        && let Some((program, rest)) = args.args.split_first()
    {
        apps.push(args.program.app(program, rest, &directory)?);
    }
    for program in programs {
        let app = args.program.app(program, &args.args, &directory);
        apps.push(app.map_err(|problem| or_app(problem, program))?);
    }
    if apps.len() > 1 && args.program.name.is_some() {
        let message = "Several programs cannot have one name.";
        return Err(Problem::new(ProblemKind::Invalid, message)
            .place("--name")
            .into());
    }
    let finished = apps.iter().map(|app| finished(app, settings));
    finished.collect()
}

/// What is no program may have been meant as an app's name.
fn or_app(problem: Problem, word: &str) -> Problem {
    if problem.hint.is_some() || !could_be_name(word) {
        return problem;
    }
    problem.hint("No app is called so either: `herder list` shows those there are")
}

/// A definition with the options' settings, absolute paths, and nothing wrong.
fn finished(app: &App, settings: &Map<String, Value>) -> Result<App, Failure> {
    let mut app = changed(app, settings)?;
    first_number(&mut app, |name| std::env::var(name).ok());
    herder_config::resolve(&mut app, &directory()?);
    let problems = herder_config::check(&app);
    if problems.is_empty() {
        return Ok(app);
    }
    let told: Vec<Problem> = problems.into_iter().map(by_option).collect();
    Err(told.into())
}

/// Where `--increment-var` begins: as the app says, else as the caller's variable.
fn first_number(app: &mut App, variable: impl Fn(&str) -> Option<String>) {
    let Some(name) = app.increment_var.clone() else {
        return;
    };
    let is_said = |table: &BTreeMap<String, Scalar>| table.contains_key(&name);
    if is_said(&app.env) || app.profiles.values().any(is_said) {
        return;
    }
    if let Some(value) = variable(&name) {
        app.env.insert(name, Scalar::Text(value));
    }
}

/// Where a file defines apps, it is the file that is changed.
pub(super) fn refuse_settings(settings: &Settings) -> Outcome {
    match settings.table()?.keys().next() {
        None => Ok(()),
        Some(setting) => {
            let message = "A file says this of its apps itself.";
            let problem = Problem::new(ProblemKind::Invalid, message)
                .place(super::options::option_of(setting))
                .hint("leave the option out, or change the file");
            Err(problem.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::list::tests::apps;

    #[test]
    fn names_are_told_from_programs() {
        let list = apps();
        for (word, known) in [
            ("web", true),
            ("0", true),
            ("office", true),
            ("all", true),
            ("/^we/", true),
            ("wob", false),
            ("9", false),
        ] {
            assert!(could_be_name(word), "{word}");
            assert_eq!(is_known(word, &list), known, "{word}");
        }
        for word in ["./web", "/srv/web.js", "npm start", "dir/web"] {
            assert!(!could_be_name(word), "{word}");
        }
    }

    #[test]
    fn what_is_no_program_may_be_meant_as_a_name() {
        let problem = || Problem::new(ProblemKind::NotFound, "there is no `wob`");
        assert!(or_app(problem(), "wob").hint.is_some());
        assert!(or_app(problem(), "./wob").hint.is_none());
    }
}
