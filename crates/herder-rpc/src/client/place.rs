//! Where a stream is, and whether it goes on where it was after a new connection.

use herder_wire::rpc::Position;

/// What became of a stream's place when it was opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Continuity {
    /// The first opening, or nothing is missing.
    Whole,
    /// The library is another incarnation: what it sent in between is not known.
    Restarted,
    /// The same incarnation no longer holds what came in between.
    Forgotten,
    /// The connection broke inside a snapshot: the next snapshot replaces its pieces.
    Interrupted,
}

/// The place of one subscription: the last `(epoch, seq)` that its consumer was given.
#[derive(Debug, Default)]
pub(super) struct Place {
    at: Option<Position>,
    /// A snapshot began and has not ended: its pieces have no place to go on from.
    in_snapshot: bool,
}

impl Place {
    /// What to ask for in the next SUBSCRIBE; `(0, 0)` is the start.
    pub(super) fn resume(&self) -> Position {
        if self.in_snapshot {
            Position::default()
        } else {
            self.at.unwrap_or_default()
        }
    }

    /// The library opened the stream; its next item comes after `now`.
    pub(super) fn opened(&mut self, now: Position) -> Continuity {
        let continuity = match self.at {
            None => Continuity::Whole,
            Some(before) if before.epoch != now.epoch => Continuity::Restarted,
            Some(_) if self.in_snapshot => Continuity::Interrupted,
            Some(before) if before.seq == now.seq => Continuity::Whole,
            Some(_) => Continuity::Forgotten,
        };
        self.at = Some(now);
        self.in_snapshot = false;
        continuity
    }

    /// An item (or a gap) with this number was taken over.
    pub(super) fn item(&mut self, seq: u64) {
        if let Some(at) = &mut self.at {
            at.seq = seq;
        }
    }

    /// A piece of a snapshot was taken over.
    pub(super) fn snapshot(&mut self) {
        self.in_snapshot = true;
    }

    /// The snapshot is complete; it stands for everything up to `seq`.
    pub(super) fn snapshot_end(&mut self, seq: u64) {
        self.in_snapshot = false;
        self.item(seq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64, seq: u64) -> Position {
        Position { epoch, seq }
    }

    #[test]
    fn a_new_stream_starts_at_the_start_and_misses_nothing() {
        let mut place = Place::default();
        assert_eq!(place.resume(), at(0, 0));
        assert_eq!(place.opened(at(3, 17)), Continuity::Whole);
        assert_eq!(
            place.resume(),
            at(3, 17),
            "nothing came yet, and that place is known"
        );
    }

    #[test]
    fn a_stream_goes_on_after_its_last_item() {
        let mut place = Place::default();
        place.opened(at(1, 0));
        place.item(1);
        place.item(2);
        assert_eq!(place.resume(), at(1, 2));
        assert_eq!(place.opened(at(1, 2)), Continuity::Whole);
        assert_eq!(place.opened(at(1, 9)), Continuity::Forgotten);
        assert_eq!(place.resume(), at(1, 9));
    }

    #[test]
    fn another_incarnation_is_a_gap_even_at_the_same_number() {
        let mut place = Place::default();
        place.opened(at(1, 0));
        assert_eq!(place.opened(at(2, 0)), Continuity::Restarted);
        assert_eq!(place.opened(at(2, 0)), Continuity::Whole);
    }

    #[test]
    fn a_broken_snapshot_is_asked_for_again_and_said() {
        let mut place = Place::default();
        place.opened(at(1, 5));
        place.snapshot();
        assert_eq!(place.resume(), at(0, 0));
        assert_eq!(place.opened(at(1, 5)), Continuity::Interrupted);
        place.snapshot();
        place.snapshot_end(8);
        assert_eq!(place.resume(), at(1, 8));
    }
}
