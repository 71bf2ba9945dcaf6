//! The built-in library, as an app describes it: shared state, scheduled jobs, messages.

use std::path::Path;
use std::process::ExitCode;

use herder::rpc::client::HERD_VARIABLE;
use herder_core::spec::LifePolicy;
use herder_master::config::{Library, LibraryProgram, OnReload};
use herder_master::role::LibrarySeat;
use herder_services::library::{
    self, Backend, JobsSettings, NAME, OpenError, Settings, StoreSettings,
};

use super::args;
use super::description::Description;
use super::error::{RunError, ServicesError};
use super::words::Setting;

/// Where a store may be said to be, beside the setting.
const STORE_VARIABLE: &str = "HERDER_STORE";

/// The built-in library, if anything of it is asked for.
pub(super) fn library(description: &Description, app: &str) -> Result<Option<Library>, RunError> {
    let settings = settings(description, app)?;
    if !is_wanted(description) {
        return Ok(None);
    }
    check(description, &settings)?;
    let name = NAME.parse().expect("it is the name of a library");
    if description
        .libraries
        .iter()
        .any(|(known, _)| *known == name)
    {
        let setting = description.words.entry("libraries", NAME);
        return Err(ServicesError::Name(setting).into());
    }
    let (boot_timeout, usual) = (description.app.boot_timeout, LifePolicy::default());
    Ok(Some(Library {
        name,
        program: LibraryProgram::Itself,
        boot_timeout: description.duration("boot_timeout", boot_timeout, usual.boot_timeout)?,
        hang: usual.hang,
        // It is this executable, and what is in memory would be lost.
        on_reload: OnReload::Keep,
    }))
}

/// Lives as the built-in library.
///
/// # Errors
/// When the description is wrong, or the ties to the master cannot be made.
pub(crate) fn live(description: &Description, seat: LibrarySeat) -> Result<ExitCode, String> {
    let settings = settings(description, &seat.app).map_err(|error| error.to_string())?;
    let usual = LifePolicy::default();
    let grace = description.duration("grace", description.app.grace, usual.grace);
    let life = LifePolicy {
        grace: grace.map_err(|error| error.to_string())?,
        ..usual
    };
    let lived = herder::live_as_library(seat, &life, move |setup| {
        let settings = settings.clone();
        let herd = std::env::var(HERD_VARIABLE).unwrap_or_default();
        async move { library::open(settings, &herd, setup.epoch()).await }
    });
    lived.map_err(|error| error.to_string())
}

/// A store alone is no wish: the variable may be there for other programs.
fn is_wanted(description: &Description) -> bool {
    let app = &description.app;
    app.bus || !app.state.is_empty() || !app.jobs.is_empty() || app.jobs_file.is_some()
}

/// What the built-in library was made from, by the names of the settings: it lives as long as the herd.
pub(super) fn fixed(description: &Description) -> Vec<(&'static str, String)> {
    let app = &description.app;
    vec![
        ("state", format!("{:?}", app.state)),
        ("store", format!("{:?}", app.store)),
        ("jobs", format!("{:?}", app.jobs)),
        ("jobs_file", format!("{:?}", app.jobs_file)),
        ("bus", app.bus.to_string()),
    ]
}

fn settings(description: &Description, app: &str) -> Result<Settings, ServicesError> {
    let wanted = &description.app;
    let space = |(name, place): (&String, &String)| {
        let setting = || description.words.entry("state", name.as_str());
        args::namespace(name, place).map_err(|error| ServicesError::Entry(setting(), error))
    };
    let job = |(name, timing): (&String, &String)| {
        let setting = || description.words.entry("jobs", name.as_str());
        args::job(name, timing).map_err(|error| ServicesError::Entry(setting(), error))
    };
    let said = description.variable(STORE_VARIABLE);
    let said = said.map(|url| url.to_string_lossy().into_owned());
    let store = wanted.store.clone().or(said);
    Ok(Settings {
        state: wanted.state.iter().map(space).collect::<Result<_, _>>()?,
        store: store.map(|url| StoreSettings::new(url, app)),
        jobs: JobsSettings {
            file: wanted.jobs_file.clone(),
            defined: wanted.jobs.iter().map(job).collect::<Result<_, _>>()?,
        },
    })
}

/// Finds what would be found out only by the library, which could not say which setting is meant.
fn check(description: &Description, settings: &Settings) -> Result<(), ServicesError> {
    for state in settings.state.iter().filter(|_| !description.is_recalled()) {
        if let Backend::File { path, .. } = &state.backend {
            check_place(description.setting("state"), path)?;
        }
    }
    if let Some(path) = &settings.jobs.file
        && !description.is_recalled()
    {
        check_place(description.setting("jobs_file"), path)?;
    }
    settings.check().map_err(|error| match error {
        OpenError::Store(_) | OpenError::NotBuilt { .. } => {
            ServicesError::Store(description.setting("store"), error)
        }
        OpenError::NoStore { name } => {
            ServicesError::NoStore(description.words.entry("state", name))
        }
        other @ (OpenError::Name { .. } | OpenError::File(_) | OpenError::Job { .. }) => {
            ServicesError::Other(other)
        }
    })
}

fn check_place(setting: Setting, path: &Path) -> Result<(), ServicesError> {
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
            setting,
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

    fn description(given: &[&str]) -> Result<Description, String> {
        let words = ["herder", "run"].iter().chain(given).chain(&["app.js"]);
        let parsed = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        let Verb::Run(args) = parsed.verb else {
            unreachable!("run was asked for");
        };
        Description::of_args(&args).map_err(|error| error.to_string())
    }

    fn said(given: &[&str]) -> String {
        let found = description(given)
            .and_then(|given| library(&given, "web").map_err(|error| error.to_string()));
        match found {
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
        let settings = super::settings(&description(&given).expect("right"), "web").expect("right");
        assert_eq!(settings.state[0].name, "s");
        assert!(
            matches!(&settings.state[0].backend, Backend::File { path, .. } if path == Path::new("s.redb"))
        );
        assert_eq!(settings.store.expect("given").prefix, "herder:web");
        let (name, tick) = &settings.jobs.defined[0];
        assert_eq!((name.as_str(), tick.timing.as_str()), ("tick", "every 10s"));
    }
}
