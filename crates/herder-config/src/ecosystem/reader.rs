//! One app's object, key by key.

use std::collections::BTreeSet;

use super::{keys, values};
use crate::mistake::Mistake;
use crate::node::{At, Entry, Node};
use crate::settings;

/// Takes values out of an object, and remembers what was wrong, what was not taken over, and what nobody asked for.
pub(super) struct Reader<'a> {
    table: &'a [Entry],
    /// Where the app begins.
    pub(super) at: At,
    /// How it is called in messages.
    pub(super) label: String,
    asked: BTreeSet<&'static str>,
    pub(super) notes: Vec<Mistake>,
    pub(super) mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(table: &'a [Entry], at: At) -> Reader<'a> {
        Reader {
            table,
            at,
            label: "app".to_owned(),
            asked: BTreeSet::new(),
            notes: Vec::new(),
            mistakes: Vec::new(),
        }
    }

    pub(super) fn entries(&self) -> &'a [Entry] {
        self.table
    }

    /// The value of the first of these names that is given.
    pub(super) fn node(&mut self, names: &[&'static str]) -> Option<(&'static str, &'a Node)> {
        self.asked.extend(names);
        let given = |name: &&'static str| {
            let entry = self.table.iter().find(|entry| entry.name == **name)?;
            (!entry.node.is_null()).then_some((*name, &entry.node))
        };
        names.iter().find_map(given)
    }

    /// The same, as something. What it cannot be is a mistake.
    pub(super) fn take<T>(
        &mut self,
        names: &[&'static str],
        read: impl Fn(&Node) -> Result<T, String>,
    ) -> Option<T> {
        let (name, node) = self.node(names)?;
        match read(node) {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong(node.at, format!("{name}: {why}"));
                None
            }
        }
    }

    pub(super) fn is_set(&mut self, names: &[&'static str]) -> bool {
        self.take(names, values::truth).unwrap_or(false)
    }

    /// Where a key stands.
    pub(super) fn place(&self, names: &[&str]) -> At {
        let entry = self
            .table
            .iter()
            .find(|entry| names.contains(&entry.name.as_str()));
        entry.map_or(self.at, |entry| entry.at)
    }

    pub(super) fn wrong(&mut self, at: At, message: impl AsRef<str>) {
        let at = if at.line == 0 { self.at } else { at };
        let message = format!("app {}: {}", self.label, message.as_ref());
        self.mistakes.push(Mistake::new(at, message));
    }

    /// Something is not as with PM2.
    pub(super) fn note(&mut self, names: &[&str], message: impl AsRef<str>) -> &mut Mistake {
        let message = format!("app {}: {}", self.label, message.as_ref());
        let at = self.place(names);
        self.notes.push(Mistake::new(at, message));
        let last = self.notes.len() - 1;
        &mut self.notes[last]
    }

    /// Reports what nobody asked for.
    pub(super) fn rest(&mut self) {
        for entry in self.table {
            if self.notes.len() >= settings::MAX_MISTAKES {
                break;
            }
            let name = entry.name.as_str();
            let is_known = self.asked.contains(name)
                || keys::NEEDLESS.contains(&name)
                || name.starts_with("env_");
            if is_known {
                continue;
            }
            if let Some(advice) = keys::NOT_OFFERED.iter().find(|advice| advice.key == name) {
                if !values::is_off(&entry.node) {
                    self.note(
                        &[name],
                        format!("{name} is not taken over: {}", advice.instead),
                    );
                }
                continue;
            }
            let hint = match settings::nearest(name, &keys::KNOWN) {
                Some(near) => format!("Did you mean {near}?"),
                None if settings::all().contains(&name) => {
                    format!("It is a setting of herder's: write it as herder: {{ {name}: … }}.")
                }
                None => "PM2 ignores it, too.".to_owned(),
            };
            let note = self.note(
                &[name],
                format!("{name} is not taken over: there is no such key"),
            );
            note.hint = Some(hint);
        }
    }
}
