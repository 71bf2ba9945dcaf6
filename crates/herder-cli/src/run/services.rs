//! The built-in library, as the command line describes it: shared state, scheduled jobs, messages.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use herder::rpc::client::HERD_VARIABLE;
use herder_core::schedule::JobName;
use herder_core::spec::LifePolicy;
use herder_master::config::{Library, LibraryProgram, OnReload};
use herder_master::role::LibrarySeat;
use herder_services::jobs::{JobDefinition, Timing};
use herder_services::library::{
    self, Backend, JobsSettings, NAME, NamespaceSettings, OpenError, Settings, StoreSettings,
};

use super::args::{RunArgs, ServiceArgs};

/// `NAME=WHERE`.
#[derive(Clone, Debug)]
pub(crate) struct StateArg(NamespaceSettings);

/// `NAME=TIMING`.
#[derive(Clone, Debug)]
pub(crate) struct JobArg {
    name: JobName,
    timing: Timing,
}

/// Why the built-in library cannot be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServicesError {
    #[error("--{option} {name}: it is given twice; leave one out")]
    Twice { option: &'static str, name: String },
    #[error(
        "--state {0}=store: say where the store is, for instance --store redis://127.0.0.1:6379"
    )]
    NoStore(String),
    #[error("--store: {0}")]
    Store(OpenError),
    #[error("--{option} {path:?}: {problem}; a file is made, but its directory must be there")]
    Place {
        option: &'static str,
        path: PathBuf,
        problem: String,
    },
    #[error(
        "--library {NAME}: so the library of --state, --jobs-file, --job and --bus is called; choose \
         another name"
    )]
    Name,
    #[error(transparent)]
    Other(OpenError),
}

impl FromStr for StateArg {
    type Err = String;

    fn from_str(text: &str) -> Result<StateArg, String> {
        let Some((name, backend)) = text.split_once('=') else {
            return Err(format!(
                "write NAME=memory, NAME=file:PATH or NAME=store, for instance {text}=memory"
            ));
        };
        let backend: Backend = backend.parse()?;
        let space = NamespaceSettings::new(name, backend);
        space.check().map_err(|error| error.to_string())?;
        Ok(StateArg(space))
    }
}

impl FromStr for JobArg {
    type Err = String;

    fn from_str(text: &str) -> Result<JobArg, String> {
        let Some((name, timing)) = text.split_once('=') else {
            return Err(
                "write NAME=TIMING, for instance nightly='0 3 * * * Europe/Berlin' or \
                 poll='every 10s'"
                    .to_owned(),
            );
        };
        Ok(JobArg {
            name: JobName::new(name).map_err(|error| error.to_string())?,
            timing: timing
                .parse()
                .map_err(|error: herder_services::jobs::TimingError| error.to_string())?,
        })
    }
}

/// The built-in library, if anything of it is asked for.
pub(super) fn library(args: &RunArgs, app: &str) -> Result<Option<Library>, ServicesError> {
    if !is_wanted(&args.services) {
        return Ok(None);
    }
    check(&args.services)?;
    let name = NAME.parse().expect("it is the name of a library");
    if args.library.iter().any(|library| library.name() == name) {
        return Err(ServicesError::Name);
    }
    settings(&args.services, app)
        .check()
        .map_err(|error| match error {
            OpenError::Store(_) | OpenError::NotBuilt { .. } => ServicesError::Store(error),
            OpenError::NoStore { name } => ServicesError::NoStore(name),
            other @ (OpenError::Name { .. } | OpenError::File(_) | OpenError::Job { .. }) => {
                ServicesError::Other(other)
            }
        })?;
    Ok(Some(Library {
        name,
        program: LibraryProgram::Itself,
        boot_timeout: args.boot_timeout.0,
        hang: LifePolicy::default().hang,
        // It is this executable, and what is in memory would be lost.
        on_reload: OnReload::Keep,
    }))
}

/// Lives as the built-in library.
///
/// # Errors
/// When the ties to the master cannot be made.
pub(crate) fn live(args: &RunArgs, seat: LibrarySeat) -> std::io::Result<ExitCode> {
    let settings = settings(&args.services, &seat.app);
    let life = LifePolicy {
        grace: args.grace.0,
        ..LifePolicy::default()
    };
    herder::live_as_library(seat, &life, move |setup| {
        let settings = settings.clone();
        let herd = std::env::var(HERD_VARIABLE).unwrap_or_default();
        async move { library::open(settings, &herd, setup.epoch()).await }
    })
}

/// `--store` alone is no wish: the variable may be there for other programs.
fn is_wanted(args: &ServiceArgs) -> bool {
    args.bus || !args.state.is_empty() || !args.job.is_empty() || args.jobs_file.is_some()
}

fn settings(args: &ServiceArgs, app: &str) -> Settings {
    let job = |job: &JobArg| {
        let definition = JobDefinition::new(job.timing.clone());
        (job.name.to_string(), definition)
    };
    let store = args.store.as_ref();
    Settings {
        state: args.state.iter().map(|state| state.0.clone()).collect(),
        store: store.map(|url| StoreSettings::new(url.clone(), app)),
        jobs: JobsSettings {
            file: args.jobs_file.clone(),
            defined: args.job.iter().map(job).collect(),
        },
    }
}

