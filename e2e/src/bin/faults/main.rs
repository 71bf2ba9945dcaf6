//! `cargo run -p herder-e2e --bin faults`: a fault at every step of every operation, and a report of every cell.

use clap::Parser;
use herder_e2e::deploy::Program;
use herder_e2e::fault::{Cell, Matrix, Operation, Result, rows_of};
use herder_e2e::interpreter::Node;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Plays a fault at every step of every operation of a herd under load, and reports what became of each.
#[derive(Debug, Parser)]
struct Options {
    /// Only these operations (may be repeated)
    #[arg(long, value_name = "NAME", value_parser = Operation::ALL.map(Operation::name))]
    operation: Vec<String>,
    /// Only these programs (may be repeated)
    #[arg(long, value_name = "NAME", value_parser = PROGRAMS.map(|(name, _)| name))]
    program: Vec<String>,
    /// Only deeds with this in their name, as the report has them (may be repeated)
    #[arg(long, value_name = "WORD")]
    deed: Vec<String>,
    /// Only every N-th step
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    stride: u64,
    /// Where the report goes
    #[arg(long, default_value = "faults.md", value_name = "FILE")]
    report: PathBuf,
}

const PROGRAMS: [(&str, Program); 4] = [
    ("native", Program::Native),
    ("node", Program::Node(Node::Version(20))),
    ("python", Program::Python),
    ("shared", Program::NativeShared),
];

impl Options {
    fn wants(&self, name: &str, row: &Cell) -> bool {
        let any = |wanted: &[String], is: &dyn Fn(&str) -> bool| {
            wanted.is_empty() || wanted.iter().any(|wanted| is(wanted))
        };
        let deed = row.deed.to_string();
        any(&self.program, &|wanted| wanted == name)
            && any(&self.operation, &|wanted| wanted == row.operation.name())
            && any(&self.deed, &|wanted| deed.contains(wanted))
    }
}

fn main() -> io::Result<ExitCode> {
    let options = Options::parse();
    let mut matrix = Matrix::default();
    let mut say = |result: &Result| {
        // Who does not want to see it closes the pipe; the report is written all the same.
        let _unseen = writeln!(io::stdout(), "{}", result.fields().join("  "));
        let broken = result.broken.as_deref().and_then(|it| it.split_once('\n'));
        if let Some((_, lines)) = broken {
            let _unseen = writeln!(io::stdout(), "{lines}");
        }
    };
    for (name, program) in PROGRAMS {
        for row in rows_of(program) {
            if options.wants(name, &row) {
                matrix.play_row(row, options.stride, &mut say);
                fs::write(&options.report, matrix.report())?;
            }
        }
    }
    let broken = matrix.broken().count();
    let cells = matrix.results.len();
    writeln!(
        io::stdout(),
        "{cells} cells, {broken} broken; the report is {}",
        options.report.display()
    )?;
    Ok(if broken == 0 && cells > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
