//! What becomes of what the workers print.

use clap::ValueEnum;
use herder_api::Problem;
use herder_api::problem::ProblemKind;
use herder_api::units::{Period, Size};
use serde::Serialize;

use super::{Table, units};

/// What becomes of what the workers print.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Logs")]
pub(super) struct Logs {
    /// The file for stdout. [default: NAME-out.log in the daemon's logs/]
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,

    /// The file for stderr. [default: NAME-error.log]
    #[arg(short, long, value_name = "FILE")]
    error: Option<String>,

    /// One file for both.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["output", "error"])]
    log: Option<String>,

    /// Write the time before each line.
    #[arg(long)]
    time: bool,

    /// Write the time before each line in this form: YYYY-MM-DD HH:mm:ss Z, or as strftime has it.
    #[arg(long, value_name = "FORMAT", value_parser = units::time_format)]
    log_date_format: Option<String>,

    /// How lines are written: as they come, with the time, or as one JSON object each. [default: raw]
    #[arg(long, value_name = "TYPE", conflicts_with_all = ["time", "log_date_format"])]
    log_type: Option<LogType>,

    /// One file for all workers, which is the default.
    #[arg(long, alias = "combine-logs", conflicts_with = "log_files")]
    merge_logs: bool,

    /// One file for all workers, or one for each. [default: merged]
    #[arg(long, value_name = "WHICH", hide_short_help = true)]
    log_files: Option<LogFiles>,

    /// Write no log files.
    #[arg(long)]
    disable_logs: bool,

    /// Put a file away that is this large; 0 = never. [default: 64M]
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    log_rotate_size: Option<Size>,

    /// Put a file away that is this old; 0 = never. [default: never]
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    log_rotate_age: Option<Period>,

    /// How many files that were put away are kept. [default: 10]
    #[arg(long, value_name = "N", hide_short_help = true)]
    log_keep: Option<u32>,

    /// How many bytes all of them may have together. [default: 1G]
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    log_total_size: Option<Size>,

    /// What a worker does that prints faster than the disk writes: it waits, or lines are dropped and
    /// counted. [default: block]
    #[arg(long, value_name = "HOW", hide_short_help = true)]
    log_overflow: Option<Overflow>,
}

#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum LogType {
    Raw,
    Time,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum LogFiles {
    Merged,
    #[value(alias = "per_worker")]
    PerWorker,
}

#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Overflow {
    Block,
    Drop,
}

impl Logs {
    pub(super) fn fill(&self, table: &mut Table) -> Result<(), Problem> {
        let out = self.output.as_ref().or(self.log.as_ref());
        let error = self.error.as_ref().or(self.log.as_ref());
        let nowhere = |file: Option<&String>| {
            file.is_some_and(|file| matches!(file.as_str(), "/dev/null" | "NULL"))
        };
        if nowhere(out) != nowhere(error) {
            let message = "One of the two streams alone cannot be left out.";
            let place = if nowhere(out) { "--output" } else { "--error" };
            let hint = "--disable-logs leaves out both";
            return Err(Problem::new(ProblemKind::Invalid, message)
                .place(place)
                .hint(hint));
        }
        if self.disable_logs || nowhere(out) {
            table.put("logs.enabled", Some(false));
        } else {
            table.put("logs.out", out);
            table.put("logs.error", error);
        }
        table.put_if(
            self.time || self.log_date_format.is_some(),
            "logs.format",
            LogType::Time,
        );
        table.put("logs.time_format", self.log_date_format.as_ref());
        table.put("logs.format", self.log_type);
        table.put_if(self.merge_logs, "logs.files", LogFiles::Merged);
        table.put("logs.files", self.log_files);
        table.put("logs.rotate_size", self.log_rotate_size);
        table.put("logs.rotate_age", self.log_rotate_age);
        table.put("logs.keep", self.log_keep);
        table.put("logs.total_size", self.log_total_size);
        table.put("logs.overflow", self.log_overflow);
        Ok(())
    }
}
