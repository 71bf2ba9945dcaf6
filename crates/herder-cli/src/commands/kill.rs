//! `herder kill`

use herder_api::control::StopDaemon;
use herder_client::{Client, Error};
use herder_sys::pidfd::PidFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Outcome;
use super::context::Context;
use super::outcome::follow_to_the_end;

/// How long a daemon may take to end when all was said.
const PATIENCE: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};

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
        let client = context.client_as_is();
        let daemon = process(&client).await;
        match client.stop_daemon(how).await {
            Ok(lines) => {
                follow_to_the_end(context, lines).await?;
                gone(daemon.as_ref());
                context.say("The daemon has ended.\n")
            }
            Err(Error::Unreachable(_)) => context.say("No daemon runs.\n"),
            Err(error) => Err(error.into()),
        }
    })
}

/// The daemon's process. None = it cannot be watched.
async fn process(client: &Client) -> Option<PidFd> {
    let status = client.daemon().await.ok()?;
    PidFd::open(status.pid).ok()
}

/// Waits until the process is gone, and its lock with it: the next command may start another daemon.
fn gone(daemon: Option<&PidFd>) {
    if let Some(daemon) = daemon {
        // If it stays, it is the next command that finds out.
        let _late = poll(&mut [PollFd::new(daemon, PollFlags::IN)], Some(&PATIENCE));
    }
}
