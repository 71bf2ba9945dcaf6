//! `herder events`

use herder_api::Problem;
use herder_api::problem::ProblemKind;
use herder_client::Error;

use super::Outcome;
use super::again::{Again, Sequel};
use super::context::Context;
use super::heard::Heard;
use crate::render::history::event;

/// Show what happens, as it happens, until it is interrupted.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Only of these apps. [default: all, and the daemon]
    #[arg(value_name = "APP")]
    apps: Vec<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(async {
        let client = context.client();
        // A name that nobody has would be silence for ever.
        let wanted: Vec<String> = if args.apps.is_empty() {
            Vec::new()
        } else {
            let apps = client.apps(&args.apps).await?;
            apps.into_iter().map(|app| app.name).collect()
        };
        let mut events = client.events().await?;
        let mut again = Again::new();
        let mut heard = Heard::new(format!("{:.3}", jiff::Timestamp::now()));
        loop {
            let broken = loop {
                match events.next().await {
                    None => break None,
                    Some(Err(error)) => break Some(error),
                    Some(Ok(news)) if !heard.is_new(&news) => {}
                    Some(Ok(news)) if wanted.is_empty() || wanted.contains(&news.app) => {
                        context.answer(&news, || event(&news, context.screen.out))?;
                    }
                    Some(Ok(_of_another)) => {}
                }
            };
            if again.wait(broken, context).await? == Sequel::End {
                return Ok(());
            }
            let client = context.client_as_is();
            events = match client.events_since(heard.again()).await {
                Ok(events) => events,
                // A build that does not know of it.
                Err(Error::Problem(problem)) if problem.kind == ProblemKind::Invalid => {
                    context.warn(&[missed()]);
                    client.events().await?
                }
                Err(error) => return Err(error.into()),
            };
        }
    })
}

/// Nobody told what happened while there was no daemon; but it was written down.
fn missed() -> Problem {
    let text = "the daemon was replaced: what happened just then was not told";
    Problem::new(ProblemKind::Busy, text).hint("herder history APP has it")
}
