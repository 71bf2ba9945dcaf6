//! What the rest of the master holds.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
#[cfg(test)]
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use herder_core::Tick;
use herder_core::spec::AppName;
use herder_logs::Settings;
use herder_sys::wake::Wake;

use super::custody::{Filing, Streams};
use super::ear::{Ear, Overheard};
use super::event_file::EventFile;
use super::files::Files;
use super::narrator::Narrator;
use super::pipes::Pipes;
use super::queue::{Queue, Ruled};
use super::record::VerdictFile;
use super::sentence::Who;
use super::standard::Targets;
use crate::config::{Format, Observer};
use crate::estate::{Marks, Vault};
use crate::event::{HerdEvent, WorkerInfo};
use crate::part::{Part, Process, ProcessId};
use crate::verdict::Verdict;

/// The output of one app: its events, and what its workers print.
///
/// Nothing here waits for whoever reads the output, except [`finish`](Output::finish), up to its
/// deadline. Dropping it ends its threads without waiting for them; what is still in the pipes may
/// then be lost.
pub(crate) struct Output {
    intake: Intake,
    /// The file of events is to be opened again.
    reopen_events: Arc<AtomicBool>,
    queue: Arc<Queue>,
    reading: Running,
    telling: Running,
}

/// Who takes what the workers print.
enum Intake {
    /// It goes to files.
    Filed(Arc<Files>),
    /// It goes to the narrator.
    Told(Arc<Pipes>),
}

/// The files of a herd that its output is written to.
pub(crate) struct Places {
    /// For the last verdict.
    pub(crate) verdicts: Option<PathBuf>,
    /// For what the workers print; `None` = our stdout and stderr.
    pub(crate) logs: Option<Settings>,
    /// For events.
    pub(crate) events: Option<PathBuf>,
    /// Where it is marked which verdicts were told.
    pub(crate) marks: Marks,
    /// Where the next master finds what is on its way into a file.
    pub(crate) vault: Vault,
}

impl Output {
    /// Starts the two threads.
    ///
    /// Workers' stdout goes to our stdout and their stderr to our stderr, or both to files; all events go
    /// to our stderr, and to a file, if one is named, as does the last verdict.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor or thread left.
    pub(crate) fn start(
        app: &AppName,
        format: Format,
        observer: Option<Observer>,
        places: Places,
    ) -> io::Result<Output> {
        let reopen = Arc::new(AtomicBool::new(false));
        let events = places.events.as_deref();
        let targets = Targets {
            verdicts: places.verdicts.map(VerdictFile::new),
            events: events.map(|path| EventFile::target(path, Arc::clone(&reopen))),
            marks: Some(places.marks),
            ..Targets::standard()?
        };
        let teller = Teller {
            app: app.as_str().to_owned(),
            format,
            observer,
        };
        let vault = Some(places.vault);
        let filing = places.logs.map(|settings| Filing { settings, vault });
        let mut output = Output::put_together(teller, targets, filing)?;
        output.reopen_events = reopen;
        Ok(output)
    }

    /// Like [`start`](Output::start), but writes elsewhere.
    #[cfg(test)]
    pub(super) fn start_with(
        app: &AppName,
        format: Format,
        observer: Option<Observer>,
        targets: Targets,
    ) -> io::Result<Output> {
        let teller = Teller {
            app: app.as_str().to_owned(),
            format,
            observer,
        };
        Output::put_together(teller, targets, None)
    }

    pub(super) fn put_together(
        teller: Teller,
        targets: Targets,
        logs: Option<Filing>,
    ) -> io::Result<Output> {
        let queue = Arc::new(Queue::default());
        let intake = match logs {
            None => Intake::Told(Arc::new(Pipes::new(Arc::clone(&queue))?)),
            Some(logs) => Intake::Filed(Arc::new(Files::new(logs, Arc::clone(&queue))?)),
        };
        let Teller {
            app,
            format,
            observer,
        } = teller;
        let narrator = Narrator::new(app, format, observer, Arc::clone(&queue), targets);
        let telling = Running::start("herder-output", move || narrator.run())?;
        let reading = match &intake {
            Intake::Filed(files) => {
                let files = Arc::clone(files);
                Running::start("herder-pipes", move || files.run())
            }
            Intake::Told(pipes) => {
                let pipes = Arc::clone(pipes);
                Running::start("herder-pipes", move || pipes.run())
            }
        }
        .inspect_err(|_| queue.close())?;
        Ok(Output {
            intake,
            reopen_events: Arc::default(),
            queue,
            reading,
            telling,
        })
    }

