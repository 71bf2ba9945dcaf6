//! What is to be played.

use clap::Parser;
use herder_e2e::fault::{Cell, Operation, PROGRAMS, rows_of};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

/// Plays a fault at every step of every operation of a herd under load, and reports what became of each.
///
/// SIGINT or SIGTERM ends it when the cells that are being played have come to their end; --continue goes on.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Only these operations (may be repeated)
    #[arg(long, value_name = "NAME", value_parser = Operation::ALL.map(Operation::name))]
    operation: Vec<String>,
    /// Only these programs (may be repeated)
    #[arg(long, value_name = "NAME", value_parser = ["native", "node", "python", "shared"])]
    program: Vec<String>,
    /// Only deeds with this in their name, as the report has them (may be repeated)
    #[arg(long, value_name = "WORD")]
    deed: Vec<String>,
    /// Only every N-th step
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) stride: u64,
    /// How many cells are played at once [default: twice as many as there are processors]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Goes on with the report that is there: what it lacks is played, and what is broken in it again
    #[arg(long = "continue")]
    pub(crate) continues: bool,
    /// Where the report goes
    #[arg(long, default_value = "faults.md", value_name = "FILE")]
    pub(crate) report: PathBuf,
}

impl Args {
    /// The rows of the matrix that are wanted.
    pub(crate) fn rows(&self) -> Vec<Cell> {
        let rows = PROGRAMS.into_iter().flat_map(rows_of);
        rows.filter(|row| self.wants(row)).collect()
    }

    /// How many cells are played at once: most of a cell is waiting.
    pub(crate) fn jobs(&self) -> usize {
        let processors = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.jobs
            .map_or_else(|| 2 * processors(), NonZeroUsize::get)
    }

    fn wants(&self, row: &Cell) -> bool {
        let any = |wanted: &[String], is: &dyn Fn(&str) -> bool| {
            wanted.is_empty() || wanted.iter().any(|wanted| is(wanted))
        };
        let deed = row.deed.to_string();
        // `shared` is shown with its kind before it.
        any(&self.program, &|wanted| {
            row.program.name().ends_with(wanted)
        }) && any(&self.operation, &|wanted| wanted == row.operation.name())
            && any(&self.deed, &|wanted| deed.contains(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn args(words: &[&str]) -> Args {
        let words = ["faults"].iter().chain(words);
        Args::try_parse_from(words).expect("they are right")
    }

    #[test]
    fn everything_is_played_unless_said_otherwise() {
        Args::command().debug_assert();
        let args = args(&[]);
        let all: Vec<Cell> = PROGRAMS.into_iter().flat_map(rows_of).collect();
        assert_eq!(args.rows(), all);
        assert_eq!((args.stride, args.continues), (1, false));
        assert!(args.jobs() >= 2);
    }

    #[test]
    fn rows_are_chosen_by_program_operation_and_deed() {
        let words = [
            "--program",
            "shared",
            "--operation",
            "spawn",
            "--operation",
            "reload",
        ];
        let rows = args(&[&words[..], &["--deed", "keeper", "--jobs", "3"]].concat()).rows();
        assert_eq!(rows.len(), 2 * 2 * 2);
        for row in rows {
            assert_eq!(row.program.name(), "native, shared");
            assert!(row.deed.to_string().starts_with("keeper"), "{row}");
        }
        let native = args(&["--program", "native", "--jobs", "3"]);
        assert!(
            native
                .rows()
                .iter()
                .all(|row| row.program.name() == "native")
        );
        assert_eq!(native.jobs(), 3);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (words, kind) in [
            (["--jobs", "0"], ErrorKind::ValueValidation),
            (["--stride", "0"], ErrorKind::ValueValidation),
            (["--program", "ruby"], ErrorKind::InvalidValue),
            (["--operation", "sleep"], ErrorKind::InvalidValue),
        ] {
            let refused = Args::try_parse_from(["faults"].iter().chain(&words));
            assert_eq!(refused.expect_err("it is wrong").kind(), kind, "{words:?}");
        }
    }
}
