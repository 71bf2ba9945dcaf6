//! What of a group lies with the keeper.

use std::collections::BTreeSet;

use herder_wire::keeper::Key;

use super::{Group, Piece};
use crate::estate::Vault;

/// The pieces of one group that were stored, under its number.
pub(crate) struct Deposit {
    number: u64,
    stored: BTreeSet<Piece>,
    /// Of which edition they are.
    edition: Option<u64>,
}

impl Deposit {
    /// Nothing yet.
    pub(crate) fn new(number: u64) -> Deposit {
        Deposit {
            number,
            stored: BTreeSet::new(),
            edition: None,
        }
    }

    /// Stores what is new and forgets what is gone. What cannot be stored is lost with this master alone.
    pub(crate) fn keep_up(&mut self, group: &Group, vault: &Vault) {
        let edition = group.edition();
        if self.edition == Some(edition) {
            return;
        }
        let pieces = group.pieces();
        let kept: BTreeSet<Piece> = pieces.iter().map(|(piece, _)| *piece).collect();
        for (piece, fd) in pieces {
            if !self.stored.contains(&piece) {
                let _unstored = vault.store(&Key::group(self.number, piece), fd, 0);
            }
        }
        for gone in self.stored.difference(&kept) {
            vault.forget(&Key::group(self.number, *gone));
        }
        (self.stored, self.edition) = (kept, Some(edition));
    }
}
