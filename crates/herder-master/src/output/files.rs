//! The workers' lines, when they go to files.
//!
//! One thread moves them from the pipes to the files; nothing of them passes through the queue and the
//! narrator. It may wait for the disk, and with it those who print (if that was asked for), but nobody
//! else: what the others want of it they post, and only the last lines of a process are waited for, and
//! not for long.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use herder_core::Tick;
use herder_logs::{Desk, News, Printer, Pumped};
use herder_sys::clock;
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::fd::{Blocking, set_blocking};
use herder_sys::wake::Wake;

use super::custody::{Custody, Filing, Streams};
use super::pipes::KEPT;
use super::queue::{Queue, Stream, lost_lines};
use super::sentence::Who;
use crate::event::HerdEvent;
use crate::part::{Part, Process, ProcessId};

/// How long a question about the last lines waits for the disk.
const ANSWER: Duration = Duration::from_millis(500);

/// How much is taken from one pipe on behalf of a report, even if its writers go on.
const REPORT: usize = 1024 * 1024;

/// How long to wait before somebody who has to wait is tried again, when nothing else is known.
const AGAIN: Duration = Duration::from_millis(50);

const BELL: u64 = u64::MAX;
const PART_SHIFT: u32 = 55;

const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

/// What the rest of the master holds of the thread.
pub(super) struct Files {
    bell: Wake,
    wishes: Mutex<Vec<Wish>>,
    /// How many files are open.
    count: AtomicU32,
    queue: Arc<Queue>,
    /// Of whom the thread speaks.
    names: Arc<Mutex<BTreeMap<u64, Process>>>,
    heard: Mutex<BTreeMap<ProcessId, Arc<Heard>>>,
    filing: Filing,
}

/// What a process was heard of.
struct Heard {
    /// When it printed something last, or was here first, in microseconds of the monotonic clock.
    at: AtomicU64,
    /// It may still print something.
    open: AtomicBool,
}

impl Heard {
    fn of_now(&self) {
        let now = clock::monotonic_micros();
        self.at.fetch_max(now, Ordering::Relaxed);
    }

    fn is_silent_for(&self, limit: Duration, now: Tick) -> bool {
        let at = Tick::from_micros(self.at.load(Ordering::Relaxed));
        self.open.load(Ordering::Relaxed) && now.since(at) >= limit
    }
}

enum Wish {
    Attach(Process, Streams, Arc<Heard>),
    Exited(ProcessId),
    LastLines(ProcessId, Sender<Vec<String>>),
    Reopen,
    Empty,
    End,
}

impl Files {
    /// No pipes yet.
    ///
    /// # Errors
    ///
    /// When no descriptor is left.
    pub(super) fn new(filing: Filing, queue: Arc<Queue>) -> io::Result<Files> {
        Ok(Files {
            bell: Wake::new()?,
            wishes: Mutex::default(),
            count: AtomicU32::new(0),
            queue,
            names: Arc::default(),
            heard: Mutex::default(),
            filing,
        })
    }

    /// Has what `process` prints written, from now on.
    ///
    /// # Errors
    ///
    /// When the pipes cannot be made non-blocking. They are closed then.
    pub(super) fn attach(&self, process: Process, streams: Streams) -> io::Result<()> {
        for pipe in &streams.pipes {
            set_blocking(pipe.as_fd(), Blocking::No)?;
        }
        let heard = Arc::new(Heard {
            at: AtomicU64::new(0),
            open: AtomicBool::new(true),
        });
        heard.of_now();
        lock(&self.heard).insert(process.id(), Arc::clone(&heard));
        self.wish(Wish::Attach(process, streams, heard));
        Ok(())
    }

    /// The process is gone. Its children may still print.
    pub(super) fn exited(&self, process: ProcessId) {
        self.wish(Wish::Exited(process));
    }

    /// The last lines that the process printed, up to this moment; none when the disk is stuck.
    pub(super) fn last_lines(&self, process: ProcessId) -> Vec<String> {
        let (answer, answered) = channel();
        self.wish(Wish::LastLines(process, answer));
        answered.recv_timeout(ANSWER).unwrap_or_default()
    }

