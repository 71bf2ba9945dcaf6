//! `herder jobs`: asks the library of the app that runs its jobs.

use std::path::PathBuf;
use std::time::Duration;

use herder_api::Problem;
use herder_api::problem::ProblemKind;
use herder_api::status::AppDetail;
use herder_rpc::client::{Agent, AgentSettings, Endpoint, Identity, LIBRARIES_VARIABLE};
use herder_rpc::{CallError, ErrorKind};
use herder_services::library::{JobsApiClient, NAME};

use super::context::{Context, now_ms};
use super::{Failure, Outcome};
use crate::render::jobs::{history, jobs};

/// How long the library may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many lines of the history are shown.
const HISTORY: u32 = 20;

/// Show the jobs that an app's workers run at their times, or do something with one.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name or number.
    #[arg(value_name = "APP")]
    app: String,

    /// What has been run lately, of one job or of all.
    #[arg(long, value_name = "JOB", num_args = 0..=1, group = "deed")]
    history: Option<Option<String>>,

    /// Run this one now, beside its times.
    #[arg(long, value_name = "JOB", group = "deed")]
    run: Option<String>,

    /// Do not run this one until it is resumed.
    #[arg(long, value_name = "JOB", group = "deed")]
    pause: Option<String>,

    /// Run this one at its times again.
    #[arg(long, value_name = "JOB", group = "deed")]
    resume: Option<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(async {
        let detail = context.client().app(&args.app).await?;
        let agent = Agent::with_settings(
            endpoint(&detail)?,
            AgentSettings {
                init: PATIENCE,
                ..AgentSettings::default()
            },
        );
        let client: JobsApiClient = agent
            .object()
            .await
            .map_err(|error| no(&args.app, &error))?;
        ask(&args, &client, context).await
    })
}

async fn ask(args: &Args, client: &JobsApiClient, context: &Context) -> Outcome {
    let no = |error: CallError| no(&args.app, &error);
    if let Some(job) = &args.history {
        let entries = client.history(job.clone(), HISTORY).await.map_err(no)?;
        return context.answer(&entries, || history(&entries, context.screen.out));
    }
    if let Some(job) = &args.run {
        client.run_now(job.clone()).await.map_err(no)?;
        return context.say("It runs as soon as a worker takes it.\n");
    }
    if let Some(job) = &args.pause {
        client.pause(job.clone()).await.map_err(no)?;
        return context.say("It waits until it is resumed.\n");
    }
    if let Some(job) = &args.resume {
        client.resume(job.clone()).await.map_err(no)?;
        return context.say("It runs at its times again.\n");
    }
    let list = client.list().await.map_err(no)?;
    context.answer(&list, || jobs(&list, now_ms(), context.screen.out))
}

/// Where the library is that has the app's jobs: one of its processes knows.
fn endpoint(detail: &AppDetail) -> Result<Endpoint, Failure> {
    let name = &detail.status.name;
    let Some(herd) = &detail.status.herd else {
        let message = format!("{name} does not run.");
        return Err(Problem::new(ProblemKind::Conflict, message)
            .hint(format!("herder start {name}"))
            .into());
    };
    let workers = herd.slots.iter().flat_map(|slot| &slot.workers);
    let pids = workers.map(|worker| worker.pid);
    let socket = pids.filter_map(variable).find_map(|value| socket(&value));
    let Some(path) = socket else {
        let message = format!("{name} has no jobs: its workers share nothing that herder keeps.");
        let hint = "jobs stand in its definition ([apps.NAME.jobs]), or its workers define them with herder.jobs()";
        return Err(Problem::new(ProblemKind::NotFound, message)
            .hint(hint)
            .into());
    };
    Ok(Endpoint {
        library: NAME.to_owned(),
        path,
        herd: String::new(),
        identity: Identity::tool(),
    })
}

/// What a process was told of its libraries.
fn variable(pid: i32) -> Option<String> {
    let all = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut variables = all.split(|byte| *byte == 0);
    let value = variables.find_map(|variable| {
        let rest = variable.strip_prefix(LIBRARIES_VARIABLE.as_bytes())?;
        rest.strip_prefix(b"=")
    })?;
    String::from_utf8(value.to_vec()).ok()
}

/// The socket of the library that is built in.
fn socket(libraries: &str) -> Option<PathBuf> {
    let named = libraries.split(':').filter_map(|one| one.split_once('='));
    let mut found = named.filter(|(name, _)| *name == NAME);
    found.next().map(|(_, path)| PathBuf::from(path))
}

fn no(app: &str, error: &CallError) -> Failure {
    let kind = if error.kind == ErrorKind::App {
        ProblemKind::Invalid
    } else {
        ProblemKind::Failed
    };
    let message = format!("The jobs of {app} are not told: {}.", error.message);
    Problem::new(kind, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_library_is_found_among_others() {
        let path = |text| socket(text).map(|path| path.display().to_string());
        assert_eq!(
            path("core=/run/core.sock:herder=/run/herder.sock"),
            Some("/run/herder.sock".to_owned())
        );
        assert_eq!(path("core=/run/core.sock"), None);
        assert_eq!(path(""), None);
        let own = i32::try_from(std::process::id()).expect("a pid");
        assert_eq!(variable(own), std::env::var(LIBRARIES_VARIABLE).ok());
    }
}
