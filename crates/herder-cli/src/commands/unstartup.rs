//! `herder unstartup`

use super::Outcome;
use super::context::Context;
use crate::render::text::escape;
use crate::startup::{self, Purpose, Which};

const AFTER_HELP: &str = "\
The daemon and its apps go on until the machine ends; herder kill ends them now.

Exit status: 0 it is done, 77 root has to do it (the command is printed).";

/// Undo `startup`: the daemon starts with the machine no more.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    let decided = startup::decide(&args.which, "unstartup", &context.home, Purpose::Change)?;
    let recipe = startup::recipe(&decided.service, &decided.place, decided.tools.systemd);
    let file = escape(&recipe.file.display().to_string());
    if startup::is_ours(&recipe.file)? == Some(true) {
        for command in &recipe.disable {
            startup::run(command)?;
        }
    }
    if !startup::remove(&recipe.file)? {
        return context.say(&format!("There is no {file}.\n"));
    }
    for command in &recipe.forget {
        startup::run(command)?;
    }
    context.say(&format!(
        "{file} is removed. The daemon, if it runs, goes on until herder kill.\n"
    ))
}
