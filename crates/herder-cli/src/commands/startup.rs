//! `herder startup`

use std::fmt::Write as _;

use super::Outcome;
use super::context::Context;
use crate::render::text::escape;
use crate::startup::{self, Decided, Purpose, Which};

const AFTER_HELP: &str = "\
As a user this writes a service of your own, below ~/.config/systemd/user. As root, or with --user,
it writes one of the machine; without the rights for that it prints the command for root to run.
Nothing is started yet; it says how.

The service starts the daemon, and the daemon the apps that ran. Those that were stopped, or have
autostart = false, stay. PATH is recorded as it is now: run this again when node has moved.

Exit status: 0 it is done, 77 root has to do it (the command is printed).";

/// Have the daemon start with the machine.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,

    /// Print what would be written, and change nothing.
    #[arg(long)]
    print: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    let purpose = if args.print {
        Purpose::Show
    } else {
        Purpose::Change
    };
    let decided = startup::decide(&args.which, "startup", &context.home, purpose)?;
    let Decided {
        place,
        service,
        tools,
    } = &decided;
    let recipe = startup::recipe(service, place, tools.systemd);
    if purpose == Purpose::Show {
        let shown = serde_json::json!({"file": recipe.file, "text": recipe.text});
        return context.answer(&shown, || recipe.text.clone());
    }
    startup::write(&recipe.file, &recipe.text, recipe.mode)?;
    for command in &recipe.enable {
        startup::run(command)?;
    }
    let file = escape(&recipe.file.display().to_string());
    let mut text = format!("{file} is written, and enabled.\n");
    for note in &recipe.notes {
        let _ = writeln!(text, "{note}");
    }
    let start = &recipe.start;
    if service.home == context.home && has_daemon(context) {
        let _ = writeln!(
            text,
            "A daemon runs already, and not as this service. To make it one: herder kill && {start}"
        );
    } else {
        let _ = writeln!(text, "To start it now: {start}");
    }
    context.say(&text)
}

/// Whether a daemon answers.
fn has_daemon(context: &Context) -> bool {
    let mut answers = false;
    let asked = context.wait(async {
        answers = context.client_as_is().daemon().await.is_ok();
        Ok(())
    });
    asked.is_ok() && answers
}
