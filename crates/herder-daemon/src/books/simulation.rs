//! Books, and herds that live, fail and die as they like: whatever happens, in whatever order, some
//! things hold; and when nothing fails any more, everything comes to its end.

mod parts;

use std::collections::{BTreeMap, BTreeSet};

use herder_api::App;
use herder_api::control::Progress;
use herder_api::herd::{HerdOrder, HerdRequest};
use herder_api::status::Verdict;

use super::entry::{Pace, Phase};
use super::word::{AppId, CourseId, Definition, Do, End, News, Now, Todo};
use super::{Books, Rest};
use parts::{Random, definition, empty, status};

/// How many histories are played (HERDER_SEEDS = so many), and how long each is.
const SEEDS: u64 = 60;
const STEPS: u32 = 250;

/// Who depends on whom.
const APPS: [(&str, &[&str]); 5] = [
    ("db", &[]),
    ("queue", &[]),
    ("api", &["db"]),
    ("web", &["api", "queue"]),
    ("job", &[]),
];

/// A herd whose keeper lives.
#[derive(Debug)]
struct Herd {
    life: u64,
    /// What it was started from.
    order: Box<HerdOrder>,
    /// What its workers were started from.
    serves: App,
    verdict: Option<Verdict>,
    /// Whether the daemon that lives now is connected with it.
    connected: bool,
    /// Whether the daemon has heard of this connection: what it says before, it says into the one before.
    greeted: bool,
    is_ready: bool,
    is_told_to_end: bool,
    workers: u16,
    asked: Vec<(u64, HerdRequest)>,
}

