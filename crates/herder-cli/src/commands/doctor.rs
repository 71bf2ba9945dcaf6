//! `herder doctor`

use herder_api::status::HerdStatus;

use super::context::Context;
use super::{Failure, Outcome};
use crate::doctor::{self, Answered, Build, Finding, Level};
use crate::render::doctor::findings;

const AFTER_HELP: &str = "\
Nothing is changed, and no daemon is started. With --json: a list of {subject, level, text, cure}.

Exit status: 0 all is well, or works with less comfort (warnings); 1 there are problems.";

/// Say what the machine allows, and what would help.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Outcome {
    let facts = doctor::gather(&context.home, daemon(context));
    let found: Vec<Finding> = doctor::check(&facts);
    context.answer(&found, || findings(&found, context.screen.out))?;
    if found.iter().any(|it| it.level == Level::Problem) {
        return Err(Failure::Told(1));
    }
    Ok(())
}

/// What a daemon that runs says of itself and its herds.
fn daemon(context: &Context) -> Option<Answered> {
    let mut answered = None;
    let asked = context.wait(async {
        let client = context.client_as_is();
        let daemon = client.daemon().await?;
        let apps = client.apps(&[]).await?;
        let mut definitions = Vec::new();
        for app in &apps {
            // One may have been deleted meanwhile.
            definitions.extend(client.app(&app.name).await.ok().map(|it| it.app));
        }
        let herds = apps
            .into_iter()
            .filter_map(|app| Some((app.name, app.herd?)));
        answered = Some(Answered {
            daemon: doctor::build(&daemon.version, daemon.pid),
            herds: herds.map(|(name, herd)| (name, of_herd(&herd))).collect(),
            apps: definitions,
        });
        Ok(())
    });
    // That none answers is no fault of the machine.
    asked.ok().and(answered)
}

fn of_herd(herd: &HerdStatus) -> Build {
    doctor::build(&herd.version, herd.master)
}
