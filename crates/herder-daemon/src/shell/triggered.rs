//! What happens by itself is done.

use super::Shell;
use crate::triggers::{Deed, Word};

impl Shell {
    /// Looks whether something is to be done by itself, and does it.
    pub(super) fn be_triggered(&mut self) {
        let now = self.now();
        let deeds = self.triggers.look(&self.books, now);
        self.carry_out(deeds);
        self.act();
    }

    /// Something was told from outside.
    pub(super) fn hear_trigger(&mut self, word: Word) {
        let now = self.now();
        let deeds = self.triggers.hear(word, &self.books, now);
        self.carry_out(deeds);
    }

    fn carry_out(&mut self, deeds: Vec<Deed>) {
        for deed in deeds {
            match deed {
                Deed::Do(id, todo) => {
                    let now = self.now();
                    self.books.begin(vec![vec![(id, todo)]], now);
                }
                Deed::Note {
                    id,
                    event,
                    level,
                    text,
                } => {
                    if let Some(entry) = self.books.entry(id) {
                        self.journal.note(entry.name(), event, level, text);
                    }
                }
                Deed::See(id, seen) => self.books.see(id, seen),
            }
        }
    }
}
