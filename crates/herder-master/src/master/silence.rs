//! Workers that print nothing although the app says that they do (`max_silence`).

use std::time::Duration;

use herder_core::Tick;
use herder_core::spec::StopSignal;
use herder_core::supervisor::Event;

use super::Master;
use super::crew::MemberId;
use crate::output::Span;
use crate::part::Part;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// When to look next. Without a limit nobody looks, and nobody is woken to.
#[derive(Default)]
pub(super) struct SilenceWatch {
    looked: Option<Tick>,
}

impl SilenceWatch {
    /// When to look next, as the app is now.
    fn due(&self, limit: Option<Duration>) -> Option<Tick> {
        limit?;
        Some(self.looked.map_or(Tick::ZERO, |at| at.after(EVERY)))
    }
}

impl Master {
    /// Finds the workers that are silent too long. Only who serves is to be heard: who starts, stands
    /// by or leaves may be silent, and its silence counts from when it serves (again).
    pub(super) fn watch_silence(&mut self, now: Tick) {
        let Some(limit) = self.silence_limit() else {
            self.silence = SilenceWatch::default();
            return;
        };
        if self.silence_due().is_some_and(|at| at > now) {
            return;
        }
        self.silence.looked = Some(now);
        for id in self.crews.living(Part::Workers) {
            let serves = self.crews.phase(id).is_some_and(|it| it.is_serving());
            let life = id.worker.incarnation.0;
            if !serves {
                self.output.excuse_silence(id.part, life, now);
            } else if self.output.is_silent_for(id.part, life, limit, now) {
                let reason = format!("it has printed nothing for {}", Span(limit));
                self.fail(id, reason);
                self.act();
            }
        }
    }

    /// When to look for silent workers next.
    pub(super) fn silence_due(&self) -> Option<Tick> {
        self.silence.due(self.silence_limit())
    }

    fn silence_limit(&self) -> Option<Duration> {
        let crew = self.crews.get(Part::Workers)?;
        crew.supervisor.spec().life.max_silence
    }

    /// Has a worker killed as hung, for a reason that was found outside of it.
    pub(super) fn fail(&mut self, id: MemberId, reason: String) {
        if let Some(member) = self.crews.member_mut(id) {
            member.problem = Some(reason.clone());
        }
        let worker = id.worker;
        self.feed(id.part, Event::Fail { worker, reason });
    }

    /// Asks a process to leave that has no other ear.
    pub(super) fn signal_to_leave(&self, id: MemberId) {
        let signal = self.crews.get(id.part).map_or(StopSignal::TERM, |crew| {
            crew.supervisor.spec().life.stop_signal
        });
        if let Some(member) = self.crews.member(id) {
            // It fails when the process has just ended; its exit tells so.
            let _gone = member.pidfd().signal_numbered(signal.number());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_looks_without_a_limit_and_each_second_with_one() {
        let (limit, mut watch) = (Some(Duration::from_secs(30)), SilenceWatch::default());
        assert_eq!(watch.due(None), None);
        assert_eq!(watch.due(limit), Some(Tick::ZERO), "at once");
        watch.looked = Some(Tick::from_micros(5_000_000));
        assert_eq!(watch.due(limit), Some(Tick::from_micros(6_000_000)));
    }
}
