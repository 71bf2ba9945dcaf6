//! What a verb is done with: apps of the list, or all those of a file.

use std::path::{Path, PathBuf};

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

/// Reads a file, and says what is strange about it.
pub(crate) fn load(context: &Context, path: &Path, args: &FileArgs) -> Result<Loaded, Failure> {
    let loaded = herder_config::load(path, &args.options())?;
    context.warn(&loaded.warnings);
    Ok(loaded)
}

/// The names: those of a file's apps in place of the file.
pub(crate) fn names(
    context: &Context,
    words: &[String],
    args: &FileArgs,
) -> Result<Vec<String>, Failure> {
    let Sorted { mut names, files } = sort(words);
    for file in files {
        let loaded = load(context, &file, args)?;
        names.extend(loaded.apps.into_iter().map(|app| app.name));
    }
    Ok(names)
}

/// Starts everything that files define; what is known gets its new definition.
pub(crate) async fn start_files(
    context: &Context,
    files: &[PathBuf],
    args: &FileArgs,
    known: Known,
) -> Outcome {
    let mut apps = Vec::new();
    for file in files {
        apps.extend(load(context, file, args)?.apps);
    }
    let start = Start {
        apps,
        environment: environment(),
        profile: args.env.clone(),
        known,
    };
    follow(context, context.client().start(&start).await?).await
}

/// The file that is meant when none is named.
pub(crate) fn default_file() -> Result<Option<PathBuf>, Failure> {
    Ok(herder_config::find(&directory()?))
}
