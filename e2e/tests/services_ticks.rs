//! A job of the cluster takes effect exactly once for each tick, whoever is killed or stopped: counted at
//! a resource that checks the token.

use herder_e2e::foreign::{self, BOOT};
use herder_e2e::library;
use herder_e2e::machines::{Access, Caught, Machine, Moment, Resource, Store, Tick};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{SystemTime, UNIX_EPOCH};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// How often the job is due, in milliseconds.
const PERIOD: i64 = 200;
const TICKS: usize = 200;

/// What happens to whoever carries a tick out, one after the other.
#[derive(Clone, Copy, Debug)]
enum Blow {
    /// Its worker is killed before it writes.
    Worker,
    /// Its worker is killed when it has written, and not said so.
    WorkerThatWrote,
    /// The built-in library of its machine is killed.
    Library,
    /// Its machine's master is killed, and with it all of the machine.
    Machine,
    /// Its machine stands still for longer than its claim stands.
    Pause,
}

const BLOWS: [Blow; 6] = [
    Blow::Pause,
    Blow::Worker,
    Blow::Library,
    Blow::WorkerThatWrote,
    Blow::Pause,
    Blow::Machine,
];

struct Play {
    scene: Scene,
    store: Store,
    resource: Resource,
    machines: Vec<Machine>,
}

impl Play {
    fn start(name: &str) -> Play {
        let scene = Scene::new(name);
        let store = Store::start(&scene);
        let resource = Resource::start();
        let mut play = Play {
            scene,
            store,
            resource,
            machines: Vec::new(),
        };
        play.machines = vec![play.machine(), play.machine()];
        play
    }

    fn machine(&self) -> Machine {
        let (address, period) = (self.resource.address(HERE), PERIOD.to_string());
        let options = ["--every", &period, "--resource", &address];
        let options = [&options[..], &["--claim", "1500"]].concat();
        Machine::start(&self.scene, None, &self.store.url(None), &options)
    }

    /// The place of the machine that carries a tick out.
    fn place_of(&self, access: Access) -> usize {
        let mut places = self.machines.iter();
        let place = places.position(|machine| machine.has(access.pid));
        place.unwrap_or_else(|| panic!("{access:?} is of no machine"))
    }

    fn strike(&mut self, blow: Blow) {
        let moment = match blow {
            Blow::WorkerThatWrote => Moment::Written,
            Blow::Library | Blow::Machine | Blow::Pause | Blow::Worker => Moment::Begun,
        };
        let caught = self.resource.catch(moment, BOOT);
        let place = self.place_of(caught.access);
        let herd = &self.machines[place].herd;
        let mark = herd.mark();
        match blow {
            Blow::Worker | Blow::WorkerThatWrote => {
                herd.signal_to(caught.access.pid, Signal::KILL);
                drop(caught);
                foreign::wait_for(herd, mark, 1, "ready", BOOT);
            }
            Blow::Library => {
                let process = self.machines[place].library().expect("it lives");
                herd.signal_to(process.pid, Signal::KILL);
                drop(caught);
                library::wait_for(herd, mark, 1, "ready", BOOT);
            }
            Blow::Machine => {
                self.machines.remove(place).kill();
                drop(caught);
                self.machines.push(self.machine());
            }
            Blow::Pause => self.pause(place, caught),
        }
    }

    /// Stops the machine before it writes, and lets the worker go on when another machine has written
    /// with a greater token.
    fn pause(&self, place: usize, caught: Caught) {
        let (machine, access) = (&self.machines[place], caught.access);
        let library = machine.library().expect("it lives").pid;
        machine.herd.signal_to(library, Signal::STOP);
        machine.herd.signal_to(access.pid, Signal::STOP);
        drop(caught);
        let effect = wait::until(BOOT, "another machine has the tick", || {
            self.resource.tick(access.tick).effect
        });
        assert!(effect.token > access.token, "{effect:?} after {access:?}");
        assert!(!machine.has(effect.pid), "{effect:?} after {access:?}");
        machine.herd.signal_to(access.pid, Signal::CONT);
        wait::until(BOOT, "the late write is refused by its token", || {
            let late = self.resource.tick(access.tick).late;
            late.contains(&access).then_some(())
        });
        machine.herd.signal_to(library, Signal::CONT);
    }

    /// Waits until each of these ticks has its effect.
    fn settle(&self, first: i64, last: i64) {
        let mut open: BTreeSet<i64> = (first..=last).step_by(step()).collect();
        let settled = wait::attempt(4 * BOOT, || {
            open.retain(|tick| self.resource.tick(*tick).effect.is_none());
            open.is_empty().then_some(())
        });
        let ticks = self.resource.ticks();
        let open = open.iter().map(|tick| (tick, ticks.get(tick)));
        assert!(
            settled.is_some(),
            "no effect: {:#?}",
            open.collect::<Vec<_>>()
        );
    }
}

fn step() -> usize {
    usize::try_from(PERIOD).expect("small")
}

/// The last tick that was due.
fn present() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.expect("after 1970").as_millis();
    i64::try_from(millis)
        .expect("not that far")
        .div_euclid(PERIOD)
        * PERIOD
}

#[test]
fn done_5_each_of_200_ticks_takes_effect_once_under_kills_and_pauses() {
    let mut play = Play::start("ticks");
    let first = present() + PERIOD;
    let end = first + PERIOD * i64::try_from(TICKS - 1).expect("small");
    let mut struck = 0;
    for blow in BLOWS.iter().cycle() {
        if struck >= BLOWS.len() && present() > end {
            break;
        }
        play.strike(*blow);
        struck += 1;
        // One blow at a time: what is due now has its effect before the next.
        play.settle(first, present());
    }
    let ticks = play.resource.ticks();
    let ticks: Vec<&Tick> = ticks.range(first..).map(|(_, tick)| tick).collect();
    assert!(ticks.len() >= TICKS, "{}", ticks.len());
    let count = |what: fn(&Tick) -> usize| ticks.iter().map(|tick| what(tick)).sum::<usize>();
    let late = count(|tick| tick.late.len());
    let again = count(|tick| tick.again.len());
    let anew = count(|tick| {
        let token = tick.effect.map(|effect| effect.token);
        usize::from(tick.begun.first().map(|begun| begun.token) < token)
    });
    let once = count(|tick| usize::from(tick.begun.len() == 1));
    let summary = format!(
        "{} ticks, {struck} blows: {late} writes late, {again} again, {anew} claimed anew, {once} begun once",
        ticks.len()
    );
    eprintln!("{summary}");
    // Without the fence, these would have been effects.
    assert!(late >= 2, "{summary}");
    assert!(again >= 1, "{summary}");
    assert!(anew >= 4, "{summary}");
    assert!(
        once * 2 > ticks.len(),
        "the others are done as of old: {summary}"
    );
    for machine in play.machines {
        assert!(machine.herd.end().success());
    }
    drop(play.store);
}
