//! What happens by itself: an app's times, its files, and whether it is healthy.
//!
//! The decisions are pure, as those of the books are: [`Times`], [`Changes`] and [`Rounds`]. Here they are
//! told how the apps stand, and what they decide becomes [`Deed`]s for the books.

mod health;
mod times;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use herder_api::herd::HerdRequest;
use herder_api::status::{HerdStatus, WorkerStatus};
use herder_sys::process::Executable;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::books::{AppId, Books, Entry, Now, Phase, Rest, Seen, Todo, is_serving};
pub(crate) use health::sit;
use health::{Act, Herd, Probe, Program, Rounds, Serving, Turn, asks_each, at_place};
use times::Times;
use watch::{Changes, Move, Plan, Standing};

/// What is to be done.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Deed {
    /// With an app.
    Do(AppId, Todo),
    /// Say what happened to it.
    Note {
        id: AppId,
        event: &'static str,
        level: &'static str,
        text: String,
    },
    /// Its status says so from now on.
    See(AppId, Seen),
}

/// Told from outside.
#[derive(Debug)]
pub(crate) struct Word {
    id: AppId,
    /// Of which watch, or which checks, of that app.
    life: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Watch(watch::Word),
    /// Of the app, or of the worker of a slot.
    Answer(Option<u16>, Result<(), String>),
}

/// All that happens by itself.
#[derive(Debug)]
pub(crate) struct Triggers {
    executable: Arc<Executable>,
    times: Times,
    watched: BTreeMap<AppId, Watched>,
    checked: BTreeMap<AppId, Checked>,
    lives: u64,
    words: mpsc::UnboundedSender<Word>,
}

/// One app's files.
#[derive(Debug)]
struct Watched {
    life: u64,
    plan: Plan,
    changes: Changes,
    task: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One app's health.
#[derive(Debug)]
struct Checked {
    life: u64,
    settings: herder_api::app::Health,
    checks: Rounds,
    told: Option<bool>,
    /// What is asked just now: the app, or the worker of a slot.
    tasks: BTreeMap<Option<u16>, JoinHandle<()>>,
}

impl Drop for Checked {
    fn drop(&mut self) {
        self.tasks.values().for_each(JoinHandle::abort);
    }
}

impl Triggers {
    /// None yet. `executable`: this program. What is told from outside comes by the receiver.
    pub(crate) fn new(executable: Executable) -> (Triggers, mpsc::UnboundedReceiver<Word>) {
        let (words, heard) = mpsc::unbounded_channel();
        let triggers = Triggers {
            executable: Arc::new(executable),
            times: Times::default(),
            watched: BTreeMap::new(),
            checked: BTreeMap::new(),
            lives: 0,
            words,
        };
        (triggers, heard)
    }

    /// Looks how the apps stand, and says what is to be done. Call it in a runtime.
    pub(crate) fn look(&mut self, books: &Books, now: Now) -> Vec<Deed> {
        let mut deeds = Vec::new();
        let is_known = |id| !books.is_closing() && books.entry(id).is_some();
        self.times.retain(is_known);
        self.watched.retain(|id, _| is_known(*id));
        self.checked.retain(|id, _| is_known(*id));
        if books.is_closing() {
            return deeds;
        }
        for entry in books.entries() {
            let times = entry.definition.app.cron_restart.as_deref();
            self.times.set(entry.id, times, now.wall);
            self.look_at_files(entry, now, &mut deeds);
            self.look_at_health(books, entry, now, &mut deeds);
        }
        for (id, text) in self.times.due(now.wall) {
            if let Some(entry) = books.entry(id) {
                ring(entry, &text, &mut deeds);
            }
        }
        deeds
    }

    /// When [`Triggers::look`] is wanted next, in milliseconds of the clock that never leaps.
    pub(crate) fn timeout(&self, now: Now) -> Option<u64> {
        let times = self.times.timeout(now.wall);
        let times = times.map(|wait| now.mono.saturating_add(wait));
        let files = self.watched.values().filter_map(|it| it.changes.timeout());
        let checks = self.checked.values().filter_map(|it| it.checks.timeout());
        times.into_iter().chain(files).chain(checks).min()
    }

    /// Something was told from outside.
    pub(crate) fn hear(&mut self, word: Word, books: &Books, now: Now) -> Vec<Deed> {
        let (id, life) = (word.id, word.life);
        match word.what {
            What::Watch(word) => match self.watched.get_mut(&id) {
                Some(watched) if watched.life == life => hear_of_files(id, watched, word, now),
                Some(_) | None => Vec::new(),
            },
            What::Answer(slot, answer) => {
                let checked = self.checked.get_mut(&id).filter(|it| it.life == life);
                let (Some(checked), Some(entry)) = (checked, books.entry(id)) else {
                    return Vec::new();
                };
                checked.tasks.remove(&slot);
                let slots = slots(entry.herd.as_ref());
                let herd = herd(entry, &slots);
                let acts = checked.checks.answered(slot, answer, herd, now.mono);
                let mut deeds = Vec::new();
                told(id, acts, &mut deeds);
                deeds
            }
        }
    }

