//! SIGUSR2: the master goes on as the build that is installed now.
//!
//! The new build is asked first, while everything goes on. If it could be the master, the dispatch thread
//! gives back the connections that nobody has yet, everything is written down, and this process executes
//! the new build: it keeps its number and its children, and finds the rest with the keeper.

use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use herder_core::Tick;
use herder_core::spec::AppName;
use herder_sys::epoll::Interest;
use herder_sys::{failpoint, fd, limits, socket};
use herder_wire::plan::{DescriptorUse, LaunchPlan, Limit, LimitKind, Role};

use super::legacy::UpgradeState;
use super::reload::Matter;
use super::token::Source;
use super::{Heir, Master, Stopping, now, setup};
use crate::keeper;
use crate::launch::{self, Launchpad, PlanSocket};
use crate::output::wall_clock;
use crate::status;
use crate::upgrade::{Inquiry, Outcome, Refusal, pack};
use crate::verdict::{Operation, Ruling, Verdict};

/// A build that could be the master.
pub(super) struct NextBuild(Launchpad);

/// What a master becomes, and what it holds by then.
pub(super) struct Leap {
    build: Launchpad,
    parcels: Vec<OwnedFd>,
}

impl Master {
    /// Asks the build that is installed now whether it could be the master.
    pub(super) fn ask_new_build(&mut self) {
        if let Some(reason) = self.hindrance() {
            return self.refuse_upgrade(Refusal::because(reason));
        }
        self.upgrade = Some(UpgradeState {
            began: now(),
            failure: None,
            done_from: None,
        });
        match self.inquire() {
            Ok(inquiry) => self.inquiry = Some(inquiry),
            Err(error) => {
                let text = format!("the new build cannot be started: {error}");
                self.refuse_upgrade(Refusal::because(text));
            }
        }
    }

    /// The probe has printed something, or has ended.
    pub(super) fn on_probe(&mut self) {
        let Some(inquiry) = self.inquiry.take() else {
            return;
        };
        match inquiry.outcome(now()) {
            Err(inquiry) => self.inquiry = Some(*inquiry),
            Ok(Outcome::Refused(refusal)) => self.refuse_upgrade(refusal),
            Ok(Outcome::Fits(build)) => self.next_build = Some(NextBuild(build)),
        }
    }

    /// A probe that takes too long is ended.
    pub(super) fn press_probe(&mut self, now: Tick) {
        let deadline = self.inquiry.as_ref().map(Inquiry::deadline);
        if deadline.is_some_and(|at| at <= now) {
            self.on_probe();
        }
    }

    /// Lays everything down for the next build, if there is one. From here on there is no way back but
    /// by an execution.
    ///
    /// # Errors
    /// When nobody gives connections out any more.
    pub(super) fn prepare_leap(&mut self) -> io::Result<Option<Leap>> {
        let Some(NextBuild(build)) = self.next_build.take() else {
            return Ok(None);
        };
        // Something may have begun while the build was asked.
        if let Some(reason) = self.hindrance() {
            self.refuse_upgrade(Refusal::because(reason));
            return Ok(None);
        }
        failpoint::hit("master.upgrade.surrender");
        let remains = self.delivery.surrender()?;
        // What the thread had told before.
        self.on_dispatch_news();
        self.act();
        match pack(&remains.hand) {
            Ok(parcels) => Ok(Some(Leap { build, parcels })),
            Err(error) => {
                self.delivery.go_on(remains, &self.epoll)?;
                // A new dispatch thread knows nobody who may get connections.
                self.order_again();
                let text = format!("what the master holds cannot travel: {error}");
                self.refuse_upgrade(Refusal::because(text));
                Ok(None)
            }
        }
    }

    /// Becomes the next build. Returns, with a status, only when nothing can be executed at all: then the
    /// keeper starts a master.
    pub(super) fn leap(mut self, leap: Leap) -> u8 {
        failpoint::hit("master.upgrade.save");
        self.pack_socket();
        self.save();
        self.book.vault.flush();
        let vessel = Vessel {
            keeper: match fd::duplicate(self.book.vault.socket()) {
                Ok(keeper) => keeper,
                Err(error) => return give_up(&error),
            },
            parcels: leap.parcels,
            name: self.spec.name.clone(),
        };
        let own = Launchpad::current();
        self.output.settle(setup::LAST_WORDS);
        failpoint::hit("master.upgrade.execute");
        let error = vessel.sail(&leap.build);
        if let Some(upgrade) = &mut self.upgrade {
            let path = leap.build.path().display();
            upgrade.failure = Some(Cow::Owned(format!("{path} cannot be executed: {error}")));
        }
        self.save();
        let error = own.map_or_else(|error| error, |own| vessel.sail(&own));
        give_up(&error)
    }

    /// Whether a new build is asked, or about to be executed.
    pub(super) fn is_upgrading(&self) -> bool {
        self.inquiry.is_some() || self.next_build.is_some()
    }

    /// This is the image that came after the one which called itself `from`: a master that follows, should this
    /// one die before it has told of it, is to know.
    pub(super) fn note_upgrade(&mut self, from: &str) {
        if let Some(upgrade) = &mut self.upgrade {
            upgrade.done_from = Some(Cow::Owned(from.to_owned()));
        }
    }

