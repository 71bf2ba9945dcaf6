//! Two machines that share a store: state, messages, jobs.

use herder_e2e::foreign::BOOT;
use herder_e2e::machines::{Machine, Network, Resource, Store};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
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
