//! Everything that descends from one start, even when its parents are dead.

use crate::process::{self, Process};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The variable that marks what a test starts, inherited by everything below.
pub const VARIABLE: &str = "HERDER_TEST_ID";

/// The processes of one start. A process belongs to it when it carries the mark, descends from one that
/// belongs, or was seen to belong before: a parent's death or a cleaned environment hides nothing
/// that was once seen.
#[derive(Debug)]
pub struct Lineage {
    mark: String,
    /// When this test process started: nothing older can be ours.
    since: u64,
    known: Mutex<Vec<Process>>,
}

impl Lineage {
    /// The lineage of what is started with the mark `mark` (to be unique on the machine).
    pub fn new(mark: String) -> Lineage {
        let since = Process::of(own_pid()).map_or(0, |own| own.started);
        Lineage {
            mark,
            since,
            known: Mutex::new(Vec::new()),
        }
    }

    /// The value of [`VARIABLE`] that a process needs to belong.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Adds a process that is known to belong, before it can have any mark.
    pub fn adopt(&self, process: Process) {
        self.known().push(process);
    }

    /// Everything of it that is alive now, by pid.
    pub fn alive(&self) -> Vec<Process> {
        let candidates: Vec<Process> = process::all()
            .into_iter()
            .filter(|process| process.started >= self.since && process.pid != own_pid())
            .collect();
        let mut found = self.roots(&candidates);
        for root in found.clone() {
            found.extend(process::descendants(root.pid, &candidates));
        }
        found.retain(Process::is_alive);
        found.sort_by_key(|process| process.pid);
        found.dedup_by_key(|process| process.pid);
        self.known().clone_from(&found);
        found
    }

    fn roots(&self, candidates: &[Process]) -> Vec<Process> {
        let known = self.known().clone();
        let mark = format!("{VARIABLE}={}", self.mark);
        candidates
            .iter()
            .filter(|process| {
                known
                    .iter()
                    .any(|seen| (seen.pid, seen.started) == (process.pid, process.started))
                    || process::environment_holds(process.pid, &mark)
            })
            .cloned()
            .collect()
    }

    fn known(&self) -> MutexGuard<'_, Vec<Process>> {
        // A test that failed in another thread leaves the list as right as before.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pid of the test process.
pub fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait;
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn an_orphan_with_a_clean_environment_is_remembered() {
        let lineage = Lineage::new(format!("orphan-{}", own_pid()));
        // The shell starts a child without any environment, says so, and is killed.
        let mut shell = Command::new("sh")
            .args(["-c", "env -i /bin/sleep 60 & wait"])
            .env(VARIABLE, lineage.mark())
            .spawn()
            .unwrap();
        let seen = wait::until(Duration::from_secs(5), "the grandchild runs", || {
            lineage
                .alive()
                .into_iter()
                .find(|process| process.title == "/bin/sleep 60")
        });
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert_eq!(
            lineage
                .alive()
                .iter()
                .map(|process| process.pid)
                .collect::<Vec<_>>(),
            [seen.pid]
        );
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(seen.pid).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
        wait::until(Duration::from_secs(5), "the grandchild is gone", || {
            lineage.alive().is_empty().then_some(())
        });
    }
}