    /// Passes on what `process` prints, once its start has been [told](Output::tell). The descriptors
    /// are the ends to read of pipes (or sockets) that this process alone holds; they become
    /// non-blocking.
    pub(crate) fn attach(&self, process: Process, streams: Streams) {
        let attached = match &self.intake {
            Intake::Filed(files) => files.attach(process, streams),
            Intake::Told(pipes) => pipes.attach(process, streams),
        };
        if let Err(error) = attached {
            self.unreadable(process, &error);
        }
    }

    /// Tells an event, in the order of the calls. That a process is started stands before all that it
    /// prints; that it is ready, or has ended, after what it has printed before.
    pub(crate) fn tell(&self, event: HerdEvent) {
        let (part, told) = Part::told(&event);
        let of = |worker: &WorkerInfo| ProcessId {
            part: part.number(),
            life: worker.id,
        };
        match &self.intake {
            Intake::Filed(files) => {
                if let HerdEvent::Exited { worker, .. } = told {
                    files.exited(of(worker));
                }
            }
            Intake::Told(pipes) => {
                if let HerdEvent::Exited { worker, .. } = told {
                    pipes.exited(of(worker));
                } else if let HerdEvent::Ready { worker, .. } = told {
                    pipes.catch_up(of(worker));
                }
            }
        }
        let started = if let HerdEvent::Forked { worker } = told {
            let info = *worker;
            Some(Process { part, info })
        } else {
            None
        };
        self.queue.tell(event);
        if let Some(process) = started {
            self.watch(process);
        }
    }

    /// Tells the event that this verdict is, and writes it to its file. When everybody has it who can, that is
    /// marked for the next master. `number`: which verdict of this herd it is.
    pub(crate) fn rule(&self, event: HerdEvent, verdict: Verdict, number: u64) {
        self.queue.rule(Ruled {
            event,
            verdict,
            number,
        });
    }

    /// Passes on what a process prints that was started before this output was.
    pub(crate) fn go_on(&self, process: Process, streams: Streams) {
        self.attach(process, streams);
        self.watch(process);
    }

    pub(super) fn watch(&self, process: Process) {
        // What goes to files needs no place among the events, so it is read from the beginning on.
        if let Intake::Told(pipes) = &self.intake
            && let Err(error) = pipes.watch(process.id())
        {
            self.unreadable(process, &error);
        }
    }

    fn unreadable(&self, process: Process, error: &io::Error) {
        let text = format!("the output of {} cannot be read: {error}", Who(process));
        self.queue.tell(HerdEvent::Warning { text });
    }

    /// From now on events are [overheard](Output::overheard), and `bell` is rung for each.
    pub(crate) fn listen_in(&self, bell: Arc<Wake>) {
        self.queue.overhear(|ear| ear.open(bell));
    }

    /// Nobody listens any more.
    pub(crate) fn stop_listening(&self) {
        self.queue.overhear(Ear::close);
    }

    /// The events since this was asked last.
    pub(crate) fn overheard(&self) -> Vec<Overheard> {
        self.queue.overhear(Ear::take)
    }

    /// Up to 20 of the last lines that a process has printed up to this moment, on both streams, of
    /// any length up to 1 KiB. They are as the process wrote them: escape them before they are
    /// shown. Kept for every living process and for the 64 that ended last. A process is named by
    /// its part and its life.
    pub(crate) fn last_lines(&self, part: Part, life: u64) -> Vec<String> {
        let part = part.number();
        let process = ProcessId { part, life };
        match &self.intake {
            Intake::Filed(files) => files.last_lines(process),
            Intake::Told(pipes) => pipes.last_lines(process),
        }
    }

