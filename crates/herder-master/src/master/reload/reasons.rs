//! Why a generation has failed, as a sentence.

use std::io;
use std::time::Duration;

use herder_core::Exit;
use herder_core::supervisor::{Cause, FailureKind};

use crate::output::{Span, Who, how};
use crate::part::Process;

/// Why a generation has failed. `problem`: what is known of it beyond the kind.
pub(super) fn reason(who: Option<Process>, problem: Option<&str>, kind: FailureKind) -> String {
    let who = who.map_or_else(|| "a worker".to_owned(), |process| Who(process).to_string());
    match (kind, problem) {
        (FailureKind::NotStarted { .. }, Some(problem)) => {
            format!("{who} could not be started: {problem}")
        }
        (FailureKind::NotStarted { errno }, None) => {
            let error = io::Error::from_raw_os_error(errno);
            format!("{who} could not be started: {error}")
        }
        (FailureKind::Broken, Some(problem)) => {
            format!("{who} was found broken before it was ready: {problem}")
        }
        (FailureKind::Broken, None) => format!("{who} was found broken before it was ready"),
        (FailureKind::ExitedBeforeReady(_), Some(problem)) => {
            format!("{who} could not be launched: {problem}")
        }
        (FailureKind::ExitedBeforeReady(exit), None) => {
            format!("{who} ended before it was ready: {}", how(exit))
        }
        (FailureKind::NotReadyInTime(limit), _) => {
            format!("{who} was not ready within {}", Span(roughly(limit)))
        }
        (
            FailureKind::Died {
                cause: Cause::Watchdog,
                after,
                ..
            },
            Some(problem),
        ) => {
            let after = Span(roughly(after));
            format!("{who} was found broken {after} after it was ready: {problem}")
        }
        (FailureKind::Died { exit, cause, after }, _) => {
            format!(
                "{who} {} {} after it was ready",
                end(exit, cause),
                Span(roughly(after))
            )
        }
        (FailureKind::Protocol, Some(problem)) => {
            format!("{who} broke the protocol of its channel: {problem}")
        }
        (FailureKind::Protocol, None) => format!("{who} broke the protocol of its channel"),
        (FailureKind::Stopped, _) => "the herd was told to stop".to_owned(),
    }
}

/// How the process ended that was the reason, if it has.
pub(super) fn exit(kind: FailureKind) -> Option<Exit> {
    match kind {
        FailureKind::Died { exit, .. } => exit,
        FailureKind::ExitedBeforeReady(exit) => Some(exit),
        FailureKind::Broken
        | FailureKind::NotReadyInTime(_)
        | FailureKind::NotStarted { .. }
        | FailureKind::Protocol
        | FailureKind::Stopped => None,
    }
}

/// As people say it: in tenths of a second, if it was seconds.
fn roughly(time: Duration) -> Duration {
    const TENTH: u128 = 100;
    if time < Duration::from_secs(1) {
        return time;
    }
    let tenths = u64::try_from(time.as_millis() / TENTH).unwrap_or(u64::MAX / 100);
    Duration::from_millis(tenths * 100)
}

fn end(exit: Option<Exit>, cause: Cause) -> String {
    match (exit, cause) {
        (_, Cause::Hang) => "hung".to_owned(),
        (_, Cause::Watchdog) => "was found broken".to_owned(),
        (None, _) => "announced its own end too often,".to_owned(),
        (Some(exit), _) => format!("died ({})", how(exit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::WorkerInfo;
    use crate::part::Part;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table: a case a line")]
    fn r38_a_reason_names_the_worker_and_what_it_did() {
        let worker = |pid| Process {
            part: Part::Workers,
            info: WorkerInfo {
                slot: 0,
                id: 3,
                pid,
            },
        };
        let died = |exit, cause| FailureKind::Died {
            exit,
            cause,
            after: Duration::from_secs(3),
        };
        let minute = Duration::from_millis(60_001);
        for (kind, problem, expected) in [
            (
                FailureKind::ExitedBeforeReady(Exit::Code(1)),
                None,
                "worker 0 #3 [7] ended before it was ready: exit status 1",
            ),
            (
                FailureKind::ExitedBeforeReady(Exit::Code(126)),
                Some("cannot execute /srv/app: No such file or directory"),
                "worker 0 #3 [7] could not be launched: cannot execute /srv/app: No such file or \
                 directory",
            ),
            (
                FailureKind::NotReadyInTime(minute),
                None,
                "worker 0 #3 [7] was not ready within 60s",
            ),
            (
                died(Some(Exit::Signal(11)), Cause::Crash),
                None,
                "worker 0 #3 [7] died (signal SIGSEGV) 3s after it was ready",
            ),
            (
                died(None, Cause::Hang),
                None,
                "worker 0 #3 [7] hung 3s after it was ready",
            ),
            (
                FailureKind::Protocol,
                Some("it speaks version 9"),
                "worker 0 #3 [7] broke the protocol of its channel: it speaks version 9",
            ),
            (
                died(None, Cause::Watchdog),
                None,
                "worker 0 #3 [7] was found broken 3s after it was ready",
            ),
            (
                died(None, Cause::Watchdog),
                Some("no answer"),
                "worker 0 #3 [7] was found broken 3s after it was ready: no answer",
            ),
            (
                FailureKind::Broken,
                Some("no answer"),
                "worker 0 #3 [7] was found broken before it was ready: no answer",
            ),
            (FailureKind::Stopped, None, "the herd was told to stop"),
        ] {
            assert_eq!(reason(Some(worker(7)), problem, kind), expected);
        }
        let not_started = FailureKind::NotStarted { errno: 2 };
        let said = reason(Some(worker(0)), None, not_started);
        assert!(
            said.starts_with("worker 0 #3 could not be started: No such file"),
            "{said}"
        );
    }

    #[test]
    fn only_who_has_ended_has_an_exit() {
        assert_eq!(
            exit(FailureKind::ExitedBeforeReady(Exit::Code(1))),
            Some(Exit::Code(1))
        );
        assert_eq!(exit(FailureKind::Protocol), None);
    }
}
