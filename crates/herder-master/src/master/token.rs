//! What an epoll token stands for.

use herder_core::Incarnation;

/// Where an event comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// A worker's control channel.
    Control(Incarnation),
    /// The dispatch thread.
    Dispatch,
    /// A worker's end.
    Exit(Incarnation),
    /// The keeper's end.
    Keeper,
    /// A worker's notify socket.
    Notify(Incarnation),
    /// A signal.
    Signal,
}

const KIND_SHIFT: u32 = 60;
const INCARNATION: u64 = (1 << KIND_SHIFT) - 1;

impl Source {
    /// The source as a token.
    pub(super) fn token(self) -> u64 {
        let (kind, incarnation) = match self {
            Source::Signal => (0, 0),
            Source::Dispatch => (1, 0),
            Source::Keeper => (2, 0),
            Source::Exit(Incarnation(number)) => (3, number),
            Source::Control(Incarnation(number)) => (4, number),
            Source::Notify(Incarnation(number)) => (5, number),
        };
        (kind << KIND_SHIFT) | incarnation
    }

    /// The source that a token stands for; `None` for a number that is none.
    pub(super) fn of(token: u64) -> Option<Source> {
        let incarnation = Incarnation(token & INCARNATION);
        match token >> KIND_SHIFT {
            0 => Some(Source::Signal),
            1 => Some(Source::Dispatch),
            2 => Some(Source::Keeper),
            3 => Some(Source::Exit(incarnation)),
            4 => Some(Source::Control(incarnation)),
            5 => Some(Source::Notify(incarnation)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_back() {
        for source in [
            Source::Control(Incarnation(7)),
            Source::Dispatch,
            Source::Exit(Incarnation(INCARNATION)),
            Source::Keeper,
            Source::Notify(Incarnation(1)),
            Source::Signal,
        ] {
            assert_eq!(Source::of(source.token()), Some(source));
        }
        assert_eq!(Source::of(u64::MAX), None);
    }
}