    /// Whether a process has printed nothing for this long, up to this moment. Who has closed its output
    /// is not judged.
    pub(crate) fn is_silent_for(&self, part: Part, life: u64, limit: Duration, now: Tick) -> bool {
        let part = part.number();
        let process = ProcessId { part, life };
        match &self.intake {
            Intake::Filed(files) => files.is_silent_for(process, limit, now),
            Intake::Told(pipes) => pipes.is_silent_for(process, limit, now),
        }
    }

    /// Up to now, this process had no reason to print anything.
    pub(crate) fn excuse_silence(&self, part: Part, life: u64, now: Tick) {
        let part = part.number();
        let process = ProcessId { part, life };
        match &self.intake {
            Intake::Filed(files) => files.excuse_silence(process, now),
            Intake::Told(pipes) => pipes.excuse_silence(process, now),
        }
    }

    /// Opens the log files again, in a moment: somebody has renamed them. Gives how many they are. What
    /// goes wrong is told as a warning.
    pub(crate) fn reopen_logs(&self) -> u32 {
        self.reopen_events.store(true, Ordering::Relaxed);
        match &self.intake {
            Intake::Filed(files) => files.reopen(),
            Intake::Told(_) => 0,
        }
    }

    /// Empties the log files, in a moment. Gives how many they are. What was put away stays, and so does
    /// the file of events: it is the herd's history.
    pub(crate) fn flush_logs(&self) -> u32 {
        match &self.intake {
            Intake::Filed(files) => files.empty(),
            Intake::Told(_) => 0,
        }
    }

    /// Reads what is left in the pipes, tells everything and ends the threads. After `deadline` it
    /// gives up: whoever reads the output is stuck, and the end of the process ends the rest.
    pub(crate) fn finish(mut self, deadline: Duration) {
        self.settle(deadline);
    }

    /// As [`finish`](Output::finish), for a process that is about to become another.
    pub(crate) fn settle(&mut self, deadline: Duration) {
        let begin = Instant::now();
        self.intake.end();
        self.reading.wait(deadline);
        self.queue.close();
        self.telling.wait(deadline.saturating_sub(begin.elapsed()));
    }

    /// Memory of all lines that wait, in bytes.
    #[cfg(test)]
    pub(super) fn queued_line_bytes(&self) -> usize {
        self.queue.line_bytes()
    }

    /// What the threads share, to see that it is gone at the end.
    #[cfg(test)]
    pub(super) fn parts(&self) -> (Weak<Pipes>, Weak<Queue>) {
        let pipes = match &self.intake {
            Intake::Filed(_) => Weak::new(),
            Intake::Told(pipes) => Arc::downgrade(pipes),
        };
        (pipes, Arc::downgrade(&self.queue))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.intake.end();
        self.queue.close();
    }
}

impl Intake {
    fn end(&self) {
        match self {
            Intake::Filed(files) => files.end(),
            Intake::Told(pipes) => pipes.end(),
        }
    }
}

/// Who tells the events, and how.
pub(super) struct Teller {
    pub(super) app: String,
    pub(super) format: Format,
    pub(super) observer: Option<Observer>,
}

/// A thread whose end can be waited for with a deadline.
struct Running {
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the thread is about to end, however it does.
    done: Receiver<()>,
}

impl Running {
    fn start(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Running> {
        let (alive, done) = channel();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _alive = alive;
                body();
            })?;
        Ok(Running {
            thread: Some(thread),
            done,
        })
    }

    fn wait(&mut self, timeout: Duration) {
        if self.done.recv_timeout(timeout) == Err(RecvTimeoutError::Disconnected)
            && let Some(thread) = self.thread.take()
        {
            // A panic in it was printed by the panic hook; there is nobody left to tell.
            let _panicked = thread.join();
        }
    }
}
