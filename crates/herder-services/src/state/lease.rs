//! Leases: somebody is the only one, for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use herder_core::Tick;
use serde::{Deserialize, Serialize};

use super::entry::{Change, Refusal};

/// Who holds a lease.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Holder {
    /// Its owner: a life of a process, never a pid.
    pub owner: String,
    /// The fencing token: greater than that of every lease given before, of whatever name. What the
    /// holder writes to refuses a token smaller than the greatest it has seen.
    pub token: u64,
}

/// The answer to somebody who wants a lease.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Acquired {
    /// It is theirs, with this token.
    Ours { token: u64 },
    /// Another has it, for so much longer at least, unless it is prolonged.
    Held { left: Duration },
}

/// All leases of a namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Leases {
    held: BTreeMap<String, (Holder, Tick)>,
    /// The same by their ends: somebody asks for the next with every change of the namespace.
    ends: BTreeSet<(Tick, String)>,
    last_token: u64,
}

impl Leases {
    /// Gives it, if nobody has it. Its owner gets it again with the token that it has.
    pub(super) fn acquire(
        &mut self,
        name: &str,
        owner: &str,
        ttl: Duration,
        now: Tick,
    ) -> (Acquired, Option<Change>) {
        if let Some((holder, until)) = self.held.get(name)
            && holder.owner != owner
        {
            let left = until.since(now);
            return (Acquired::Held { left }, None);
        }
        let token = match self.held.get(name) {
            Some((holder, _)) => holder.token,
            None => {
                self.last_token += 1;
                self.last_token
            }
        };
        let holder = Holder {
            owner: owner.to_owned(),
            token,
        };
        let until = now.after(ttl);
        self.hold(name, holder, until);
        (Acquired::Ours { token }, Some(self.change(name)))
    }

    pub(super) fn renew(
        &mut self,
        name: &str,
        token: u64,
        ttl: Duration,
        now: Tick,
    ) -> Result<Change, Refusal> {
        match self.held.get(name) {
            Some((holder, _)) if holder.token == token => {
                self.hold(name, holder.clone(), now.after(ttl));
                Ok(self.change(name))
            }
            Some(_) | None => Err(Refusal::NotHeld { token }),
        }
    }

    pub(super) fn release(&mut self, name: &str, token: u64) -> Result<Change, Refusal> {
        match self.held.get(name) {
            Some((holder, _)) if holder.token == token => {
                self.let_go(name);
                Ok(self.change(name))
            }
            Some(_) | None => Err(Refusal::NotHeld { token }),
        }
    }

    /// Takes all of an owner's leases from it: it is dead.
    pub(super) fn release_all(&mut self, owner: &str) -> Vec<Change> {
        let owned = |(_, (holder, _)): &(&String, &(Holder, Tick))| holder.owner == owner;
        let names: Vec<String> = self
            .held
            .iter()
            .filter(owned)
            .map(|(name, _)| name.clone())
            .collect();
        let release = |name: &String| {
            self.let_go(name);
            self.change(name)
        };
        names.iter().map(release).collect()
    }

    pub(super) fn expire(&mut self, now: Tick) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some((until, name)) = self.ends.first().cloned()
            && until <= now
        {
            self.let_go(&name);
            changes.push(self.change(&name));
        }
        changes
    }

    pub(super) fn next_expiry(&self) -> Option<Tick> {
        self.ends.first().map(|(until, _)| *until)
    }

    pub(super) fn restore(&mut self, name: &str, holder: Option<(Holder, Tick)>, last: u64) {
        self.last_token = self.last_token.max(last);
        match holder {
            Some((holder, until)) => self.hold(name, holder, until),
            None => self.let_go(name),
        }
    }

    fn hold(&mut self, name: &str, holder: Holder, until: Tick) {
        self.let_go(name);
        self.ends.insert((until, name.to_owned()));
        self.held.insert(name.to_owned(), (holder, until));
    }

    fn let_go(&mut self, name: &str) {
        if let Some((_, until)) = self.held.remove(name) {
            self.ends.remove(&(until, name.to_owned()));
        }
    }

    fn change(&self, name: &str) -> Change {
        Change::Leased {
            name: name.to_owned(),
            holder: self.held.get(name).cloned(),
            last_token: self.last_token,
        }
    }
}
