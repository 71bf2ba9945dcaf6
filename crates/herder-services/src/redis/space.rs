//! [`Space`]: a namespace in the store, with a cache on this host.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::cache::Cache;
use super::link::{Link, LinkError, News};
use super::scripts;
use super::tally::Step;
use crate::clock::Clock;
use crate::state::{
    Acquired, Admission, Condition, MAX_PAGE, MAX_PAGE_BYTES, MAX_VALUE, Page, Put, Rate, Refusal,
    StateError, Versioned, check_key, check_ttl,
};

/// How many keys of a namespace are cached.
const CACHED: usize = 10_000;

/// No time is longer: the store does half of a script whose time it cannot count, and its numbers
/// are exact up to 2⁵³ µs.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How long it is remembered which steps an author's were carried out.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);

/// A namespace in the store: linearizable per key, as long as there is one primary. What is read by
/// [`Space::get`] may be old by the time that the news of a change needs to get here, and by a
/// minute at the worst; [`Space::get_fresh`] asks the store.
pub struct Space {
    link: Link,
    names: Names,
    clock: Clock,
    cache: Arc<Mutex<Cache>>,
}

struct Names {
    value: String,
    revision: String,
    token: String,
    index: String,
    lease: String,
    limit: String,
    author: String,
}

impl Space {
    /// The namespace `name`, under keys that begin with `prefix`.
    #[must_use]
    pub fn new(link: Link, prefix: &str, name: &str, clock: Clock) -> Space {
        let named = |what| format!("{prefix}:state:{name}:{what}");
        Space {
            link,
            names: Names {
                value: Self::tracked(prefix, name),
                revision: named("revision"),
                token: named("token"),
                index: named("index"),
                lease: named("lease:"),
                limit: named("limit:"),
                author: named("author:"),
            },
            clock,
            cache: Arc::new(Mutex::new(Cache::new(CACHED))),
        }
    }

    /// What the keys of a namespace's values begin with: to be
    /// [tracked](super::Settings::tracked).
    #[must_use]
    pub fn tracked(prefix: &str, name: &str) -> String {
        format!("{prefix}:state:{name}:value:")
    }

    /// Takes in what the link tells, before anybody else does. Which of our keys changed; `None` =
    /// any may have.
    pub fn hear(&self, news: &News) -> Option<Vec<String>> {
        let mut cache = self.cache();
        match news {
            News::Invalidated(Some(keys)) => {
                let ours = keys
                    .iter()
                    .filter_map(|key| key.strip_prefix(&self.names.value));
                let ours: Vec<String> = ours.map(str::to_owned).collect();
                for key in &ours {
                    cache.invalidate(key);
                }
                Some(ours)
            }
            News::Message { .. } => Some(Vec::new()),
            News::Down | News::Invalidated(None) | News::Up => {
                cache.flush();
                None
            }
        }
    }

    /// The value of a key, from the cache if it is there.
    ///
    /// # Errors
    /// [`StateError::NotSent`], [`StateError::Unavailable`].
    pub async fn get(&self, key: &str) -> Result<Option<Versioned>, StateError> {
        let known = self.cache().get(key, self.clock.now().tick);
        match known {
            // Without a connection nobody would tell us of changes.
            Some(value) if self.link.is_up() => Ok(value),
            Some(_) | None => self.get_fresh(key).await,
        }
    }

    /// The value of a key, from the store.
    ///
    /// # Errors
    /// As [`Space::get`].
    pub async fn get_fresh(&self, key: &str) -> Result<Option<Versioned>, StateError> {
        let fill = Reading::begin(&self.cache, key);
        let mut script = scripts::GET.prepare_invoke();
        script.key(self.value(key));
        let found: Vec<Vec<u8>> = self.link.run(&script).await?;
        let value = match <[Vec<u8>; 3]>::try_from(found) {
            Ok([value, revision, ttl]) => Some(versioned(value, &revision, &ttl)?),
            Err(_nothing) => None,
        };
        fill.finish(value.clone(), self.clock.now().tick);
        Ok(value)
    }

    /// Writes a value, and says its revision.
    ///
    /// # Errors
    /// Those of the store, and what [`Engine::put`](crate::state::engine::Engine::put) refuses.
    pub async fn put(&self, key: &str, put: Put) -> Result<u64, StateError> {
        check_key(key)?;
        if put.value.len() > MAX_VALUE {
            let length = put.value.len();
            return Err(Refusal::Value { length }.into());
        }
        put.ttl.map_or(Ok(()), check_ttl)?;
        let mut script = scripts::PUT.prepare_invoke();
        self.keys(&mut script, key);
        script
            .arg(put.value.as_ref())
            .arg(put.ttl.map_or(0, millis))
            .arg(condition(put.condition))
            .arg(key)
            .arg(&self.names.value);
        let (done, revision): (u8, String) = self.link.run(&script).await?;
        self.cache().invalidate(key);
        let revision = number(revision.as_bytes())?;
        if done == 1 {
            Ok(revision)
        } else {
            Err(Refusal::Conflict { present: revision }.into())
        }
    }

