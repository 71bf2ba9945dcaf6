//! Two machines that share a store: state, messages, jobs.

use herder_e2e::foreign::{self, BOOT};
use herder_e2e::library;
use herder_e2e::machines::{Cable, Machine, Network, Resource, Store};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::net::{IpAddr, Ipv4Addr};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// State, its changes, and messages go from one to the other.
fn share(one: &Machine, two: &Machine) {
    one.wait_for_answer("set color green", "revision:1");
    two.wait_for_answer("get color", "green");
    two.wait_for_answer("watched color", "green");
    assert_eq!(two.ask("set color blue"), "revision:2");
    one.wait_for_answer("get color", "blue");
    one.wait_for_answer("watched color", "blue");
    let sum: i64 = (0..10)
        .map(|round| {
            let machine = [one, two][round % 2];
            machine.ask("count visits 1").parse().expect("a sum")
        })
        .last()
        .expect("ten of them");
    assert_eq!(sum, 10);

    // Each machine has two workers that listen; those of the other one are not counted.
    wait::until(BOOT, "all listen", || {
        (one.ask("say hello") == "receivers:2 machines:1").then_some(())
    });
    two.wait_for_answer("heard", "hello");
    one.wait_for_answer("heard", "hello");
}

/// Ticks have one effect each, and both machines have their share of them.
fn take_turns(resource: &Resource, machines: &[Machine; 2]) {
    let last = wait::until(BOOT, "both carry ticks out", || {
        let ticks = resource.ticks();
        let by = |machine: &Machine| {
            let effects = ticks.values().filter_map(|tick| tick.effect);
            effects.filter(|effect| machine.has(effect.pid)).count()
        };
        let both = by(&machines[0]) >= 3 && by(&machines[1]) >= 3;
        ticks
            .last_key_value()
            .filter(|_| both)
            .map(|(tick, _)| *tick)
    });
    let first = *resource.ticks().first_key_value().expect("some").0;
    for tick in (first..=last).step_by(100) {
        let what = wait::until(BOOT, "none is left out", || {
            Some(resource.tick(tick)).filter(|tick| tick.effect.is_some())
        });
        assert_eq!(what.begun.len(), 1, "{tick}: {what:?}");
    }
}

#[test]
fn two_machines_with_one_store_share_state_messages_and_jobs() {
    let scene = Scene::new("machines");
    let store = Store::start(&scene);
    let resource = Resource::start();
    let address = resource.address(HERE);
    let options = ["--every", "100", "--resource", &address];
    let machine = || Machine::start(&scene, None, &store.url(None), &options);
    let machines = [machine(), machine()];
    share(&machines[0], &machines[1]);
    take_turns(&resource, &machines);
    for machine in machines {
        assert!(machine.herd.end().success());
    }
}

/// Two machines, each with a network of its own.
#[test]
fn two_networks_with_one_store_share_state_messages_and_jobs() {
    let network = match Network::new(2) {
        Ok(network) => network,
        Err(error) => return eprintln!("skipped: this user must not make networks: {error}"),
    };
    let scene = Scene::new("networks");
    let hosts = network.hosts();
    let store = Store::at(&scene, &[hosts[0].gateway, hosts[1].gateway]);
    let resource = Resource::start();
    let machines = [0, 1].map(|number| {
        let host = &hosts[number];
        let address = resource.address(host.gateway);
        let options = ["--every", "100", "--resource", &address];
        Machine::start(&scene, Some(host), &store.url(Some(host.gateway)), &options)
    });
    share(&machines[0], &machines[1]);
    take_turns(&resource, &machines);
    for machine in machines {
        assert!(machine.herd.end().success());
    }
}

