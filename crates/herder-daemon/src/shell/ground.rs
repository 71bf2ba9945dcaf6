//! What the daemon stands on: its home. Somebody may take it away.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use herder_api::herd::HerdRequest;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use super::{Shell, boot, keeper};
use crate::books::{Entry, Rest, Todo};
use crate::desk::Until;
use crate::home::Home;
use crate::lock::{self, Mark};
use crate::waited::{Waited, readable};

/// Whoever removes something may not be done with it: it is looked at when nothing more was removed for
/// so long.
const QUIET: Duration = Duration::from_millis(300);

/// Tells when something of the home is removed.
pub(super) struct Ground {
    /// None = the kernel watches no more directories for this user.
    watch: Option<AsyncFd<Waited<OwnedFd>>>,
    /// When it is to be looked at.
    pub(super) look_at: Option<Instant>,
}

impl Ground {
    pub(super) fn watch(home: &Path) -> Ground {
        let watch = || {
            let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            let flags = WatchFlags::DELETE
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVED_FROM
                | WatchFlags::MOVE_SELF;
            inotify::add_watch(&inotify, home, flags)?;
            inotify::add_watch(&inotify, home.join("run"), flags)?;
            readable(inotify)
        };
        Ground {
            watch: watch().ok(),
            look_at: None,
        }
    }

    /// Waits until something was removed.
    pub(super) async fn shakes(&self) {
        let Some(watch) = &self.watch else {
            return std::future::pending().await;
        };
        if let Ok(mut ready) = watch.readable().await {
            let mut room = [0; 4096];
            while rustix::io::read(&ready.get_inner().0, &mut room).is_ok_and(|length| length > 0) {
            }
            ready.clear_ready();
        }
    }
}

/// What is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Missing {
    Nothing,
    /// All of it, or the locks and sockets of the herds: no other daemon would find them.
    Herds,
    /// The list, or the way to the daemon: what it knows itself.
    Own,
    /// Files that others write.
    Logs,
}

impl Shell {
    /// Something of the home was removed.
    pub(super) fn note_removal(&mut self) {
        self.ground.look_at = Some(Instant::now() + QUIET);
    }

    /// Looks what was removed, when it is time to: what can be made again is, and else the herds, which nobody
    /// could reach any more, end in order.
    pub(super) fn look_at_home(&mut self) {
        if self
            .ground
            .look_at
            .take_if(|at| *at <= Instant::now())
            .is_none()
            || self.books.is_closing()
            || self.leaving.is_some()
        {
            return;
        }
        match self.missing() {
            Missing::Nothing => self.warn_of_locks(),
            Missing::Herds => self.give_up_home(),
            Missing::Own => self.repair(),
            Missing::Logs => {
                self.tell_of_home("the directory of log files was removed, and is made again");
                if Home::open(self.home.path(), self.read_group).is_ok() {
                    let ids = self.books.entries().map(|entry| entry.id);
                    let stage = ids.map(|id| (id, Todo::Request(HerdRequest::ReopenLogs)));
                    let (stage, now) = (stage.collect(), self.now());
                    self.books.begin(vec![stage], now);
                }
            }
        }
    }

    fn missing(&self) -> Missing {
        let (Ok(ours), Ok(there)) = (
            rustix::fs::fstat(self.home.root()),
            rustix::fs::lstat(self.home.path()),
        ) else {
            return Missing::Herds;
        };
        let is_there = |name: &str| rustix::fs::lstat(self.home.path().join(name)).is_ok();
        if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino) || !is_there("run") {
            Missing::Herds
        } else if !is_there("state") || !is_there("herder.sock") {
            Missing::Own
        } else if !is_there("logs") {
            Missing::Logs
        } else {
            Missing::Nothing
        }
    }

    /// A lock that was removed is held by whoever held it, and nobody finds it; it cannot be put back. That does
    /// no harm yet, and somebody has to know.
    fn warn_of_locks(&self) {
        let home = self.home.path();
        let running = self.books.entries().filter(|entry| Entry::has_herd(entry));
        let herds = running.map(|entry| {
            let name = entry.name();
            let place = format!("run/{}", lock::of_herd(name));
            let text = format!(
                "{place} was removed: another daemon would not find {name}, and start it once more; \
                 herder restart {name} makes it again"
            );
            (place, text)
        });
        let own = (
            lock::DAEMON.to_owned(),
            format!(
                "{} was removed: another daemon could start beside this one; herder kill --leave-apps, \
                 and any command after it, makes it again",
                lock::DAEMON
            ),
        );
        for (place, text) in herds.chain([own]) {
            let path = home.join(place);
            let is_gone = matches!(rustix::fs::lstat(&path), Err(Errno::NOENT));
            if is_gone && self.warnings.add(text.clone(), Until::There(path)) {
                self.journal.note("", "home_removed", "warning", text);
            }
        }
    }

    /// What everybody says last is found where it always was: in a home that is made for it.
    fn give_up_home(&mut self) {
        if let Ok(home) = Home::open(self.home.path(), self.read_group) {
            self.journal.move_to(home);
        }
        self.tell_of_home(
            "the home, or run/ in it, was removed, so that no command can reach the apps any more: \
             they are stopped in order, then the daemon",
        );
        let now = self.now();
        self.books.close_down(Rest::Ended, now);
    }

    /// The list and the orders are written anew, and the guard starts a daemon that listens.
    fn repair(&mut self) {
        self.tell_of_home(
            "something of the home was removed: it is made again, and the daemon begins anew",
        );
        let made = Home::open(self.home.path(), self.read_group);
        let made = made.map_err(|problem| problem.message).and_then(|home| {
            let running = self.books.entries().filter(|entry| Entry::has_herd(entry));
            for entry in running {
                let order = self.books.order_of(&entry.definition);
                keeper::write_order(&home, &order).map_err(|error| error.to_string())?;
            }
            boot::write_list(&home, &self.books.list()).map_err(|error| error.to_string())
        });
        match made {
            Ok(()) => self.leaving = Some(Mark::Upgrade),
            Err(why) => self.tell_of_home(&format!("it cannot be made again: {why}")),
        }
    }

    /// Its log may be gone with it.
    fn tell_of_home(&self, text: &str) {
        self.journal.reopen();
        self.journal
            .note("", "home_removed", "warning", text.to_owned());
    }
}
