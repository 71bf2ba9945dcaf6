//! Several machines with one store, whose workers die, fail and sleep past their claims: each tick
//! takes effect exactly once at a resource that refuses old tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use herder_core::Tick;
use herder_core::schedule::{
    Action, ClaimAnswer, Definition, Event, JobPlan, Misfire, Now, Overlap, RunId, Scheduler,
    ServerId, ServerKind, Target, Verdict, Wall,
};

use crate::desk::{Every, NIGHTLY, SECOND, name};

const TTL: Duration = Duration::from_secs(3);
const TICKS: i64 = 60;
const STEP: Duration = Duration::from_millis(50);

/// The claims, as a store has them.
#[derive(Default)]
struct Store {
    held: BTreeMap<Wall, (u64, Tick)>,
    done: BTreeSet<Wall>,
    last_token: u64,
    /// The tokens with which attempts were made.
    attempts: BTreeSet<u64>,
}

impl Store {
    fn claim(&mut self, tick: Wall, instead: Option<u64>, now: Tick) -> ClaimAnswer {
        if self.done.contains(&tick) {
            return ClaimAnswer::Done;
        }
        if let Some((holder, until)) = self.held.get(&tick)
            && *until > now
            && instead != Some(*holder)
        {
            let left = until.since(now);
            return ClaimAnswer::Held { left };
        }
        self.last_token += 1;
        self.hold(tick, self.last_token, now)
    }

    fn renew(&mut self, tick: Wall, token: u64, now: Tick) -> ClaimAnswer {
        match self.held.get(&tick) {
            _ if self.done.contains(&tick) => ClaimAnswer::Done,
            Some((holder, _)) if *holder == token => self.hold(tick, token, now),
            Some(_) | None => ClaimAnswer::Held { left: TTL },
        }
    }

    fn hold(&mut self, tick: Wall, token: u64, now: Tick) -> ClaimAnswer {
        self.held.insert(tick, (token, now.after(TTL)));
        ClaimAnswer::Ours { token, ttl: TTL }
    }
}

/// What the job writes to: per tick, the greatest token seen, and the effects.
#[derive(Default)]
struct Resource {
    effects: BTreeMap<Wall, u32>,
    seen: BTreeMap<Wall, u64>,
    refused: u32,
}

impl Resource {
    /// The fence: a write with an older token, or a second of the same tick, is refused.
    fn write(&mut self, tick: Wall, token: u64) {
        let seen = self.seen.entry(tick).or_default();
        let first = !self.effects.contains_key(&tick);
        if token >= *seen && first {
            *seen = token;
            *self.effects.entry(tick).or_default() += 1;
        } else {
            self.refused += 1;
        }
    }
}

/// A worker's run: when it writes, and when it says so.
struct Work {
    run: RunId,
    server: ServerId,
    tick: Wall,
    token: u64,
    at: Tick,
}

struct Machine {
    scheduler: Scheduler<Every>,
    works: Vec<Work>,
    /// Until then nothing of this machine moves.
    asleep: Tick,
    last_server: u64,
}

impl Machine {
    fn new(now: Now, seed: u64) -> Machine {
        let mut machine = Machine {
            scheduler: Scheduler::new(seed),
            works: Vec::new(),
            asleep: Tick::ZERO,
            last_server: 0,
        };
        let plan = JobPlan {
            target: Target::Cluster,
            overlap: Overlap::Allow,
            misfire: Misfire::All(100),
            timeout: 20 * SECOND,
            retries: 100,
            jitter: Duration::ZERO,
        };
        let definition = Definition {
            plan,
            calendar: Every(1000),
            last: Some(Wall::from_millis(0)),
        };
        let name = name(NIGHTLY);
        machine
            .scheduler
            .handle(Event::Define { name, definition }, now);
        machine.hire(now);
        machine.hire(now);
        machine
    }

    fn hire(&mut self, now: Now) {
        self.last_server += 1;
        let server = ServerId(self.last_server);
        let (kind, jobs) = (ServerKind::Worker, vec![name(NIGHTLY)]);
        self.scheduler
            .handle(Event::ServerUp { server, kind, jobs }, now);
    }

