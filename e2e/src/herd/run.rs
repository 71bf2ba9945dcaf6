//! A program that runs.

use crate::herd::output::{Line, Output, Stream};
use crate::herd::setup::Setup;
use crate::lineage::Lineage;
use crate::process::Process;
use crate::wait;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long the rest of the tree may outlive the process that was started. Zero would be right for
/// a keeper that waits for all; a killed keeper's orphans need a moment to see that they are orphans.
const LINGER: Duration = Duration::from_secs(3);

/// How long a start is tried again of a file that somebody writes to.
const UNBUSY: Duration = Duration::from_secs(1);

/// A started program with everything below it. Dropping it ends all that and fails the test when something
/// did not end by itself after TERM.
#[derive(Debug)]
pub struct Herd {
    child: Mutex<Child>,
    pid: i32,
    pidfd: OwnedFd,
    lineage: Arc<Lineage>,
    output: Arc<Output>,
    patience: Duration,
    ended: bool,
}

impl Herd {
    #[track_caller]
    pub(super) fn start(mut setup: Setup) -> Herd {
        // A program that was just installed is still open for writing, for a moment, in what another thread starts.
        let spawned = wait::attempt(UNBUSY, || match setup.command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
            other => Some(other),
        });
        let mut child = match spawned.unwrap_or_else(|| setup.command.spawn()) {
            Ok(child) => child,
            Err(error) => panic!(
                "{:?} cannot be started: {error}",
                setup.command.get_program()
            ),
        };
        let pid = i32::try_from(child.id()).expect("pids are positive and small");
        let pidfd = pidfd_open(rustix_pid(pid), PidfdFlags::empty())
            .unwrap_or_else(|error| panic!("pidfd of {pid}: {error}"));
        if let Some(process) = Process::of(pid) {
            setup.lineage.adopt(process);
        }
        let output = Arc::new(Output::default());
        output.read(
            Stream::Stdout,
            child.stdout.take().expect("stdout was asked to be a pipe"),
        );
        output.read(
            Stream::Stderr,
            child.stderr.take().expect("stderr was asked to be a pipe"),
        );
        Herd {
            child: Mutex::new(child),
            pid,
            pidfd,
            lineage: setup.lineage,
            output,
            patience: setup.patience,
            ended: false,
        }
    }

    /// The process that was started: a herd's keeper.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// All lines so far, of both streams.
    pub fn lines(&self) -> Vec<Line> {
        self.output.lines_from(0)
    }

    /// The lines after `mark`, of both streams.
    pub fn lines_after(&self, mark: usize) -> Vec<Line> {
        self.output.lines_from(mark)
    }

    /// The lines of one stream so far, as texts.
    pub fn texts(&self, stream: Stream) -> Vec<String> {
        let lines = self.lines();
        lines
            .into_iter()
            .filter(|line| line.stream == stream)
            .map(|line| line.text)
            .collect()
    }

    /// A mark in the output: how many lines there are so far. For [`Herd::wait_for_line_after`].
    pub fn mark(&self) -> usize {
        self.output.count()
    }

    /// Waits for a line that `pick` has an answer for, those already there included, and returns the answer.
    ///
    /// # Panics
    /// When there is none within `within`; the message names `what` and shows the last lines.
    #[track_caller]
    pub fn wait_for_line<T>(
        &self,
        what: &str,
        within: Duration,
        pick: impl FnMut(&str) -> Option<T>,
    ) -> T {
        self.wait_for_line_after(0, what, within, pick)
    }

    /// Like [`Herd::wait_for_line`], looking only at lines after `mark`.
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    pub fn wait_for_line_after<T>(
        &self,
        mark: usize,
        what: &str,
        within: Duration,
        mut pick: impl FnMut(&str) -> Option<T>,
    ) -> T {
        let found = self
            .output
            .wait(mark, Instant::now() + within, |line| pick(&line.text));
        // Also remembers who is there, should the parents die next.
        let alive = self.lineage.alive();
        match found {
            Some(answer) => answer,
            None => panic!(
                "no line within {within:?}: {what}; {} processes alive; {}",
                alive.len(),
                self.output.tail()
            ),
        }
    }

    /// The first answer that `pick` gives for a line, those already there included; `None` when there is none
    /// within `within`, or no more line can come.
    pub fn find_line<T>(
        &self,
        within: Duration,
        mut pick: impl FnMut(&str) -> Option<T>,
    ) -> Option<T> {
        let found = self
            .output
            .wait(0, Instant::now() + within, |line| pick(&line.text));
        // Also remembers who is there, should the parents die next.
        self.lineage.alive();
        found
    }

    /// Waits until the started process has ended, and (a moment) until its output has been read.
    ///
    /// # Panics
    /// When it has not ended within `within`.
    #[track_caller]
    pub fn wait_for_exit(&self, within: Duration) -> ExitStatus {
        match self.exit_within(within) {
            Some(status) => status,
            None => panic!(
                "process {} has not ended within {within:?}; {}",
                self.pid,
                self.output.tail()
            ),
        }
    }

    /// Sends a signal to the started process. One that has ended gets nothing.
    pub fn signal(&self, signal: Signal) {
        self.lineage.alive();
        // Through the pidfd: a later process with the same pid is never meant. Ended = nothing to do.
        let _ended = pidfd_send_signal(&self.pidfd, signal);
    }

    /// Sends a signal to one process of the herd.
    ///
    /// # Panics
    /// When `pid` is no living process of this herd: a test never signals a stranger.
    #[track_caller]
    pub fn signal_to(&self, pid: i32, signal: Signal) {
        assert!(
            self.descendants().iter().any(|process| process.pid == pid),
            "{pid} is not of this herd"
        );
        if let Err(error) = kill_process(rustix_pid(pid), signal) {
            panic!("{signal:?} cannot be sent to {pid}: {error}");
        }
    }

    /// Sends a signal to one process of the herd, if it is still there. Returns whether it was.
    pub fn try_signal_to(&self, pid: i32, signal: Signal) -> bool {
        self.descendants().iter().any(|process| process.pid == pid)
            && kill_process(rustix_pid(pid), signal).is_ok()
    }

    /// Everything of it that is alive, the started process and orphans included, by pid.
    pub fn descendants(&self) -> Vec<Process> {
        self.lineage.alive()
    }

    /// The living processes whose title begins with `prefix`, by pid.
    pub fn titled(&self, prefix: &str) -> Vec<Process> {
        let mut found = self.descendants();
        found.retain(|process| process.title.starts_with(prefix));
        found
    }

    /// The living process with a master's title, if there is one.
    pub fn master(&self) -> Option<Process> {
        self.titled("herder: master").into_iter().next()
    }

    /// The living processes with a worker's title, by pid.
    pub fn workers(&self) -> Vec<Process> {
        self.titled("herder: worker")
    }

    /// Waits until exactly `count` processes have a worker's title, and returns them.
    ///
    /// # Panics
    /// When it does not come to that within `within`.
    #[track_caller]
    pub fn wait_for_workers(&self, count: usize, within: Duration) -> Vec<Process> {
        let mut seen = 0;
        match wait::attempt(within, || {
            let workers = self.workers();
            seen = workers.len();
            (seen == count).then_some(workers)
        }) {
            Some(workers) => workers,
            None => panic!(
                "{seen} workers, not {count}, after {within:?}; {}",
                self.output.tail()
            ),
        }
    }

    /// Ends it with TERM and waits for all of it to be gone.
    ///
    /// # Panics
    /// When something outlives the patience of its [`Setup`]; it has been killed then.
    #[track_caller]
    pub fn end(mut self) -> ExitStatus {
        let (status, survivors) = self.finish();
        assert!(
            survivors.is_empty(),
            "{}; {}",
            survivors.join("; "),
            self.output.tail()
        );
        status
    }

    /// TERM, wait, KILL what is left. Returns the exit status of the started process and what was wrong.
    fn finish(&mut self) -> (ExitStatus, Vec<String>) {
        self.ended = true;
        let mut wrong = Vec::new();
        self.signal(Signal::TERM);
        if self.exit_within(self.patience).is_none() {
            wrong.push(format!(
                "process {} had to be killed {:?} after TERM",
                self.pid, self.patience
            ));
        }
        let gone = || self.lineage.alive().is_empty().then_some(());
        if wrong.is_empty() && wait::attempt(LINGER, gone).is_none() {
            let left: Vec<String> = self.lineage.alive().iter().map(describe).collect();
            wrong.push(format!(
                "it has ended, but there are still {}",
                left.join(", ")
            ));
        }
        let all_gone = wait::attempt(LINGER, || {
            for process in self
                .lineage
                .alive()
                .iter()
                .filter(|process| process.lives_on())
            {
                // It may end by itself between the look and the signal.
                let _ended = kill_process(rustix_pid(process.pid), Signal::KILL);
            }
            gone()
        });
        if all_gone.is_none() {
            wrong.push("some of it survived KILL".to_owned());
        }
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        (
            child
                .wait()
                .expect("the kernel keeps a child's status for its parent"),
            wrong,
        )
    }

    fn exit_within(&self, within: Duration) -> Option<ExitStatus> {
        const READ_ON: Duration = Duration::from_millis(500);
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).expect("a test's deadline fits a timespec");
            // An interrupted poll says nothing: the child is asked, and the loop goes on.
            let _interrupted = poll(
                &mut [PollFd::new(&self.pidfd, PollFlags::IN)],
                Some(&timeout),
            );
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(status) = child.try_wait().expect("the child is ours") {
                drop(child);
                let is_read = self.output.wait_for_end(Instant::now() + READ_ON);
                // With nobody left who could write, all that is to be read is there.
                if !is_read && self.lineage.alive().is_empty() {
                    self.output.wait_for_end(Instant::now() + self.patience);
                }
                return Some(status);
            }
            if left.is_zero() {
                return None;
            }
        }
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (_, wrong) = self.finish();
        // A test that has failed already keeps its own message.
        if !wrong.is_empty() && !thread::panicking() {
            panic!("{}; {}", wrong.join("; "), self.output.tail());
        }
    }
}

