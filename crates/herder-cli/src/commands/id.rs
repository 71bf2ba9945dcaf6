//! `herder id`

use super::Outcome;
use super::context::Context;

/// Show the numbers of apps.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Names, namespaces, /patterns/ or all.
    #[arg(value_name = "APP", required = true)]
    targets: Vec<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(async {
        let apps = context.client().apps(&args.targets).await?;
        let ids: Vec<u32> = apps.iter().map(|app| app.id).collect();
        context.answer(&ids, || ids.iter().map(|id| format!("{id}\n")).collect())
    })
}
