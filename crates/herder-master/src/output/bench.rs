//! An output with both ends in a test's hand.

use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use herder_core::Exit;
use herder_core::supervisor::{Cause, DrainReason};
use herder_sys::pipe::pipe;

use super::custody::Streams;
use super::handle::Output;
use super::standard::{Target, Targets, Terminal};
use crate::config::{Format, Observer};
use crate::event::{HerdEvent, WorkerInfo};
use crate::part::{Part, Process};

pub(super) const ENOSPC: i32 = 28;

/// Far more than anything here takes.
pub(super) const LONG: Duration = Duration::from_secs(20);

pub(super) const WEB: WorkerInfo = WorkerInfo {
    slot: 0,
    id: 3,
    pid: 1234,
};

/// A disk with so much room and no more. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Disk(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    content: Vec<u8>,
    room: usize,
    /// Writing waits.
    stuck: bool,
}

impl Disk {
    pub(super) fn with_room(room: usize) -> Disk {
        let disk = Disk::default();
        disk.add_room(room);
        disk
    }

    pub(super) fn endless() -> Disk {
        Disk::with_room(usize::MAX)
    }

    pub(super) fn add_room(&self, room: usize) {
        let mut state = self.0.0.lock().unwrap();
        state.room = state.room.saturating_add(room);
    }

    pub(super) fn content(&self) -> String {
        String::from_utf8(self.0.0.lock().unwrap().content.clone()).unwrap()
    }

    pub(super) fn target(&self, name: &'static str) -> Target {
        Target {
            name,
            terminal: Terminal::No,
            writer: Box::new(self.clone()),
        }
    }

    pub(super) fn stick(&self, stuck: bool) {
        self.0.0.lock().unwrap().stuck = stuck;
        self.0.1.notify_all();
    }

    /// Waits until `text` stands here.
    pub(super) fn wait_for(&self, text: &str) {
        let (state, changed) = (self.0.0.lock().unwrap(), &self.0.1);
        let absent = |state: &mut State| !String::from_utf8_lossy(&state.content).contains(text);
        let (state, timeout) = changed.wait_timeout_while(state, LONG, absent).unwrap();
        let content = String::from_utf8_lossy(&state.content);
        assert!(!timeout.timed_out(), "no {text:?} in {content:?}");
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (state, changed) = (self.0.0.lock().unwrap(), &self.0.1);
        let mut state = changed.wait_while(state, |state| state.stuck).unwrap();
        let length = bytes.len().min(state.room);
        if length == 0 {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        state.room -= length;
        state.content.extend_from_slice(&bytes[..length]);
        changed.notify_all();
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output with both ends in the test's hand.
pub(super) struct Bench {
    pub(super) output: Output,
    pub(super) stdout: Disk,
    pub(super) stderr: Disk,
}

impl Bench {
    pub(super) fn start(format: Format, observer: Option<Observer>) -> Bench {
        let (stdout, stderr) = (Disk::endless(), Disk::endless());
        let targets = Targets {
            stdout: stdout.target("stdout"),
            stderr: stderr.target("stderr"),
            verdicts: None,
            marks: None,
            events: None,
        };
        let app = "web".parse().unwrap();
        let output = Output::start_with(&app, format, observer, targets).unwrap();
        Bench {
            output,
            stdout,
            stderr,
        }
    }

    /// Gives the ends that a worker would write to whose start was told.
    pub(super) fn attach(&self, info: WorkerInfo) -> (File, File) {
        let ends = self.attach_untold(info);
        let part = Part::Workers;
        self.output.watch(Process { part, info });
        ends
    }

    pub(super) fn attach_untold(&self, info: WorkerInfo) -> (File, File) {
        let (stdout, print) = pipe().unwrap();
        let (stderr, complain) = pipe().unwrap();
        let part = Part::Workers;
        let streams = Streams::new(stdout, stderr);
        self.output.attach(Process { part, info }, streams);
        (print.into(), complain.into())
    }

    pub(super) fn last_lines(&self, worker: u64) -> Vec<String> {
        self.output.last_lines(Part::Workers, worker)
    }

    pub(super) fn finish(self) -> (String, String) {
        let begin = Instant::now();
        self.output.finish(LONG);
        assert!(begin.elapsed() < LONG, "it ended by itself");
        (self.stdout.content(), self.stderr.content())
    }
}

pub(super) fn exited(worker: WorkerInfo) -> HerdEvent {
    HerdEvent::Exited {
        worker,
        exit: Exit::Code(0),
        cause: Cause::Planned(DrainReason::Stop),
    }
}

/// An observer that passes on what it is told.
pub(super) fn listener() -> (Option<Observer>, Receiver<HerdEvent>) {
    let (told, heard): (Sender<HerdEvent>, _) = channel();
    (
        Some(Box::new(move |event| told.send(event.clone()).unwrap())),
        heard,
    )
}

/// The sum of the lines that `events` call lost.
pub(super) fn lost(events: &Receiver<HerdEvent>) -> u64 {
    let mut sum = 0;
    for event in events.try_iter() {
        let HerdEvent::LinesDropped { lines, .. } = event else {
            panic!("{event:?}")
        };
        sum += lines;
    }
    sum
}