fn describe(process: &Process) -> String {
    format!(
        "{} ({}, state {})",
        process.pid, process.title, process.state
    )
}

fn rustix_pid(pid: i32) -> Pid {
    Pid::from_raw(pid).expect("a process of the herd has a positive pid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scene;

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn lines_of_both_streams_and_the_exit_status_are_seen() {
        let scene = Scene::new("herd_lines");
        let herd = scene
            .program("sh")
            .args(["-c", "echo port 77; echo oops >&2; exit 3"])
            .start();
        let port: u16 = herd.wait_for_line("the port", SOON, |line| {
            line.strip_prefix("port ")?.parse().ok()
        });
        assert_eq!(port, 77);
        assert_eq!(herd.wait_for_exit(SOON).code(), Some(3));
        assert_eq!(herd.texts(Stream::Stderr), ["oops"]);
        assert_eq!(herd.mark(), 2);
    }

    #[test]
    #[should_panic(
        expected = "no line within 50ms: a word; 1 processes alive; its output (1 lines, the last 40):\n  | hello"
    )]
    fn a_missing_line_shows_what_was_said() {
        let scene = Scene::new("herd_missing");
        let herd = scene
            .program("sh")
            .args(["-c", "echo hello; exec sleep 60"])
            .start();
        herd.wait_for_line("hello", SOON, |line| (line == "hello").then_some(()));
        herd.wait_for_line("a word", Duration::from_millis(50), |line| {
            (line == "word").then_some(())
        });
    }

    #[test]
    fn term_ends_it_and_the_status_tells() {
        use std::os::unix::process::ExitStatusExt;
        let scene = Scene::new("herd_term");
        let herd = scene.program("sleep").arg("60").start();
        assert_eq!(herd.end().signal(), Some(Signal::TERM.as_raw()));
    }

    #[test]
    fn one_process_of_the_tree_is_signalled_by_pid() {
        let scene = Scene::new("herd_signal");
        let herd = scene
            .program("sh")
            .args(["-c", "sleep 60 & wait; echo over"])
            .start();
        let sleeper = wait::until(SOON, "the child", || {
            herd.titled("sleep 60").into_iter().next()
        });
        herd.signal_to(sleeper.pid, Signal::KILL);
        herd.wait_for_line("the end", SOON, |line| (line == "over").then_some(()));
    }

    #[test]
    #[should_panic(expected = "it has ended, but there are still")]
    fn a_survivor_fails_the_test_and_is_killed() {
        let scene = Scene::new("herd_survivor");
        let herd = scene
            .program("sh")
            .args(["-c", "setsid sleep 61 & exit 0"])
            .start();
        wait::until(SOON, "the survivor", || {
            herd.titled("sleep 61").into_iter().next()
        });
        herd.end();
    }

    #[test]
    #[should_panic(expected = "had to be killed")]
    fn a_program_that_ignores_term_fails_the_test_and_is_killed() {
        let scene = Scene::new("herd_ignores");
        let herd = scene
            .program("sh")
            .args(["-c", "trap '' TERM; echo set; while :; do sleep 1; done"])
            .patience(Duration::from_millis(200))
            .start();
        herd.wait_for_line("the trap", SOON, |line| (line == "set").then_some(()));
        drop(herd);
    }
}
