//! The keeper is killed: master and workers finish what they have and leave; a service manager that holds the
//! listeners starts the next herd, and nobody is refused.

use herder_e2e::binary::Binary;
use herder_e2e::client::{Load, Outcome};
use herder_e2e::deploy::{Deployed, Program, Verdict, Version};
use herder_e2e::foreign::{BOOT, address, examples, freeze, pid_of_body, wait_for};
use herder_e2e::herd::Signal;
use herder_e2e::interpreter::Node;
use herder_e2e::manager::Manager;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
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
        let took = wait::timed(GRACE + Duration::from_secs(1), || {
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
            slow.finish().assert_no_failure();
            took
        });
        println!("{program:?}: {took:?}");
    }
}

/// The private directories of herds.
fn private(scene: &Scene) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(scene.directory()).expect("it is there");
    let paths = entries.map(|entry| entry.expect("it is there").path());
    let name = |path: &PathBuf| path.file_name().is_some_and(is_private);
    paths.filter(name).collect()
}

fn is_private(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"herder-")
}

#[test]
fn r28_what_keeper_and_master_leave_that_die_together_the_next_herd_removes() {
    let scene = Scene::new("both_killed");
    let start = || {
        Deployed::start(
            &scene,
            Program::Python,
            &["--grace", "2s", "--soak", "200ms"],
        )
    };
    let first = start();
    let left = private(&scene);
    assert_eq!(left.len(), 1, "{left:?}");
    let second = start();
    let both = private(&scene);
    assert!(both.len() == 2 && both.is_superset(&left), "{both:?}");
    // Neither does anything after the other's death.
    let master = first.master().pid;
    freeze(&first.herd, &[master]);
    first.herd.signal(Signal::KILL);
    first.herd.try_signal_to(master, Signal::KILL);
    // Programs that hear nothing from herder but signals go on: nobody is left who could send one.
    wait::until(BOOT, "nobody is left", || {
        let left = first.herd.descendants();
        for process in &left {
            first.herd.try_signal_to(process.pid, Signal::TERM);
        }
        left.is_empty().then_some(())
    });
    assert_eq!(private(&scene), both);
    let third = start();
    let living = private(&scene);
    assert_eq!(living.len(), 2, "{living:?}");
    assert!(living.is_disjoint(&left), "{living:?}");
    for herd in [second, third] {
        // The new workers report in the directory that the herd had before.
        let verdict = herd.deploy(Version::Good(2), BOOT);
        assert!(matches!(verdict, Verdict::Done { .. }), "{verdict:?}");
        assert!(herd.herd.end().success());
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
