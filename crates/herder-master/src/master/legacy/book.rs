//! The master's dealings with its keeper: what is stored and written down, that it lives, and what it
//! hears of the processes of dead masters.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use herder_core::Tick;
use herder_sys::epoll::{Epoll, Interest};
use herder_sys::failpoint;
use herder_wire::keeper::{FromKeeper, Key, ToKeeper};

use super::pulse::Heartbeat;
use super::state::{MemberState, PartState, PlacesState, State};
use crate::estate::{Heard, StateError, StateFile, Vault, hear};
use crate::event::HerdEvent;
use crate::master::crew::Crew;
use crate::master::delivery::Delivery;
use crate::master::member::Member;
use crate::master::socket::HerdSocket;
use crate::master::token::Source;
use crate::master::{Heir, Master, millis, now};
use crate::part::Part;

/// What the master keeps for its successor.
pub(in crate::master) struct Book {
    pub(in crate::master) vault: Vault,
    file: StateFile,
    page: Page,
    /// How often something was done.
    changes: u64,
    /// How many events the supervisors had been told of when the state was written last.
    written_at: u64,
    /// How processes ended that are no children of this master.
    exits: BTreeMap<i32, ExitStatus>,
    pulse: Heartbeat,
    watched: Interest,
}

/// Whether something was done since the state was written last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Page {
    Current,
    Stale,
}

impl Book {
    pub(in crate::master) fn new(
        vault: Vault,
        file: StateFile,
        exits: Vec<(i32, ExitStatus)>,
        pulse: Heartbeat,
    ) -> Book {
        Book {
            vault,
            file,
            page: Page::Stale,
            changes: 0,
            written_at: 0,
            exits: exits.into_iter().collect(),
            pulse,
            watched: Interest::READABLE,
        }
    }

    /// Has the main loop hear of the keeper.
    pub(in crate::master) fn watch(&self, epoll: &Epoll) -> io::Result<()> {
        let token = Source::Keeper.token();
        epoll.add(self.vault.socket(), token, self.watched)
    }

    /// How long this master may stand still from now on.
    pub(in crate::master) fn set_watchdog(&mut self, watchdog: Option<Duration>) {
        if self.pulse.set_watchdog(watchdog, now()) {
            let millis = watchdog.map_or(0, millis);
            self.vault.say(&ToKeeper::Watchdog { millis });
        }
    }

    /// When the keeper wants to hear that this master lives.
    pub(in crate::master) fn beat_at(&self) -> Option<Tick> {
        self.pulse.due()
    }

    /// How often this master has done something: whoever watches need look only then.
    pub(in crate::master) fn changes(&self) -> u64 {
        self.changes
    }

    /// How this process ended, if the keeper has said so. It is said once.
    pub(in crate::master) fn take_exit(&mut self, pid: i32) -> Option<ExitStatus> {
        self.exits.remove(&pid)
    }

    fn send(&mut self, epoll: &Epoll) {
        self.vault.flush();
        let wanted = if self.vault.wants_room() {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        let token = Source::Keeper.token();
        if wanted != self.watched && epoll.modify(self.vault.socket(), token, wanted).is_ok() {
            self.watched = wanted;
        }
    }
}

impl Master {
    /// From now on another takes over if this master dies.
    pub(in crate::master) fn take_charge(&mut self) {
        // Whoever finds it finds something in it, though this master die in between.
        self.save();
        let key = Key::state();
        if let Err(error) = self.book.vault.store(&key, self.book.file.memory(), 0) {
            let text = format!("the keeper cannot be given the herd's state: {error}");
            self.tell(HerdEvent::Warning { text });
        }
        failpoint::hit("master.adopt.stored");
        let watchdog = self.book.pulse.watchdog().map_or(0, millis);
        let vault = &self.book.vault;
        vault.say(&ToKeeper::Watchdog { millis: watchdog });
        // Which signals are obeyed will be said: the keeper keeps them until then.
        vault.say(&ToKeeper::Obeyed { signals: 0 });
        vault.say(&ToKeeper::InCharge);
        failpoint::hit("master.adopt.in_charge");
        // From now on a successor is this build, and not the one that the keeper began with. One that does
        // not come so far is not tried again.
        let (key, build) = (Key::executable(), self.nursery.launchpad().executable());
        if let Err(error) = vault.store(&key, build.as_fd(), 0) {
            let text = format!("the keeper cannot be given this executable: {error}");
            self.tell(HerdEvent::Warning { text });
        }
    }

    /// What is done at the end of each turn.
    pub(in crate::master) fn keep_books(&mut self) {
        if self.heir == Heir::Master {
            return;
        }
        if self.book.page == Page::Stale {
            self.save();
        }
        self.book.send(&self.epoll);
    }

    /// The loop is about to sleep, and has nothing to do before `due` but to let hear of itself.
    pub(in crate::master) fn let_hear(&mut self, due: Option<Tick>) {
        if self.heir == Heir::Master {
            return;
        }
        if let Some(sign) = self.book.pulse.sign(due, now()) {
            self.book.vault.say(&sign);
            self.book.send(&self.epoll);
        }
    }

