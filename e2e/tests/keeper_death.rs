//! The keeper is killed: master and workers finish what they have and leave; a service manager that holds the
//! listeners starts the next herd, and nobody is refused.

use herder_e2e::binary::Binary;
use herder_e2e::client::{Load, Outcome};
use herder_e2e::deploy::{Deployed, Program};
use herder_e2e::foreign::{BOOT, address, examples, pid_of_body, wait_for};
use herder_e2e::herd::Signal;
use herder_e2e::interpreter::Node;
use herder_e2e::manager::Manager;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::time::{Duration, Instant};

/// What the workers have to finish. (A Node program is pressed after half of it.)
const GRACE: Duration = Duration::from_secs(4);

#[test]
fn r28_r29_nobody_outlives_a_killed_keeper_by_more_than_the_grace() {
    for program in [
        Program::Native,
        Program::Node(Node::Version(20)),
        Program::Python,
    ] {
        let scene = Scene::new("keeper_killed");
        let deployed = Deployed::start(&scene, program, &["--grace", "4s"]);
        let slow = Load::http(deployed.address, "/slow/1000");
        let slow = slow.count(4).clients(4).timeout(BOOT).start();
        let book = || deployed.book().saw.len();
        wait::until(BOOT, "the requests are read", || {
            (book() == 4).then_some(())
        });
        let begun = Instant::now();
        deployed.herd.signal(Signal::KILL);
        wait::until(BOOT, "nobody is left", || {
            deployed.herd.descendants().is_empty().then_some(())
        });
        let took = begun.elapsed();
        println!("{program:?}: {took:?}");
        slow.finish().assert_no_failure();
        assert!(took <= GRACE + Duration::from_secs(1), "{took:?}");
    }
}

#[test]
fn r29_a_service_manager_starts_the_next_herd_on_the_same_listeners() {
    let scene = Scene::new("managed");
    let mut manager = Manager::new(&scene);
    let arguments = [
        "run",
        "-l",
        "127.0.0.1:0",
        "-i",
        "2",
        "--ready",
        "notify",
        "--grace",
        "2s",
        "--",
        "python3",
        "plain.py",
    ];
    let start = |manager: &Manager| {
        let setup = manager.service(&scene, Binary::HERDER.path(), &arguments);
        setup.directory(examples()).start()
    };
    let first = start(&manager);
    manager.wait_for("READY=1", BOOT, &first);
    let address = address(&first);
    assert_eq!(manager.store.len(), 1, "{:?}", manager.told);
    let load = Load::http(address, "/slow/5").at_rate(100).timeout(BOOT);
    let load = load.worker_from(pid_of_body).start();
    load.wait_for_answers(50, BOOT);
    manager.forget_told();
    first.signal(Signal::KILL);
    let second = start(&manager);
    manager.wait_for("READY=1", BOOT, &second);
    wait_for(&second, 0, 2, "ready", BOOT);
    load.wait_for_answers(100, BOOT);
    let ledger = load.stop_and_finish();
    println!("{ledger}");
    let refused = ledger
        .failures()
        .filter(|entry| entry.outcome == Outcome::Refused);
    assert_eq!(refused.count(), 0, "{ledger}");
    ledger.assert_no_failure();
    assert!(second.end().success());
}
