//! The daemon proper: books, herds, files and the desk in one loop.

mod asks;
mod bell;
mod boot;
mod edits;
mod effects;
mod files;
mod ground;
mod herd;
mod journal;
mod keeper;
mod ledger;
mod service;
mod triggered;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use herder_api::Problem;
use herder_api::control::Progress;
use herder_sys::process::Executable;
use herder_sys::residence;
use herder_sys::signal::{Signal, SignalFd};
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::books::{AppId, Books, CourseId, News, Now, Rest, Todo};
use crate::desk::{Ask, Desk, Warnings};
use crate::home::Home;
use crate::lock::Mark;
use crate::settings::Settings;
use crate::triggers::{self, Triggers};
use crate::waited::Waited;
use herd::{Inbox, Order};
use journal::Journal;
use usage::Meter;

/// How many may ask at a time.
const ASKS: usize = 64;

/// How long after its begin, in milliseconds, a daemon looks for herds before it answers.
const LOOK: u64 = 500;

/// How much is done in one turn before the list is written down.
const TURN: usize = 256;

/// How long a daemon that leaves waits for streams to be read.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// For how long there may be more to do after something was done.
pub(super) const BUSY: Duration = Duration::from_secs(2);

/// The daemon proper.
pub(crate) struct Shell {
    books: Books,
    home: Arc<Home>,
    executable: Executable,
    asks: mpsc::Receiver<Ask>,
    inbox: (Inbox, mpsc::UnboundedReceiver<(AppId, u64, News)>),
    herds: BTreeMap<AppId, (u64, mpsc::UnboundedSender<Order>)>,
    streams: BTreeMap<CourseId, mpsc::Sender<Progress>>,
    journal: Journal,
    unwritten: Option<ledger::Unwritten>,
    warnings: Warnings,
    ground: ground::Ground,
    read_group: Option<u32>,
    meter: Meter,
    triggers: Triggers,
    words: mpsc::UnboundedReceiver<triggers::Word>,
    bell: watch::Receiver<u64>,
    /// Courses after which the daemon becomes the build that is installed.
    upgrades: BTreeSet<CourseId>,
    began: (Instant, u64),
    /// How it ends, once it does.
    leaving: Option<Mark>,
    /// When the list is to be written, if something of it is not.
    jot_at: Option<Instant>,
    /// When what it has done lately is over. From then on it mostly waits, and needs little memory for that.
    rest_at: Option<Instant>,
    /// When the herds of the list were not looked for yet.
    holders: Option<keeper::Holders>,
    service: service::Service,
}

impl Shell {
    /// Opens the books of a home whose lock the caller holds. Call it in a runtime.
    pub(crate) fn open(settings: &Settings) -> Result<(Desk, Shell), Problem> {
        let read_group = settings.read_group_id()?;
        let home = Arc::new(Home::open(&settings.home, read_group)?);
        let journal = Journal::new(Arc::clone(&home), settings.manner);
        let watched = bell::watch_directory(&home.run_path());
        let watched = watched.map_err(|error| crate::home::unusable(&home.run_path(), &error))?;
        let (ring, bell) = watch::channel(0);
        tokio::spawn(bell::ring(watched, ring));
        let (triggers, words) = Triggers::new(own_program()?);
        let (asking, asks) = mpsc::channel(ASKS);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let wall = u64::try_from(wall.unwrap_or_default().as_millis()).unwrap_or(0);
        let desk = Desk::new(asking, journal.events());
        let mut shell = Shell {
            books: boot::books(&home),
            home,
            executable: own_program()?,
            asks,
            inbox: mpsc::unbounded_channel(),
            herds: BTreeMap::new(),
            streams: BTreeMap::new(),
            journal,
            unwritten: None,
            warnings: desk.warnings().clone(),
            ground: ground::Ground::watch(&settings.home),
            read_group,
            meter: Meter::default(),
            triggers,
            words,
            bell,
            upgrades: BTreeSet::new(),
            began: (Instant::now(), wall),
            leaving: None,
            jot_at: None,
            rest_at: Some(Instant::now() + BUSY),
            holders: None,
            service: service::Service::default(),
        };
        shell.restore(settings.resurrect)?;
        Ok((desk, shell))
    }

