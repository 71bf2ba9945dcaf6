//! `herder daemon`

use std::ffi::OsString;

use herder_daemon::{Manner, Settings};

use super::context::Context;
use super::{Failure, Outcome};

const AFTER_HELP: &str = "\
Every other command starts it in the background when there is none; this is for init systems and
containers (`herder startup` writes the unit). TERM ends the apps in order, and then the daemon; HUP
reloads all apps that run; USR1 opens log files again; USR2 starts the build that is installed.

Under systemd it says READY=1, RELOADING=1, STOPPING=1 and WATCHDOG=1.

Exit status: 0 ended as asked, 70 internal failure, 100 another daemon has this home.";

/// Run the daemon in the foreground.
#[derive(clap::Args, Debug, Default)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    /// A group whose members may look (list, logs, events), and do nothing.
    #[arg(long, value_name = "GROUP")]
    read_group: Option<String>,

    /// Start the apps that ended with the daemon before, and those that were saved if there are no others.
    #[arg(long)]
    resurrect: bool,

    /// Leave the terminal, and say on stdout when it is ready.
    #[arg(long)]
    background: bool,
}

impl Args {
    /// Reads them without their description. None = something is not as it should be, or asks for help.
    pub(super) fn spare(mut words: impl Iterator<Item = OsString>) -> Option<Args> {
        let mut args = Args::default();
        while let Some(word) = words.next() {
            let flag = match word.to_str()? {
                "--background" => &mut args.background,
                "--resurrect" => &mut args.resurrect,
                word if args.read_group.is_none() => {
                    let group = match word.strip_prefix("--read-group")? {
                        "" => words.next()?.into_string().ok()?,
                        group => group.strip_prefix('=')?.to_owned(),
                    };
                    args.read_group = Some(group).filter(|group| !group.starts_with('-'));
                    args.read_group.as_ref()?;
                    continue;
                }
                _ => return None,
            };
            if std::mem::replace(flag, true) {
                return None;
            }
        }
        Some(args)
    }
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    let settings = Settings {
        home: context.home.clone(),
        read_group: args.read_group,
        manner: if args.background {
            Manner::Background
        } else {
            Manner::Foreground
        },
        resurrect: args.resurrect,
    };
    match herder_daemon::run(settings) {
        0 => Ok(()),
        status => Err(Failure::Told(status)),
    }
}
