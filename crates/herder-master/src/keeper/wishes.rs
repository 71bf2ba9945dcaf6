//! What the operator has said by signals, until a master has written it down: one that dies in between
//! must not take it along.

use herder_sys::signal::Signal;

use crate::operator::{self, SIGNALS};

/// The operator's signals, each at its place in [`SIGNALS`].
#[derive(Debug, Default)]
pub(super) struct Wishes {
    wishes: [Wish; SIGNALS.len()],
    answers: Answers,
}

/// One signal. It may be said again before it was obeyed.
#[derive(Clone, Copy, Debug, Default)]
struct Wish {
    waits: Waits,
    told: Told,
}

/// Whether it is to be passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Waits {
    #[default]
    No,
    Yes,
}

/// Whether the present master was told, and has not written it down yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    No,
    Yes,
}

/// Whether the present master says what it has written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Answers {
    #[default]
    No,
    Yes,
}

/// What the present master can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Everything: it is in charge.
    Court,
    /// That the herd is to end.
    Scaffold,
}

impl Wishes {
    /// The operator has said this.
    pub(super) fn hear(&mut self, signal: Signal) {
        if let Some(wish) = self.of(signal) {
            wish.waits = Waits::Yes;
        }
    }

    /// What is to be passed on next. It counts as passed on.
    ///
    /// A master that answers hears a signal again only when it has answered: otherwise nobody could tell
    /// which of the two the answer is to.
    pub(super) fn next(&mut self, audience: Audience) -> Option<Signal> {
        let answers = self.answers;
        let mut wishes = SIGNALS.into_iter().zip(&mut self.wishes);
        let (signal, wish) = wishes.find(|(signal, wish)| {
            let is_heard = match audience {
                Audience::Court => operator::is_end(*signal) || wish.told == Told::No,
                Audience::Scaffold => operator::is_end(*signal),
            };
            wish.waits == Waits::Yes && is_heard
        })?;
        wish.waits = Waits::No;
        // That the herd is to end, this process remembers itself.
        if answers == Answers::Yes && !operator::is_end(signal) {
            wish.told = Told::Yes;
        }
        Some(signal)
    }

    /// The master has written down what these signals say (signal N is bit N−1).
    pub(super) fn obeyed(&mut self, signals: u64) {
        self.answers = Answers::Yes;
        for (signal, wish) in SIGNALS.into_iter().zip(&mut self.wishes) {
            if signals & operator::bit(signal) != 0 {
                wish.told = Told::No;
            }
        }
    }

    /// The master is another build, or will be: nobody knows whether that answers. What it was told waits in
    /// its process.
    pub(super) fn begin_again(&mut self) {
        self.answers = Answers::No;
    }

    /// The master is dead. What it was told and has not written down, the next one is told.
    pub(super) fn inherit(&mut self) {
        self.begin_again();
        for wish in &mut self.wishes {
            if wish.told == Told::Yes {
                *wish = Wish {
                    waits: Waits::Yes,
                    told: Told::No,
                };
            }
        }
    }

    fn of(&mut self, signal: Signal) -> Option<&mut Wish> {
        let place = SIGNALS.iter().position(|known| *known == signal)?;
        self.wishes.get_mut(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(wishes: &mut Wishes, audience: Audience) -> Vec<Signal> {
        std::iter::from_fn(|| wishes.next(audience)).collect()
    }

    /// Under a master that answers.
    fn wishes(said: &[Signal]) -> Wishes {
        let mut wishes = Wishes::default();
        wishes.obeyed(0);
        for signal in said {
            wishes.hear(*signal);
        }
        wishes
    }

    #[test]
    fn r35_what_a_dead_master_had_not_written_down_is_said_to_the_next() {
        let mut wishes = wishes(&[Signal::User2, Signal::Hangup]);
        let said = all(&mut wishes, Audience::Court);
        assert_eq!(said, [Signal::Hangup, Signal::User2]);
        wishes.obeyed(operator::bit(Signal::User2));
        wishes.inherit();
        assert_eq!(all(&mut wishes, Audience::Scaffold), []);
        assert_eq!(all(&mut wishes, Audience::Court), [Signal::Hangup]);
    }

    #[test]
    fn the_same_again_waits_for_the_answer_to_the_first() {
        let mut wishes = wishes(&[Signal::Hangup]);
        assert_eq!(all(&mut wishes, Audience::Court), [Signal::Hangup]);
        wishes.hear(Signal::Hangup);
        assert_eq!(all(&mut wishes, Audience::Court), []);
        wishes.obeyed(operator::bit(Signal::Hangup));
        assert_eq!(all(&mut wishes, Audience::Court), [Signal::Hangup]);
        wishes.hear(Signal::Hangup);
        wishes.inherit();
        assert_eq!(
            all(&mut wishes, Audience::Court),
            [Signal::Hangup],
            "the two are one wish of the next master's"
        );
    }

    #[test]
    fn a_master_that_does_not_answer_hears_everything_once() {
        let mut wishes = Wishes::default();
        for _ in 0..2 {
            wishes.hear(Signal::Hangup);
            assert_eq!(all(&mut wishes, Audience::Court), [Signal::Hangup]);
        }
        wishes.inherit();
        assert_eq!(all(&mut wishes, Audience::Court), []);
    }

    #[test]
    fn an_end_reaches_everybody_and_is_not_repeated() {
        let mut wishes = wishes(&[Signal::Terminate, Signal::Hangup]);
        assert_eq!(all(&mut wishes, Audience::Scaffold), [Signal::Terminate]);
        wishes.hear(Signal::Terminate);
        assert_eq!(
            all(&mut wishes, Audience::Court),
            [Signal::Hangup, Signal::Terminate]
        );
        wishes.inherit();
        assert_eq!(all(&mut wishes, Audience::Court), [Signal::Hangup]);
    }

    #[test]
    fn another_build_in_the_same_process_has_what_its_process_was_told() {
        let mut wishes = wishes(&[Signal::Hangup]);
        assert_eq!(all(&mut wishes, Audience::Court), [Signal::Hangup]);
        wishes.begin_again();
        wishes.obeyed(0);
        assert_eq!(all(&mut wishes, Audience::Court), []);
        wishes.inherit();
        assert_eq!(all(&mut wishes, Audience::Court), [Signal::Hangup]);
    }
}
