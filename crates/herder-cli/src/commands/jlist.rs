//! `herder jlist`

use super::Outcome;
use super::context::Context;

/// Show the apps as JSON: the same as `list --json`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Only these: names, numbers, namespaces or /patterns/.
    #[arg(value_name = "APP")]
    targets: Vec<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(async {
        let apps = context.client().apps(&args.targets).await?;
        context.json(&apps)
    })
}