struct World {
    books: Books,
    now: Now,
    dice: Random,
    herds: BTreeMap<AppId, Herd>,
    /// The orders, as they stand in their files, by name.
    orders: BTreeMap<String, HerdOrder>,
    /// What each course was told of apps: done and failed.
    courses: BTreeMap<CourseId, (u32, u32, bool)>,
    closed: BTreeSet<CourseId>,
    /// News on their way, each with its life.
    mail: Vec<(AppId, u64, News)>,
    faults: bool,
    written: super::List,
    verdicts: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let books = empty();
        World {
            written: books.list(),
            books,
            now: Now::default(),
            dice: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            herds: BTreeMap::new(),
            orders: BTreeMap::new(),
            courses: BTreeMap::new(),
            closed: BTreeSet::new(),
            mail: Vec::new(),
            faults: true,
            verdicts: 0,
        }
    }

    /// As the daemon does it: what is started need not wait for the list. It may die in between.
    fn act(&mut self) {
        loop {
            let mut actions: Vec<Do> = std::iter::from_fn(|| self.books.poll_action()).collect();
            if actions.is_empty() {
                return;
            }
            let saves = actions.contains(&Do::Save);
            if saves && !actions.iter().any(|it| matches!(it, Do::Forget { .. })) {
                let launches = actions.extract_if(.., |it| self.books.may_go_ahead(it));
                let launches: Vec<Do> = launches.collect();
                let has_some = !launches.is_empty();
                for launch in launches {
                    self.perform(launch);
                }
                if has_some && self.faults && self.dice.one_in(10) {
                    self.new_daemon();
                    continue;
                }
            }
            for action in actions {
                self.perform(action);
            }
        }
    }

    fn perform(&mut self, action: Do) {
        match action {
            Do::Launch { id, life, order } => self.launch(id, life, order),
            Do::Adopt { id, life, order } => match self.herds.get_mut(&id) {
                Some(herd) => {
                    self.orders.insert(order.app.name.clone(), *order);
                    herd.life = life;
                    herd.connected = false;
                    herd.greeted = false;
                    herd.asked.clear();
                }
                None => self.post(id, life, News::Absent),
            },
            Do::Ask {
                id,
                life,
                request,
                what,
            } => {
                // What is said into a connection that is broken, nobody hears.
                let hears = |it: &&mut Herd| it.life == life && it.connected && it.greeted;
                if let Some(herd) = self.herds.get_mut(&id).filter(hears) {
                    if matches!(what, HerdRequest::Stop { .. }) {
                        herd.is_told_to_end = true;
                    } else {
                        herd.asked.push((request, what));
                    }
                }
            }
            Do::End { id, life, .. } => {
                if let Some(herd) = self.herds.get_mut(&id).filter(|it| it.life == life) {
                    herd.is_told_to_end = true;
                }
            }
            Do::Tell { course, progress } => self.told(course, &progress),
            Do::Close { course } => {
                assert!(self.closed.insert(course), "{course:?} closed twice");
                assert!(self.courses[&course].2, "{course:?} closed without its end");
            }
            Do::Save => {
                self.written = self.books.list();
                self.books.note_written();
            }
            // It may be that the daemon dies first.
            Do::Jot if self.dice.one_in(2) => {}
            Do::Jot => self.written = self.books.list(),
            Do::WriteOrder { order } => self.write(&order),
            Do::Flush { .. } | Do::Note { .. } | Do::Leave => {}
            Do::Forget { name } => {
                let id = self
                    .written
                    .apps
                    .iter()
                    .find(|it| it.definition.app.name == name);
                let lives = id.is_some_and(|it| self.herds.contains_key(&it.id));
                assert!(!lives, "{name} is forgotten, and lives");
            }
        }
    }

    fn launch(&mut self, id: AppId, life: u64, order: Box<HerdOrder>) {
        self.write(&order);
        assert!(!self.herds.contains_key(&id), "two herds of {id}");
        for needed in &order.app.depends_on {
            let other = self.books.by_name(needed);
            let other = other.and_then(|id| self.books.entry(id));
            // One that was ready once is started again by itself, whatever became of others.
            let is_again = self.books.entry(id).is_some_and(|entry| entry.proven);
            assert!(
                is_again || other.is_some_and(super::Entry::is_ready),
                "{} was started before {needed} was ready",
                order.app.name
            );
        }
        if self.faults && self.dice.one_in(12) {
            let gone = News::Gone {
                end: End::NotStarted("no memory".to_owned()),
                complaint: Vec::new(),
            };
            self.post(id, life, gone);
            return;
        }
        let herd = Herd {
            life,
            serves: order.app.clone(),
            order,
            verdict: None,
            connected: false,
            greeted: false,
            is_ready: false,
            is_told_to_end: false,
            workers: 2,
            asked: Vec::new(),
        };
        self.herds.insert(id, herd);
    }

    fn write(&mut self, order: &HerdOrder) {
        let name = order.app.name.clone();
        self.orders.insert(name, order.clone());
    }

    fn told(&mut self, course: CourseId, progress: &Progress) {
        assert!(
            !self.closed.contains(&course),
            "{course:?} told after its end: {progress:?}"
        );
        let (done, failed, over) = self.courses.entry(course).or_default();
        assert!(!*over, "{course:?} told after its last word: {progress:?}");
        match progress {
            Progress::Done { .. } => *done += 1,
            Progress::Failed { .. } => *failed += 1,
            Progress::End { done: d, failed: f } => {
                assert_eq!((d, f), (&*done, &*failed), "{course:?} counts wrong");
                *over = true;
            }
            Progress::Begun { .. } | Progress::Slot { .. } | Progress::Note { .. } => {}
        }
    }

    fn post(&mut self, id: AppId, life: u64, news: News) {
        self.mail.push((id, life, news));
    }

    /// Something happens.
    fn step(&mut self) {
        self.now.mono += self.dice.below(3000);
        self.now.wall += 1;
        match self.dice.below(10) {
            0 => self.order(),
            1 | 2 => self.deliver(),
            3 if self.faults && self.dice.one_in(6) => self.new_daemon(),
            3 | 4 => self.tick(),
            _ => self.herd_step(),
        }
        self.act();
        self.check();
    }

    fn tick(&mut self) {
        self.books.tick(self.now);
        let next = self.books.timeout();
        assert!(
            next.is_none_or(|at| at > self.now.mono),
            "a tick that changes nothing"
        );
    }

    fn order(&mut self) {
        let known: Vec<AppId> = self.books.entries().map(|entry| entry.id).collect();
        if known.len() < APPS.len() && self.dice.one_in(2) {
            let stage = APPS.iter().map(|(name, needs)| {
                let id = self.books.add(definition(name, needs), self.now);
                (id, Todo::Start)
            });
            let stage = stage.collect();
            self.books.begin(vec![stage], self.now);
            return;
        }
        let chosen = known.into_iter().filter(|_| self.dice.one_in(2));
        let chosen: Vec<AppId> = chosen.collect();
        let todo = match self.dice.below(10) {
            0 | 1 => Todo::Start,
            2 if self.dice.one_in(2) => Todo::Stop(Pace::AtOnce),
            2 => Todo::Stop(Pace::InOrder),
            3 => Todo::Restart(None),
            4 => Todo::Reload(None),
            5 => return self.reload_as_another(&chosen),
            6 => Todo::Delete,
            7 => Todo::Scale(3, None),
            8 => Todo::Request(HerdRequest::Reset),
            _ => Todo::Request(HerdRequest::Upgrade),
        };
        let stage = chosen.into_iter().map(|id| (id, todo.clone())).collect();
        self.books.begin(vec![stage], self.now);
    }

    /// One of the news on their way arrives; those of one herd in their order.
    fn deliver(&mut self) {
        if self.mail.is_empty() {
            return;
        }
        let place = self.dice.place(self.mail.len());
        let id = self.mail[place].0;
        let first = self.mail.iter().position(|(other, ..)| *other == id);
        let (id, life, news) = self.mail.remove(first.expect("it is one of them"));
        let breaks = |news: &News| matches!(news, News::Connected(_) | News::Lost);
        let mut rest = self.mail.iter();
        let is_last = !rest.any(|(other, _, news)| *other == id && breaks(news));
        if let (News::Connected(_), Some(herd), true) = (&news, self.herds.get_mut(&id), is_last) {
            herd.greeted = herd.connected;
        }
        if self.dice.one_in(4) {
            // It may have been an earlier herd's: whatever it says, nobody minds.
            let before = format!("{:?}", self.books.entry(id));
            let earlier = life.saturating_sub(1);
            self.books.news(id, earlier, news.clone(), self.now);
            assert_eq!(format!("{:?}", self.books.entry(id)), before);
        }
        self.books.news(id, life, news, self.now);
    }

    fn herd_step(&mut self) {
        let ids: Vec<AppId> = self.herds.keys().copied().collect();
        if ids.is_empty() {
            return self.deliver();
        }
        let id = ids[self.dice.place(ids.len())];
        let dies = self.faults && self.dice.one_in(15);
        let breaks = self.faults && self.dice.one_in(10);
        let Some(herd) = self.herds.get_mut(&id) else {
            return;
        };
        let life = herd.life;
        if dies || herd.is_told_to_end {
            self.herds.remove(&id);
            let is_job = self.books.entry(id).is_some_and(|it| it.name() == "job");
            if is_job && !dies {
                let outcome = "completed".to_owned();
                let last_lines = Vec::new();
                self.post(
                    id,
                    life,
                    News::Finished {
                        outcome,
                        last_lines,
                    },
                );
            }
            let end = if dies { End::Signal(9) } else { End::Code(0) };
            return self.post(
                id,
                life,
                News::Gone {
                    end,
                    complaint: Vec::new(),
                },
            );
        }
        if !herd.connected {
            herd.connected = true;
            let mut status = status(herd.workers, herd.is_ready);
            status.verdict.clone_from(&herd.verdict);
            return self.post(id, life, News::Connected(status));
        }
        if breaks {
            self.lose(id);
            return self.post(id, life, News::Lost);
        }
        if !herd.is_ready {
            herd.is_ready = true;
            let mut status = status(herd.workers, true);
            status.verdict.clone_from(&herd.verdict);
            return self.post(id, life, News::Status(status));
        }
        if let Some((request, what)) = herd.asked.pop() {
            if let HerdRequest::Scale { workers } = what {
                herd.workers = workers;
            }
            self.answer(id, life, request, &what);
        }
    }

    /// The daemon is killed. The next one finds what was written down, and the herds.
    fn new_daemon(&mut self) {
        let mut books = empty();
        // Numbers of courses go on, so that this test can tell them apart.
        books.next_course = self.books.next_course;
        self.closed.extend(self.courses.keys());
        self.mail.clear();
        for id in self.herds.keys().copied().collect::<Vec<_>>() {
            self.lose(id);
        }
        books.restore(self.written.clone(), self.now);
        self.books = books;
        self.find_strangers();
        // Lives begin anew, and so do their numbers.
    }

    /// Herds that no list knows are found by their orders. Numbers may have changed with it.
    fn find_strangers(&mut self) {
        for (_, herd) in std::mem::take(&mut self.herds) {
            let name = &herd.order.app.name;
            if self.books.by_name(name).is_none() {
                let found = Definition {
                    app: herd.order.app.clone(),
                    inherited: herd.order.inherited.clone(),
                    profile: herd.order.profile.clone(),
                    source: None,
                };
                self.books.find(found, self.now);
            }
            let id = self.books.by_name(name).expect("it was found");
            let before = self.herds.insert(id, herd);
            assert!(before.is_none(), "two herds of {id}");
        }
    }

    fn check(&self) {
        let mut names = BTreeSet::new();
        for entry in self.books.entries() {
            assert!(
                names.insert(entry.name()),
                "two apps are called {}",
                entry.name()
            );
            let lives = self.herds.contains_key(&entry.id);
            let may_live = entry.has_herd();
            assert!(
                !lives || may_live,
                "{} lives, and nobody knows: {entry:?}",
                entry.name()
            );
            if entry.phase == Phase::Rests {
                assert!(entry.task.is_none(), "{entry:?}");
                assert_ne!(entry.rest, Rest::None, "{entry:?}");
            }
            if entry.phase == Phase::Waits {
                assert!(entry.task.is_some(), "{entry:?}");
            }
            // Whoever starts its next master starts what held.
            if entry.phase == Phase::Online && entry.requests.is_empty() && entry.task.is_none() {
                let order = &self.orders[entry.name()];
                assert_eq!(order.app, entry.definition.app, "{entry:?}");
            }
        }
    }

    /// Nothing fails any more: everything comes to its end.
    fn settle(&mut self) {
        self.faults = false;
        for _ in 0..4000 {
            self.now.mono += 500;
            self.tick();
            self.act();
            self.herd_step();
            self.act();
            self.deliver();
            self.act();
            self.check();
        }
        for entry in self.books.entries() {
            let waits_for_nobody = entry.task.as_ref().is_none_or(|it| it.courses.is_empty());
            assert!(waits_for_nobody, "somebody waits for ever: {entry:?}");
            assert!(
                entry.requests.is_empty(),
                "a question without an answer: {entry:?}"
            );
            let is_settled = matches!(entry.phase, Phase::Rests | Phase::Online | Phase::Waits);
            assert!(is_settled, "{entry:?}");
            if let Some(herd) = self.herds.get(&entry.id) {
                // What a reload changes: their number changes without one.
                let expected = &entry.definition.app.args;
                assert_eq!(herd.serves.args, *expected, "{entry:?}");
            }
        }
        for (course, (.., over)) in &self.courses {
            let is_over = *over || self.closed.contains(course);
            assert!(is_over, "{course:?} has no end");
        }
    }
}

#[test]
fn whatever_happens_some_things_hold_and_everything_ends() {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let many = number("HERDER_SEEDS").unwrap_or(SEEDS);
    let (first, last) = number("HERDER_SEED").map_or((1, many), |seed| (seed, seed));
    for seed in first..=last {
        let played = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
            }
            world.settle();
        });
        if let Err(why) = played {
            eprintln!("HERDER_SEED={seed}");
            std::panic::resume_unwind(why);
        }
    }
}
