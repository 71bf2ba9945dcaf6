//! `cargo run -p herder-e2e --bin faults`: a fault at every step of every operation, and a report of every cell.

mod args;

use args::Args;
use clap::Parser;
use herder_e2e::fault::{Matrix, Report, Result};
use herder_sys::pipe::pipe;
use herder_sys::signal::{Signal, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How much may be played again after this program was killed.
const WRITTEN_EACH: Duration = Duration::from_secs(5);

/// The report's file.
struct Paper {
    path: PathBuf,
    written: Mutex<Instant>,
}

impl Paper {
    /// The report that is there, if there is one.
    fn read(&self) -> io::Result<Report> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Report::default()),
            read => read?,
        };
        Report::read(&text).map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))
    }

    fn write(&self, report: &Report) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        fs::write(&fresh, report.text())?;
        fs::rename(fresh, &self.path)
    }

    /// Shows a result, and writes the report if that was long ago.
    fn note(&self, result: &Result, report: &Report) {
        // Who does not want to see it closes the pipe; the report is written all the same.
        let _unseen = writeln!(io::stdout(), "{}", result.fields().join("  "));
        let broken = result.broken.as_deref().and_then(|it| it.split_once('\n'));
        if let Some((_, lines)) = broken {
            let _unseen = writeln!(io::stdout(), "{lines}");
        }
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.elapsed() >= WRITTEN_EACH {
            *written = Instant::now();
            if let Err(error) = self.write(report) {
                let _unseen = writeln!(io::stderr(), "{}: {error}", self.path.display());
            }
        }
    }
}

fn main() -> io::Result<ExitCode> {
    let args = Args::parse();
    // Before there are other threads. What is started has them unblocked.
    let signals = SignalFd::block(&[Signal::Interrupt, Signal::Terminate])?;
    let paper = Paper {
        path: args.report.clone(),
        written: Mutex::new(Instant::now()),
    };
    let report = if args.continues {
        paper.read().map_err(|error| named(&paper.path, &error))?
    } else {
        Report::default()
    };
    let say = |result: &Result, report: &Report| paper.note(result, report);
    let matrix = Matrix::new(report, args.stride, &say);
    let (rows, jobs) = (args.rows(), args.jobs());
    let (over, is_over) = pipe()?;
    thread::scope(|scope| {
        scope.spawn(|| {
            matrix.play(&rows, jobs);
            drop(is_over);
        });
        wait_for_either(signals.as_fd(), over.as_fd());
        matrix.call_off();
    });
    let report = matrix.report();
    paper
        .write(&report)
        .map_err(|error| named(&paper.path, &error))?;
    let (cells, broken) = (report.len(), report.broken().count());
    let path = paper.path.display();
    writeln!(
        io::stdout(),
        "{}\n{cells} cells, {broken} broken; the report is {path}",
        report.summary()
    )?;
    let lacking = rows
        .iter()
        .filter(|row| report.lacks(row, 0, args.stride).is_some())
        .count();
    if lacking > 0 {
        writeln!(
            io::stdout(),
            "{lacking} of {} rows have more: --continue",
            rows.len()
        )?;
    }
    Ok(if broken == 0 && lacking == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Waits until one of them can be read, or is at its end.
fn wait_for_either(one: BorrowedFd<'_>, other: BorrowedFd<'_>) {
    let mut both = [one, other].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    while poll(&mut both, None) == Err(Errno::INTR) {}
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
