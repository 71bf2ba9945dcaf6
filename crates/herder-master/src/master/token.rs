//! What an epoll token stands for.

use herder_core::Incarnation;

use crate::part::PartNumber;

/// Where an event comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// A member's control channel.
    Control(PartNumber, Incarnation),
    /// One of the addresses where each gateway has a listener of its own, by its place.
    Berths(u64),
    /// Something that was told, for the clients of the herd's socket.
    Bell,
    /// Certificates that have changed.
    Certificates,
    /// A client of the herd's socket, by its number.
    Client(u64),
    /// A definition that has been read.
    Definition,
    /// The dispatch thread.
    Dispatch,
    /// A member's end.
    Exit(PartNumber, Incarnation),
    /// The keeper's end.
    Keeper,
    /// A member's notify socket.
    Notify(PartNumber, Incarnation),
    /// The end of a probe, or something that it prints.
    Probe,
    /// A signal.
    Signal,
    /// The herd's socket.
    Socket,
}

/// A token is the kind of its source, the part, and the life within the part.
const KIND_SHIFT: u32 = 60;
const PART_SHIFT: u32 = 52;
const INCARNATION: u64 = (1 << PART_SHIFT) - 1;
const PART: u64 = (1 << (KIND_SHIFT - PART_SHIFT)) - 1;

impl Source {
    /// The source as a token.
    pub(super) fn token(self) -> u64 {
        let (kind, member) = match self {
            Source::Signal => (0, 0),
            Source::Dispatch => (1, 0),
            Source::Keeper => (2, 0),
            Source::Exit(part, life) => (3, member(part, life)),
            Source::Control(part, life) => (4, member(part, life)),
            Source::Notify(part, life) => (5, member(part, life)),
            Source::Probe => (6, 0),
            Source::Socket => (7, 0),
            Source::Client(number) => (8, number),
            Source::Bell => (9, 0),
            Source::Definition => (10, 0),
            Source::Certificates => (11, 0),
            Source::Berths(place) => (12, place),
        };
        (kind << KIND_SHIFT) | member
    }

    /// The source that a token stands for; `None` for a number that is none.
    pub(super) fn of(token: u64) -> Option<Source> {
        let life = Incarnation(token & INCARNATION);
        let part = PartNumber(u8::try_from((token >> PART_SHIFT) & PART).ok()?);
        match token >> KIND_SHIFT {
            0 => Some(Source::Signal),
            1 => Some(Source::Dispatch),
            2 => Some(Source::Keeper),
            3 => Some(Source::Exit(part, life)),
            4 => Some(Source::Control(part, life)),
            5 => Some(Source::Notify(part, life)),
            6 => Some(Source::Probe),
            7 => Some(Source::Socket),
            8 => Some(Source::Client(token & !(u64::MAX << KIND_SHIFT))),
            9 => Some(Source::Bell),
            10 => Some(Source::Definition),
            11 => Some(Source::Certificates),
            12 => Some(Source::Berths(token & !(u64::MAX << KIND_SHIFT))),
            _ => None,
        }
    }
}

fn member(part: PartNumber, life: Incarnation) -> u64 {
    (u64::from(part.0) << PART_SHIFT) | life.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_back() {
        let mut tokens = std::collections::BTreeSet::new();
        for source in [
            Source::Control(PartNumber(0), Incarnation(7)),
            Source::Control(PartNumber(1), Incarnation(7)),
            Source::Control(PartNumber(u8::MAX), Incarnation(7)),
            Source::Dispatch,
            Source::Exit(PartNumber(0), Incarnation(INCARNATION)),
            Source::Exit(PartNumber(1), Incarnation(1)),
            Source::Keeper,
            Source::Notify(PartNumber(0), Incarnation(1)),
            Source::Probe,
            Source::Signal,
            Source::Socket,
            Source::Client(1),
            Source::Client(1 << PART_SHIFT),
            Source::Bell,
            Source::Certificates,
            Source::Definition,
        ] {
            assert_eq!(Source::of(source.token()), Some(source));
            assert!(tokens.insert(source.token()), "{source:?} has its own");
        }
        assert_eq!(Source::of(u64::MAX), None);
    }
}
