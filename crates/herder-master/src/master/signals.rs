//! What the operator's signals mean.

use std::io;

use herder_core::spec::WorkerCount;
use herder_core::supervisor::Event;
use herder_sys::signal::Signal;

use super::{Master, Stopping};
use crate::dispatch::Command;
use crate::event::HerdEvent;

/// What the master listens to.
pub(super) const WATCHED: [Signal; 8] = [
    Signal::Hangup,
    Signal::Interrupt,
    Signal::Quit,
    Signal::Terminate,
    Signal::Ttin,
    Signal::Ttou,
    Signal::User1,
    Signal::User2,
];

/// What ends the herd.
const ENDING: [Signal; 3] = [Signal::Interrupt, Signal::Quit, Signal::Terminate];

impl Master {
    pub(super) fn on_signals(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.read()? {
            self.on_signal(signal);
        }
        Ok(())
    }

    /// (USR1 asks for log files to be opened again. There are none: the log goes to stderr.)
    fn on_signal(&mut self, signal: Signal) {
        if ENDING.contains(&signal) {
            self.stop(Some(signal));
        } else if signal == Signal::Ttin {
            self.scale(Direction::Up);
        } else if signal == Signal::Ttou {
            self.scale(Direction::Down);
        } else if signal == Signal::Hangup {
            self.cannot(signal, "reload");
        } else if signal == Signal::User2 {
            self.cannot(signal, "upgrade itself");
        }
    }

    /// Stops the herd: in order the first time, at once the second.
    pub(super) fn stop(&mut self, signal: Option<Signal>) {
        let fast = self.stopping != Stopping::No;
        self.tell(HerdEvent::ShuttingDown {
            signal: signal.map(Signal::name),
            fast,
        });
        if fast {
            self.stopping = Stopping::AtOnce;
            self.feed(Event::StopNow);
        } else {
            self.stopping = Stopping::Gracefully;
            self.dispatch.tell(Command::CloseListeners);
            self.feed(Event::Stop);
        }
    }

    fn scale(&mut self, direction: Direction) {
        let count = usize::from(self.nursery.spec().workers.count());
        let wanted = match direction {
            Direction::Up => count + 1,
            Direction::Down => count.saturating_sub(1),
        };
        match WorkerCount::new(wanted) {
            Ok(workers) => {
                self.nursery.resize(workers);
                self.feed(Event::Scale(workers));
            }
            Err(error) => self.tell(HerdEvent::Warning {
                text: error.to_string(),
            }),
        }
    }

    fn cannot(&mut self, signal: Signal, what: &str) {
        let text = format!(
            "{}: this version cannot {what}; restart the herd instead",
            signal.name()
        );
        self.tell(HerdEvent::Warning { text });
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}
