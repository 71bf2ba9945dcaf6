//! A listener of which each worker has a socket of its own: the modes `kernel` and `reuseport`.
//!
//! The worker gets its socket as it would get one that all share, and accepts from it by itself. Who waits at
//! one that hangs is accepted in its stead, and handed to others as any connection that the master accepts.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use herder_core::dispatch::{Dispatcher, Event as Dealing};
use herder_core::rotation::{Event, Relief, Steering, Weight};
use herder_core::{Tick, WorkerId};
use herder_sys::epoll::{Epoll, Interest};
use herder_sys::fd;
use herder_wire::keeper::Prefix;

use crate::dispatch::Pieces;
use crate::dispatch::group::{Deposit, Group, Notice};
use crate::estate::Vault;

/// Without a program nothing shows whether a worker accepts again: it is given connections again after this.
const TRIAL: Duration = Duration::from_secs(2);

/// The sockets of one address, and who waits to be given to somebody else.
pub(super) struct Quay {
    group: Group,
    /// For who was accepted in a worker's stead.
    pub(super) dispatcher: Dispatcher,
    number: u64,
    deposit: Deposit,
    steering: Steering,
    /// Who does not keep up; without a program, until when that is believed.
    slow: BTreeMap<WorkerId, Option<Tick>>,
    /// Who has no turns any more.
    withdrawn: BTreeSet<WorkerId>,
    /// Something may have happened.
    is_ready: bool,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Catch {
    /// Who was accepted in a worker's stead.
    pub(super) rescued: Vec<OwnedFd>,
    /// Who may be given connections again.
    pub(super) readmitted: Vec<WorkerId>,
    /// What cannot be done.
    pub(super) failed: Vec<String>,
}

impl Quay {
    /// Watches a group, whose number is its listener's key, and stores it.
    pub(super) fn new(
        group: Group,
        steering: Steering,
        dispatcher: Dispatcher,
        (number, vault): (u64, &Vault),
        (epoll, token): (&Epoll, u64),
    ) -> io::Result<Quay> {
        epoll.add(group.as_fd(), token, Interest::READABLE)?;
        let mut quay = Quay {
            group,
            dispatcher,
            number,
            deposit: Deposit::new(number),
            steering,
            slow: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            is_ready: true,
        };
        quay.deposit.keep_up(&quay.group, vault);
        Ok(quay)
    }

    /// The worker's socket, which nobody gives connections to before it is admitted.
    ///
    /// # Errors
    /// When there can be none.
    pub(super) fn berth(
        &mut self,
        (worker, weight): (WorkerId, Weight),
        vault: &Vault,
        now: Tick,
    ) -> io::Result<OwnedFd> {
        let relief = Relief::HandOver;
        let socket = self.group.start(worker, weight, relief, now)?;
        let copy = fd::duplicate(socket)?;
        self.deposit.keep_up(&self.group, vault);
        self.is_ready = true;
        Ok(copy)
    }

    /// A duplicate of what the worker has.
    pub(super) fn berth_of(&self, worker: WorkerId) -> Option<OwnedFd> {
        fd::duplicate(self.group.socket(worker)?).ok()
    }

    /// Says whether the worker may get connections, or what has become of it.
    pub(super) fn tell(&mut self, event: Event, now: Tick) {
        self.group.tell(event, now);
        self.is_ready = true;
    }

    /// The worker has closed its socket: who waits there goes to others.
    pub(super) fn leave(&mut self, worker: WorkerId, now: Tick) {
        self.tell(Event::Retire { worker }, now);
        self.part_with(worker, now);
    }

    /// The worker is dead, or has left.
    pub(super) fn part_with(&mut self, worker: WorkerId, now: Tick) {
        self.tell(Event::Gone { worker }, now);
        self.slow.remove(&worker);
        self.withdrawn.remove(&worker);
    }

    /// Whether the worker may be given connections of others.
    pub(super) fn keeps_up(&self, worker: WorkerId) -> bool {
        !self.slow.contains_key(&worker)
    }

    /// Whether the worker's turn comes no more, and it has accepted who waited.
    pub(super) fn has_withdrawn(&self, worker: WorkerId) -> bool {
        self.withdrawn.contains(&worker)
    }

    /// Its descriptor was readable.
    pub(super) fn stir(&mut self) {
        self.is_ready = true;
    }

    /// When to [look after](Quay::tend) it at the latest.
    pub(super) fn due(&self) -> Option<Tick> {
        if self.is_ready {
            return Some(Tick::ZERO);
        }
        let trials = self.slow.values().copied().flatten();
        trials.chain(self.group.next_timer()).min()
    }

    /// Does what is due.
    pub(super) fn tend(&mut self, vault: &Vault, now: Tick) -> Catch {
        let mut catch = Catch::default();
        if self.due().is_none_or(|at| at > now) {
            return catch;
        }
        self.is_ready = false;
        self.group.wake(now);
        for notice in self.group.notices() {
            self.heed(notice, &mut catch, now);
        }
        let over = |until: &Option<Tick>| until.is_some_and(|at| at <= now);
        let tried = self.slow.iter().filter(|(_, until)| over(until));
        for worker in tried.map(|(worker, _)| *worker).collect::<Vec<_>>() {
            self.slow.remove(&worker);
            catch.readmitted.push(worker);
        }
        let rescued = self.group.rescued().into_iter();
        catch
            .rescued
            .extend(rescued.map(|(_, connection)| connection));
        self.deposit.keep_up(&self.group, vault);
        catch
    }

    fn heed(&mut self, notice: Notice, catch: &mut Catch, now: Tick) {
        match notice {
            Notice::Excluded { worker, .. } => self.pass_over(worker, None, now),
            Notice::Failed(text) => catch.failed.push(text),
            // Whoever can be handed a connection is not killed for those who wait.
            Notice::Hung(_) => {}
            Notice::Readmitted(worker) => {
                self.slow.remove(&worker);
                catch.readmitted.push(worker);
            }
            Notice::Rescue(worker) => {
                let until = match self.steering {
                    Steering::Program => None,
                    Steering::Hash => Some(now.after(TRIAL)),
                };
                self.pass_over(worker, until, now);
                self.group.rescue(worker, now);
            }
            Notice::Withdrawn(worker) => {
                self.withdrawn.insert(worker);
            }
        }
    }

    /// Nobody is handed to a worker that does not even take its own.
    fn pass_over(&mut self, worker: WorkerId, until: Option<Tick>, now: Tick) {
        self.slow.insert(worker, until);
        self.dispatcher.handle(Dealing::Hold { worker }, now);
    }

    /// Nobody new from now on; who waits can still be accepted.
    pub(super) fn close_doors(&mut self) {
        self.group.close_doors();
        self.is_ready = true;
    }

    /// What the next thread of this process goes on with.
    pub(super) fn pieces(&self) -> io::Result<Pieces> {
        let pieces = self.group.pieces().into_iter();
        let copy = |(piece, fd)| Ok((piece, fd::duplicate(fd)?));
        pieces.map(copy).collect()
    }

    /// Nobody has a socket any more: whoever waits is refused.
    pub(super) fn shut_down(&self) {
        self.group.shut_down();
    }

    /// Lets go of it. What the workers have lives on.
    pub(super) fn let_go(&self, vault: &Vault) {
        vault.forget_all(&Prefix::group(self.number));
    }
}
