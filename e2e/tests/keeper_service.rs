//! The keeper, and the service manager above it.

use herder_e2e::binary::Binary;
use herder_e2e::foreign::BOOT;
use herder_e2e::herd::{Herd, Signal};
use herder_e2e::manager::Manager;
use herder_e2e::scene::Scene;
use std::time::Instant;

const TEST_KEEPER: Binary = Binary::new("herder-e2e", "test-keeper");

fn start(manager: &Manager, scene: &Scene, scripts: &[&str]) -> Herd {
    manager.service(scene, TEST_KEEPER.path(), scripts).start()
}

fn said(herd: &Herd, text: &str) {
    herd.wait_for_line(text, BOOT, |line| line.ends_with(text).then_some(()));
}

#[test]
fn r29_the_manager_hears_the_master_and_no_child_finds_it() {
    let scene = Scene::new("heard");
    let mut manager = Manager::new(&scene);
    let script = "charge,notify=READY=1;STATUS=well,notify=RELOADING=1,signals";
    let herd = start(&manager, &scene, &[script]);
    manager.wait_for(&format!("MAINPID={}", herd.pid()), BOOT, &herd);
    manager.wait_for("STATUS=well", BOOT, &herd);
    manager.wait_for("RELOADING=1", BOOT, &herd);
    let is_clock = |line: &String| {
        let micros = line.strip_prefix("MONOTONIC_USEC=");
        micros.is_some_and(|micros| micros.parse::<u64>().is_ok_and(|it| it > 0))
    };
    assert!(manager.told.iter().any(is_clock), "{:?}", manager.told);
    said(&herd, "complete 0, 0 stored");
    let lines = herd.lines();
    let sees = lines.iter().find(|line| line.text.contains("sees "));
    assert!(sees.is_none(), "{sees:?}");
    herd.signal(Signal::TERM);
    assert!(herd.wait_for_exit(BOOT).success());
    manager.wait_for("STOPPING=1", BOOT, &herd);
}

#[test]
fn r29_listeners_are_held_by_the_manager_and_come_back() {
    let scene = Scene::new("held");
    let mut manager = Manager::new(&scene);
    let script = "listen=0,listen=1,store=1,listen=2,forget=herd.listener.1,charge,notify=X=1,wait";
    let first = start(&manager, &scene, &[script]);
    manager.wait_for("X=1", BOOT, &first);
    let mut names: Vec<String> = manager.store.iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    assert_eq!(names, ["herd.listener.0", "herd.listener.2"]);
    first.signal(Signal::KILL);
    manager.forget_told();
    let second = start(&manager, &scene, &["charge,signals"]);
    said(&second, "stored herd.listener.0 0 1");
    said(&second, "stored herd.listener.2 0 1");
    said(&second, "complete 0, 2 stored");
    assert!(second.end().success());
}

#[test]
fn r30_the_manager_hears_that_the_herd_lives_while_its_master_does() {
    let scene = Scene::new("lives");
    let mut manager = Manager::new(&scene);
    // Hardly ever: the herd is up to date with its beats when the watchdog of the master strikes.
    let script = "watchdog=4000,charge,beat=50,notify=X=1,pause=300,beat=10,signals";
    let setup = manager.service(&scene, TEST_KEEPER.path(), &[script]);
    let herd = setup.env("WATCHDOG_USEC", "200000").start();
    manager.wait_for("WATCHDOG=1", BOOT, &herd);
    manager.forget_told();
    let begun = Instant::now();
    manager.wait_for("X=1", BOOT, &herd);
    let beats = manager.told.iter().filter(|line| *line == "WATCHDOG=1");
    let beats = beats.count() as u128;
    // Once in 100 ms, for about a second; longer if the machine is slow.
    let most = begun.elapsed().as_millis() / 100 + 4;
    assert!((5..=most).contains(&beats), "{beats} of {most}");
    herd.signal(Signal::KILL);
}