    /// Adds to a number, and says the sum.
    ///
    /// # Errors
    /// Those of the store; [`Refusal::NotANumber`].
    pub async fn increment(
        &self,
        key: &str,
        by: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, StateError> {
        check_key(key)?;
        ttl.map_or(Ok(()), check_ttl)?;
        let mut script = scripts::INCREMENT.prepare_invoke();
        self.keys(&mut script, key);
        script
            .arg(by)
            .arg(ttl.map_or(0, millis))
            .arg(key)
            .arg(&self.names.value);
        let sum: Result<String, LinkError> = self.link.run(&script).await;
        self.cache().invalidate(key);
        match sum {
            Ok(sum) => number(sum.as_bytes()),
            Err(LinkError::Refused(_, reason)) if reason.contains("overflow") => {
                Err(Refusal::NotANumber("the sum does not fit into 64 bits").into())
            }
            Err(LinkError::Refused(_, reason)) if reason.contains("not an integer") => {
                Err(Refusal::NotANumber("it is not a whole number of 64 bits").into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Adds to many numbers, once; and says to which it could not.
    pub(super) async fn merge(&self, step: &Step<'_>) -> Result<Vec<String>, StateError> {
        let mut script = scripts::MERGE.prepare_invoke();
        script
            .key(format!("{}{}", self.names.author, step.author))
            .key(&self.names.revision)
            .key(&self.names.index)
            .arg(step.number)
            .arg(millis(REMEMBERED));
        for (key, by) in step.sums {
            script.key(self.value(key)).arg(by).arg(key);
        }
        let refused = self.link.run(&script).await?;
        let mut cache = self.cache();
        for key in step.sums.keys() {
            cache.invalidate(key);
        }
        Ok(refused)
    }

    /// Deletes a value; whether there was one.
    ///
    /// # Errors
    /// Those of the store; [`Refusal::Conflict`].
    pub async fn delete(&self, key: &str, when: Condition) -> Result<bool, StateError> {
        let mut script = scripts::DELETE.prepare_invoke();
        self.keys(&mut script, key);
        script.arg(condition(when)).arg(key);
        let (done, answer): (u8, String) = self.link.run(&script).await?;
        self.cache().invalidate(key);
        let answer = number(answer.as_bytes())?;
        if done == 1 {
            Ok(answer == 1)
        } else {
            Err(Refusal::Conflict { present: answer }.into())
        }
    }

    /// A page of entries, in the order of keys. A page may have fewer than it could, and still not
    /// be the last.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StateError> {
        let begin = match after {
            Some(after) if after >= prefix => format!("({after}"),
            Some(_) | None if prefix.is_empty() => "-".to_owned(),
            Some(_) | None => format!("[{prefix}"),
        };
        // No byte of UTF-8 is 0xff.
        let mut end = vec![b'('];
        end.extend_from_slice(prefix.as_bytes());
        end.push(0xff);
        let mut script = scripts::SCAN.prepare_invoke();
        script
            .key(&self.names.index)
            .arg(begin)
            .arg(if prefix.is_empty() {
                b"+".to_vec()
            } else {
                end
            })
            .arg(limit.clamp(1, MAX_PAGE))
            .arg(&self.names.value)
            .arg(MAX_PAGE_BYTES);
        let found: Vec<Vec<u8>> = self.link.run(&script).await?;
        let mut page = Page::default();
        for entry in found.chunks(4) {
            match entry {
                [key, value, revision, ttl] => {
                    let entry = versioned(value.clone(), revision, ttl)?;
                    page.entries.push((text(key)?, entry));
                }
                [last] => page.next = Some(text(last)?),
                _ => return Err(garbled()),
            }
        }
        Ok(page)
    }

    /// Gives a lease to this owner, if nobody else has it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn acquire(
        &self,
        name: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<Acquired, StateError> {
        check_key(name)?;
        check_ttl(ttl)?;
        let mut script = scripts::ACQUIRE.prepare_invoke();
        script
            .key(self.lease(name))
            .key(&self.names.token)
            .arg(owner)
            .arg(millis(ttl));
        let (ours, answer): (u8, String) = self.link.run(&script).await?;
        if ours == 1 {
            let token = number(answer.as_bytes())?;
            return Ok(Acquired::Ours { token });
        }
        let left = number::<i64>(answer.as_bytes())?;
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        Ok(Acquired::Held { left })
    }

    /// Prolongs a lease.
    ///
    /// # Errors
    /// Those of the store; [`Refusal::NotHeld`].
    pub async fn renew(&self, name: &str, token: u64, ttl: Duration) -> Result<(), StateError> {
        check_ttl(ttl)?;
        let mut script = scripts::RENEW.prepare_invoke();
        script.key(self.lease(name)).arg(token).arg(millis(ttl));
        held(self.link.run(&script).await?, token)
    }

    /// Gives a lease back.
    ///
    /// # Errors
    /// Those of the store; [`Refusal::NotHeld`].
    pub async fn release(&self, name: &str, token: u64) -> Result<(), StateError> {
        let mut script = scripts::RELEASE.prepare_invoke();
        script.key(self.lease(name)).arg(token);
        held(self.link.run(&script).await?, token)
    }

    /// Whether one more is allowed; if so, it is counted.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn limit(&self, key: &str, rate: Rate) -> Result<Admission, StateError> {
        check_key(key)?;
        check_ttl(rate.per)?;
        if rate.count == 0 {
            return Err(Refusal::Zero("the count of a rate").into());
        }
        let step = (rate.per.min(LONGEST) / rate.count).as_micros().max(1);
        let step = u64::try_from(step).unwrap_or(u64::MAX);
        let mut script = scripts::LIMIT.prepare_invoke();
        let counter = format!("{}{key}", self.names.limit);
        script.key(counter).arg(rate.count).arg(step);
        let (allowed, answer): (u8, String) = self.link.run(&script).await?;
        if allowed == 1 {
            let left = number(answer.as_bytes())?;
            return Ok(Admission::Allowed { left });
        }
        let retry_after = Duration::from_micros(number(answer.as_bytes())?);
        Ok(Admission::Denied { retry_after })
    }

    fn keys(&self, script: &mut redis::ScriptInvocation<'_>, key: &str) {
        script
            .key(self.value(key))
            .key(&self.names.revision)
            .key(&self.names.index);
    }

    fn value(&self, key: &str) -> String {
        format!("{}{key}", self.names.value)
    }

    fn lease(&self, name: &str) -> String {
        format!("{}{name}", self.names.lease)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        lock(&self.cache)
    }
}

/// A read that is under way; one that is dropped is abandoned.
struct Reading<'a> {
    cache: &'a Mutex<Cache>,
    fill: Option<super::cache::Fill>,
}

impl<'a> Reading<'a> {
    fn begin(cache: &'a Mutex<Cache>, key: &str) -> Reading<'a> {
        let fill = Some(lock(cache).begin(key));
        Reading { cache, fill }
    }

    fn finish(mut self, value: Option<Versioned>, now: herder_core::Tick) {
        if let Some(fill) = self.fill.take() {
            lock(self.cache).finish(fill, value, now);
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(fill) = self.fill.take() {
            lock(self.cache).abandon(fill);
        }
    }
}

impl From<LinkError> for StateError {
    fn from(error: LinkError) -> StateError {
        match error {
            LinkError::NoConnection(..) | LinkError::Address(..) | LinkError::Refused(..) => {
                StateError::NotSent(error.to_string())
            }
            LinkError::NoAnswer(..) => StateError::Unavailable(error.to_string()),
        }
    }
}

fn versioned(value: Vec<u8>, revision: &[u8], ttl: &[u8]) -> Result<Versioned, StateError> {
    let ttl = number::<i64>(ttl)?;
    Ok(Versioned {
        value: Bytes::from(value),
        revision: number(revision)?,
        ttl: u64::try_from(ttl).ok().map(Duration::from_millis),
    })
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Result<T, StateError> {
    let text = std::str::from_utf8(text).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(garbled)
}

fn text(bytes: &[u8]) -> Result<String, StateError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| garbled())
}

fn garbled() -> StateError {
    StateError::Unavailable("the store holds what nobody of us wrote".to_owned())
}

fn held(held: bool, token: u64) -> Result<(), StateError> {
    if held {
        Ok(())
    } else {
        Err(Refusal::NotHeld { token }.into())
    }
}

fn condition(condition: Condition) -> String {
    match condition {
        Condition::Absent => "absent".to_owned(),
        Condition::Always => "always".to_owned(),
        Condition::Revision(revision) => revision.to_string(),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.min(LONGEST).as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

fn lock(cache: &Mutex<Cache>) -> MutexGuard<'_, Cache> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}
