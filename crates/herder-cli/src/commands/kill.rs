//! `herder kill`

use herder_api::control::StopDaemon;
use herder_client::Error;

use super::Outcome;
use super::context::Context;
use super::outcome::follow_to_the_end;

/// Stop all apps and the daemon. The list stays.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The apps run on; the next daemon takes them over.
    #[arg(long)]
    leave_apps: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    let how = StopDaemon {
        leave_apps: args.leave_apps,
    };
    context.wait(async {
        match context.client_as_is().stop_daemon(how).await {
            Ok(lines) => {
                follow_to_the_end(context, lines).await?;
                context.say("The daemon has ended.\n")
            }
            Err(Error::Unreachable(_)) => context.say("No daemon runs.\n"),
            Err(error) => Err(error.into()),
        }
    })
}
