//! What the operator's signals mean.

use std::io;

use herder_core::Tick;
use herder_core::spec::WorkerCount;
use herder_core::supervisor::Event;
use herder_sys::failpoint;
use herder_sys::signal::Signal;
use herder_wire::keeper::ToKeeper;

use super::{Master, Stopping, now};
use crate::event::HerdEvent;
use crate::operator;
use crate::part::Part;

impl Master {
    pub(super) fn on_signals(&mut self) -> io::Result<()> {
        let mut heard = Vec::new();
        while let Some(signal) = self.signals.read()? {
            heard.push(signal);
        }
        if heard.is_empty() {
            return Ok(());
        }
        // The operator says it once. Until it is known that this is written down, the keeper has it. What it
        // comes to takes longer, and is written down in place of it.
        let signals = bits(heard.iter());
        self.unobeyed |= bits(heard.iter().filter(|it| !operator::is_end(**it)));
        self.save();
        self.book.vault.say(&ToKeeper::Obeyed { signals });
        failpoint::hit("master.signal.heard");
        for signal in heard {
            self.obey_signal(signal);
        }
        Ok(())
    }

    /// Obeys what the master before this one had heard, and had no time to obey.
    pub(super) fn obey_for_the_dead(&mut self) {
        for signal in operator::SIGNALS {
            if self.unobeyed & operator::bit(signal) != 0 {
                self.obey_signal(signal);
            }
        }
    }

    fn obey_signal(&mut self, signal: Signal) {
        self.unobeyed &= !operator::bit(signal);
        self.on_signal(signal);
        self.save();
    }

    fn on_signal(&mut self, signal: Signal) {
        if operator::is_end(signal) {
            self.stop(Some(signal));
        } else if signal == Signal::Ttin {
            self.scale(Direction::Up);
        } else if signal == Signal::Ttou {
            self.scale(Direction::Down);
        } else if signal == Signal::Hangup {
            self.reload();
        } else if signal == Signal::User1 {
            self.output.reopen_logs();
        } else if signal == Signal::User2 {
            self.ask_new_build();
        }
    }

    /// Stops the herd: in order the first time, at once the second.
    pub(super) fn stop(&mut self, signal: Option<Signal>) {
        let now = now();
        let echo = self
            .ended_by
            .is_some_and(|first| first.is_echoed_by(signal, now));
        if echo {
            return;
        }
        self.ended_by.get_or_insert(Ending { signal, at: now });
        let fast = self.stopping != Stopping::No;
        self.tell(HerdEvent::ShuttingDown {
            signal: signal.map(Signal::name),
            fast,
        });
        if fast {
            self.stop_at_once();
        } else {
            self.stop_in_order();
        }
    }

    /// Stops the herd as somebody wishes who says how. The same wish again changes nothing.
    pub(super) fn end(&mut self, pace: Pace) {
        let (is_news, fast) = match (pace, self.stopping) {
            (Pace::InOrder, before) => (before == Stopping::No, false),
            (Pace::AtOnce, before) => (before != Stopping::AtOnce, true),
        };
        if !is_news {
            return;
        }
        let (signal, at) = (None, now());
        self.ended_by.get_or_insert(Ending { signal, at });
        self.tell(HerdEvent::ShuttingDown { signal: None, fast });
        if self.stopping == Stopping::No {
            self.stop_in_order();
        }
        if fast {
            self.stop_at_once();
        }
    }

    fn stop_in_order(&mut self) {
        self.stopping = Stopping::Gracefully;
        self.tell_service("STOPPING=1");
        self.give_reload_up();
        self.answer_that_it_stops();
        self.stop_letting_in();
        self.feed(Part::Workers, Event::Stop);
    }

    fn stop_at_once(&mut self) {
        self.stopping = Stopping::AtOnce;
        for part in self.crews.parts() {
            self.feed(part, Event::StopNow);
        }
    }

    /// From now on the app has this many workers.
    pub(super) fn scale_to(&mut self, workers: WorkerCount) {
        self.spec.workers = workers;
        self.feed(Part::Workers, Event::Scale(workers));
    }

    fn scale(&mut self, direction: Direction) {
        let count = usize::from(self.spec.workers.count());
        let wanted = match direction {
            Direction::Up => count + 1,
            Direction::Down => count.saturating_sub(1),
        };
        match WorkerCount::new(wanted) {
            Ok(workers) => self.scale_to(workers),
            Err(error) => self.tell(HerdEvent::Warning {
                text: error.to_string(),
            }),
        }
    }
}

/// The set of these.
fn bits<'a>(signals: impl Iterator<Item = &'a Signal>) -> u64 {
    signals.fold(0, |all, it| all | operator::bit(*it))
}

/// How the herd is to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Whatever is under way is finished.
    InOrder,
    /// Nothing is waited for.
    AtOnce,
}

/// What asked the herd to end first.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    signal: Option<Signal>,
    at: Tick,
}

impl Ending {
    /// One that an earlier master was asked for.
    pub(super) fn before(at: Tick) -> Ending {
        Ending { signal: None, at }
    }

    fn is_echoed_by(self, signal: Option<Signal>, now: Tick) -> bool {
        self.signal == signal && now.since(self.at) < operator::ECHO
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_same_signal_twice_at_once_is_one_wish() {
        let first = Ending {
            signal: Some(Signal::Terminate),
            at: Tick::ZERO,
        };
        let at = |millis| Tick::ZERO.after(Duration::from_millis(millis));
        assert!(first.is_echoed_by(Some(Signal::Terminate), at(49)));
        assert!(!first.is_echoed_by(Some(Signal::Terminate), at(50)));
        assert!(!first.is_echoed_by(Some(Signal::Interrupt), at(1)));
    }
}
