use herder_api::units::Period;

use super::*;

/// An app that is asked: its slots, and whether it answers.
struct World {
    checks: Checks,
    slots: Vec<Serving>,
    busy: bool,
    now: u64,
    lives: u64,
    /// Whether an answer is good.
    works: bool,
    /// How long a new worker takes.
    boot: u64,
    boots: Vec<(u64, u16)>,
    told: Vec<(u64, String)>,
    failed: Vec<(u64, u16)>,
}

impl World {
    fn new(health: &Health, slots: u16) -> World {
        let app = App {
            boot_timeout: Some(Period::secs(20)),
            ..App::default()
        };
        let slots = (0..slots).map(|slot| Serving {
            slot,
            id: Some(u64::from(slot)),
        });
        World {
            checks: Checks::new(health, &app, 0),
            slots: slots.collect(),
            busy: false,
            now: 0,
            lives: 100,
            works: true,
            boot: 500,
            boots: Vec::new(),
            told: Vec::new(),
            failed: Vec::new(),
        }
    }

    fn herd(&self) -> Herd<'_> {
        Herd {
            slots: &self.slots,
            busy: self.busy,
            turn: Turn::Ours,
        }
    }

    /// Until that time, in seconds.
    fn run(&mut self, seconds: u64) {
        let end = seconds * 1000;
        loop {
            for _ in 0..100 {
                if !self.step() {
                    break;
                }
            }
            let booted = self.boots.iter().map(|(at, _)| *at).min();
            let wanted = self.checks.timeout().filter(|_| !self.busy);
            let next = booted.into_iter().chain(wanted).min().unwrap_or(end);
            assert!(next > self.now || next >= end, "it spins at {}", self.now);
            if next > end {
                self.now = end;
                return;
            }
            self.now = next.max(self.now);
            if self.now == end {
                return;
            }
        }
    }

    /// False when there is nothing to be done now.
    fn step(&mut self) -> bool {
        let now = self.now;
        let booted: Vec<(u64, u16)> = self
            .boots
            .iter()
            .copied()
            .filter(|it| it.0 <= now)
            .collect();
        self.boots.retain(|(at, _)| *at > now);
        for (_, slot) in booted {
            self.lives += 1;
            self.slots[usize::from(slot)].id = Some(self.lives);
        }
        let slots = self.slots.clone();
        let herd = Herd {
            slots: &slots,
            busy: self.busy,
            turn: Turn::Ours,
        };
        let mut acts = VecDeque::from(self.checks.poll(herd, now));
        let is_idle = acts.is_empty();
        while let Some(act) = acts.pop_front() {
            match act {
                Act::Probe => {
                    let answer = if self.works {
                        Ok(())
                    } else {
                        Err("no answer".to_owned())
                    };
                    let herd = self.herd();
                    let (slots, busy) = (herd.slots.to_vec(), herd.busy);
                    let herd = Herd {
                        slots: &slots,
                        busy,
                        turn: Turn::Ours,
                    };
                    acts.extend(self.checks.answered(answer, herd, now));
                }
                Act::Fail { slot, reason } => {
                    assert_eq!(reason, "unhealthy: no answer");
                    self.slots[usize::from(slot)].id = None;
                    self.boots.push((now + self.boot, slot));
                    self.failed.push((now / 1000, slot));
                }
                Act::Unhealthy(text) | Act::Healthy(text) => self.told.push((now / 1000, text)),
            }
        }
        !is_idle
    }
}

fn health() -> Health {
    Health {
        interval: Period::secs(5),
        failures: 3,
        start_period: Period::secs(20),
        ..Health::default()
    }
}

#[test]
fn a_healthy_app_is_asked_at_its_interval_and_left_alone() {
    let mut world = World::new(&health(), 2);
    world.run(100);
    assert_eq!(world.checks.healthy(), Some(true));
    assert!(world.told.is_empty() && world.failed.is_empty());
}

#[test]
fn a_hung_app_gets_new_workers_slot_by_slot() {
    let mut world = World::new(&health(), 3);
    world.run(42);
    world.works = false;
    world.run(51);
    // Failed at 45 and 50: not three times yet.
    assert!(world.told.is_empty());
    world.run(57);
    let slots: Vec<u16> = world.failed.iter().map(|(_, slot)| *slot).collect();
    assert_eq!(slots, [0, 1, 2]);
    assert_eq!(world.told.len(), 1, "{:?}", world.told);
    let text = "its health check failed 3 times in a row (no answer): its workers are replaced";
    assert_eq!(world.told[0], (55, text.to_owned()));
    assert_eq!(world.checks.healthy(), Some(false));
    world.works = true;
    world.run(70);
    assert_eq!(world.checks.healthy(), Some(true));
    assert_eq!(world.told[1].1, "its health check passes again");
}

