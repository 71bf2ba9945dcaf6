//! `herder stop`

use herder_api::control::Verb;

use super::Outcome;
use super::context::Context;
use super::outcome::{act, action, show_list};
use super::targets::{Chosen, Targets, by_program, names};

/// Stop apps. They stay in the list.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    targets: Targets,

    /// At once, without time to finish what they have.
    #[arg(long)]
    now: bool,

    #[command(flatten)]
    chosen: Chosen,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    let names = names(context, &args.targets.targets, &args.chosen)?;
    context.wait(async {
        let names = by_program(context, names).await?;
        act(context, &action(Verb::Stop { now: args.now }, names)).await?;
        show_list(context).await
    })
}