    /// Whether a process has printed nothing for this long. Who has closed its output is not heard, and
    /// not judged; neither is anybody while the disk is stuck.
    pub(super) fn is_silent_for(&self, process: ProcessId, limit: Duration, now: Tick) -> bool {
        let heard = lock(&self.heard).get(&process).cloned();
        let Some(heard) = heard.filter(|it| it.is_silent_for(limit, now)) else {
            return false;
        };
        // What it has printed may lie unread.
        let (answer, answered) = channel();
        self.wish(Wish::LastLines(process, answer));
        answered.recv_timeout(ANSWER).is_ok() && heard.is_silent_for(limit, now)
    }

    /// Its silence up to now does not count.
    pub(super) fn excuse_silence(&self, process: ProcessId, now: Tick) {
        if let Some(heard) = lock(&self.heard).get(&process) {
            heard.at.fetch_max(now.as_micros(), Ordering::Relaxed);
        }
    }

    /// Opens the files again. Gives how many they are.
    pub(super) fn reopen(&self) -> u32 {
        self.wish(Wish::Reopen);
        self.count.load(Ordering::Relaxed)
    }

    /// Empties the files. Gives how many they are.
    pub(super) fn empty(&self) -> u32 {
        self.wish(Wish::Empty);
        self.count.load(Ordering::Relaxed)
    }

    /// Asks the thread to write what is left and to end.
    pub(super) fn end(&self) {
        self.wish(Wish::End);
    }

    fn wish(&self, wish: Wish) {
        lock(&self.wishes).push(wish);
        self.bell.wake();
    }

    /// The body of the thread.
    pub(super) fn run(&self) {
        if let Err(error) = Mover::new(self).and_then(Mover::run) {
            let text = format!("the workers' output can no longer be read: {error}");
            self.queue.tell(HerdEvent::Warning { text });
        }
    }
}

/// The thread's own.
struct Mover<'a> {
    shared: &'a Files,
    epoll: Epoll,
    desk: Desk,
    pipes: BTreeMap<ProcessId, Pipes>,
    /// Those in which there may be something; each once.
    ready: VecDeque<(ProcessId, Stream)>,
    ending: bool,
}

struct Pipes {
    /// `None` after the end of the stream.
    open: [Option<OwnedFd>; 2],
    is_ready: [bool; 2],
    exited: bool,
    heard: Arc<Heard>,
}