#[test]
fn one_slot_waits_until_the_one_before_is_ready() {
    let mut world = World::new(&health(), 2);
    world.run(42);
    (world.works, world.boot) = (false, 7000);
    world.run(58);
    assert_eq!(world.failed, [(55, 0)]);
    world.run(63);
    assert_eq!(world.failed, [(55, 0), (62, 1)]);
}

#[test]
fn a_worker_that_never_gets_ready_does_not_keep_the_others() {
    let mut world = World::new(&health(), 2);
    world.run(42);
    (world.works, world.boot) = (false, u64::MAX / 2);
    world.run(74);
    assert_eq!(world.failed, [(55, 0)]);
    world.run(76);
    assert_eq!(world.failed, [(55, 0), (75, 1)]);
}

#[test]
fn an_app_may_take_its_time_at_the_start_but_only_then() {
    let mut world = World::new(&health(), 1);
    world.works = false;
    world.run(19);
    assert!(world.told.is_empty());
    world.works = true;
    world.run(21);
    assert_eq!(world.checks.healthy(), Some(true));

    let mut world = World::new(&health(), 1);
    world.run(4);
    world.works = false;
    world.run(16);
    // It was healthy before, so these count although it has just started.
    assert_eq!(world.told.len(), 1, "{:?}", world.told);
}

#[test]
fn an_app_that_is_never_healthy_is_replaced_more_and_more_rarely() {
    for start in [1, 20, 45] {
        let mut settings = health();
        settings.start_period = Period::secs(start);
        let mut world = World::new(&settings, 1);
        world.works = false;
        world.run(4000);
        let times: Vec<u64> = world.failed.iter().map(|(time, _)| *time).collect();
        assert!(times.len() > 3, "{times:?}");
        let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let least = start.max(30);
        assert!(gaps.iter().all(|gap| *gap >= least), "{gaps:?}");
        assert!(gaps.last() > gaps.first(), "{gaps:?}");
        assert!(gaps.iter().all(|gap| *gap <= least * 17), "{gaps:?}");
    }
}

#[test]
fn one_that_is_well_for_a_moment_only_is_not_replaced_faster() {
    let mut settings = health();
    settings.failures = 1;
    settings.interval = Period::secs(1);
    settings.start_period = Period::secs(0);
    let mut world = World::new(&settings, 1);
    for second in 1..400 {
        world.works = second % 2 == 0;
        world.run(second);
    }
    let times: Vec<u64> = world.failed.iter().map(|(time, _)| *time).collect();
    assert!(times.len() > 5, "{times:?}");
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] >= 30),
        "{times:?}"
    );
}

#[test]
fn during_a_reload_nobody_is_replaced() {
    let mut world = World::new(&health(), 1);
    world.run(42);
    (world.works, world.busy) = (false, true);
    for second in 43..80 {
        world.now = second * 1000;
        world.step();
    }
    assert_eq!(world.checks.healthy(), Some(false));
    assert!(world.failed.is_empty());
    assert!(world.told[0].1.ends_with("looked at again after that"));
    // Those that serve now are others. They have their time to begin, and are ended only for what
    // they do themselves.
    world.busy = false;
    world.run(99);
    assert!(world.failed.is_empty(), "{:?}", world.failed);
    world.run(115);
    assert_eq!(world.failed, [(109, 0)]);
}

#[test]
fn who_gets_well_by_a_reload_is_left_alone() {
    let mut world = World::new(&health(), 2);
    world.run(42);
    (world.works, world.busy) = (false, true);
    for second in 43..70 {
        world.now = second * 1000;
        world.step();
    }
    assert_eq!(world.checks.healthy(), Some(false));
    (world.works, world.busy) = (true, false);
    world.run(200);
    assert_eq!(world.checks.healthy(), Some(true));
    assert!(world.failed.is_empty(), "{:?}", world.failed);
}

#[test]
fn what_was_asked_of_those_before_says_nothing_of_those_after() {
    let mut settings = health();
    settings.failures = 1;
    settings.start_period = Period::secs(0);
    let mut checks = Checks::new(&settings, &App::default(), 0);
    let slots = [Serving {
        slot: 0,
        id: Some(1),
    }];
    let herd = |busy| Herd {
        slots: &slots,
        busy,
        turn: Turn::Ours,
    };
    assert_eq!(checks.poll(herd(true), 0), [Act::Probe]);
    assert_eq!(checks.poll(herd(false), 10), []);
    let late = Err("no answer".to_owned());
    assert_eq!(checks.answered(late.clone(), herd(false), 20), []);
    assert_eq!(checks.healthy(), None);
    // It is asked again at once, and that counts.
    assert_eq!(checks.poll(herd(false), 20), [Act::Probe]);
    assert_eq!(checks.answered(late, herd(false), 30).len(), 1);
    assert_eq!(checks.healthy(), Some(false));
}
