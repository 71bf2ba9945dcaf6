//! `herder monit`

use herder_api::Problem;
use herder_api::problem::ProblemKind;

use super::Outcome;
use super::context::Context;
use crate::monit::{Theme, has_terminal, run as show};
use crate::render::Format;

const AFTER_HELP: &str = "\
It shows the apps, the workers of the chosen one, its log and what happened lately, and follows it.
Keys: arrows choose, r reloads, R restarts, s stops, S starts, + and - scale, l shows the log alone,
/ filters it, enter shows all about the app, ? shows all keys, q quits. Nothing is done before it is
confirmed.";

/// Watch everything on one screen, and act on it.
#[derive(clap::Args, Debug)]
#[command(visible_aliases = ["dash", "dashboard"], after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Outcome {
    if context.format == Format::Json || !has_terminal() {
        let problem = Problem::new(
            ProblemKind::Invalid,
            "`herder monit` needs a terminal, to draw on and to read keys from.",
        );
        return Err(problem
            .hint("`herder list` shows the apps once, and `herder list --json` to programs.")
            .into());
    }
    let theme = if context.screen.out.colour {
        Theme::Coloured
    } else {
        Theme::Colourless
    };
    context.wait(async {
        // It is started if there is none, as by all commands. One that ends later is waited for.
        context.client().daemon().await?;
        Ok(show(context.client_as_is(), theme).await?)
    })
}