impl<'a> Mover<'a> {
    fn new(shared: &'a Files) -> io::Result<Mover<'a>> {
        let epoll = Epoll::new()?;
        epoll.add(shared.bell.as_fd(), BELL, Interest::READABLE)?;
        let (queue, names) = (Arc::clone(&shared.queue), Arc::clone(&shared.names));
        let tell = move |news| {
            if let Some(event) = event(&lock(&names), news) {
                queue.tell(event);
            }
        };
        let mut desk = Desk::new(shared.filing.settings.clone(), Arc::new(tell))?;
        if let Some(vault) = shared.filing.vault.clone() {
            let names = Arc::clone(&shared.names);
            desk.be_kept_by(Box::new(Custody { vault, names }));
        }
        Ok(Mover {
            shared,
            epoll,
            desk,
            pipes: BTreeMap::new(),
            ready: VecDeque::new(),
            ending: false,
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(64);
        while !self.ending {
            let timeout = self.turns();
            self.epoll.wait(&mut events, timeout)?;
            for event in events.iter() {
                if event.token == BELL {
                    self.shared.bell.clear();
                } else {
                    self.wake(owner(event.token), stream(event.token));
                }
            }
            self.grant();
            if self.desk.deadline().is_some_and(|at| at <= Instant::now()) {
                self.desk.tick();
            }
        }
        for process in self.pipes.keys().copied().collect::<Vec<_>>() {
            self.drain(process);
        }
        self.desk.finish();
        Ok(())
    }

    /// Each that is ready has a turn. Gives how long the next event may be waited for.
    fn turns(&mut self) -> Option<Duration> {
        let mut waiting = 0;
        for _ in 0..self.ready.len() {
            let Some((process, stream)) = self.ready.pop_front() else {
                break;
            };
            match self.turn(process, stream) {
                Pumped::Empty | Pumped::Ended => self.rest(process, stream),
                Pumped::Moved(_) => self.ready.push_back((process, stream)),
                Pumped::Waits => {
                    waiting += 1;
                    self.ready.push_back((process, stream));
                }
            }
        }
        if self.ready.len() > waiting {
            return Some(Duration::ZERO);
        }
        let deadline = self.desk.deadline();
        let until = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        if waiting > 0 {
            return Some(until.unwrap_or(AGAIN).min(AGAIN));
        }
        until
    }

    fn turn(&mut self, process: ProcessId, stream: Stream) -> Pumped {
        let Some(pipes) = self.pipes.get_mut(&process) else {
            return Pumped::Ended;
        };
        let Some(pipe) = &pipes.open[place(stream)] else {
            return Pumped::Ended;
        };
        let pumped = self.desk.pump(number(process), of(stream), pipe.as_fd());
        match pumped {
            Pumped::Ended => self.close(process, stream),
            // Who waits has printed something.
            Pumped::Moved(_) | Pumped::Waits => pipes.heard.of_now(),
            Pumped::Empty => {}
        }
        pumped
    }

    fn rest(&mut self, process: ProcessId, stream: Stream) {
        if let Some(pipes) = self.pipes.get_mut(&process) {
            pipes.is_ready[place(stream)] = false;
        }
    }

    fn wake(&mut self, process: ProcessId, stream: Stream) {
        if let Some(pipes) = self.pipes.get_mut(&process)
            && !std::mem::replace(&mut pipes.is_ready[place(stream)], true)
        {
            self.ready.push_back((process, stream));
        }
    }

    fn grant(&mut self) {
        let wishes = std::mem::take(&mut *lock(&self.shared.wishes));
        for wish in wishes {
            match wish {
                Wish::Attach(process, streams, heard) => self.attach(process, streams, heard),
                Wish::Exited(process) => {
                    self.drain(process);
                    self.desk.exited(number(process));
                    if let Some(pipes) = self.pipes.get_mut(&process) {
                        pipes.exited = true;
                        pipes.heard.open.store(false, Ordering::Relaxed);
                    }
                    self.prune();
                }
                Wish::LastLines(process, answer) => {
                    self.drain(process);
                    // Whoever asked may have given up.
                    let _given_up = answer.send(self.desk.last_lines(number(process)));
                }
                Wish::Reopen => self.desk.reopen(),
                Wish::Empty => self.desk.empty(),
                Wish::End => self.ending = true,
            }
        }
    }

    fn attach(&mut self, process: Process, streams: Streams, heard: Arc<Heard>) {
        let id = process.id();
        lock(&self.shared.names).insert(number(id), process);
        self.desk.attach(printer(process));
        let count = u32::try_from(self.desk.files()).unwrap_or(u32::MAX);
        self.shared.count.store(count, Ordering::Relaxed);
        self.pipes.insert(
            id,
            Pipes {
                open: streams.pipes.map(Some),
                is_ready: [false; 2],
                exited: false,
                heard,
            },
        );
        for stream in STREAMS {
            if let Err(error) = self.watch(id, stream) {
                let text = format!("the output of {} cannot be read: {error}", Who(process));
                self.shared.queue.tell(HerdEvent::Warning { text });
                self.close(id, stream);
            }
        }
        self.go_on(process, streams.landings);
    }

    /// What an earlier master had taken and not written comes first.
    fn go_on(&mut self, process: Process, landings: [Option<OwnedFd>; 2]) {
        for (stream, landing) in STREAMS.into_iter().zip(landings) {
            let Some(landing) = landing else {
                continue;
            };
            let id = process.id();
            if let Err(error) = self.desk.go_on(number(id), of(stream), landing) {
                let text = format!("some of the output of {} is lost: {error}", Who(process));
                self.shared.queue.tell(HerdEvent::Warning { text });
            }
            // Though nothing may ever come after it.
            self.wake(id, stream);
        }
    }

    fn watch(&self, process: ProcessId, stream: Stream) -> io::Result<()> {
        let pipes = self.pipes.get(&process);
        let Some(pipe) = pipes.and_then(|it| it.open[place(stream)].as_ref()) else {
            return Ok(());
        };
        let token = number(process) * 2 + place(stream) as u64;
        let interest = Interest::READABLE | Interest::EDGE;
        self.epoll.add(pipe.as_fd(), token, interest)
    }

    /// Takes all that both streams hold at this moment.
    fn drain(&mut self, process: ProcessId) {
        for stream in STREAMS {
            let (mut taken, begin) = (0, Instant::now());
            while taken < REPORT && begin.elapsed() < ANSWER {
                match self.turn(process, stream) {
                    Pumped::Moved(more) => taken += more,
                    Pumped::Empty | Pumped::Ended => break,
                    // Somebody else is within a line. That ends soon.
                    Pumped::Waits => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        }
    }

    /// Closes a pipe. It is taken off the list first: a child that is just being launched may hold a
    /// duplicate for a moment, and the kernel watches the open file, not the number.
    fn close(&mut self, process: ProcessId, stream: Stream) {
        let Some(pipes) = self.pipes.get_mut(&process) else {
            return;
        };
        if let Some(pipe) = pipes.open[place(stream)].take() {
            let open = pipes.open.iter().any(Option::is_some);
            pipes
                .heard
                .open
                .store(open && !pipes.exited, Ordering::Relaxed);
            let _not_watched = self.epoll.remove(pipe.as_fd());
            self.desk.close(number(process), of(stream));
        }
    }

    /// Gives up the oldest of the processes that are gone, beyond [`KEPT`].
    fn prune(&mut self) {
        let is_over = |it: &Pipes| it.exited || it.open.iter().all(Option::is_none);
        let gone = self.pipes.iter().filter(|(_, it)| is_over(it));
        let gone: Vec<_> = gone.map(|(&process, _)| process).collect();
        for &process in &gone[..gone.len().saturating_sub(KEPT)] {
            for stream in STREAMS {
                self.close(process, stream);
            }
            self.pipes.remove(&process);
            self.desk.forget(number(process));
            lock(&self.shared.names).remove(&number(process));
            lock(&self.shared.heard).remove(&process);
        }
    }
}

fn event(names: &BTreeMap<u64, Process>, news: News) -> Option<HerdEvent> {
    match news {
        News::Lost { process, lines } => {
            let printer = names.get(&process)?;
            Some(lost_lines(*printer, lines))
        }
        News::Warning(text) => Some(HerdEvent::Warning { text }),
    }
}

fn printer(process: Process) -> Printer {
    Printer {
        process: number(process.id()),
        part: match process.part {
            Part::Gateway => Some("gateway".to_owned()),
            Part::Library(library) => Some(format!("library-{}", library.name)),
            Part::Workers => None,
        },
        slot: process.info.slot,
        id: process.info.id,
    }
}

/// A process as one number, of 63 bits.
fn number(ProcessId { part, life }: ProcessId) -> u64 {
    (u64::from(part.0) << PART_SHIFT) | life
}

fn owner(token: u64) -> ProcessId {
    let number = token / 2;
    ProcessId {
        part: crate::part::PartNumber(u8::try_from(number >> PART_SHIFT).unwrap_or(u8::MAX)),
        life: number & ((1 << PART_SHIFT) - 1),
    }
}

fn stream(token: u64) -> Stream {
    STREAMS[usize::from(!token.is_multiple_of(2))]
}

fn place(stream: Stream) -> usize {
    match stream {
        Stream::Stderr => 1,
        Stream::Stdout => 0,
    }
}

fn of(stream: Stream) -> herder_logs::Stream {
    match stream {
        Stream::Stderr => herder_logs::Stream::Error,
        Stream::Stdout => herder_logs::Stream::Out,
    }
}

/// A panic under one of these locks would be a bug, but no reason to lose the workers' output too.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
