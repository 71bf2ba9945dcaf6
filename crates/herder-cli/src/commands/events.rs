//! `herder events`

use super::Outcome;
use super::context::Context;
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
        while let Some(news) = events.next().await {
            let news = news?;
            if wanted.is_empty() || wanted.contains(&news.app) {
                context.answer(&news, || event(&news, context.screen.out))?;
            }
        }
        Ok(())
    })
}