    fn act(&mut self, store: &mut Store, dice: &mut Dice, now: Now) {
        while let Some(action) = self.scheduler.poll_action() {
            match action {
                Action::Claim {
                    run, tick, instead, ..
                } => {
                    let away = dice.one_in(20);
                    let answer = if away {
                        ClaimAnswer::Unavailable
                    } else {
                        store.claim(tick, instead, now.tick)
                    };
                    self.scheduler.handle(Event::Claimed { run, answer }, now);
                }
                Action::Renew {
                    run, tick, token, ..
                } => {
                    let answer = store.renew(tick, token, now.tick);
                    self.scheduler.handle(Event::Renewed { run, answer }, now);
                }
                Action::Settle { tick, .. } => {
                    store.done.insert(tick);
                }
                Action::Release { tick, token, .. } => {
                    if store
                        .held
                        .get(&tick)
                        .is_some_and(|(holder, _)| *holder == token)
                    {
                        store.held.remove(&tick);
                    }
                }
                Action::Start {
                    run,
                    server,
                    tick,
                    token,
                    ..
                } => {
                    let token = token.expect("a cluster job has a token");
                    assert!(store.attempts.insert(token), "one attempt for each token");
                    let at = now.tick.after(Duration::from_millis(dice.below(2000)));
                    self.works.push(Work {
                        run,
                        server,
                        tick,
                        token,
                        at,
                    });
                }
                // The worker may be beyond hearing it.
                Action::Cancel { run, .. } => {
                    if dice.one_in(2) {
                        self.works.retain(|work| work.run != run);
                    }
                }
                Action::Record(_) | Action::Remember { .. } => {}
            }
        }
    }

    fn work(&mut self, resource: &mut Resource, dice: &mut Dice, now: Now) {
        let (ready, rest) = std::mem::take(&mut self.works)
            .into_iter()
            .partition(|w: &Work| w.at <= now.tick);
        self.works = rest;
        let ready: Vec<Work> = ready;
        for work in ready {
            let run = work.run;
            if dice.one_in(8) {
                let verdict = Verdict::Failed("dice".to_owned());
                self.scheduler.handle(Event::Finished { run, verdict }, now);
                continue;
            }
            resource.write(work.tick, work.token);
            let verdict = Verdict::Succeeded;
            self.scheduler.handle(Event::Finished { run, verdict }, now);
        }
    }

    fn kill_one(&mut self, now: Now) {
        if let Some(server) = self.works.first().map(|work| work.server) {
            self.works.retain(|work| work.server != server);
            self.scheduler.handle(Event::ServerDown { server }, now);
            self.hire(now);
        }
    }
}

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

fn simulate(seed: u64) -> Resource {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut now = Now {
        wall: Wall::from_millis(500),
        tick: Tick::from_micros(1),
    };
    let (mut store, mut resource) = (Store::default(), Resource::default());
    let mut machines: Vec<Machine> = (0..3).map(|i| Machine::new(now, seed + i)).collect();
    let calm = wall_after(TICKS);
    let end = calm.after(120 * SECOND);
    while now.wall < end {
        now.wall = now.wall.after(STEP);
        now.tick = now.tick.after(STEP);
        for machine in &mut machines {
            if machine.asleep > now.tick {
                continue;
            }
            if now.wall < calm {
                if dice.one_in(400) {
                    machine.asleep = now.tick.after(Duration::from_millis(dice.below(8000)));
                    continue;
                }
                if dice.one_in(60) {
                    machine.kill_one(now);
                }
                if dice.one_in(600) {
                    *machine = Machine::new(now, seed + 100);
                }
            }
            // What a sleeper wakes up with goes out before it hears that it is too late.
            machine.work(&mut resource, &mut dice, now);
            machine.scheduler.handle(Event::Timer, now);
            machine.act(&mut store, &mut dice, now);
        }
    }
    resource
}

fn wall_after(ticks: i64) -> Wall {
    Wall::from_millis(ticks * 1000)
}

#[test]
fn each_tick_takes_effect_exactly_once_under_kills_and_pauses() {
    let mut refused = 0;
    for seed in 1..=40 {
        let resource = simulate(seed);
        for tick in 1..=TICKS {
            let effects = resource.effects.get(&wall_after(tick)).copied();
            assert_eq!(effects, Some(1), "seed {seed}, tick {tick}");
        }
        refused += resource.refused;
    }
    assert!(
        refused > 0,
        "the fence was never needed: this proves nothing"
    );
}
