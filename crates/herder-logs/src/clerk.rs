//! A thread of its own that writes, so that nobody waits for the disk: what it cannot write fast enough
//! is dropped, and counted.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::attic::Attic;
use crate::outlet::{News, Outlet, Tell};

/// How much of one process's lines may wait, in bytes of memory.
pub(crate) const LIMIT: usize = 1024 * 1024;

/// How often the losses of one process are told at most.
pub(crate) const TELL_EVERY: Duration = Duration::from_secs(1);

/// What a waiting block costs besides its bytes.
const OVERHEAD: usize = size_of::<Job>();

pub(crate) struct Clerk {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
    tell: Tell,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    /// One for each process of which something waits, or was lost.
    accounts: BTreeMap<u64, Account>,
    closed: bool,
}

#[derive(Default)]
struct Account {
    bytes: usize,
    lost: u64,
    /// Nothing is taken until half of the room is free, so that the loss is one gap and not a sieve.
    closed: bool,
    /// When a loss was told last.
    told: Option<Instant>,
}

impl Account {
    /// When the loss may be told.
    fn due(&self) -> Option<Instant> {
        let now = Instant::now();
        (self.lost > 0).then(|| self.told.map_or(now, |at| at + TELL_EVERY))
    }
}

enum Job {
    /// The next file.
    File(PathBuf),
    Write {
        file: usize,
        process: u64,
        bytes: Box<[u8]>,
    },
    Reopen,
    Empty,
    Forget(u64),
}

impl Clerk {
    /// # Errors
    ///
    /// When there is no thread left.
    pub(crate) fn start(attic: Attic, mend: &'static [u8], tell: Tell) -> io::Result<Clerk> {
        let shared = Arc::new(Shared {
            inner: Mutex::default(),
            changed: Condvar::new(),
            tell,
        });
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("herder-logs".to_owned())
            .spawn(move || of_thread.run(&attic, mend))?;
        Ok(Clerk {
            shared,
            thread: Some(thread),
        })
    }

    pub(crate) fn add(&self, path: PathBuf) {
        self.ask(Job::File(path));
    }

    pub(crate) fn reopen(&self) {
        self.ask(Job::Reopen);
    }

    pub(crate) fn empty(&self) {
        self.ask(Job::Empty);
    }

    /// The process is gone.
    pub(crate) fn forget(&self, process: u64) {
        self.ask(Job::Forget(process));
    }

    fn ask(&self, job: Job) {
        self.shared.lock().jobs.push_back(job);
        self.shared.changed.notify_one();
    }

    /// Has whole lines written, or drops and counts them.
    pub(crate) fn write(&self, file: usize, process: u64, bytes: &[u8]) {
        let mut inner = self.shared.lock();
        let account = inner.accounts.entry(process).or_default();
        let cost = bytes.len() + OVERHEAD;
        let limit = if account.closed { LIMIT / 2 } else { LIMIT };
        // A block that is larger than all room has to fit all the same.
        if account.bytes > 0 && account.bytes + cost > limit {
            account.closed = true;
            account.lost += newlines(bytes);
            return;
        }
        account.closed = false;
        account.bytes += cost;
        inner.jobs.push_back(Job::Write {
            file,
            process,
            bytes: bytes.into(),
        });
        drop(inner);
        self.shared.changed.notify_one();
    }

    /// Waits until all is written.
    pub(crate) fn finish(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // The panic hook has said what there is to say.
            let _panicked = thread.join();
        }
    }
}

impl Drop for Clerk {
    /// The thread ends when it has written what waits. Nobody waits for it.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// Nothing panics while it holds this lock.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, attic: &Attic, mend: &'static [u8]) {
        let mut outlets: Vec<Outlet> = Vec::new();
        while let Some(job) = self.next(&mut outlets) {
            match job {
                Job::File(path) => {
                    let tell = Arc::clone(&self.tell);
                    outlets.push(Outlet::new(&path, attic, mend, tell));
                }
                Job::Reopen => outlets.iter_mut().for_each(Outlet::reopen),
                Job::Empty => outlets.iter_mut().for_each(Outlet::empty),
                Job::Forget(process) => {
                    let account = self.lock().accounts.remove(&process);
                    self.lost(process, account.map_or(0, |it| it.lost));
                }
                Job::Write {
                    file,
                    process,
                    bytes,
                } => {
                    let now = Instant::now();
                    let outlet = &mut outlets[file];
                    if outlet.writer.due(now).is_some() {
                        outlet.put_away(now);
                    }
                    let written = outlet.write(&bytes, now);
                    self.settle(process, bytes.len(), newlines(&bytes[written..]));
                }
            }
        }
        let accounts = std::mem::take(&mut self.lock().accounts);
        for (process, account) in accounts {
            self.lost(process, account.lost);
        }
    }

    /// The next job. Meanwhile files that become too old are put away, and losses are told.
    fn next(&self, outlets: &mut [Outlet]) -> Option<Job> {
        let mut inner = self.lock();
        loop {
            if let Some(job) = inner.jobs.pop_front() {
                return Some(job);
            }
            if inner.closed {
                return None;
            }
            let expires = outlets.iter().filter_map(|it| it.writer.expires());
            let losses = inner.accounts.values().filter_map(Account::due);
            let Some(at) = expires.chain(losses).min() else {
                inner = self
                    .changed
                    .wait(inner)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let time = at.saturating_duration_since(Instant::now());
            let waited = self.changed.wait_timeout(inner, time);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            inner = guard;
            if timeout.timed_out() {
                drop(inner);
                put_away_old(outlets.iter_mut());
                self.tell_losses();
                inner = self.lock();
            }
        }
    }

    /// Takes a block off its process's account.
    fn settle(&self, process: u64, bytes: usize, lost: u64) {
        let mut inner = self.lock();
        let Some(account) = inner.accounts.get_mut(&process) else {
            return;
        };
        account.bytes = account.bytes.saturating_sub(bytes + OVERHEAD);
        account.lost += lost;
        let is_due = account.due().is_some_and(|at| at <= Instant::now());
        drop(inner);
        if is_due && lost == 0 {
            self.tell_losses();
        }
    }

    fn tell_losses(&self) {
        let now = Instant::now();
        let mut told = Vec::new();
        for (&process, account) in &mut self.lock().accounts {
            if account.due().is_some_and(|at| at <= now) {
                account.told = Some(now);
                told.push((process, std::mem::take(&mut account.lost)));
            }
        }
        for (process, lines) in told {
            self.lost(process, lines);
        }
    }

    fn lost(&self, process: u64, lines: u64) {
        if lines > 0 {
            (self.tell)(News::Lost { process, lines });
        }
    }
}

pub(crate) fn put_away_old<'a>(outlets: impl IntoIterator<Item = &'a mut Outlet>) {
    let now = Instant::now();
    for outlet in outlets {
        if outlet.writer.expires().is_some_and(|at| now >= at) && outlet.writer.due(now).is_some() {
            outlet.put_away(now);
        }
    }
}

pub(crate) fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
