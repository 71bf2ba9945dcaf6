//! `herder logs`

use herder_client::{LogQuery, LogStream};

use super::Outcome;
use super::again::{Again, Sequel};
use super::context::Context;
use crate::render::Format;
use crate::render::logs::{LogStyle, Prefix};

/// The stream of what is no line, but says up to where files have been told.
const MARKS: &str = "marks";

/// The longest marks that are sent, in bytes: a request has its limits.
const LONGEST: usize = 48 << 10;

const AFTER_HELP: &str = "\
Lines that come later follow until it is interrupted, also over rotation of the files and over the
death or upgrade of the daemon; with --nostream they do not. A line has the app's name before it,
and a mark: | for stdout, ! for stderr, * for herder itself.";

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

    /// Go on with lines that come later, which is what happens anyway.
    #[arg(short, long, conflicts_with = "nostream")]
    follow: bool,

    /// Show what is there already, and end.
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

    /// Paint this text, where there are colours.
    #[arg(long, value_name = "TEXT")]
    highlight: Option<String>,

    /// The lines as they were printed, with nothing before them.
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
        ..LogQuery::default()
    };
    let prefix = match (args.raw, args.timestamp) {
        (true, _) => Prefix::None,
        (false, true) => Prefix::AppAndTime,
        (false, false) => Prefix::App,
    };
    let style = LogStyle::new(prefix, args.highlight.or(args.grep));
    follow(context, &query, style).await
}

/// Shows lines. Those that follow go on with the next daemon where this one has ended.
async fn follow(context: &Context, query: &LogQuery, mut style: LogStyle) -> Outcome {
    let mut query = query.clone();
    query.marks = query.follow;
    let mut lines = context.client().logs(&query).await?;
    let mut again = Again::new();
    loop {
        let broken = loop {
            match lines.next().await {
                None => break None,
                Some(Err(error)) => break Some(error),
                Some(Ok(line)) if line.stream == MARKS => query.from = Some(line.line),
                Some(Ok(line)) => match context.format {
                    Format::Json => context.json(&line)?,
                    Format::Text => {
                        let text = style.line(&line, context.screen.out);
                        context.screen.print(&text)?;
                    }
                },
            }
        };
        if !query.follow {
            return broken.map_or(Ok(()), |error| Err(error.into()));
        }
        if again.wait(broken, context).await? == Sequel::End {
            return Ok(());
        }
        // Of more files than a request can name, what came meanwhile is left out.
        query.from = query.from.filter(|marks| marks.len() <= LONGEST);
        query.lines = Some(0);
        lines = context.client_as_is().logs(&query).await?;
    }
}
