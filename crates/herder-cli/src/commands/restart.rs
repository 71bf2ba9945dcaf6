//! `herder restart`

use herder_api::control::{Known, Verb};

use super::Outcome;
use super::context::{Context, environment};
use super::options::Settings;
use super::outcome::{act, action, show_list};
use super::targets::{FileArgs, Sorted, Targets, by_program, sort, start_files};

const AFTER_HELP: &str = "\
Settings that are given hold from now on. An app that is stopped is started. Of a file, all apps
get their new definitions; those that are new are started.

`herder reload` replaces the workers without losing a connection.";

/// Stop apps and start them again.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    with: Replace,
}

/// Which apps, and what changes with them.
#[derive(clap::Args, Debug)]
pub(crate) struct Replace {
    #[command(flatten)]
    targets: Targets,

    /// They get the environment of this shell. (Those of a file do anyway.)
    #[arg(short = 'a', long)]
    update_env: bool,

    #[command(flatten)]
    file: FileArgs,

    #[command(flatten)]
    settings: Settings,

    #[arg(long, hide = true)]
    parallel: Option<u32>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    replace(args.with, context, Verb::Restart, Known::Restart)
}

/// Has apps restarted or reloaded.
pub(super) fn replace(args: Replace, context: &Context, verb: Verb, known: Known) -> Outcome {
    let Sorted { names, files } = sort(&args.targets.targets);
    context.wait(async {
        if !files.is_empty() {
            super::start::refuse_settings(&args.settings)?;
            start_files(context, &files, &args.file, known).await?;
        }
        if !names.is_empty() {
            let mut action = action(verb, by_program(context, names).await?);
            action.environment = args.update_env.then(environment);
            action.profile = args.file.env.clone();
            action.settings = args.settings.table()?;
            act(context, &action).await?;
        }
        show_list(context).await
    })
}