    /// Tells of an upgrade in which the master has died. (This is the one that was started then.)
    pub(super) fn tell_of_upgrade_of_the_dead(&mut self) {
        let Some(upgrade) = &mut self.upgrade else {
            return;
        };
        match upgrade.done_from.clone() {
            Some(from) => self.tell_of_upgrade(&from),
            None => {
                let died = || Cow::Borrowed("the master died before it was done; ask again");
                upgrade.failure.get_or_insert_with(died);
                self.tell_of_upgrade("");
            }
        }
    }

    /// Tells of an upgrade that is over. (This is the image that came after it.)
    pub(super) fn tell_of_upgrade(&mut self, from: &str) {
        let Some(upgrade) = self.upgrade.take() else {
            return;
        };
        let took = now().since(upgrade.began);
        match upgrade.failure {
            Some(reason) => {
                self.upgrade = Some(UpgradeState {
                    failure: None,
                    ..upgrade
                });
                self.refuse_upgrade(Refusal::because(reason));
            }
            None => {
                let (from, to) = (from.to_owned(), self.version.clone());
                let generation = self.generation();
                let done = Verdict::done(Operation::Upgrade, generation, took, wall_clock());
                self.give(done, Matter::Upgrade { from, to });
            }
        }
    }

    /// Why there can be no upgrade now.
    fn hindrance(&self) -> Option<&'static str> {
        if self.stopping != Stopping::No {
            Some("the herd is stopping")
        } else if self.heir == Heir::Master {
            Some("the keeper is gone")
        } else if self.is_upgrading() {
            Some("another upgrade is under way")
        } else if self.is_reloading() {
            Some("a reload is under way; ask again when it is over")
        } else {
            None
        }
    }

    fn inquire(&mut self) -> io::Result<Inquiry> {
        let testimony = self.testimony().map_err(io::Error::other)?;
        failpoint::hit("master.upgrade.probe");
        let build = self.nursery.launchpad().installed()?;
        let inquiry = Inquiry::start(build, self.spec.name.as_str(), &testimony, now())?;
        let token = Source::Probe.token();
        let end = self.epoll.add(inquiry.end(), token, Interest::READABLE);
        // A probe that closes its output and lives on must not wake us for ever.
        let printed = Interest::READABLE | Interest::EDGE;
        match end.and_then(|()| self.epoll.add(inquiry.output(), token, printed)) {
            Ok(()) => Ok(inquiry),
            Err(error) => {
                inquiry.abandon();
                Err(error)
            }
        }
    }

    /// Nothing has changed, for this reason.
    fn refuse_upgrade(&mut self, refusal: Refusal) {
        let is_own = !self.is_upgrading();
        let upgrade = self.upgrade.take_if(|_| is_own);
        let took = upgrade.map_or(Duration::ZERO, |upgrade| now().since(upgrade.began));
        let verdict = Verdict {
            outcome: Ruling::Refused,
            reason: refusal.reason,
            exit: refusal.exit,
            last_lines: refusal.last_lines,
            ..Verdict::done(Operation::Upgrade, self.generation(), took, wall_clock())
        };
        if is_own {
            self.give(verdict, Matter::Refusal);
        } else {
            // Those who wait, wait for the one that goes on.
            self.give_unasked(verdict, Matter::Refusal);
        }
    }
}

/// In what a master's work goes over.
struct Vessel {
    keeper: OwnedFd,
    parcels: Vec<OwnedFd>,
    name: AppName,
}

impl Vessel {
    /// Executes a build in this process. Returns only when that failed.
    fn sail(&self, build: &Launchpad) -> io::Error {
        match self.load() {
            Ok(stdin) => build.replace_process(Role::Master, self.name.as_str(), &stdin),
            Err(error) => error,
        }
    }

    /// The stdin of the next image, with the plan in it.
    fn load(&self) -> io::Result<OwnedFd> {
        let (stdin, ours) = socket::stream_pair()?;
        let (soft, hard) = limits::inherited_open_files();
        let mut uses = vec![DescriptorUse::Keeper];
        uses.resize(1 + self.parcels.len(), DescriptorUse::Estate);
        let plan = LaunchPlan {
            // Its life is told apart from that of a master that the keeper starts.
            incarnation: 1,
            descriptors: uses,
            limits: vec![Limit {
                kind: LimitKind::OpenFiles,
                soft,
                hard,
            }],
            ..launch::bare_plan(Role::Master, self.name.as_str())
        };
        let parcels = self.parcels.iter().map(AsFd::as_fd);
        let descriptors: Vec<_> = [self.keeper.as_fd()].into_iter().chain(parcels).collect();
        PlanSocket::new(ours).send(&plan, &descriptors)?;
        Ok(stdin)
    }
}

/// No build can be executed, not even this one: the keeper starts another master.
fn give_up(error: &io::Error) -> u8 {
    keeper::complain(&format!("no build of the master can be executed: {error}"));
    status::INTERNAL
}
