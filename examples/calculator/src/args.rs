//! What the example can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Group, CommandFactory, Parser, Subcommand, error::ErrorKind, value_parser};

/// Where the page lies beside the source. An installed program is told with `--page`.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/page");

#[derive(Parser)]
#[command(
    about = "A WebSocket calculator: each message of a connection goes to the next worker",
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) serve: Serve,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Send expressions to a calculator that runs, one after the other, and print the replies.
    Talk(Talk),
}

#[derive(Clone, Group)]
pub(crate) struct Serve {
    /// Where to listen. Say it again for more.
    #[arg(long, value_name = "ADDRESS", default_value = "localhost:8001")]
    pub(crate) listen: Vec<String>,

    /// How many workers.
    #[arg(long, value_name = "N", default_value = "2", value_parser = value_parser!(u16).range(1..=256))]
    pub(crate) workers: u16,

    /// How many messages a worker serves before it is replaced; 0 = any number.
    #[arg(long, value_name = "N", default_value = "2")]
    pub(crate) max_jobs: u32,

    /// The time between the two replies to a message: 500ms, 1s.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    pub(crate) think: Duration,

    /// How long an expression may compute. One that takes longer costs its worker.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = time)]
    pub(crate) eval_limit: Duration,

    /// The directory of the page that browsers get.
    #[arg(long, value_name = "DIRECTORY", default_value = PAGE)]
    pub(crate) page: PathBuf,
}

#[derive(Group)]
pub(crate) struct Talk {
    /// The calculator's address.
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:8001")]
    pub(crate) address: String,

    /// How long to wait between a result and the next message.
    #[arg(long, value_name = "TIME", default_value = "700ms", value_parser = time)]
    pub(crate) pause: Duration,

    /// How long to wait for a reply.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub(crate) patience: Duration,

    /// What to send. [default: nine expressions]
    #[arg(value_name = "EXPRESSION")]
    pub(crate) expressions: Vec<String>,
}

impl Serve {
    /// Ends the process when there is no page. Asked once, at the start: a directory that vanishes
    /// later must not keep workers from starting.
    pub(crate) fn require_page(&self) {
        let index = self.page.join("index.html");
        if !index.is_file() {
            let index = index.display();
            refuse(&format!(
                "invalid value for '--page <DIRECTORY>': there is no {index} \
                 (the page is examples/calculator/page of the source)"
            ));
        }
    }
}

/// Ends the process as a wrong option does.
pub(crate) fn refuse(problem: &str) -> ! {
    Args::command()
        .error(ErrorKind::ValueValidation, problem)
        .exit()
}

fn time(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    // An hour is more than anybody waits for an answer; without a limit sums could overflow.
    match (number.parse::<u64>(), unit) {
        (Ok(number @ 1..=3_600_000), "ms") => Ok(Duration::from_millis(number)),
        (Ok(number @ 1..=3_600), "s") => Ok(Duration::from_secs(number)),
        _ => Err("use a number with a unit, up to an hour: 500ms, 1s".to_owned()),
    }
}
