//! The guard: starts the daemon proper, and starts it again when it dies. It parses nothing and has one
//! thread.

mod service;
mod ward;

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use herder_api::Problem;
use herder_api::problem::ProblemKind;
use herder_sys::process::{self, Executable};
use herder_sys::signal::{Signal, SignalFd};
use herder_sys::{fd, residence};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use crate::lock::{self, Mark, Taken};
use crate::part::Service;
use crate::settings::{Announcement, Manner, Settings};
use crate::{HELD, complain, home, part};
use service::Told;
use ward::{Heard, Ward};

/// The shortest and the longest wait before the daemon proper is started again.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// One that lived for so long had not failed at its start.
const WELL: Duration = Duration::from_secs(10);

/// How long another build may take to be ready.
const TRIAL: Duration = Duration::from_secs(10);

/// What its daemon's output goes to in the background.
const COMPLAINTS: &str = "daemon.err";

/// What a guard heeds.
const SIGNALS: [Signal; 7] = [
    Signal::Terminate,
    Signal::Interrupt,
    Signal::Quit,
    Signal::Hangup,
    Signal::User1,
    Signal::User2,
    Signal::Child,
];

/// How large that file may be when a guard begins.
const LARGE: i64 = 1 << 20;

/// The guard.
struct Guard {
    settings: Settings,
    lock: OwnedFd,
    signals: SignalFd,
    executable: Executable,
    ward: Option<Ward>,
    /// When the next one is started.
    next: Option<Instant>,
    failures: u32,
    /// Whether whoever started us knows how it went.
    is_announced: bool,
    is_at_rest: bool,
    /// What the service manager is told.
    told: Told,
}

/// Becomes the guard of a home, if nobody is.
pub(crate) fn begin(settings: Settings, mut service: Service) -> u8 {
    if settings.manner == Manner::Background {
        // Whoever happens to need it first may be a service: the daemon is not that service.
        service = Service::default();
        // A leader of a process group cannot: then it has a group of its own, at least.
        let _same = rustix::process::setsid();
    }
    let taken = home::open_root(&settings.home).and_then(|root| {
        let taken = lock::take(root.as_fd(), lock::DAEMON);
        taken.map_err(|error| home::unusable(&settings.home.join(lock::DAEMON), &error))
    });
    let lock = match taken {
        Ok(Taken::Ours(lock)) => lock,
        Ok(Taken::Held(lock)) => return held(&settings, &lock),
        Err(problem) => return fail(&settings, problem),
    };
    let broken = |error: io::Error| {
        Problem::new(
            ProblemKind::Internal,
            format!("the guard cannot begin: {error}"),
        )
    };
    match Guard::new(settings.clone(), lock, service) {
        Ok(mut guard) => {
            guard.next = Some(Instant::now());
            guard.watch()
        }
        Err(error) => fail(&settings, broken(error)),
    }
}

/// Becomes the guard of a daemon proper that lives.
pub(crate) fn stand_in(settings: Settings, daemon: i32, service: Service) -> u8 {
    let guard = part::take_stdin().and_then(|lock| Guard::new(settings, lock, service));
    let words = part::take_words().unwrap_or_default();
    let ward = Ward::adopt(daemon, words);
    match guard {
        Ok(mut guard) => {
            guard.is_announced = true;
            match ward {
                Ok(ward) => {
                    guard.ward = Some(ward);
                    guard.told.is_ready();
                }
                // It died in between.
                Err(_) => guard.next = Some(Instant::now()),
            }
            guard.watch()
        }
        Err(error) => {
            complain(&format!("the guard cannot begin: {error}"));
            ProblemKind::Internal.exit_status()
        }
    }
}

/// Another daemon has this home.
fn held(settings: &Settings, lock: &OwnedFd) -> u8 {
    let pid = match lock::read(lock) {
        Ok(Some(Mark::Guard(pid))) => pid,
        _ => 0,
    };
    let whose = match pid {
        0 => "another daemon, which just begins or ends".to_owned(),
        pid => format!("the daemon with the process {pid}"),
    };
    complain(&format!("{} belongs to {whose}", settings.home.display()));
    announce(settings, &Announcement::Held { pid });
    HELD
}

fn fail(settings: &Settings, problem: Problem) -> u8 {
    let status = problem.kind.exit_status();
    complain(&problem.message);
    announce(settings, &Announcement::Failed { problem });
    status
}

