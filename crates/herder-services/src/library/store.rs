//! The store, as the built-in library uses it: one link for everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::services::warn;
use super::settings::StoreSettings;
use super::spaces::Source;
use super::state_object::Entry;
use crate::bus::{Bus, Json, Sender, To};
use crate::clock::Clock;
use crate::redis::{Claims, Link, LinkError, News, Settings, Space, Tally};
use crate::state::{Acquired, StateError};

/// A page of a namespace that is read whole.
const PAGE: usize = 500;

/// A store that does not answer is asked again after this.
const AGAIN: Duration = Duration::from_millis(250);

/// The store of a herd.
#[derive(Clone)]
pub(super) struct Store {
    link: Link,
    prefix: String,
    claim: Duration,
    machine: String,
}

/// What is told of the store's news.
#[derive(Default)]
pub(super) struct Audience {
    spaces: OnceLock<Vec<Arc<Following>>>,
    bus: OnceLock<Arc<Bus>>,
}

/// A message to all machines.
#[derive(Deserialize, Serialize)]
struct Broadcast {
    machine: String,
    topic: String,
    payload: Json,
    from: Sender,
}

/// A namespace of the store, with its watchers.
pub(super) struct Followed {
    pub(super) space: Arc<Space>,
    pub(super) tally: Arc<Tally>,
    merging: JoinHandle<()>,
    following: Arc<Following>,
    /// What the callers of this machine hold: name and token by owner.
    leases: Mutex<BTreeMap<String, BTreeSet<(String, u64)>>>,
}

/// What the watchers see, and what they have not seen yet.
pub(super) struct Following {
    space: Arc<Space>,
    source: Source,
    dirty: Mutex<Dirty>,
    told: Notify,
    /// Whether the whole namespace was read; `None` = nobody watches.
    loaded: watch::Sender<Option<bool>>,
}

#[derive(Default)]
struct Dirty {
    all: bool,
    keys: BTreeSet<String>,
}

impl Store {
    /// Opens the link for these namespaces. `machine` names this herd among all.
    pub(super) fn open(
        settings: &StoreSettings,
        spaces: &[String],
        machine: &str,
        audience: &Arc<Audience>,
    ) -> Result<Store, LinkError> {
        let prefix = settings.prefix.clone();
        let channel = format!("{prefix}:bus");
        let wanted = Settings {
            url: settings.url.clone(),
            tracked: spaces
                .iter()
                .map(|name| Space::tracked(&prefix, name))
                .collect(),
            channels: vec![channel],
            patience: Settings::PATIENCE,
        };
        let (audience, name) = (Arc::clone(audience), machine.to_owned());
        let link = Link::open(wanted, move |news| audience.hear(&news, &name))?;
        Ok(Store {
            link,
            prefix,
            claim: settings.claim(),
            machine: machine.to_owned(),
        })
    }

    pub(super) fn space(&self, name: &str, clock: Clock) -> Followed {
        let space = Arc::new(Space::new(self.link.clone(), &self.prefix, name, clock));
        let following = Arc::new(Following {
            space: Arc::clone(&space),
            source: Source::new(),
            dirty: Mutex::default(),
            told: Notify::new(),
            loaded: watch::Sender::new(None),
        });
        let tally = Arc::new(Tally::new(Arc::clone(&space)));
        let merged = Arc::clone(&tally);
        let place = name.to_owned();
        let merging = tokio::spawn(async move {
            let lost = |key: &str| warn(&format!("{place}: {key} is no number to be added to"));
            merged.merge(lost).await;
        });
        Followed {
            space,
            tally,
            merging,
            following,
            leases: Mutex::default(),
        }
    }

    pub(super) fn claims(&self) -> Claims {
        Claims::new(self.link.clone(), &self.prefix, self.claim)
    }

    /// Sends a message to the other machines, and says how many there are.
    pub(super) async fn publish(
        &self,
        topic: &str,
        payload: &Json,
        from: &Sender,
    ) -> Result<u32, StateError> {
        let broadcast = Broadcast {
            machine: self.machine.clone(),
            topic: topic.to_owned(),
            payload: payload.clone(),
            from: from.clone(),
        };
        let text = serde_json::to_vec(&broadcast).unwrap_or_default();
        let heard = self
            .link
            .publish(&format!("{}:bus", self.prefix), &text)
            .await?;
        // We hear ourselves.
        Ok(u32::try_from(heard.saturating_sub(1)).unwrap_or(u32::MAX))
    }
}

impl Audience {
    /// Who is to be told, once it is there.
    pub(super) fn complete(&self, spaces: Vec<Arc<Following>>, bus: Arc<Bus>) {
        let _first = self.spaces.set(spaces);
        let _first = self.bus.set(bus);
    }