    /// Keeps the books until the daemon ends; says how.
    pub(crate) async fn run(mut self, signals: &AsyncFd<Waited<SignalFd>>) -> Mark {
        loop {
            self.act();
            self.be_triggered();
            self.write_again();
            self.give_signs();
            if let Some(mark) = self.leaving {
                self.finish_list();
                sleep(LAST_WORDS).await;
                return mark;
            }
            let now = self.now();
            let due = earlier(self.books.timeout(), self.triggers.timeout(now));
            let due = earlier(due, self.service.next_beat());
            let again = self.unwritten.as_ref().map(ledger::Unwritten::again);
            let mut timeout = earlier(due, again);
            // Who asks just now wants to know of the herds that are being found.
            let looks = self.books.is_looking() && now.mono < LOOK;
            if looks {
                timeout = Some(timeout.unwrap_or(LOOK).min(LOOK));
            }
            tokio::select! {
                biased;
                Ok(mut ready) = signals.readable() => {
                    let read = ready.try_io(|fd| match fd.get_ref().0.read()? {
                        Some(signal) => Ok(signal),
                        None => Err(io::ErrorKind::WouldBlock.into()),
                    });
                    if let Ok(Ok(signal)) = read {
                        self.signal(signal);
                    }
                }
                Some((id, life, news)) = self.inbox.1.recv() => self.hear(id, life, news),
                Some(ask) = self.asks.recv(), if !looks => self.answer(ask),
                Some(word) = self.words.recv() => self.hear_trigger(word),
                () = self.ground.shakes() => self.note_removal(),
                () = until_moment(self.ground.look_at) => self.look_at_home(),
                () = until_moment(self.jot_at) => {}
                () = until_moment(self.rest_at) => {
                    self.rest_at = None;
                    residence::give_back();
                }
                () = until(timeout, now) => {
                    let now = self.now();
                    self.books.tick(now);
                }
            }
            self.hear_more();
        }
    }

    /// What has come meanwhile belongs to the same turn, so that the list is written once.
    fn hear_more(&mut self) {
        for _ in 0..TURN {
            if let Ok((id, life, news)) = self.inbox.1.try_recv() {
                self.hear(id, life, news);
            } else {
                return;
            }
        }
    }

    fn hear(&mut self, id: AppId, life: u64, news: News) {
        let now = self.now();
        if matches!(news, News::Gone { .. } | News::Absent)
            && self.herds.get(&id).is_some_and(|(known, _)| *known == life)
        {
            self.herds.remove(&id);
        }
        self.books.news(id, life, news, now);
    }

    fn signal(&mut self, signal: Signal) {
        let now = self.now();
        if signal == Signal::User2 {
            self.leaving = Some(Mark::Upgrade);
        } else if signal == Signal::User1 {
            self.journal.reopen();
            let ids = self.books.entries().map(|entry| entry.id);
            let request = herder_api::herd::HerdRequest::ReopenLogs;
            let stage = ids.map(|id| (id, Todo::Request(request.clone())));
            let stage = stage.collect();
            self.books.begin(vec![stage], now);
        } else if signal == Signal::Hangup {
            self.reload_all();
        } else if self.books.is_closing() {
            self.books.hurry(now);
        } else {
            let text = format!("{signal}: the apps are stopped, then the daemon");
            self.journal.note("", "stopping", "info", text);
            // They shall run again when the daemon does.
            self.books.close_down(Rest::None, now);
        }
    }

    fn now(&self) -> Now {
        let mono = u64::try_from(self.began.0.elapsed().as_millis()).unwrap_or(u64::MAX);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let wall = u64::try_from(wall.unwrap_or_default().as_millis()).unwrap_or(0);
        Now { mono, wall }
    }
}

/// This program, as it was when the daemon started.
fn own_program() -> Result<Executable, Problem> {
    Executable::current().map_err(|error| {
        Problem::new(
            herder_api::problem::ProblemKind::Internal,
            format!("the program of the daemon cannot be opened: {error}"),
        )
    })
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// Waits until then; for ever, if there is none.
async fn until_moment(at: Option<Instant>) {
    match at {
        None => std::future::pending().await,
        Some(at) => tokio::time::sleep_until(at.into()).await,
    }
}

/// Waits until a moment of the books; for ever, if there is none.
async fn until(at: Option<u64>, now: Now) {
    match at {
        None => std::future::pending().await,
        Some(at) => sleep(Duration::from_millis(at.saturating_sub(now.mono))).await,
    }
}
