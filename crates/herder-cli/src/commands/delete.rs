//! `herder delete`

use herder_api::control::Verb;

use super::Outcome;
use super::context::Context;
use super::outcome::{act, action, show_list};
use super::targets::{Chosen, Targets, by_program, names};

/// Stop apps and take them out of the list.
#[derive(clap::Args, Debug)]
#[command(visible_alias = "del")]
pub(crate) struct Args {
    #[command(flatten)]
    targets: Targets,

    #[command(flatten)]
    chosen: Chosen,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    let names = names(context, &args.targets.targets, &args.chosen)?;
    context.wait(async {
        let names = by_program(context, names).await?;
        act(context, &action(Verb::Delete, names)).await?;
        show_list(context).await
    })
}