    fn hear(&self, news: &News, machine: &str) {
        for following in self.spaces.get().into_iter().flatten() {
            following.hear(news);
        }
        if let (News::Message { payload, .. }, Some(bus)) = (news, self.bus.get())
            && let Ok(broadcast) = serde_json::from_slice::<Broadcast>(payload)
            && broadcast.machine != machine
        {
            let Broadcast {
                topic,
                payload,
                from,
                ..
            } = broadcast;
            // That nobody listens here is nothing that the sender wants to know.
            let _nobody = bus.send(&To::Everywhere, &topic, payload, from);
        }
    }
}

impl Followed {
    pub(super) fn following(&self) -> Arc<Following> {
        Arc::clone(&self.following)
    }

    /// The values, when they are all there.
    pub(super) async fn source(&self) -> Source {
        let mut loaded = self.following.loaded.subscribe();
        let is_first = self.following.loaded.send_if_modified(|loaded| {
            let is_first = loaded.is_none();
            loaded.get_or_insert(false);
            is_first
        });
        if is_first {
            self.following.mark(None);
            let following = Arc::downgrade(&self.following);
            tokio::spawn(async move { follow(&following).await });
        }
        let _gone = loaded.wait_for(|loaded| *loaded == Some(true)).await;
        self.following.source.clone()
    }

    pub(super) async fn acquire(
        &self,
        name: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<Acquired, StateError> {
        let acquired = self.space.acquire(name, owner, ttl).await?;
        if let Acquired::Ours { token } = acquired {
            let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
            let held = leases.entry(owner.to_owned()).or_default();
            held.insert((name.to_owned(), token));
        }
        Ok(acquired)
    }

    pub(super) async fn release(&self, name: &str, token: u64) -> Result<(), StateError> {
        self.forget(name, token);
        self.space.release(name, token).await
    }

    fn forget(&self, name: &str, token: u64) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.retain(|_, held| {
            held.remove(&(name.to_owned(), token));
            !held.is_empty()
        });
    }

    /// Gives back what a dead caller held. What the store does not hear of ends with its time.
    pub(super) fn release_all(&self, owner: &str) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, token) in leases.remove(owner).into_iter().flatten() {
            let space = Arc::clone(&self.space);
            tokio::spawn(async move { drop(space.release(&name, token).await) });
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.merging.abort();
    }
}

impl Following {
    fn hear(&self, news: &News) {
        match self.space.hear(news) {
            Some(keys) if keys.is_empty() => {}
            changed => self.mark(changed),
        }
    }

    /// Remembers what changed, each key once; `None` = anything.
    fn mark(&self, changed: Option<Vec<String>>) {
        if self.loaded.borrow().is_none() {
            return;
        }
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        match changed {
            Some(keys) if !dirty.all => dirty.keys.extend(keys),
            Some(_) => {}
            None => {
                dirty.all = true;
                dirty.keys.clear();
            }
        }
        drop(dirty);
        self.told.notify_one();
    }

    fn take(&self) -> Dirty {
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *dirty)
    }

    /// Reads what changed. On failure it is remembered again.
    async fn catch_up(&self) -> Result<(), StateError> {
        let dirty = self.take();
        if dirty.all {
            return self.read_all().await.inspect_err(|_| self.mark(None));
        }
        let mut keys = dirty.keys.into_iter();
        while let Some(key) = keys.next() {
            match self.space.get_fresh(&key).await {
                Ok(Some(versioned)) => self.set(key, Entry::from(versioned)),
                Ok(None) => drop(self.source.remove(&key)),
                Err(error) => {
                    self.mark(Some(std::iter::once(key).chain(keys).collect()));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn read_all(&self) -> Result<(), StateError> {
        let mut seen = BTreeSet::new();
        let mut after = None;
        loop {
            let page = self.space.scan("", after.as_deref(), PAGE).await?;
            for (key, versioned) in page.entries {
                seen.insert(key.clone());
                self.set(key, Entry::from(versioned));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        for key in self.source.keys() {
            if !seen.contains(&key) {
                self.source.remove(&key);
            }
        }
        Ok(())
    }

    /// Tells the watchers, unless they know.
    fn set(&self, key: String, entry: Entry) {
        let known = self.source.with(&key, |known| known.revision);
        if known != Some(entry.revision) {
            self.source.set(key, entry);
        }
    }
}

/// Reads what changes, as long as somebody may watch it.
async fn follow(following: &Weak<Following>) {
    while let Some(present) = following.upgrade() {
        match present.catch_up().await {
            Ok(()) => {
                present.loaded.send_replace(Some(true));
                present.told.notified().await;
            }
            Err(_away) => tokio::time::sleep(AGAIN).await,
        }
    }
}