    /// The loop goes on.
    pub(in crate::master) fn wake(&mut self) {
        if let Some(sign) = self.book.pulse.wake(now()) {
            self.book.vault.say(&sign);
        }
    }

    /// Something is about to be done that a successor must know of.
    pub(in crate::master) fn save_ahead(&mut self) {
        if self.book.written_at != self.crews.told() {
            self.save();
        }
    }

    /// Something has changed that a successor must know of.
    pub(in crate::master) fn touch(&mut self) {
        self.book.page = Page::Stale;
        self.book.changes += 1;
    }

    /// Writes down what a successor must know.
    pub(in crate::master) fn save(&mut self) {
        // Before it is done: what cannot be written now can hardly be written the next time.
        self.book.page = Page::Current;
        self.book.written_at = self.crews.told();
        if let Delivery::Gateway(reception) = &mut self.delivery {
            reception.keep_certificates(&self.book.vault);
        }
        let state = State {
            app: Cow::Borrowed(self.spec.name.as_str()),
            mode: self.spec.dispatch.mode,
            workers: self.spec.workers,
            stopping: self.stopping,
            parts: self.crews.iter().map(part_state).collect(),
            awaited: self.awaited.numbers(),
            reception: match &self.delivery {
                Delivery::Gateway(reception) => Some(reception.state()),
                Delivery::Thread(..) => None,
            },
            editions: self.editions.record(),
            definitions: self.editions.definitions(),
            holds: Some(self.editions.holds()),
            reloads: Cow::Borrowed(&self.reloads),
            places: PlacesState {
                cgroup: self.runtime.cgroup_path().map(Into::into),
                directory: self.runtime.directory_path().map(Into::into),
                ports: self.runtime.ports(),
            },
            libraries: Cow::Borrowed(&self.found_by),
            cautions: Cow::Borrowed(&self.cautions),
            announced: Cow::Borrowed(&self.announced),
            version: Cow::Borrowed(&self.version),
            upgrade: self.upgrade.clone(),
            unobeyed: self.unobeyed,
            written: Some(now()),
            socket: self.socket.as_ref().and_then(HerdSocket::state),
        };
        let checked = failpoint::check("master.save");
        let written = checked.and_then(|()| self.book.file.write(&state));
        drop(state);
        match written {
            Ok(()) => {
                self.editions.forget_closed(&self.book.vault);
                if let Delivery::Gateway(reception) = &mut self.delivery {
                    reception.forget_certificates(&self.book.vault);
                }
            }
            Err(error) => self.caution(format!(
                "what the next master has to know cannot be written down: {error}"
            )),
        }
    }

    /// What was written down last.
    pub(super) fn written(&self) -> Result<Vec<u8>, StateError> {
        self.book.file.last()
    }

    /// The keeper says something, or is gone.
    pub(in crate::master) fn on_keeper(&mut self) -> io::Result<()> {
        loop {
            match hear(&self.book.vault.socket()) {
                Ok(Heard::Said(Some(FromKeeper::Exited { pid, status }), _)) => {
                    self.book.exits.insert(pid, ExitStatus::from_raw(status));
                    self.bury_adopted(pid)?;
                }
                // A master that is in charge is told of deaths alone.
                Ok(Heard::Said(..)) => {}
                Ok(Heard::Ended) => return self.on_keeper_gone(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return self.on_keeper_gone();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The end of a process is known that an earlier master started.
    fn bury_adopted(&mut self, pid: i32) -> io::Result<()> {
        let found = {
            let mut members = self.crews.members();
            members.find(|(_, member)| member.is_adopted() && member.child.pid == pid)
        };
        let Some(id) = found.map(|(id, _)| id) else {
            // It was killed before it was known, or everybody has given it up.
            self.book.exits.remove(&pid);
            return Ok(());
        };
        self.on_exit(id.part, id.worker.incarnation)
    }
}

fn part_state((part, crew): (Part, &Crew)) -> PartState<'_> {
    PartState {
        number: part.number().0,
        name: Cow::Owned(part.to_string()),
        supervisor: Cow::Borrowed(&crew.supervisor),
        members: crew.members.values().map(member_state).collect(),
        outcome: crew.outcome,
        last_ended: crew.last_ended,
    }
}

fn member_state(member: &Member) -> MemberState<'_> {
    let notify = member.notify.as_ref().and_then(|it| it.path());
    MemberState {
        worker: member.id.worker,
        pid: member.child.pid,
        cgroup: member.cgroup.as_ref().map(|it| it.path().into()),
        notify: notify.map(Into::into),
        progress: member.progress,
        retire_reason: member.retire_reason.as_deref().map(Cow::Borrowed),
        exhaustion: member.exhaustion,
        problem: member.problem.as_deref().map(Cow::Borrowed),
        node: member.node.as_ref().map(Cow::Borrowed),
        guessed: member.guessed,
    }
}