/// Finds what would be found out only by the library, which could not say which option is meant.
fn check(args: &ServiceArgs) -> Result<(), ServicesError> {
    let names = args.state.iter().map(|state| state.0.name.as_str());
    check_once("state", names)?;
    check_once("job", args.job.iter().map(|job| job.name.as_str()))?;
    for state in &args.state {
        if let Backend::File { path, .. } = &state.0.backend {
            check_place("state", path)?;
        }
    }
    let file = args.jobs_file.as_deref();
    file.map_or(Ok(()), |path| check_place("jobs-file", path))
}

fn check_once<'a>(
    option: &'static str,
    mut names: impl Iterator<Item = &'a str>,
) -> Result<(), ServicesError> {
    let mut seen = BTreeSet::new();
    match names.find(|name| !seen.insert(*name)) {
        None => Ok(()),
        Some(name) => {
            let name = name.to_owned();
            Err(ServicesError::Twice { option, name })
        }
    }
}

fn check_place(option: &'static str, path: &Path) -> Result<(), ServicesError> {
    let problem = if path.is_dir() {
        Some("it is a directory".to_owned())
    } else {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let found = std::fs::metadata(parent.unwrap_or(Path::new(".")));
        match found {
            Ok(found) if found.is_dir() => None,
            Ok(_) => Some("what should be its directory is a file".to_owned()),
            Err(error) => Some(error.to_string()),
        }
    };
    let path = path.to_owned();
    problem.map_or(Ok(()), |problem| {
        Err(ServicesError::Place {
            option,
            path,
            problem,
        })
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Verb};

    fn args(given: &[&str]) -> Result<RunArgs, String> {
        let words = ["herder", "run"].iter().chain(given).chain(&["app.js"]);
        let parsed = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        match parsed.verb {
            Verb::Run(args) => Ok(*args),
            Verb::Sig(_) => unreachable!("run was asked for"),
        }
    }

    fn said(given: &[&str]) -> String {
        match args(given).and_then(|args| library(&args, "web").map_err(|error| error.to_string()))
        {
            Ok(library) => format!("{:?}", library.map(|library| library.name.to_string())),
            Err(error) => error,
        }
    }

    #[test]
    fn the_built_in_library_is_there_when_something_of_it_is_asked_for() {
        assert_eq!(said(&[]), "None");
        assert_eq!(said(&["--store", "redis://localhost"]), "None");
        for given in [
            &["--bus"][..],
            &["--state", "sessions=memory"],
            &["--job", "nightly=0 3 * * * Europe/Berlin"],
            &["--jobs-file", "/tmp/jobs.redb"],
            &["--state", "a=store", "--store", "redis://localhost"],
        ] {
            assert_eq!(said(given), "Some(\"herder\")", "{given:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_option_and_what_would_be_right() {
        for (given, expected) in [
            (&["--state", "s"][..], "for instance s=memory"),
            (
                &["--state", "s=disk"],
                "none of memory, file:PATH and store",
            ),
            (&["--state", "S=memory"], "not the name of a namespace"),
            (
                &["--state", "s=memory", "--state", "s=memory"],
                "--state s: it is given twice",
            ),
            (&["--state", "s=store"], "--store redis://127.0.0.1:6379"),
            (
                &["--bus", "--store", "localhost"],
                "--store: localhost is not the address of a store",
            ),
            (
                &["--state", "s=file:/none/a.redb"],
                "--state \"/none/a.redb\": No such file",
            ),
            (
                &["--jobs-file", "/tmp"],
                "--jobs-file \"/tmp\": it is a directory",
            ),
            (&["--job", "nightly"], "for instance nightly="),
            (&["--job", "a b=every 1s"], "is not the name of a job"),
            (&["--job", "a=every 1"], "is no timing such as"),
            (&["--job", "a=0 3 31 2 *"], "it never comes"),
            (
                &["--job", "a=every 1s", "--job", "a=every 2s"],
                "--job a: it is given twice",
            ),
            (
                &["--bus", "--library", "herder=x.js"],
                "choose another name",
            ),
        ] {
            let found = said(given);
            assert!(found.contains(expected), "{given:?}: {found}");
        }
    }

    #[test]
    fn what_is_asked_for_is_what_the_library_is_made_from() {
        let given = [
            "--state",
            "s=file:s.redb",
            "--job",
            "tick=every 10s",
            "--store",
            "redis://h",
        ];
        let settings = settings(&args(&given).expect("right").services, "web");
        assert_eq!(settings.state[0].name, "s");
        assert!(
            matches!(&settings.state[0].backend, Backend::File { path, .. } if path == Path::new("s.redb"))
        );
        assert_eq!(settings.store.expect("given").prefix, "herder:web");
        let (name, tick) = &settings.jobs.defined[0];
        assert_eq!((name.as_str(), tick.timing.as_str()), ("tick", "every 10s"));
    }
}
