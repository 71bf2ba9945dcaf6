//! What the operator's signals mean.

use std::io;

use herder_core::Tick;
use herder_core::spec::WorkerCount;
use herder_core::supervisor::Event;
use herder_sys::signal::Signal;

use super::{Master, Stopping, now};
use crate::event::HerdEvent;
use crate::operator;
use crate::part::Part;

impl Master {
    pub(super) fn on_signals(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.read()? {
            self.on_signal(signal);
            // The operator says it once: what was begun must not die with this master.
            self.save_ahead();
        }
        Ok(())
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
            self.stopping = Stopping::AtOnce;
            for part in self.crews.parts() {
                self.feed(part, Event::StopNow);
            }
        } else {
            self.stopping = Stopping::Gracefully;
            self.tell_service("STOPPING=1");
            self.give_reload_up();
            self.stop_letting_in();
            self.feed(Part::Workers, Event::Stop);
        }
    }

    fn scale(&mut self, direction: Direction) {
        let count = usize::from(self.spec.workers.count());
        let wanted = match direction {
            Direction::Up => count + 1,
            Direction::Down => count.saturating_sub(1),
        };
        match WorkerCount::new(wanted) {
            Ok(workers) => {
                self.spec.workers = workers;
                self.feed(Part::Workers, Event::Scale(workers));
            }
            Err(error) => self.tell(HerdEvent::Warning {
                text: error.to_string(),
            }),
        }
    }
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
