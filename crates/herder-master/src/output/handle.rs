//! What the rest of the master holds.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
#[cfg(test)]
use std::sync::Weak;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use herder_core::Tick;
use herder_core::spec::AppName;
use herder_sys::wake::Wake;

use super::ear::{Ear, Overheard};
use super::narrator::Narrator;
use super::pipes::Pipes;
use super::queue::Queue;
use super::record::VerdictFile;
use super::sentence::Who;
use super::standard::Targets;
use crate::config::{Format, Observer};
use crate::event::{HerdEvent, WorkerInfo};
use crate::part::{Part, Process, ProcessId};

/// The output of one app: its events, and what its workers print.
///
/// Nothing here waits for whoever reads the output, except [`finish`](Output::finish), up to its
/// deadline. Dropping it ends its threads without waiting for them; what is still in the pipes may
/// then be lost.
pub(crate) struct Output {
    pipes: Arc<Pipes>,
    queue: Arc<Queue>,
    reading: Running,
    telling: Running,
}

impl Output {
    /// Starts the two threads.
    ///
    /// Workers' stdout goes to our stdout, their stderr and all events go to our stderr. The last verdict
    /// is found in a file, if one is named.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor or thread left.
    pub(crate) fn start(
        app: &AppName,
        format: Format,
        observer: Option<Observer>,
        verdicts: Option<PathBuf>,
    ) -> io::Result<Output> {
        let targets = Targets {
            verdicts: verdicts.map(VerdictFile::new),
            ..Targets::standard()?
        };
        Output::start_with(app, format, observer, targets)
    }

    /// Like [`start`](Output::start), but writes elsewhere.
    pub(super) fn start_with(
        app: &AppName,
        format: Format,
        observer: Option<Observer>,
        targets: Targets,
    ) -> io::Result<Output> {
        let queue = Arc::new(Queue::default());
        let pipes = Arc::new(Pipes::new(Arc::clone(&queue))?);
        let app = app.as_str().to_owned();
        let narrator = Narrator::new(app, format, observer, Arc::clone(&queue), targets);
        let telling = Running::start("herder-output", move || narrator.run())?;
        let reader = Arc::clone(&pipes);
        let reading =
            Running::start("herder-pipes", move || reader.run()).inspect_err(|_| queue.close())?;
        Ok(Output {
            pipes,
            queue,
            reading,
            telling,
        })
    }

    /// Passes on what `process` prints, once its start has been [told](Output::tell). The descriptors
    /// are the ends to read of pipes (or sockets) that this process alone holds; they become
    /// non-blocking.
    pub(crate) fn attach(&self, process: Process, stdout: OwnedFd, stderr: OwnedFd) {
        if let Err(error) = self.pipes.attach(process, [stdout, stderr]) {
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
        if let HerdEvent::Exited { worker, .. } = told {
            self.pipes.exited(of(worker));
        } else if let HerdEvent::Ready { worker, .. } = told {
            self.pipes.catch_up(of(worker));
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

    /// Passes on what a process prints that was started before this output was.
    pub(crate) fn go_on(&self, process: Process, stdout: OwnedFd, stderr: OwnedFd) {
        self.attach(process, stdout, stderr);
        self.watch(process);
    }

    pub(super) fn watch(&self, process: Process) {
        if let Err(error) = self.pipes.watch(process.id()) {
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
        self.pipes.last_lines(ProcessId { part, life })
    }

    /// Whether a process has printed nothing for this long, up to this moment. Who has closed its output
    /// is not judged.
    pub(crate) fn is_silent_for(&self, part: Part, life: u64, limit: Duration, now: Tick) -> bool {
        let part = part.number();
        self.pipes
            .is_silent_for(ProcessId { part, life }, limit, now)
    }

    /// Up to now, this process had no reason to print anything.
    pub(crate) fn excuse_silence(&self, part: Part, life: u64, now: Tick) {
        let part = part.number();
        self.pipes.excuse_silence(ProcessId { part, life }, now);
    }

    /// Opens the log files again, in a moment: somebody has renamed them. Gives how many they are. What
    /// goes wrong is told as a warning.
    pub(crate) fn reopen_logs(&self) -> u32 {
        0
    }

    /// Empties the log files, in a moment. Gives how many they are. What was put away stays.
    pub(crate) fn flush_logs(&self) -> u32 {
        0
    }

    /// Reads what is left in the pipes, tells everything and ends the threads. After `deadline` it
    /// gives up: whoever reads the output is stuck, and the end of the process ends the rest.
    pub(crate) fn finish(mut self, deadline: Duration) {
        self.settle(deadline);
    }

    /// As [`finish`](Output::finish), for a process that is about to become another.
    pub(crate) fn settle(&mut self, deadline: Duration) {
        let begin = Instant::now();
        self.pipes.end();
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
        (Arc::downgrade(&self.pipes), Arc::downgrade(&self.queue))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.pipes.end();
        self.queue.close();
    }
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
