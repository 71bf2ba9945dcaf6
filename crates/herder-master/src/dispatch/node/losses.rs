//! What is lost of and to one worker's program, and when that is told: a program that goes on and on is
//! not to fill the log with its losses.

use std::time::Duration;

use herder_core::Tick;

use super::Way;

/// How long after one telling the next may come.
const PAUSE: Duration = Duration::from_secs(1);

/// Messages of one worker's that were lost and have not been told.
#[derive(Debug)]
pub(super) struct Losses {
    from: u64,
    to: u64,
    quiet_until: Tick,
}

impl Losses {
    pub(super) fn new() -> Losses {
        Losses {
            from: 0,
            to: 0,
            quiet_until: Tick::from_micros(0),
        }
    }

    /// So many more are lost, of a kind that is over: they may be told.
    pub(super) fn add(&mut self, way: Way, messages: u64) {
        match way {
            Way::From => self.from += messages,
            Way::To => self.to += messages,
        }
    }

    /// When something is to be told.
    pub(super) fn due(&self) -> Option<Tick> {
        (self.from + self.to > 0).then_some(self.quiet_until)
    }

    /// All that was lost, which is told now.
    pub(super) fn take(&mut self, now: Tick) -> impl Iterator<Item = (Way, u64)> + use<> {
        let told = [
            (Way::From, std::mem::take(&mut self.from)),
            (Way::To, std::mem::take(&mut self.to)),
        ];
        self.quiet_until = now.after(PAUSE);
        told.into_iter().filter(|(_, messages)| *messages > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_loss_is_told_at_once_and_the_next_ones_together() {
        let start = Tick::from_micros(5_000_000);
        let mut losses = Losses::new();
        assert_eq!(losses.due(), None);
        losses.add(Way::From, 3);
        assert!(losses.due().is_some_and(|at| at <= start));
        assert_eq!(losses.take(start).collect::<Vec<_>>(), [(Way::From, 3)]);
        assert_eq!(losses.due(), None, "nothing is left to tell");
        for _ in 0..10 {
            losses.add(Way::From, 1);
            losses.add(Way::To, 2);
        }
        let due = losses.due().expect("something was lost");
        assert_eq!(due, start.after(PAUSE));
        let told: Vec<_> = losses.take(due).collect();
        assert_eq!(told, [(Way::From, 10), (Way::To, 20)]);
    }
}