/// A machine whose cable is out of the wall loses its ticks to the other one, and nothing else.
#[test]
fn a_machine_that_is_cut_off_comes_back() {
    let network = match Network::new(2) {
        Ok(network) => network,
        Err(error) => return eprintln!("skipped: this user must not make networks: {error}"),
    };
    let scene = Scene::new("cut");
    let hosts = network.hosts();
    let store = Store::at(&scene, &[hosts[0].gateway, hosts[1].gateway]);
    let resource = Resource::start();
    let [one, two] = [0, 1].map(|number| {
        let host = &hosts[number];
        let address = resource.address(host.gateway);
        let options = ["--every", "100", "--claim", "1500", "--resource", &address];
        Machine::start(&scene, Some(host), &store.url(Some(host.gateway)), &options)
    });
    one.wait_for_answer("set color green", "revision:1");
    two.wait_for_answer("watched color", "green");
    let by = |machine: &Machine, after: i64| {
        let ticks = resource.ticks();
        let effects = ticks.range(after..).filter_map(|(_, tick)| tick.effect);
        effects.filter(|effect| machine.has(effect.pid)).count()
    };
    let last = || {
        resource
            .ticks()
            .last_key_value()
            .map_or(0, |(tick, _)| *tick)
    };
    wait::until(BOOT, "both carry ticks out", || {
        (by(&one, 0) > 0 && by(&two, 0) > 0).then_some(())
    });
    let mark = two.herd.mark();
    let first = *resource.ticks().first_key_value().expect("some").0;
    hosts[1].cable(Cable::Out);
    let cut = last();
    assert_eq!(one.ask("set color blue"), "revision:2");
    // Those that the other one had are claimed when its claims have ended.
    wait::until(
        BOOT,
        "every tick until the cut, and more, has its effect",
        || {
            let all = (first..=cut).step_by(100);
            let mut ticks = all.map(|tick| resource.tick(tick));
            (ticks.all(|tick| tick.effect.is_some()) && by(&one, cut) >= 30).then_some(())
        },
    );
    hosts[1].cable(Cable::In);
    let back = last();
    two.wait_for_answer("watched color", "blue");
    two.wait_for_answer("get color", "blue");
    wait::until(BOOT, "it carries ticks out again", || {
        (by(&two, back) >= 3).then_some(())
    });
    let lines = two.herd.lines();
    let died = lines
        .iter()
        .skip(mark)
        .find(|line| line.text.contains(" died"));
    assert_eq!(died, None);
    for machine in [one, two] {
        assert!(machine.herd.end().success());
    }
}

/// Without its store a machine serves, and replaces what dies; what needs the store fails at once.
#[test]
fn r47_a_machine_does_without_its_store_what_it_can() {
    let scene = Scene::new("storeless");
    let store = Store::start(&scene);
    let machine = Machine::start(&scene, None, &store.url(None), &[]);
    machine.wait_for_answer("set color green", "revision:1");

    store.signal(Signal::STOP);
    fails_at_once(&machine);
    carries_on(&machine);
    for _ in 0..10 {
        assert_eq!(machine.ask("add visits 2"), "added");
    }
    store.signal(Signal::CONT);
    machine.wait_for_answer("watched visits", "20");
    machine.wait_for_answer("get color", "green");
    machine.wait_for_answer("watched color", "green");

    store.kill();
    fails_at_once(&machine);
    carries_on(&machine);
    let _store = Store::start(&scene);
    // It kept nothing.
    machine.wait_for_answer("get color", "-");
    wait::until(BOOT, "it counts", || {
        machine.ask("count visits 1").parse::<i64>().ok()
    });
    assert!(machine.herd.end().success());
}

fn fails_at_once(machine: &Machine) {
    let mut quickest = u64::MAX;
    for _ in 0..10 {
        // What was read before may still be answered, until it is known that the store is silent.
        let answer = machine.ask("set size 1");
        let time = answer.rsplit_once('(').and_then(|(error, time)| {
            assert!(error.starts_with("error "), "{answer}");
            time.strip_suffix(" ms)")?.parse().ok()
        });
        quickest = quickest.min(time.unwrap_or_else(|| panic!("{answer}")));
    }
    // On a busy machine one or the other may take longer.
    assert!(quickest < 250, "{quickest} ms");
}

fn carries_on(machine: &Machine) {
    let answer = machine.ask("self");
    let pid = foreign::pid_of_body(answer.as_bytes()).expect("it serves");
    let mark = machine.herd.mark();
    machine.herd.signal_to(pid, Signal::KILL);
    foreign::wait_for(&machine.herd, mark, 1, "ready", BOOT);
    let process = machine.library().expect("it lives");
    machine.herd.signal_to(process.pid, Signal::KILL);
    library::wait_for(&machine.herd, mark, 1, "ready", BOOT);
    assert!(machine.ask("self").starts_with("pid:"));
}
