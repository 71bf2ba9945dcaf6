//! `herder describe`

use super::Outcome;
use super::context::{Context, now_ms};
use crate::render::describe::describe;

/// Show all that is known of an app.
#[derive(clap::Args, Debug)]
#[command(visible_aliases = ["desc", "info", "show"])]
pub(crate) struct Args {
    /// Its name or number.
    #[arg(value_name = "APP", required = true)]
    apps: Vec<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(async {
        let client = context.client();
        for (place, name) in args.apps.iter().enumerate() {
            let detail = client.app(name).await?;
            context.answer(&detail, || {
                let between = if place > 0 { "\n" } else { "" };
                between.to_owned() + &describe(&detail, now_ms(), context.screen.out)
            })?;
        }
        Ok(())
    })
}
