//! What a verb is done with: apps of the list, or all those of a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use herder_api::App;
use herder_api::control::{Known, Start};
use herder_config::{Loaded, Options, STDIN};

use super::Outcome;
use super::context::{Context, directory, environment};
use super::failure::Failure;
use super::outcome::follow;

/// With which apps.
#[derive(clap::Args, Debug)]
pub(crate) struct Targets {
    /// Names, numbers, namespaces, /patterns/ or all; or a file that defines apps, or - for one on
    /// stdin.
    #[arg(value_name = "APP|FILE", required = true)]
    pub(crate) targets: Vec<String>,
}

/// What is wanted of a file.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct FileArgs {
    /// Of a file: only these apps, separated by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) only: Vec<String>,

    /// The profile of variables that holds: [apps.NAME.profiles.PROFILE], or env_PROFILE of PM2's files.
    #[arg(long, value_name = "PROFILE")]
    pub(crate) env: Option<String>,
}

/// Which of a file's apps, for what needs nothing else of it.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Chosen {
    /// Of a file: only these apps, separated by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,

    /// Who stops what was started with a profile may say so.
    #[arg(long, hide = true)]
    env: Option<String>,
}

impl FileArgs {
    pub(crate) fn options(&self) -> Options {
        Options {
            profile: self.env.clone(),
            only: self.only.clone(),
        }
    }
}

/// Words, told apart.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sorted {
    pub(crate) names: Vec<String>,
    pub(crate) files: Vec<PathBuf>,
}

/// Tells files from names: `-`, and what has the name of a file that defines apps and is one.
pub(crate) fn sort(words: &[String]) -> Sorted {
    let mut sorted = Sorted::default();
    for word in words {
        let path = Path::new(word);
        if is_file(word) {
            sorted.files.push(path.to_owned());
        } else {
            sorted.names.push(word.clone());
        }
    }
    sorted
}

/// Whether a word is a file that defines apps (or will hardly be anything else).
pub(crate) fn is_file(word: &str) -> bool {
    let path = Path::new(word);
    word == STDIN || (herder_config::is_config(path) && (path.exists() || word.contains('/')))
}

/// Reads a file, and says what is strange about it. However the file is named, its source is the same.
pub(crate) fn load(context: &Context, path: &Path, args: &FileArgs) -> Result<Loaded, Failure> {
    let mut loaded = herder_config::load(path, &args.options())?;
    context.warn(&loaded.warnings);
    if loaded.source.as_os_str() != STDIN
        && let Ok(source) = loaded.source.canonicalize()
    {
        loaded.source = source;
    }
    Ok(loaded)
}

/// What files define.
#[derive(Debug, Default)]
pub(crate) struct Defined {
    pub(crate) apps: Vec<App>,
    /// Which file each of them stands in, by its name. What came by stdin stands in none.
    pub(crate) sources: BTreeMap<String, PathBuf>,
}

impl Defined {
    pub(crate) fn add(&mut self, loaded: Loaded) {
        if loaded.source.as_os_str() != STDIN {
            let names = loaded.apps.iter().map(|app| app.name.clone());
            let sources = names.map(|name| (name, loaded.source.clone()));
            self.sources.extend(sources);
        }
        self.apps.extend(loaded.apps);
    }
}

/// The names: those of a file's apps in place of the file.
pub(crate) fn names(
    context: &Context,
    words: &[String],
    chosen: &Chosen,
) -> Result<Vec<String>, Failure> {
    let Sorted { mut names, files } = sort(words);
    let args = FileArgs {
        only: chosen.only.clone(),
        env: None,
    };
    for file in files {
        let loaded = load(context, &file, &args)?;
        names.extend(loaded.apps.into_iter().map(|app| app.name));
    }
    Ok(names)
}

/// Apps in place of the programs that they run: `herder restart app.js`.
pub(crate) async fn by_program(
    context: &Context,
    words: Vec<String>,
) -> Result<Vec<String>, Failure> {
    if !words.iter().any(|word| is_program(word)) {
        return Ok(words);
    }
    let client = context.client();
    let mut apps = Vec::new();
    for app in client.apps(&[]).await? {
        apps.push(client.app(&app.name).await?.app);
    }
    let mut names = Vec::new();
    for word in words {
        let known = apps.iter().any(|app| app.name == word);
        let path = Path::new(&word).canonicalize();
        let path = path.ok().filter(|_| !known && is_program(&word));
        let running = apps
            .iter()
            .filter(|app| path.as_deref().is_some_and(|it| runs(app, it)));
        let running: Vec<String> = running.map(|app| app.name.clone()).collect();
        if running.is_empty() {
            names.push(word);
        } else {
            names.extend(running);
        }
    }
    Ok(names)
}

/// Whether a word can be nothing but a file, and is one.
fn is_program(word: &str) -> bool {
    word.contains(['/', '.']) && Path::new(word).is_file()
}

/// Whether an app runs this file: as a script, or as what an interpreter runs.
fn runs(app: &App, path: &Path) -> bool {
    let words = app.command.iter().map(Path::new);
    let mut files = app.script.as_deref().into_iter().chain(words);
    let cwd = app.cwd.as_deref().unwrap_or(Path::new("/"));
    files.any(|file| cwd.join(file).canonicalize().is_ok_and(|it| it == path))
}

/// Starts everything that files define; what is known gets its new definition.
pub(crate) async fn start_files(
    context: &Context,
    files: &[PathBuf],
    args: &FileArgs,
    known: Known,
) -> Outcome {
    let mut defined = Defined::default();
    for file in files {
        defined.add(load(context, file, args)?);
    }
    let start = Start {
        apps: defined.apps,
        environment: environment(),
        profile: args.env.clone(),
        known,
        sources: defined.sources,
    };
    follow(context, context.client().start(&start).await?).await
}

/// The file that is meant when none is named.
pub(crate) fn default_file() -> Result<Option<PathBuf>, Failure> {
    Ok(herder_config::find(&directory()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_known_by_what_it_runs() {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let file = here.join("Cargo.toml").canonicalize().expect("it is there");
        let script = App {
            script: Some(file.clone()),
            ..App::default()
        };
        let interpreted = App {
            command: vec!["python3".to_owned(), "./Cargo.toml".to_owned()],
            cwd: Some(here),
            ..App::default()
        };
        assert!(runs(&script, &file) && runs(&interpreted, &file));
        assert!(!runs(&App::default(), &file));
        assert!(!is_program("web") && !is_program("no/such/file") && !is_program("/^w/"));
    }

    #[test]
    fn files_are_told_from_names() {
        let words = ["web", "-", "/^w/", "missing.toml"].map(str::to_owned);
        let sorted = sort(&words);
        assert_eq!(sorted.files, [PathBuf::from("-")]);
        assert_eq!(sorted.names, ["web", "/^w/", "missing.toml"]);
    }
}
