use std::collections::VecDeque;

use super::backend::{Backend, Standing, Youth};
use super::ejection::Health;
use super::message::{News, Outcome};
use super::spec::BalancerSpec;
use crate::mutation::{self, Mutation};
use crate::random::Random;
use crate::rotation::Weight;
use crate::{Slot, Tick};

/// Decides who gets a request, and whom to leave out for a while.
///
/// A worker is named by its incarnation, which is never reused: what is told about one that is not
/// known changes nothing. Drain [`poll_news`](Balancer::poll_news) after every call.
#[derive(Clone, PartialEq, Debug)]
pub struct Balancer {
    pub(super) spec: BalancerSpec,
    /// The time of the last call.
    pub(super) now: Tick,
    /// Sorted by slot, then by incarnation. Two workers of a slot may overlap.
    pub(super) backends: Vec<Backend>,
    /// Who was picked last, by a policy that compares.
    pub(super) last: Option<(Slot, u64)>,
    pub(super) lots: Random,
    pub(super) post: Post,
    news: VecDeque<News>,
}

/// Which of several balancers over the same workers this one is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Post {
    number: u16,
    of: u16,
}

impl Post {
    /// There is no other one.
    pub const ONLY: Post = Post { number: 0, of: 1 };

    /// The `number`th, from 0, of so many.
    #[must_use]
    pub fn new(number: u16, of: u16) -> Post {
        let of = of.max(1);
        Post {
            number: number % of,
            of,
        }
    }

    /// Who of so many workers has the first turn: with as many workers as balancers, each begins with
    /// another one.
    pub(super) fn first_of(self, workers: usize) -> usize {
        workers * usize::from(self.number) / usize::from(self.of)
    }
}

impl Balancer {
    /// A balancer without workers. The `seed` decides every lot that it draws.
    #[must_use]
    pub fn new(spec: &BalancerSpec, seed: u64) -> Balancer {
        Balancer {
            spec: spec.clone(),
            now: Tick::ZERO,
            backends: Vec::new(),
            last: None,
            lots: Random::new(seed),
            post: Post::ONLY,
            news: VecDeque::new(),
        }
    }

    /// The same, where others balance over the same workers: they do not begin with the same one, so
    /// that their turns do not fall on one worker at a time.
    #[must_use]
    pub fn at(self, post: Post) -> Balancer {
        Balancer { post, ..self }
    }

    /// The worker takes requests from now on, or again after it was withdrawn.
    pub fn admit(&mut self, worker: u64, slot: Slot, weight: Weight, now: Tick) {
        self.advance(now);
        if let Some(index) = self.find(worker) {
            self.backends[index].standing = Standing::Admitted;
            self.backends[index].weight = weight;
            self.check_invariants();
            return;
        }
        let has_elders = self
            .backends
            .iter()
            .any(|it| it.is_admitted() && it.is_seasoned(self.spec.slow_start, self.now));
        let place = self
            .backends
            .partition_point(|it| (it.slot, it.worker) < (slot, worker));
        let newcomer = Backend {
            worker,
            slot,
            weight,
            standing: Standing::Admitted,
            since: self.now,
            youth: if has_elders {
                Youth::Spared
            } else {
                Youth::Unspared
            },
            open: 0,
            credit: 0,
            health: Health::new(self.now),
        };
        self.backends.insert(place, newcomer);
        self.check_invariants();
    }

    /// The worker gets nothing new; [`News::Drained`] follows when nothing of it is open, at once if
    /// it is not known.
    pub fn withdraw(&mut self, worker: u64, now: Tick) {
        self.advance(now);
        match self.find(worker) {
            Some(index) => {
                let backend = &mut self.backends[index];
                if backend.is_admitted() {
                    backend.standing = Standing::Leaving;
                    backend.health = Health::new(self.now);
                }
                self.note_drained(index);
                self.keep_enough();
            }
            None => self.news.push_back(News::Drained { worker }),
        }
        self.check_invariants();
    }

    /// The worker is dead: nothing of it is open, and no news of it follow.
    pub fn gone(&mut self, worker: u64, now: Tick) {
        self.advance(now);
        if let Some(index) = self.find(worker) {
            self.backends.remove(index);
            self.keep_enough();
        }
        self.check_invariants();
    }

    /// A request begins at the worker.
    pub fn began(&mut self, worker: u64) {
        if let Some(index) = self.find(worker) {
            self.backends[index].open += 1;
        }
    }

    /// A request at the worker is over.
    pub fn ended(&mut self, worker: u64, outcome: Outcome, now: Tick) {
        self.advance(now);
        let Some(index) = self.find(worker) else {
            return;
        };
        let backend = &mut self.backends[index];
        backend.open = backend.open.saturating_sub(1);
        self.note_drained(index);
        self.judge(index, outcome);
        self.check_invariants();
    }