    fn look_at_files(&mut self, entry: &Entry, now: Now, deeds: &mut Vec<Deed>) {
        let id = entry.id;
        let plan = Plan::of(&entry.definition.app).filter(|_| is_watched(entry));
        let known = self.watched.get(&id).map(|watched| &watched.plan);
        if known != plan.as_ref() {
            if self.watched.remove(&id).is_some() {
                deeds.push(Deed::See(id, Seen::Watching(false)));
            }
            if let Some(plan) = plan {
                let watched = self.watch(entry, plan);
                self.watched.insert(id, watched);
            }
        }
        let Some(watched) = self.watched.get_mut(&id) else {
            return;
        };
        let is_free = match entry.phase {
            Phase::Online | Phase::Rests | Phase::Retries { .. } => !entry.is_busy(),
            Phase::Waits | Phase::Adopting | Phase::Starting { .. } | Phase::Stopping { .. } => {
                false
            }
        };
        let standing = if is_free {
            Standing::Free
        } else {
            Standing::Busy
        };
        for what in watched.changes.poll(standing, now.mono) {
            match what {
                Move::Reload(what) => {
                    let follows = if entry.phase == Phase::Online {
                        "new workers take over"
                    } else {
                        "it is started again"
                    };
                    let text = format!("{what}: {follows}");
                    deeds.push(note(id, "watch", "info", text));
                    deeds.push(Deed::Do(id, Todo::Reload(None)));
                }
                Move::Warn(text) => deeds.push(note(id, "warning", "warning", text)),
            }
        }
    }

    fn watch(&mut self, entry: &Entry, plan: Plan) -> Watched {
        self.lives += 1;
        let (id, life, words) = (entry.id, self.lives, self.words.clone());
        let tell = move |word| {
            let what = What::Watch(word);
            // The receiver ends with the daemon.
            drop(words.send(Word { id, life, what }));
        };
        let delay = entry.definition.app.watch.as_ref();
        let delay = delay.map_or(0, |watch| watch.delay.0.as_millis());
        Watched {
            life,
            changes: Changes::new(u64::try_from(delay).unwrap_or(u64::MAX)),
            task: tokio::spawn(watch::watch(plan.clone(), tell)),
            plan,
        }
    }

