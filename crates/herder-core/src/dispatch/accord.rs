//! What two dispatchers of one herd say together: see [`Accord`].

use std::collections::{BTreeMap, BTreeSet};

use crate::WorkerId;

/// One of the dispatchers of a herd.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Engine {
    /// The one of the herd's mode, mostly the only one.
    Main,
    /// The one of the listeners that cannot have that mode.
    Beside,
}

/// Makes one answer of those of two dispatchers.
///
/// A worker that each of them gives connections to is withdrawn when both have said so: told to leave
/// before, it would close what the other one gives it. What it was not asked for it swallows: one dispatcher
/// may be told of a worker that the other one does not know any more.
#[derive(Debug)]
pub struct Accord {
    engines: BTreeSet<Engine>,
    /// Who has not said yet that the worker is withdrawn.
    withdrawing: BTreeMap<WorkerId, BTreeSet<Engine>>,
    /// Who has not said yet that it does not listen any more.
    open: BTreeSet<Engine>,
}

impl Accord {
    /// Of these dispatchers.
    #[must_use]
    pub fn new(engines: impl IntoIterator<Item = Engine>) -> Accord {
        let engines: BTreeSet<Engine> = engines.into_iter().collect();
        Accord {
            withdrawing: BTreeMap::new(),
            open: engines.clone(),
            engines,
        }
    }

    /// All of them were told to withdraw the worker. (Again, if one of them was replaced: what was said stands.)
    pub fn withdraw(&mut self, worker: WorkerId) {
        let engines = || self.engines.clone();
        self.withdrawing.entry(worker).or_insert_with(engines);
    }

    /// The worker is dead: nothing is to be said of it any more.
    pub fn gone(&mut self, worker: WorkerId) {
        self.withdrawing.remove(&worker);
    }

    /// One says that the worker is withdrawn. Whether it is.
    pub fn hear_withdrawn(&mut self, engine: Engine, worker: WorkerId) -> bool {
        // There is nobody else to wait for.
        if self.engines.len() < 2 {
            self.withdrawing.remove(&worker);
            return true;
        }
        let Some(missing) = self.withdrawing.get_mut(&worker) else {
            return false;
        };
        missing.remove(&engine);
        let is_withdrawn = missing.is_empty();
        if is_withdrawn {
            self.withdrawing.remove(&worker);
        }
        is_withdrawn
    }

    /// One says that it listens no more. Whether the herd does not.
    pub fn hear_closed(&mut self, engine: Engine) -> bool {
        self.open.remove(&engine);
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::{Incarnation, Slot};

    const BOTH: [Engine; 2] = [Engine::Main, Engine::Beside];

    fn worker(life: u64) -> WorkerId {
        WorkerId {
            slot: Slot(0),
            incarnation: Incarnation(life),
        }
    }

    #[test]
    fn a_worker_is_withdrawn_when_both_have_said_so() {
        for [first, second] in [BOTH, [Engine::Beside, Engine::Main]] {
            let mut accord = Accord::new(BOTH);
            accord.withdraw(worker(1));
            assert!(!accord.hear_withdrawn(first, worker(1)));
            assert!(
                !accord.hear_withdrawn(first, worker(1)),
                "it repeats itself"
            );
            assert!(accord.hear_withdrawn(second, worker(1)));
            assert!(!accord.hear_withdrawn(second, worker(1)), "that is known");
        }
    }

    #[test]
    fn what_was_said_before_a_dispatcher_was_replaced_stands() {
        let mut accord = Accord::new(BOTH);
        accord.withdraw(worker(1));
        assert!(!accord.hear_withdrawn(Engine::Main, worker(1)));
        accord.withdraw(worker(1));
        assert!(accord.hear_withdrawn(Engine::Beside, worker(1)));
    }

    #[test]
    fn of_the_dead_and_of_those_nobody_asked_for_nothing_is_said() {
        let mut accord = Accord::new(BOTH);
        accord.withdraw(worker(1));
        assert!(!accord.hear_withdrawn(Engine::Main, worker(1)));
        accord.gone(worker(1));
        assert!(!accord.hear_withdrawn(Engine::Beside, worker(1)));
        for engine in BOTH {
            assert!(!accord.hear_withdrawn(engine, worker(2)));
        }
    }

    #[test]
    fn one_alone_speaks_for_the_herd() {
        let mut accord = Accord::new([Engine::Main]);
        assert!(accord.hear_withdrawn(Engine::Main, worker(1)));
        assert!(accord.hear_closed(Engine::Main));
    }

    #[test]
    fn a_herd_listens_until_neither_does() {
        let mut accord = Accord::new(BOTH);
        assert!(!accord.hear_closed(Engine::Beside));
        assert!(!accord.hear_closed(Engine::Beside), "it repeats itself");
        assert!(accord.hear_closed(Engine::Main));
    }

    /// Whatever the order in which two answer and workers die: nobody is said to be withdrawn before both have
    /// said so, nobody twice, and everybody who lives is.
    #[test]
    fn in_every_order_each_is_said_to_be_withdrawn_once() {
        const WORKERS: u64 = 6;
        for seed in 0..500 {
            let mut random = Random::new(seed);
            let mut accord = Accord::new(BOTH);
            let mut news: Vec<(u64, Option<Engine>)> = Vec::new();
            for life in 0..WORKERS {
                accord.withdraw(worker(life));
                news.extend(BOTH.map(|engine| (life, Some(engine))));
                if random.below(3) == 0 {
                    news.push((life, None));
                }
            }
            let (mut said, mut dead) = (BTreeMap::new(), BTreeSet::new());
            let mut heard: BTreeSet<(u64, Engine)> = BTreeSet::new();
            while !news.is_empty() {
                let place = random.below(news.len() as u64);
                let (life, engine) = news.swap_remove(usize::try_from(place).expect("a place"));
                let Some(engine) = engine else {
                    accord.gone(worker(life));
                    dead.insert(life);
                    continue;
                };
                heard.insert((life, engine));
                if accord.hear_withdrawn(engine, worker(life)) {
                    let both = BOTH.iter().all(|it| heard.contains(&(life, *it)));
                    assert!(both && !dead.contains(&life), "seed {seed}");
                    *said.entry(life).or_insert(0) += 1;
                }
            }
            for life in 0..WORKERS {
                let times = said.get(&life).copied().unwrap_or(0);
                assert!(
                    times == 1 || dead.contains(&life) && times == 0,
                    "seed {seed}"
                );
            }
        }
    }
}
