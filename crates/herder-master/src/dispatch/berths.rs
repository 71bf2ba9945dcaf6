//! Listeners of which each slot has its own: the modes `kernel` and `reuseport`.
//!
//! The main thread asks for a worker's listeners when it starts one, and says what becomes of it; the
//! dispatch thread looks after the queues. Both do so in the same [`Berths`], one at a time: each step is
//! short and never waits.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use herder_core::rotation::{Event, Relief, Weight};
use herder_core::{Tick, WorkerId};
use herder_sys::epoll::{Epoll, Interest};
use herder_sys::{clock, fd};
use herder_wire::keeper::Prefix;

use super::group::{Deposit, Group, GroupSpec, Notice, Pieces};
use super::{Command, News};
use crate::estate::Vault;

/// The groups of a herd: one for each of its addresses.
#[derive(Clone)]
pub(crate) struct Berths(Arc<Mutex<Harbour>>);

struct Harbour {
    spec: GroupSpec,
    vault: Vault,
    /// How often each slot's turn comes, as far as it is not once in each round.
    weights: Vec<Weight>,
    /// How a worker is helped that accepts nobody.
    relief: Relief,
    /// By the number under which they are stored.
    groups: BTreeMap<u64, Held>,
    /// Of how many groups it is not known yet that a worker's turn comes no more.
    withdrawing: BTreeMap<WorkerId, usize>,
    /// The workers that may still accept somebody.
    serving: BTreeSet<WorkerId>,
    /// By when nobody listens any more.
    closing: Option<Tick>,
    /// What the main thread has not heard yet.
    news: Vec<News>,
}

/// How long the herd listens, when it stops, until its workers have accepted those who wait.
const DOOR: Duration = Duration::from_secs(1);

struct Held {
    group: Group,
    deposit: Deposit,
}

impl Berths {
    /// None yet. Whatever is opened is put into this store.
    pub(crate) fn new(
        spec: GroupSpec,
        weights: &[Weight],
        relief: Relief,
        vault: &Vault,
    ) -> Berths {
        Berths(Arc::new(Mutex::new(Harbour {
            spec,
            vault: vault.clone(),
            weights: weights.to_vec(),
            relief,
            groups: BTreeMap::new(),
            withdrawing: BTreeMap::new(),
            serving: BTreeSet::new(),
            closing: None,
            news: Vec::new(),
        })))
    }

    /// Takes an address, and says which it is. Nobody listens there before a worker is
    /// [started](Berths::start).
    ///
    /// # Errors
    /// When it is not to be had, or the kernel takes no program.
    pub(crate) fn bind(&self, number: u64, address: SocketAddr) -> io::Result<SocketAddr> {
        let mut harbour = self.harbour();
        let group = Group::bind(&harbour.spec, address)?;
        Ok(harbour.take_in(number, group))
    }

    /// Goes on with a group of an earlier master, and says where it listens. `workers`: who lives.
    ///
    /// # Errors
    /// When it is not whole.
    pub(crate) fn adopt(
        &self,
        number: u64,
        pieces: Pieces,
        workers: &[WorkerId],
    ) -> io::Result<SocketAddr> {
        let mut harbour = self.harbour();
        let relief = harbour.relief;
        harbour.serving.extend(workers);
        let workers: Vec<_> = workers
            .iter()
            .map(|worker| (*worker, harbour.weight_of(*worker), relief))
            .collect();
        let group = Group::adopt(&harbour.spec, pieces, &workers, now())?;
        Ok(harbour.take_in(number, group))
    }

    /// The numbers of the groups.
    pub(crate) fn numbers(&self) -> BTreeSet<u64> {
        self.harbour().groups.keys().copied().collect()
    }

    /// Where the groups listen, in their order.
    pub(crate) fn locals(&self) -> Vec<SocketAddr> {
        let harbour = self.harbour();
        harbour.groups.values().map(|it| it.group.local()).collect()
    }

    /// The listeners of a worker that is about to be started: one of each group, by the groups' numbers.
    ///
    /// # Errors
    /// When one cannot be made. Whoever does not live then is to be told of as gone.
    pub(crate) fn start(
        &self,
        worker: WorkerId,
    ) -> io::Result<BTreeMap<u64, (SocketAddr, OwnedFd)>> {
        let mut harbour = self.harbour();
        let (relief, now) = (harbour.relief, now());
        let weight = harbour.weight_of(worker);
        harbour.serving.insert(worker);
        let mut listeners = BTreeMap::new();
        for (number, held) in &mut harbour.groups {
            let local = held.group.local();
            let socket = held.group.start(worker, weight, relief, now)?;
            listeners.insert(*number, (local, fd::duplicate(socket)?));
        }
        harbour.tidy();
        Ok(listeners)
    }

    /// Obeys what is about the listeners alone, and says whether this was.
    pub(crate) fn obey(&self, command: &Command) -> bool {
        let Some((worker, event)) = event_of(command) else {
            return false;
        };
        let mut harbour = self.harbour();
        match (&event, harbour.groups.len()) {
            // Nobody listens any more.
            (Event::Withdraw { .. }, 0) => harbour.news.push(News::Withdrawn(worker)),
            (Event::Withdraw { .. }, groups) => {
                // If it is said again: a group that has answered does not do so once more.
                harbour.withdrawing.entry(worker).or_insert(groups);
            }
            (Event::Gone { .. }, _) => {
                harbour.withdrawing.remove(&worker);
                harbour.serving.remove(&worker);
            }
            _ => {}
        }
        harbour.tell(&event);
        true
    }

