//! The verbs that speak with the daemon, or about its files: one file each, and one line each below.

mod again;
mod apply;
mod check;
mod complete;
mod completion;
mod context;
mod daemon;
mod delete;
mod describe;
mod doctor;
mod env;
mod events;
mod failure;
mod flush;
mod heard;
mod history;
mod id;
mod import;
mod init;
mod jlist;
mod jobs;
mod kill;
mod list;
mod logs;
mod man;
mod monit;
mod options;
mod outcome;
mod pid;
mod ping;
mod reload;
mod reload_logs;
mod reset;
mod restart;
mod resurrect;
mod save;
mod scale;
mod send;
mod send_signal;
mod start;
mod start_or_reload;
mod start_or_restart;
mod startup;
mod stop;
mod targets;
mod unknown;
mod unstartup;
mod upgrade;

use std::ffi::OsString;

use clap::Subcommand;
use herder_client::Warnings;

use crate::render::style::{Colours, Refusal};
use crate::render::{Format, Screen};
use context::{Context, Volume};
use failure::{Failure, Outcome};
pub(crate) use unknown::{instead_of, instead_of_option};

// What every verb can be told. (No documentation: clap would take it for the verbs' own.)
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Output")]
struct Show {
    /// Answer with JSON: one value, or one object a line where there are many.
    #[arg(long)]
    json: bool,

    /// Say nothing but what was asked for, and errors.
    #[arg(short, long)]
    silent: bool,

    /// No colours. (Nor are there any if NO_COLOR is set.)
    #[arg(long, alias = "no-colour")]
    no_color: bool,
}

// A verb's own arguments, and those that all have.
#[derive(clap::Args, Debug)]
pub(crate) struct With<A: clap::Args> {
    #[command(flatten)]
    own: A,
    #[command(flatten)]
    show: Show,
}

impl<A: clap::Args> With<A> {
    /// Does it, and says what went wrong.
    fn run(self, verb: impl FnOnce(A, &Context) -> Outcome) -> u8 {
        let screen = Screen::new(self.show.colours());
        let home = context::home(|name| std::env::var_os(name), context::directory);
        let context = Context {
            // Without a home, what needs none still works as far as it comes.
            home: home.clone().unwrap_or_default(),
            screen,
            format: if self.show.json {
                Format::Json
            } else {
                Format::Text
            },
            volume: if self.show.silent {
                Volume::Silent
            } else {
                Volume::Normal
            },
            warnings: Warnings::default(),
        };
        let outcome = match home {
            Ok(_) => verb(self.own, &context),
            Err(problem) => Err(problem.into()),
        };
        context.pass_on_warnings();
        match outcome {
            Ok(()) => 0,
            Err(failure) => {
                failure.tell(context.screen, context.format);
                failure.status()
            }
        }
    }
}

// What only machines call: they are answered in one way.
#[derive(clap::Args, Debug)]
pub(crate) struct Bare<A: clap::Args> {
    #[command(flatten)]
    own: A,
}

impl<A: clap::Args> Bare<A> {
    /// Does it, and says what went wrong.
    fn run(self, verb: impl FnOnce(A, &Context) -> Outcome) -> u8 {
        let show = Show::default();
        With {
            own: self.own,
            show,
        }
        .run(verb)
    }
}

impl Show {
    fn colours(&self) -> Colours {
        let refused = if self.no_color {
            Refusal::ByOption
        } else {
            Refusal::Silent
        };
        Colours::wanted(refused, |name| std::env::var(name).ok())
    }
}

/// A verb is a line here, `NAME(With file)`, in the order of the help, and a file with `Args` and `run`.
macro_rules! verbs {
    ($($verb:ident($options:ident $file:ident),)*) => {
        #[derive(Subcommand, Debug)]
        pub(crate) enum Verb {
            $($verb(Box<$options<$file::Args>>),)*
        }

        impl Verb {
            /// Does it. Returns the exit status.
            pub(crate) fn run(self) -> u8 {
                match self {
                    $(Verb::$verb(args) => args.run($file::run),)*
                }
            }
        }
    };
}

verbs! {
    Start(With start),
    Stop(With stop),
    Restart(With restart),
    Reload(With reload),
    Delete(With delete),
    Scale(With scale),
    List(With list),
    Describe(With describe),
    Monit(With monit),
    Logs(With logs),
    History(With history),
    Events(With events),
    Env(With env),
    Id(With id),
    Pid(With pid),
    Jobs(With jobs),
    Jlist(With jlist),
    Apply(With apply),
    Check(With check),
    Init(With init),
    Import(With import),
    StartOrRestart(With start_or_restart),
    StartOrReload(With start_or_reload),
    Save(With save),
    Resurrect(With resurrect),
    SendSignal(With send_signal),
    Send(With send),
    Reset(With reset),
    Flush(With flush),
    ReloadLogs(With reload_logs),
    Upgrade(With upgrade),
    Ping(With ping),
    Kill(With kill),
    Startup(With startup),
    Unstartup(With unstartup),
    Doctor(With doctor),
    Completion(With completion),
    Complete(Bare complete),
    Man(With man),
    Daemon(Bare daemon),
}

/// `daemon`, if nothing but its own options follows.
pub(crate) fn spare_daemon(words: impl Iterator<Item = OsString>) -> Option<Verb> {
    let own = daemon::Args::spare(words)?;
    Some(Verb::Daemon(Box::new(Bare { own })))
}