/// One line for whoever started us; then stdout is nobody's.
fn announce(settings: &Settings, word: &Announcement) {
    if settings.manner == Manner::Foreground {
        return;
    }
    let mut line = serde_json::to_vec(word).unwrap_or_default();
    line.push(b'\n');
    say(&line);
}

fn say(line: &[u8]) {
    let mut stdout = io::stdout();
    // Who does not wait need not hear it.
    drop(stdout.write_all(line).and_then(|()| stdout.flush()));
    if let Ok(null) = fd::null() {
        let _kept = rustix::stdio::dup2_stdout(null);
    }
}

impl Guard {
    fn new(settings: Settings, lock: OwnedFd, service: Service) -> io::Result<Guard> {
        let signals = SignalFd::block(&SIGNALS)?;
        lock::mark(&lock, Mark::Guard(process::current_pid()))?;
        if settings.manner == Manner::Background {
            rustix::stdio::dup2_stdin(fd::null()?)?;
            redirect_complaints(&settings)?;
        }
        Ok(Guard {
            settings,
            lock,
            signals,
            executable: Executable::current()?,
            ward: None,
            next: None,
            failures: 0,
            is_announced: false,
            is_at_rest: false,
            told: Told::new(service),
        })
    }

    /// Watches until the daemon is told to end; returns the exit status.
    fn watch(&mut self) -> u8 {
        loop {
            match self.turn() {
                Ok(None) => self.rest(),
                Ok(Some(status)) => return status,
                Err(error) => {
                    complain(&format!("the guard: {error}"));
                    std::thread::sleep(WAITS.0);
                }
            }
        }
    }

    /// Once it has nothing to do but wait, it needs little of what its beginning needed.
    fn rest(&mut self) {
        let is_ready = self.ward.as_ref().is_some_and(|ward| ward.is_ready);
        if is_ready && !self.is_at_rest {
            residence::give_back();
        }
        self.is_at_rest = is_ready;
    }

    fn turn(&mut self) -> io::Result<Option<u8>> {
        if self.ward.is_none() && self.next.is_some_and(|at| at <= Instant::now()) {
            self.next = None;
            let started = Ward::start(&self.executable, &self.lock, self.told.managed());
            match started {
                Ok(ward) => self.ward = Some(ward),
                Err(error) => return Ok(self.note_failure(&error.to_string(), None)),
            }
        }
        self.wait()?;
        while let Some(signal) = self.signals.read()? {
            if let Some(status) = self.heed(signal)? {
                return Ok(Some(status));
            }
        }
        self.hear();
        self.told.turn(self.ward.as_mut());
        let Some(ward) = &self.ward else {
            return Ok(None);
        };
        if ward.is_over()? {
            return self.bury();
        }
        Ok(None)
    }