    /// Has a thread hear of the groups. `first_token` and the following ones name them.
    pub(crate) fn watch(&self, epoll: &Epoll, first_token: u64) -> io::Result<()> {
        let harbour = self.harbour();
        let mut groups = harbour.groups.values().zip(first_token..);
        groups
            .try_for_each(|(held, token)| epoll.add(held.group.as_fd(), token, Interest::READABLE))
    }

    /// Does what is due.
    pub(crate) fn wake(&self) {
        let mut harbour = self.harbour();
        let now = now();
        for held in harbour.groups.values_mut() {
            held.group.wake(now);
        }
        harbour.tidy();
        let is_closing = harbour.closing;
        if is_closing.is_some_and(|by| by <= now || harbour.serving.is_empty()) {
            harbour.close();
        }
    }

    /// When to [wake](Berths::wake) at the latest.
    pub(crate) fn next_timer(&self) -> Option<Tick> {
        let harbour = self.harbour();
        let groups = harbour.groups.values();
        let groups = groups.filter_map(|held| held.group.next_timer());
        groups.chain(harbour.closing).min()
    }

    /// What is to be told.
    pub(crate) fn news(&self) -> Vec<News> {
        std::mem::take(&mut self.harbour().news)
    }

    /// Nobody is to listen any more as soon as the workers have accepted those who wait, and in any case
    /// after this time. Those that the workers have live on.
    pub(crate) fn close(&self, within: Duration) {
        let by = now().after(within.min(DOOR));
        let mut harbour = self.harbour();
        harbour.closing.get_or_insert(by);
        let groups = harbour.groups.values_mut();
        groups.for_each(|held| held.group.close_doors());
    }

    /// A panic while it was held has ended the thread, and with it the herd.
    fn harbour(&self) -> MutexGuard<'_, Harbour> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Harbour {
    fn weight_of(&self, worker: WorkerId) -> Weight {
        let weight = self.weights.get(usize::from(worker.slot.0));
        weight.copied().unwrap_or(Weight::ONE)
    }

    fn take_in(&mut self, number: u64, group: Group) -> SocketAddr {
        let local = group.local();
        let held = Held {
            group,
            deposit: Deposit::new(number),
        };
        self.groups.insert(number, held);
        self.tidy();
        local
    }

    fn close(&mut self) {
        self.closing = None;
        // They are not shut down: it would tell the workers before anybody else does.
        for number in std::mem::take(&mut self.groups).into_keys() {
            self.vault.forget_all(&Prefix::group(number));
        }
        let waiting = std::mem::take(&mut self.withdrawing);
        self.news.extend(waiting.into_keys().map(News::Withdrawn));
        self.news.push(News::ListenersClosed);
    }

    fn tell(&mut self, event: &Event) {
        let now = now();
        for held in self.groups.values_mut() {
            held.group.tell(event.clone(), now);
        }
        self.tidy();
    }

    /// Hears what came of it, and stores what is new.
    fn tidy(&mut self) {
        let mut notices = Vec::new();
        for held in self.groups.values_mut() {
            held.deposit.keep_up(&held.group, &self.vault);
            notices.extend(held.group.notices());
        }
        for notice in notices {
            self.heed(notice);
        }
    }

    fn heed(&mut self, notice: Notice) {
        match notice {
            Notice::Withdrawn(worker) => {
                let Some(left) = self.withdrawing.get_mut(&worker) else {
                    return;
                };
                *left -= 1;
                if *left == 0 {
                    self.withdrawing.remove(&worker);
                    self.serving.remove(&worker);
                    self.news.push(News::Withdrawn(worker));
                }
            }
            Notice::Hung(worker) => self.news.push(News::Hung(worker)),
            Notice::Failed(text) => self.news.push(News::Failed(text)),
            // Nobody has a channel for what could be accepted in its stead.
            Notice::Rescue(_) => {}
            // The rotation does it by itself, and may do it often.
            Notice::Excluded { .. } | Notice::Readmitted(_) => {}
        }
    }
}

/// What a command means for the listeners.
fn event_of(command: &Command) -> Option<(WorkerId, Event)> {
    Some(match *command {
        Command::Admit(worker) => (worker, Event::Admit { worker }),
        Command::Gone(worker) => (worker, Event::Gone { worker }),
        Command::Guessed(worker) => (worker, Event::Guessed { worker }),
        Command::Hold(worker) => (worker, Event::Hold { worker }),
        Command::Load(worker, load) => (worker, Event::Load { worker, load }),
        Command::Withdraw(worker) => (worker, Event::Withdraw { worker }),
        #[cfg(test)]
        Command::Die => return None,
        Command::Attach(..)
        | Command::CloseListeners(_)
        | Command::Node(..)
        | Command::Stop
        | Command::Surrender => return None,
    })
}

fn now() -> Tick {
    Tick::from_micros(clock::monotonic_micros())
}