    /// Lets take part again who was left out for long enough: call it at
    /// [`poll_timeout`](Balancer::poll_timeout).
    pub fn timer(&mut self, now: Tick) {
        self.advance(now);
        self.check_invariants();
    }

    /// When to call [`timer`](Balancer::timer).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        let ejected = self.backends.iter().filter(|it| it.is_ejected());
        ejected.filter_map(|it| it.health.ejected_until()).min()
    }

    /// What happened, oldest first.
    pub fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// How many requests are under way at the worker; `None` if it is not known.
    #[must_use]
    pub fn open(&self, worker: u64) -> Option<u32> {
        self.find(worker).map(|index| self.backends[index].open)
    }

    /// Whether the worker was withdrawn, and nothing of it is open since: [`News::Drained`] that lies
    /// somewhere may be of an earlier time. Of one that is not known that is so, too.
    #[must_use]
    pub fn has_left(&self, worker: u64) -> bool {
        let standing = self.find(worker).map(|index| self.backends[index].standing);
        standing.is_none_or(|it| it == Standing::Left)
    }

    /// Until when the worker is left out, if it is.
    #[must_use]
    pub fn ejected_until(&self, worker: u64) -> Option<Tick> {
        let index = self.find(worker)?;
        self.backends[index].health.ejected_until()
    }

    /// How many workers take requests, those that are left out included.
    #[must_use]
    pub fn admitted(&self) -> usize {
        self.backends.iter().filter(|it| it.is_admitted()).count()
    }

    /// Time passes.
    pub(super) fn advance(&mut self, now: Tick) {
        self.now = self.now.max(now);
        for index in 0..self.backends.len() {
            let until = self.backends[index].health.ejected_until();
            if until.is_some_and(|until| until <= self.now) {
                self.restore(index);
            }
        }
    }

    fn find(&self, worker: u64) -> Option<usize> {
        self.backends.iter().position(|it| it.worker == worker)
    }

    fn note_drained(&mut self, index: usize) {
        let backend = &mut self.backends[index];
        let is_idle = backend.open == 0 || mutation::is(Mutation::DrainedEarly);
        if backend.standing == Standing::Leaving && is_idle {
            backend.standing = Standing::Left;
            let worker = backend.worker;
            self.news.push_back(News::Drained { worker });
        }
    }

    fn judge(&mut self, index: usize, outcome: Outcome) {
        let most = if mutation::is(Mutation::EjectionUnbounded) {
            self.admitted()
        } else {
            self.most_ejected()
        };
        let Some(spec) = &self.spec.ejection else {
            return;
        };
        let backend = &mut self.backends[index];
        if !backend.is_admitted() || !backend.health.note(outcome, spec, self.now) {
            return;
        }
        let worker = backend.worker;
        if self.ejected() < most {
            let until = self.backends[index].health.eject(spec, self.now);
            self.news.push_back(News::Ejected { worker, until });
        }
    }

    /// When others leave, whoever was to come back first comes back now.
    fn keep_enough(&mut self) {
        while self.ejected() > self.most_ejected() {
            let ejected = (0..self.backends.len()).filter(|it| self.backends[*it].is_ejected());
            let next = ejected.min_by_key(|it| self.backends[*it].health.ejected_until());
            self.restore(next.expect("there are more than none"));
        }
    }

    fn restore(&mut self, index: usize) {
        let spec = self.spec.ejection.as_ref();
        let spec = spec.expect("nobody is left out without a rule for it");
        let backend = &mut self.backends[index];
        backend.health.restore(spec, self.now);
        // What it saved or owed is long past.
        backend.credit = 0;
        let worker = backend.worker;
        self.news.push_back(News::Restored { worker });
    }

    /// How many may be left out now.
    fn most_ejected(&self) -> usize {
        let spec = self.spec.ejection.as_ref();
        spec.map_or(0, |spec| spec.most_of(self.admitted()))
    }

    fn ejected(&self) -> usize {
        self.backends.iter().filter(|it| it.is_ejected()).count()
    }

    pub(super) fn check_invariants(&self) {
        debug_assert!(
            self.backends.is_sorted_by_key(|it| (it.slot, it.worker)),
            "the workers are in order"
        );
        debug_assert!(
            mutation::is(Mutation::EjectionUnbounded) || self.ejected() <= self.most_ejected(),
            "not more workers are left out than may be"
        );
        debug_assert!(
            self.backends
                .iter()
                .all(|it| it.standing != Standing::Leaving || it.open > 0),
            "who is idle has drained"
        );
    }
}
