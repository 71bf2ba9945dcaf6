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

impl Master {
    pub(super) fn on_signals(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.read()? {
            match signal {
                Signal::Interrupt | Signal::Quit | Signal::Terminate => self.stop(Some(signal)),
                Signal::Ttin => self.scale(Direction::Up),
                Signal::Ttou => self.scale(Direction::Down),
                Signal::Hangup => self.cannot(signal, "reload", "restart the herd instead"),
                Signal::User2 => self.cannot(signal, "upgrade itself", "restart the herd instead"),
                // The logs go to stdout and stderr, where there is no file to open again (USR1);
                // nothing else is watched for.
                other => debug_assert!(other == Signal::User1, "{other:?} is not watched"),
            }
        }
        Ok(())
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

    fn cannot(&mut self, signal: Signal, what: &str, instead: &str) {
        let text = format!("{}: this version cannot {what}; {instead}", signal.name());
        self.tell(HerdEvent::Warning { text });
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}
