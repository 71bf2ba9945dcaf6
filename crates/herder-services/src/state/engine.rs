//! [`Engine`]: one namespace, in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use bytes::Bytes;
use herder_core::Tick;

use super::entry::{Change, Condition, Page, Put, Refusal, Versioned, check_key, check_ttl};
use super::lease::{Acquired, Leases};
use super::limit::{Admission, Limits, Rate};
use super::{MAX_PAGE, MAX_PAGE_BYTES, MAX_VALUE};

/// What an entry costs beside its key and value, in bytes, roughly.
const OVERHEAD: usize = 100;

/// A namespace: values by key, leases by name, rate limits by key. Every method is one step that
/// nothing can come between; what changed is told by [`Engine::poll_change`].
#[derive(Clone, Debug)]
pub struct Engine {
    entries: BTreeMap<String, Entry>,
    expiries: BTreeSet<(Tick, String)>,
    leases: Leases,
    limits: Limits,
    revision: u64,
    bytes: usize,
    max_bytes: usize,
    changes: VecDeque<Change>,
}

#[derive(Clone, Debug)]
struct Entry {
    value: Bytes,
    revision: u64,
    expires: Option<Tick>,
}

impl Engine {
    /// An empty namespace that may hold so many bytes.
    #[must_use]
    pub fn new(max_bytes: usize) -> Engine {
        Engine {
            entries: BTreeMap::new(),
            expiries: BTreeSet::new(),
            leases: Leases::default(),
            limits: Limits::default(),
            revision: 0,
            bytes: 0,
            max_bytes,
            changes: VecDeque::new(),
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str, now: Tick) -> Option<Versioned> {
        let entry = self.entries.get(key)?;
        entry.lives(now).then(|| entry.versioned(now))
    }

    /// Writes a value, and says its revision.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when the condition does not hold; `Key`, `Value`, `Zero`, `Full`.
    pub fn put(&mut self, key: &str, put: Put, now: Tick) -> Result<u64, Refusal> {
        check_key(key)?;
        if put.value.len() > MAX_VALUE {
            let length = put.value.len();
            return Err(Refusal::Value { length });
        }
        if put.ttl == Some(Duration::ZERO) {
            return Err(Refusal::Zero("the time to live"));
        }
        self.expire(now);
        self.check(key, put.condition)?;
        self.check_room(key, put.value.len())?;
        let expires = put.ttl.map(|ttl| now.after(ttl));
        Ok(self.insert(key, put.value, expires))
    }

    /// Adds to a number, which is 0 when there is none, and says the sum. A number keeps the time
    /// that it has to live; `ttl` is for a new one.
    ///
    /// # Errors
    /// [`Refusal::NotANumber`]; `Key`, `Zero`, `Full`.
    pub fn increment(
        &mut self,
        key: &str,
        by: i64,
        ttl: Option<Duration>,
        now: Tick,
    ) -> Result<i64, Refusal> {
        check_key(key)?;
        if ttl == Some(Duration::ZERO) {
            return Err(Refusal::Zero("the time to live"));
        }
        self.expire(now);
        let entry = self.entries.get(key);
        let expires = match entry {
            Some(entry) => entry.expires,
            None => ttl.map(|ttl| now.after(ttl)),
        };
        let number = entry.map_or(Ok(0), |entry| parse(&entry.value))?;
        let sum = number.checked_add(by);
        let sum = sum.ok_or(Refusal::NotANumber("the sum does not fit into 64 bits"))?;
        let text = Bytes::from(sum.to_string());
        self.check_room(key, text.len())?;
        self.insert(key, text, expires);
        Ok(sum)
    }

    /// Deletes a value; whether there was one.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when the condition does not hold.
    pub fn delete(&mut self, key: &str, condition: Condition, now: Tick) -> Result<bool, Refusal> {
        self.expire(now);
        self.check(key, condition)?;
        let existed = self.entries.contains_key(key);
        if existed {
            self.remove(key);
        }
        Ok(existed)
    }

    /// Entries whose keys begin with `prefix`, in order, after the key `after`, at most `limit` and
    /// [`MAX_PAGE`], and no more when they have [`MAX_PAGE_BYTES`].
    #[must_use]
    pub fn scan(&self, prefix: &str, after: Option<&str>, limit: usize, now: Tick) -> Page {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            Some(_) | None => Bound::Included(prefix),
        };
        let limit = limit.clamp(1, MAX_PAGE);
        let mut matching = self
            .entries
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(_, entry)| entry.lives(now));
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while entries.len() < limit
            && bytes < MAX_PAGE_BYTES
            && let Some((key, entry)) = matching.next()
        {
            bytes += key.len() + entry.value.len();
            entries.push((key.clone(), entry.versioned(now)));
        }
        let more = matching.next().is_some();
        let last = entries.last().map(|(key, _)| key.clone());
        Page {
            entries,
            next: last.filter(|_| more),
        }
    }

    /// Gives a lease to this owner, if nobody else has it.
    ///
    /// # Errors
    /// `Key`, `Zero`.
    pub fn acquire(
        &mut self,
        name: &str,
        owner: &str,
        ttl: Duration,
        now: Tick,
    ) -> Result<Acquired, Refusal> {
        check_key(name)?;
        check_ttl(ttl)?;
        self.expire(now);
        let (acquired, change) = self.leases.acquire(name, owner, ttl, now);
        self.changes.extend(change);
        Ok(acquired)
    }

    /// Prolongs a lease, counted from now.
    ///
    /// # Errors
    /// [`Refusal::NotHeld`]; `Zero`.
    pub fn renew(
        &mut self,
        name: &str,
        token: u64,
        ttl: Duration,
        now: Tick,
    ) -> Result<(), Refusal> {
        check_ttl(ttl)?;
        self.expire(now);
        let change = self.leases.renew(name, token, ttl, now)?;
        self.changes.push_back(change);
        Ok(())
    }

    /// Gives a lease back.
    ///
    /// # Errors
    /// [`Refusal::NotHeld`].
    pub fn release(&mut self, name: &str, token: u64, now: Tick) -> Result<(), Refusal> {
        self.expire(now);
        let change = self.leases.release(name, token)?;
        self.changes.push_back(change);
        Ok(())
    }

    /// Takes all leases of an owner from it.
    pub fn release_all(&mut self, owner: &str) {
        let changes = self.leases.release_all(owner);
        self.changes.extend(changes);
    }

    /// Whether one more is allowed; if so, it is counted.
    ///
    /// # Errors
    /// `Key`, `Zero`.
    pub fn limit(&mut self, key: &str, rate: Rate, now: Tick) -> Result<Admission, Refusal> {
        check_key(key)?;
        if rate.count == 0 {
            return Err(Refusal::Zero("the count of a rate"));
        }
        check_ttl(rate.per)?;
        self.limits.expire(now);
        Ok(self.limits.ask(key, rate, now))
    }

    /// What changed, in order; each once.
    pub fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// When [`Engine::expire`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        let entry = self.expiries.first().map(|(at, _)| *at);
        let others = [self.leases.next_expiry(), self.limits.next_expiry()];
        others.into_iter().flatten().chain(entry).min()
    }

    /// Removes what has lived long enough.
    pub fn expire(&mut self, now: Tick) {
        while let Some((at, _)) = self.expiries.first()
            && *at <= now
        {
            if let Some((_, key)) = self.expiries.pop_first() {
                self.remove(&key);
            }
        }
        let changes = self.leases.expire(now);
        self.changes.extend(changes);
        self.limits.expire(now);
    }

    /// Takes in a change of an earlier life, without telling it.
    pub fn restore(&mut self, change: Change) {
        match change {
            Change::Put {
                key,
                value,
                revision,
                expires,
            } => {
                self.revision = self.revision.max(revision);
                self.replace(&key, value, revision, expires);
            }
            Change::Removed { key, revision } => {
                self.revision = self.revision.max(revision);
                self.take_out(&key);
            }
            Change::Leased {
                name,
                holder,
                last_token,
            } => self.leases.restore(&name, holder, last_token),
        }
    }

    /// The last revision that was used.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How much it holds, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn check(&self, key: &str, condition: Condition) -> Result<(), Refusal> {
        let present = self.entries.get(key).map_or(0, |entry| entry.revision);
        let holds = match condition {
            Condition::Absent => present == 0,
            Condition::Always => true,
            Condition::Revision(wanted) => present == wanted,
        };
        if holds {
            Ok(())
        } else {
            Err(Refusal::Conflict { present })
        }
    }

    fn check_room(&self, key: &str, length: usize) -> Result<(), Refusal> {
        let before = self
            .entries
            .get(key)
            .map_or(0, |entry| cost(key, entry.value.len()));
        let after = self.bytes - before + cost(key, length);
        if after > self.max_bytes {
            let (bytes, limit) = (self.bytes, self.max_bytes);
            return Err(Refusal::Full { bytes, limit });
        }
        Ok(())
    }

    fn insert(&mut self, key: &str, value: Bytes, expires: Option<Tick>) -> u64 {
        self.revision += 1;
        let revision = self.revision;
        self.replace(key, value.clone(), revision, expires);
        self.changes.push_back(Change::Put {
            key: key.to_owned(),
            value,
            revision,
            expires,
        });
        revision
    }

    fn replace(&mut self, key: &str, value: Bytes, revision: u64, expires: Option<Tick>) {
        self.take_out(key);
        self.bytes += cost(key, value.len());
        if let Some(at) = expires {
            self.expiries.insert((at, key.to_owned()));
        }
        let entry = Entry {
            value,
            revision,
            expires,
        };
        self.entries.insert(key.to_owned(), entry);
    }

    fn remove(&mut self, key: &str) {
        self.take_out(key);
        self.revision += 1;
        self.changes.push_back(Change::Removed {
            key: key.to_owned(),
            revision: self.revision,
        });
    }

    fn take_out(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= cost(key, entry.value.len());
            if let Some(at) = entry.expires {
                self.expiries.remove(&(at, key.to_owned()));
            }
        }
    }
}

impl Entry {
    fn lives(&self, now: Tick) -> bool {
        self.expires.is_none_or(|at| at > now)
    }

    fn versioned(&self, now: Tick) -> Versioned {
        Versioned {
            value: self.value.clone(),
            revision: self.revision,
            ttl: self.expires.map(|at| at.since(now)),
        }
    }
}

fn cost(key: &str, length: usize) -> usize {
    key.len() + length + OVERHEAD
}

fn parse(value: &[u8]) -> Result<i64, Refusal> {
    let text = std::str::from_utf8(value).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or(Refusal::NotANumber("it is not a whole number of 64 bits"))
}
