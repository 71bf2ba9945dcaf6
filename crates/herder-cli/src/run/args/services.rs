//! What of the built-in library is asked for on the command line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use herder_core::schedule::JobName;
use herder_services::jobs::{JobDefinition, Timing};
use herder_services::library::{Backend, NamespaceSettings};

use crate::run::error::ServicesError;

/// What the built-in library is asked for.
#[derive(Args, Debug)]
#[command(
    next_help_heading = "What the workers share (herder.state(), herder.jobs(), herder.bus())"
)]
pub(crate) struct ServiceArgs {
    /// Values that all workers share, under this name: in memory (they outlive the workers),
    /// file:PATH (and the herd), or store (other machines have them, too). May be repeated.
    #[arg(long, value_name = "NAME=WHERE")]
    pub(crate) state: Vec<StateArg>,

    /// A Redis or Valkey: redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]. Herds of the same --name that
    /// share it share their state in it, send messages to each other, and run a job of the cluster
    /// once.
    #[arg(long, value_name = "URL", env = "HERDER_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,

    /// A job that one worker runs at its times: nightly='0 3 * * * Europe/Berlin', poll='every 10s'.
    /// May be repeated.
    #[arg(long, value_name = "NAME=TIMING")]
    pub(crate) job: Vec<JobArg>,

    /// Where jobs are kept that are defined, changed or paused while the herd runs.
    #[arg(long, value_name = "PATH")]
    pub(crate) jobs_file: Option<PathBuf>,

    /// Messages between the workers (which the options above bring along).
    #[arg(long)]
    pub(crate) bus: bool,
}

/// `NAME=WHERE`.
#[derive(Clone, Debug)]
pub(crate) struct StateArg {
    name: String,
    place: String,
}

/// `NAME=TIMING`.
#[derive(Clone, Debug)]
pub(crate) struct JobArg {
    name: String,
    timing: String,
}

/// Names, and what belongs to them.
pub(crate) type Named = BTreeMap<String, String>;

impl ServiceArgs {
    /// The namespaces and jobs, by their names.
    ///
    /// # Errors
    /// When one is given twice.
    pub(crate) fn named(&self) -> Result<(Named, Named), ServicesError> {
        check_once("state", self.state.iter().map(|state| state.name.as_str()))?;
        check_once("job", self.job.iter().map(|job| job.name.as_str()))?;
        let state = self.state.iter().cloned().map(|it| (it.name, it.place));
        let jobs = self.job.iter().cloned().map(|it| (it.name, it.timing));
        Ok((state.collect(), jobs.collect()))
    }
}

impl FromStr for StateArg {
    type Err = String;

    fn from_str(text: &str) -> Result<StateArg, String> {
        let Some((name, place)) = text.split_once('=') else {
            return Err(format!(
                "write NAME=memory, NAME=file:PATH or NAME=store, for instance {text}=memory"
            ));
        };
        namespace(name, place)?;
        Ok(StateArg {
            name: name.to_owned(),
            place: place.to_owned(),
        })
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
        job(name, timing)?;
        Ok(JobArg {
            name: name.to_owned(),
            timing: timing.to_owned(),
        })
    }
}

/// A namespace, as it is written.
pub(crate) fn namespace(name: &str, place: &str) -> Result<NamespaceSettings, String> {
    let backend: Backend = place.parse()?;
    let space = NamespaceSettings::new(name, backend);
    space.check().map_err(|error| error.to_string())?;
    Ok(space)
}

/// A job, as it is written.
pub(crate) fn job(name: &str, timing: &str) -> Result<(String, JobDefinition), String> {
    let name = JobName::new(name).map_err(|error| error.to_string())?;
    let timing = timing
        .parse::<Timing>()
        .map_err(|error| error.to_string())?;
    Ok((name.to_string(), JobDefinition::new(timing)))
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
