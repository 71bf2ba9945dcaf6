use std::collections::BTreeSet;

use herder_api::units::Period;

use super::*;

/// An app whose workers are asked each for itself.
struct World {
    each: Each,
    slots: Vec<Serving>,
    now: u64,
    lives: u64,
    /// The lives that do not answer.
    sick: BTreeSet<u64>,
    /// Whether those that replace them answer.
    heals: bool,
    boots: Vec<(u64, u16)>,
    failed: Vec<(u64, u16)>,
    told: Vec<String>,
    asked: Vec<u16>,
}

impl World {
    fn new(slots: u16) -> World {
        let health = Health {
            http: Some("/health".to_owned()),
            interval: Period::secs(5),
            failures: 2,
            start_period: Period::secs(20),
            ..Health::default()
        };
        let app = App {
            dispatch: Dispatch::Proxy,
            boot_timeout: Some(Period::secs(20)),
            ..App::default()
        };
        assert!(asks_each(&app, &health));
        let slots = (0..slots).map(|slot| Serving {
            slot,
            id: Some(u64::from(slot)),
        });
        World {
            each: Each::new(&health, &app),
            slots: slots.collect(),
            now: 0,
            lives: 100,
            sick: BTreeSet::new(),
            heals: true,
            boots: Vec::new(),
            failed: Vec::new(),
            told: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Until that time, in seconds.
    fn run(&mut self, seconds: u64) {
        let end = seconds * 1000;
        loop {
            let rounds = (0..100).take_while(|_| self.step()).count();
            assert!(rounds < 100, "it spins at {}", self.now);
            let booted = self.boots.iter().map(|(at, _)| *at).min();
            let next = booted.into_iter().chain(self.each.timeout()).min();
            let next = next.unwrap_or(end);
            assert!(next > self.now, "it spins at {}", self.now);
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
        }
    }

    fn step(&mut self) -> bool {
        let now = self.now;
        let (up, later): (Vec<_>, Vec<_>) = self.boots.drain(..).partition(|(at, _)| *at <= now);
        self.boots = later;
        for (_, slot) in up {
            self.lives += 1;
            self.slots[usize::from(slot)].id = Some(self.lives);
            if !self.heals {
                self.sick.insert(self.lives);
            }
        }
        let slots = self.slots.clone();
        let herd = Herd {
            slots: &slots,
            busy: false,
            turn: Turn::Ours,
        };
        let acts = self.each.poll(herd, now);
        let is_idle = acts.is_empty();
        for (slot, act) in acts {
            match act {
                Act::Probe => {
                    self.asked.push(slot);
                    let id = slots[usize::from(slot)].id.expect("somebody is asked");
                    let answer = match self.sick.contains(&id) {
                        true => Err("no answer".to_owned()),
                        false => Ok(()),
                    };
                    let acts = self.each.answered(slot, answer, herd, now);
                    self.note(acts);
                }
                Act::Fail { slot: named, .. } => {
                    assert_eq!(slot, named);
                    self.slots[usize::from(slot)].id = None;
                    self.boots.push((now + 500, slot));
                    self.failed.push((now / 1000, slot));
                }
                Act::Unhealthy(text) | Act::Healthy(text) => self.told.push(text),
            }
        }
        !is_idle
    }

    fn note(&mut self, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Unhealthy(text) | Act::Healthy(text) => self.told.push(text),
                Act::Probe | Act::Fail { .. } => panic!("{act:?}"),
            }
        }
    }
}

#[test]
fn every_worker_is_asked() {
    let mut world = World::new(3);
    world.run(1);
    assert_eq!(world.asked, [0, 1, 2]);
    assert_eq!(world.each.healthy(), Some(true));
    world.run(100);
    assert_eq!((world.failed.len(), world.told.len()), (0, 0));
    assert_eq!(world.asked.len(), 3 * 20 + 3);
}

#[test]
fn one_that_fails_is_replaced_and_the_others_are_left_alone() {
    let mut world = World::new(3);
    world.run(42);
    world.sick.insert(1);
    world.run(49);
    assert_eq!((world.failed.len(), world.each.healthy()), (0, Some(true)));
    world.run(60);
    assert_eq!(world.failed, [(50, 1)]);
    let told = [
        "the health check of worker 1 failed 2 times in a row (no answer): it is replaced",
        "the health check of worker 1 passes again",
    ];
    assert_eq!(world.told, told);
    assert_eq!(world.each.healthy(), Some(true));
}

#[test]
fn they_are_replaced_one_after_the_other() {
    let mut world = World::new(3);
    world.run(42);
    world.sick.extend([0, 2]);
    let mut most = 0;
    for tenth in 420..700 {
        world.run(tenth / 10);
        let missing = world.slots.iter().filter(|it| it.id.is_none()).count();
        most = most.max(missing);
    }
    let slots: Vec<u16> = world.failed.iter().map(|(_, slot)| *slot).collect();
    assert_eq!(slots, [0, 2]);
    assert_eq!(most, 1);
    assert_eq!(world.each.healthy(), Some(true));
}

#[test]
fn one_that_was_started_anew_has_its_time_to_begin() {
    let mut world = World::new(2);
    world.run(42);
    // It dies, and its successor takes long until it answers.
    world.slots[0].id = None;
    world.run(43);
    world.slots[0].id = Some(50);
    world.sick.insert(50);
    world.run(62);
    assert!(world.failed.is_empty(), "{:?}", world.failed);
    world.sick.remove(&50);
    world.run(100);
    assert!(world.failed.is_empty() && world.told.is_empty());
}

#[test]
fn one_that_nothing_heals_is_replaced_more_and_more_seldom() {
    let mut world = World::new(2);
    world.run(42);
    world.sick.insert(0);
    world.heals = false;
    world.run(500);
    let times: Vec<u64> = world.failed.iter().map(|(at, _)| *at).collect();
    let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps.len() >= 2 && gaps[0] >= 30 && gaps[1] > gaps[0],
        "{gaps:?}"
    );
    assert!(world.failed.iter().all(|(_, slot)| *slot == 0));
    assert_eq!(world.each.healthy(), Some(false));
}

#[test]
fn a_slot_that_is_gone_is_forgotten() {
    let mut world = World::new(2);
    world.run(42);
    world.sick.insert(1);
    world.heals = false;
    world.run(51);
    assert_eq!(world.each.healthy(), Some(false));
    world.slots.pop();
    world.boots.clear();
    world.run(56);
    assert_eq!(world.each.healthy(), Some(true));
}

#[test]
fn who_is_asked_by_a_whole_url_is_asked_as_one() {
    let app = App {
        dispatch: Dispatch::Proxy,
        ..App::default()
    };
    let tcp = |tcp: &str| Health {
        tcp: Some(tcp.to_owned()),
        ..Health::default()
    };
    let http = Health {
        http: Some("http://127.0.0.1:80/".to_owned()),
        ..Health::default()
    };
    assert!(!asks_each(&app, &http));
    assert!(!asks_each(&app, &tcp("127.0.0.1:80")));
    assert!(asks_each(&app, &tcp("worker")));
    assert!(!asks_each(&App::default(), &tcp("worker")));
}