    /// Until something happens.
    fn wait(&self) -> io::Result<()> {
        let mut asked = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if let Some(ward) = &self.ward {
            asked.extend(
                ward.descriptors()
                    .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
            );
        }
        let next = [self.next, self.told.deadline()];
        let next = next.into_iter().flatten().min();
        let left = next.map(|at| at.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        match poll(&mut asked, left.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn heed(&mut self, signal: Signal) -> io::Result<Option<u8>> {
        if signal != Signal::Child {
            self.told.signal(signal, self.ward.is_some());
        }
        match (signal, &self.ward) {
            (Signal::Child, _) => self.reap_strangers()?,
            (_, Some(ward)) => ward.signal(signal),
            (Signal::Terminate | Signal::Interrupt | Signal::Quit, None) => return Ok(Some(0)),
            (_, None) => {}
        }
        Ok(None)
    }

    /// In a container whoever has lost its parent may be our child.
    fn reap_strangers(&self) -> io::Result<()> {
        while let Some(pid) = process::peek_dead()? {
            if self.ward.as_ref().is_some_and(|ward| ward.pid == pid) {
                return Ok(());
            }
            process::reap_child(pid)?;
        }
        Ok(())
    }

    /// What the daemon proper says of its start goes to whoever started us; what it says later, to the
    /// service manager.
    fn hear(&mut self) {
        let heard = self.ward.as_mut().map(Ward::hear).unwrap_or_default();
        for word in heard {
            match word {
                Heard::Announced(line) => self.hear_start(&line),
                Heard::Sign(sign) => self.told.pass_on(sign),
            }
        }
    }

    fn hear_start(&mut self, line: &[u8]) {
        let is_ready = self.ward.as_ref().is_some_and(|ward| ward.is_ready);
        if !self.is_announced && self.settings.manner == Manner::Background {
            say(line);
        }
        self.is_announced = true;
        if !is_ready {
            // Its end follows, and is final: the first start has failed, and somebody knows why.
            self.failures = u32::MAX;
        } else if self.told.is_ready()
            && let Some(ward) = &self.ward
        {
            ward.signal(Signal::Hangup);
        }
    }

    /// The daemon proper has ended.
    fn bury(&mut self) -> io::Result<Option<u8>> {
        let Some(mut ward) = self.ward.take() else {
            return Ok(None);
        };
        let (how, status) = ward.bury();
        match lock::read(&self.lock)? {
            Some(Mark::Ended) => return Ok(Some(0)),
            Some(Mark::Upgrade) => {
                lock::mark(&self.lock, Mark::Guard(process::current_pid()))?;
                self.upgrade();
                return Ok(None);
            }
            Some(Mark::Guard(_)) | None => {}
        }
        if ward.began.elapsed() >= WELL && self.failures != u32::MAX {
            self.failures = 0;
        }
        Ok(self.note_failure(&how, status))
    }

    /// It is tried again, unless nothing of it was ever well. Then its exit status is ours, if it said why.
    fn note_failure(&mut self, how: &str, status: Option<u8>) -> Option<u8> {
        complain(&format!("the daemon ended: {how}"));
        if self.failures == u32::MAX || !self.is_announced {
            let text = format!("the daemon ended at its start: {how}");
            let problem = Problem::new(ProblemKind::Internal, text);
            let internal = problem.kind.exit_status();
            if !self.is_announced {
                announce(&self.settings, &Announcement::Failed { problem });
                return Some(internal);
            }
            return Some(status.filter(|status| *status != 0).unwrap_or(internal));
        }
        let wait = (WAITS.0 * (1 << self.failures.min(10))).min(WAITS.1);
        self.failures += 1;
        self.next = Some(Instant::now() + wait);
        None
    }

    /// The daemon becomes the build that is installed: if that gets ready, the guard becomes it, too.
    fn upgrade(&mut self) {
        let trial = Executable::open(self.executable.path()).and_then(|new| {
            let ward = Ward::start(&new, &self.lock, self.told.managed())?;
            Ok((ward.tried(TRIAL), new))
        });
        match trial {
            Ok((ward, new)) if ward.is_ready => {
                let error = self.become_new(&new, &ward);
                complain(&format!("the guard stays what it was: {error}"));
                self.ward = Some(ward);
            }
            Ok((ward, _)) => {
                ward.kill();
                complain("the build that is installed does not get ready; the one before goes on");
                self.next = Some(Instant::now());
            }
            Err(error) => {
                complain(&format!(
                    "the build that is installed cannot be started: {error}"
                ));
                self.next = Some(Instant::now());
            }
        }
    }
}

impl Guard {
    /// Goes on as another build, as the guard of a daemon proper that lives. Returns only when that failed.
    fn become_new(&self, new: &Executable, ward: &Ward) -> io::Error {
        let environment: Vec<_> = std::env::vars_os()
            .chain(self.told.variables())
            .chain([part::stand_in(ward.pid)])
            .collect();
        let mut argv = vec!["herder".into()];
        argv.extend(part::arguments());
        if let Some(words) = ward.words()
            && let Err(error) = rustix::stdio::dup2_stdout(words)
        {
            return error.into();
        }
        let error = new.replace_process(&self.lock, &argv, &environment);
        if let Ok(null) = fd::null() {
            let _kept = rustix::stdio::dup2_stdout(null);
        }
        error
    }
}

/// In the background nobody reads what is said on stderr: a file does.
fn redirect_complaints(settings: &Settings) -> io::Result<()> {
    let root = home::open_root(&settings.home).map_err(io::Error::other)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND;
    let file = home::open_file(root.as_fd(), COMPLAINTS, flags).map_err(|error| {
        let path = settings.home.join(COMPLAINTS);
        let text = format!("{} cannot be used: {error}", path.display());
        io::Error::new(error.kind(), text)
    })?;
    if rustix::fs::fstat(&file)?.st_size > LARGE {
        rustix::fs::ftruncate(&file, 0)?;
    }
    rustix::stdio::dup2_stderr(file)?;
    Ok(())
}
