//! Leases: somebody is the only one, for a while.

use std::collections::BTreeMap;
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
        self.held.insert(name.to_owned(), (holder, until));
        (Acquired::Ours { token }, Some(self.change(name)))
    }

    pub(super) fn renew(
        &mut self,
        name: &str,
        token: u64,
        ttl: Duration,
        now: Tick,
    ) -> Result<Change, Refusal> {
        match self.held.get_mut(name) {
            Some((holder, until)) if holder.token == token => {
                *until = now.after(ttl);
                Ok(self.change(name))
            }
            Some(_) | None => Err(Refusal::NotHeld { token }),
        }
    }

    pub(super) fn release(&mut self, name: &str, token: u64) -> Result<Change, Refusal> {
        match self.held.get(name) {
            Some((holder, _)) if holder.token == token => {
                self.held.remove(name);
                Ok(self.change(name))
            }
            Some(_) | None => Err(Refusal::NotHeld { token }),
        }
    }

    /// Takes all of an owner's leases from it: it is dead.
    pub(super) fn release_all(&mut self, owner: &str) -> Vec<Change> {
        self.remove_where(|holder, _| holder.owner == owner)
    }

    pub(super) fn expire(&mut self, now: Tick) -> Vec<Change> {
        self.remove_where(|_, until| until <= now)
    }

    pub(super) fn next_expiry(&self) -> Option<Tick> {
        self.held.values().map(|(_, until)| *until).min()
    }

    pub(super) fn restore(&mut self, name: String, holder: Option<(Holder, Tick)>, last: u64) {
        self.last_token = self.last_token.max(last);
        match holder {
            Some(held) => self.held.insert(name, held),
            None => self.held.remove(&name),
        };
    }

    fn remove_where(&mut self, is_over: impl Fn(&Holder, Tick) -> bool) -> Vec<Change> {
        let over: Vec<String> = self
            .held
            .iter()
            .filter(|(_, (holder, until))| is_over(holder, *until))
            .map(|(name, _)| name.clone())
            .collect();
        over.iter()
            .map(|name| {
                self.held.remove(name);
                self.change(name)
            })
            .collect()
    }

    fn change(&self, name: &str) -> Change {
        Change::Leased {
            name: name.to_owned(),
            holder: self.held.get(name).cloned(),
            last_token: self.last_token,
        }
    }
}
