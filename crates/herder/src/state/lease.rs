//! [`Lease`]: being the only one, for a while.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use herder_services::library::LeaseAnswer;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::error::StateError;
use super::namespace::{State, millis};
use crate::worker::lock;

/// A lease is prolonged so often in its time.
const RENEWALS: u32 = 3;

/// A renewal that failed is tried again after this part of the time.
const RETRIES: u32 = 10;

/// A lease is asked for no longer: a hundred years, which every clock can count to.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The leases of a worker: until when, by namespace and name.
pub(crate) type Held = BTreeMap<(String, String), Instant>;

/// The answer to somebody who wants a lease.
#[derive(Debug)]
pub enum Acquired {
    /// Another has it.
    Held {
        /// For so much longer, unless it is prolonged.
        left: Duration,
    },
    /// It is ours.
    Ours(Lease),
}

/// A lease that we have. It is prolonged until it is dropped, which gives it back.
#[must_use = "a lease that is dropped is given back"]
pub struct Lease {
    name: String,
    token: u64,
    state: State,
    lost: watch::Receiver<Standing>,
    release: mpsc::Sender<Release>,
}

/// Who wants to know that a lease was given back.
type Release = oneshot::Sender<Result<(), StateError>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Held,
    Lost,
}

/// A place among the leases of this worker: to the library all of them have one owner.
struct Reserved {
    state: State,
    key: (String, String),
}

/// Who prolongs a lease.
struct Keeper {
    reserved: Reserved,
    token: u64,
    ttl: Duration,
    lost: watch::Sender<Standing>,
}

pub(super) async fn acquire(
    state: &State,
    name: &str,
    ttl: Duration,
) -> Result<Acquired, StateError> {
    // Longer than any herd runs, and no further than the clock reaches.
    let ttl = ttl.min(LONGEST);
    let asked = Instant::now();
    let reserved = match Reserved::take(state, name, asked + ttl) {
        Ok(reserved) => reserved,
        Err(left) => return Ok(Acquired::Held { left }),
    };
    let call = state.client()?.acquire(state.space(), name, millis(ttl));
    let token = match state.timed(call).await? {
        LeaseAnswer::Held { left_ms } => {
            let left = Duration::from_millis(left_ms);
            return Ok(Acquired::Held { left });
        }
        LeaseAnswer::Ours { token } => token,
    };
    let (lost, standing) = watch::channel(Standing::Held);
    let (release, releases) = mpsc::channel(1);
    let keeper = Keeper {
        reserved,
        token,
        ttl,
        lost,
    };
    tokio::spawn(keeper.keep(asked + ttl, releases));
    Ok(Acquired::Ours(Lease {
        name: name.to_owned(),
        token,
        state: state.clone(),
        lost: standing,
        release,
    }))
}

impl Acquired {
    /// The lease, if it is ours.
    #[must_use]
    pub fn lease(self) -> Option<Lease> {
        match self {
            Acquired::Held { .. } => None,
            Acquired::Ours(lease) => Some(lease),
        }
    }
}

impl Lease {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The *fencing token*: greater than that of every lease of the namespace before. What the holder
    /// writes to keeps the greatest that it has seen, and refuses a smaller one: so nobody who was paused
    /// writes over the work of who has the lease now.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Whether it is held still, as far as this process and its clock know.
    #[must_use]
    pub fn is_held(&self) -> bool {
        if *self.lost.borrow() == Standing::Lost {
            return false;
        }
        // Whoever prolongs it may have been paused with us.
        let held = lock(&self.state.clients().held);
        let until = held.get(&(self.state.space().to_owned(), self.name.clone()));
        until.is_some_and(|until| Instant::now() < *until)
    }

    /// Returns when it is lost: it could not be prolonged in time.
    pub async fn lost(&self) {
        let mut standing = self.lost.clone();
        // Who prolongs it ends early only with the runtime.
        let _ended = standing.wait_for(|now| *now == Standing::Lost).await;
    }

    /// Gives it back, and returns when others can have it.
    ///
    /// # Errors
    /// [`StateError::NotHeld`] when it was lost; or when there is no answer, then it ends with its time.
    pub async fn release(self) -> Result<(), StateError> {
        let (told, answer) = oneshot::channel();
        let _over = self.release.send(told).await;
        answer.await.unwrap_or(Err(StateError::NotHeld))
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("name", &self.name)
            .field("token", &self.token)
            .field("is_held", &self.is_held())
            .finish_non_exhaustive()
    }
}

impl Keeper {
    /// Prolongs the lease until it is given back or lost.
    async fn keep(self, mut until: Instant, mut releases: mpsc::Receiver<Release>) {
        let mut pause = self.ttl / RENEWALS;
        let who = loop {
            let next = (Instant::now() + pause).min(until);
            tokio::select! {
                who = releases.recv() => break who,
                () = tokio::time::sleep_until(next) => {}
            }
            let asked = Instant::now();
            pause = match self.renew(until).await {
                Ok(()) => {
                    until = asked + self.ttl;
                    self.reserved.prolong(until);
                    self.ttl / RENEWALS
                }
                Err(StateError::NotHeld) => break self.lose(&mut releases).await,
                Err(_) if Instant::now() >= until => break self.lose(&mut releases).await,
                Err(_) => self.ttl / RETRIES,
            };
        };
        let is_ours = *self.lost.borrow() == Standing::Held;
        let outcome = match is_ours {
            true => self.give_back().await,
            false => Err(StateError::NotHeld),
        };
        drop(self.reserved);
        if let Some(who) = who {
            let _nobody_waits = who.send(outcome);
        }
    }

    async fn renew(&self, until: Instant) -> Result<(), StateError> {
        let state = &self.reserved.state;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(StateError::NotHeld);
        }
        let call = state.client()?.renew(
            state.space(),
            &self.reserved.key.1,
            self.token,
            millis(self.ttl),
        );
        Ok(call.deadline(left).await?)
    }

    async fn give_back(&self) -> Result<(), StateError> {
        let state = &self.reserved.state;
        let call = state
            .client()?
            .release(state.space(), &self.reserved.key.1, self.token);
        Ok(state.timed(call).await?)
    }

    /// Says so, and waits until the holder has heard it.
    async fn lose(&self, releases: &mut mpsc::Receiver<Release>) -> Option<Release> {
        self.lost.send_replace(Standing::Lost);
        releases.recv().await
    }
}

impl Reserved {
    /// The place, or how long it is taken for.
    fn take(state: &State, name: &str, until: Instant) -> Result<Reserved, Duration> {
        let key = (state.space().to_owned(), name.to_owned());
        let mut held = lock(&state.clients().held);
        if let Some(until) = held.get(&key) {
            return Err(until.saturating_duration_since(Instant::now()));
        }
        held.insert(key.clone(), until);
        Ok(Reserved {
            state: state.clone(),
            key,
        })
    }

    fn prolong(&self, until: Instant) {
        lock(&self.state.clients().held).insert(self.key.clone(), until);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        lock(&self.state.clients().held).remove(&self.key);
    }
}