    fn look_at_health(&mut self, books: &Books, entry: &Entry, now: Now, deeds: &mut Vec<Deed>) {
        let (id, app) = (entry.id, &entry.definition.app);
        let settings = app.health.as_ref();
        let settings = settings.filter(|_| entry.phase == Phase::Online);
        let known = self.checked.get(&id).map(|checked| &checked.settings);
        if known != settings {
            if self.checked.remove(&id).is_some() {
                deeds.push(Deed::See(id, Seen::Healthy(None)));
            }
            if let Some(settings) = settings {
                self.lives += 1;
                let checked = Checked {
                    life: self.lives,
                    settings: settings.clone(),
                    checks: Rounds::new(settings, app, now.mono),
                    told: None,
                    tasks: BTreeMap::new(),
                };
                self.checked.insert(id, checked);
            }
        }
        let Some(checked) = self.checked.get_mut(&id) else {
            return;
        };
        let slots = slots(entry.herd.as_ref());
        let acts = checked.checks.poll(herd(entry, &slots), now.mono);
        let asked = acts.iter().filter(|(_, act)| *act == Act::Probe);
        for (slot, _) in asked {
            let slot = *slot;
            let probe = probe(books, entry, slot, &self.executable);
            let (life, words) = (checked.life, self.words.clone());
            let settings = checked.settings.clone();
            let task = tokio::spawn(async move {
                let answer = match probe {
                    Some(probe) => probe.ask(&settings).await,
                    None => Err("nobody knows where it listens".to_owned()),
                };
                let what = What::Answer(slot, answer);
                // The receiver ends with the daemon.
                drop(words.send(Word { id, life, what }));
            });
            checked.tasks.insert(slot, task);
        }
        told(id, acts.into_iter().map(|(_, act)| act).collect(), deeds);
        let healthy = checked.checks.healthy();
        if checked.told != healthy {
            checked.told = healthy;
            deeds.push(Deed::See(id, Seen::Healthy(healthy)));
        }
    }
}

/// An app is due. One that does not run is left alone.
fn ring(entry: &Entry, times: &str, deeds: &mut Vec<Deed>) {
    if entry.phase != Phase::Online {
        return;
    }
    let (follows, todo) = if entry.is_busy() {
        ("it is just being changed, so it is left alone", None)
    } else {
        ("new workers take over", Some(Todo::Reload(None)))
    };
    let text = format!("its time has come ({times}): {follows}");
    deeds.push(note(entry.id, "cron", "info", text));
    deeds.extend(todo.map(|todo| Deed::Do(entry.id, todo)));
}

/// Who was stopped is not watched; who failed is: perhaps the next change repairs it.
fn is_watched(entry: &Entry) -> bool {
    match entry.phase {
        Phase::Rests => entry.rest == Rest::Errored,
        Phase::Waits | Phase::Stopping { .. } => false,
        Phase::Adopting | Phase::Starting { .. } | Phase::Online | Phase::Retries { .. } => true,
    }
}

fn hear_of_files(id: AppId, watched: &mut Watched, word: watch::Word, now: Now) -> Vec<Deed> {
    match word {
        watch::Word::Watching => vec![Deed::See(id, Seen::Watching(true))],
        watch::Word::Changed(paths) => {
            watched.changes.changed(paths, now.mono);
            Vec::new()
        }
        watch::Word::Broken(why) => {
            let text = format!("its files are not watched: {why}");
            vec![
                Deed::See(id, Seen::Watching(false)),
                note(id, "warning", "warning", text),
            ]
        }
    }
}

/// What checks want said and done.
fn told(id: AppId, acts: Vec<Act>, deeds: &mut Vec<Deed>) {
    for act in acts {
        deeds.push(match act {
            Act::Probe => continue,
            Act::Fail { slot, reason } => {
                let slot = Some(slot);
                Deed::Do(id, Todo::Request(HerdRequest::Fail { slot, reason }))
            }
            Act::Unhealthy(text) => note(id, "unhealthy", "warning", text),
            Act::Healthy(text) => note(id, "healthy", "info", text),
        });
    }
}

fn note(id: AppId, event: &'static str, level: &'static str, text: String) -> Deed {
    Deed::Note {
        id,
        event,
        level,
        text,
    }
}

/// Each slot, and who serves in it.
fn slots(herd: Option<&HerdStatus>) -> Vec<Serving> {
    let slots = herd.into_iter().flat_map(|herd| &herd.slots);
    let serving = slots.map(|slot| {
        let mut workers = slot.workers.iter();
        let serving = workers.find(|worker| is_serving(&worker.phase));
        Serving {
            slot: slot.slot,
            id: serving.map(|worker| worker.id),
        }
    });
    serving.collect()
}

fn herd<'a>(entry: &Entry, slots: &'a [Serving]) -> Herd<'a> {
    Herd {
        slots,
        busy: entry.is_busy(),
        turn: Turn::Ours,
    }
}

/// How an app, or the worker of a slot, is asked. `None` = nobody knows where.
fn probe(
    books: &Books,
    entry: &Entry,
    slot: Option<u16>,
    executable: &Arc<Executable>,
) -> Option<Probe> {
    let app = &entry.definition.app;
    let health = app.health.clone().unwrap_or_default();
    let slots = entry.herd.iter().flat_map(|herd| &herd.slots);
    let slots = slots.filter(|it| slot.is_none_or(|slot| it.slot == slot));
    let workers = slots.flat_map(|slot| &slot.workers);
    let serving = workers.filter(|it: &&WorkerStatus| is_serving(&it.phase));
    let serving: Vec<&WorkerStatus> = serving.collect();
    let place = serving.first().and_then(|it| it.proxied.as_ref());
    let place = place.map(|it| it.address.as_str());
    let asks_each = asks_each(app, &health);
    if asks_each && health.exec.is_empty() {
        let sends = app.proxy.as_ref().and_then(|proxy| proxy.send_proxy);
        return at_place(&health, place?, sends);
    }
    Some(match (health.http, health.tcp) {
        (Some(url), _) => Probe::Http(url),
        (None, Some(address)) => Probe::Tcp(address),
        (None, None) => {
            let pids: Vec<i32> = serving.iter().map(|worker| worker.pid).collect();
            let order = books.order_of(&entry.definition);
            let executable = Arc::clone(executable);
            let program = Program::new(&order, &health.exec, &pids, executable);
            Probe::Exec(Box::new(match slot {
                Some(slot) => program.of_worker(slot, place),
                None => program,
            }))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU32, Ordering};

    static MADE: AtomicU32 = AtomicU32::new(0);

    /// A directory of a test's own.
    pub(super) struct Place(PathBuf);

    impl Place {
        pub(super) fn new(name: &str) -> Place {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let name = format!("herder-triggers-{name}-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Place(path)
        }

        pub(super) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }
}
