//! `herder logs`

use herder_client::{LogQuery, LogStream};

use super::context::{Context, Format};
use super::{Failure, Outcome};
use crate::render::logs::{LogStyle, Prefix};

const AFTER_HELP: &str = "\
Lines that come later follow until it is interrupted, also over rotation of the files; with
--nostream they do not. A line has the app's name before it, and a mark: | for stdout, ! for stderr,
* for herder itself.";

/// Show what apps print.
#[derive(clap::Args, Debug)]
#[command(visible_alias = "log", after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Names, numbers, namespaces or /patterns/. [default: all]
    #[arg(value_name = "APP")]
    targets: Vec<String>,

    /// How many lines of what is there already, for each app and stream.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 15)]
    lines: u32,

    /// Follow: this is what happens anyway.
    #[arg(short, long, conflicts_with = "nostream")]
    follow: bool,

    /// Only what is there already.
    #[arg(long, visible_alias = "no-follow")]
    nostream: bool,

    /// Only stdout.
    #[arg(long, conflicts_with_all = ["err", "herder"])]
    out: bool,

    /// Only stderr.
    #[arg(long, conflicts_with = "herder")]
    err: bool,

    /// Only what herder says about the app.
    #[arg(long)]
    herder: bool,

    /// Only those of this slot, where it is known (with one file for each worker, or as JSON).
    #[arg(long, value_name = "N")]
    slot: Option<u16>,

    /// Only lines with this text in them.
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,

    /// Make this text visible.
    #[arg(long, value_name = "TEXT")]
    highlight: Option<String>,

    /// Nothing before the lines.
    #[arg(long)]
    raw: bool,

    /// The time before the lines, where it is known.
    #[arg(long, conflicts_with = "raw")]
    timestamp: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(show(args, context))
}

/// Follows apps that were just started.
pub(super) async fn attach(context: &Context, targets: Vec<String>) -> Outcome {
    let query = LogQuery {
        targets,
        lines: Some(0),
        follow: true,
        ..LogQuery::default()
    };
    follow(context, &query, LogStyle::new(Prefix::App, None)).await
}

async fn show(args: Args, context: &Context) -> Outcome {
    let stream = match (args.out, args.err, args.herder) {
        (true, _, _) => Some(LogStream::Out),
        (_, true, _) => Some(LogStream::Error),
        (_, _, true) => Some(LogStream::Herder),
        (false, false, false) => None,
    };
    let query = LogQuery {
        targets: args.targets,
        lines: Some(args.lines),
        follow: !args.nostream,
        stream,
        slot: args.slot,
        contains: args.grep.clone(),
    };
    let prefix = match (args.raw, args.timestamp) {
        (true, _) => Prefix::None,
        (false, true) => Prefix::AppAndTime,
        (false, false) => Prefix::App,
    };
    let style = LogStyle::new(prefix, args.highlight.or(args.grep));
    follow(context, &query, style).await
}

async fn follow(context: &Context, query: &LogQuery, mut style: LogStyle) -> Outcome {
    let mut lines = context.client().logs(query).await?;
    while let Some(line) = lines.next().await {
        let line = line.map_err(Failure::Daemon)?;
        match context.format {
            Format::Json => context.json(&line)?,
            Format::Text => {
                let text = style.line(&line, context.screen.out);
                context.screen.print(&text)?;
            }
        }
    }
    Ok(())
}
