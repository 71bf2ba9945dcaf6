//! Between two masters: what was said is done once, and nobody is killed for what ran out while nobody was in
//! charge, because the master stood still and went on, or was replaced. The clock of these tests are requests that
//! take their time.

use herder_e2e::client::get;
use herder_e2e::deploy::{Deployed, Program, TEST_WEB, Verdict, Version, takeover_after};
use herder_e2e::fault::Trap;
use herder_e2e::foreign::{BOOT, wait_for};
use herder_e2e::herd::Signal;
use herder_e2e::interpreter::Node;
use herder_e2e::scene::{Scene, at_the_same_time};
use herder_e2e::wait;
use std::fs;
use std::net::SocketAddr;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Instant;

/// The answers to a request that takes its time, one from each of the two workers.
type Answers<'scope> = Vec<ScopedJoinHandle<'scope, String>>;

/// Asks both workers at once for what takes so many milliseconds.
fn ask<'scope>(
    scope: &'scope Scope<'scope, '_>,
    address: SocketAddr,
    millis: u32,
) -> Answers<'scope> {
    let path = format!("/slow/{millis}");
    let one = |path: String| move || get(address, &path).expect("it is answered, late as it is");
    let both = [path.clone(), path];
    both.map(|path| scope.spawn(one(path))).into()
}

fn wait_for_answers(answers: Answers<'_>) {
    for answer in answers {
        answer.join().expect("its client says what became of it");
    }
}

/// Waits until both workers have so many requests.
fn wait_until_both_have(deployed: &Deployed<'_>, count: usize) {
    wait::until(BOOT, "both workers have their requests", || {
        let got = deployed.book().got;
        let has_all = got.len() == 2 && got.values().all(|ports| ports.len() >= count);
        has_all.then_some(())
    });
}

/// Tells one of the two workers to leave, and stops the master as soon as it has said so.
fn stop_while_one_leaves(deployed: &Deployed<'_>) {
    let mark = deployed.herd.mark();
    deployed.herd.signal(Signal::TTOU);
    wait_for(&deployed.herd, mark, 1, "is told to leave", BOOT);
    let master = deployed.master().pid;
    deployed.herd.signal_to(master, Signal::STOP);
}

#[test]
fn r30_who_leaves_is_not_killed_for_the_time_without_a_master() {
    let programs = [Program::Native, Program::Node(Node::Version(20))];
    at_the_same_time(programs, |program| {
        let scene = Scene::new("replaced");
        let options = ["--grace", "5s", "--master-watchdog", "5s"];
        let deployed = Deployed::start(&scene, program, &options);
        let (before, mark) = (deployed.master(), deployed.herd.mark());
        thread::scope(|scope| {
            // Its grace is over when the next master comes, and what it serves is not.
            let late = ask(scope, deployed.address, 6000);
            wait_until_both_have(&deployed, 1);
            stop_while_one_leaves(&deployed);
            takeover_after(&deployed.herd, mark, Instant::now(), &before, BOOT);
            wait_for_answers(late);
        });
        let lines = deployed.herd.lines();
        let expired = lines
            .iter()
            .any(|line| line.text.contains("did not leave in time"));
        assert!(!expired, "{}", program.name());
        assert!(deployed.herd.end().success());
    });
}

#[test]
fn r30_a_master_that_goes_on_after_a_standstill_kills_nobody_for_it() {
    let programs = [Program::Native, Program::Node(Node::Version(20))];
    at_the_same_time(programs, |program| {
        let scene = Scene::new("stopped");
        let options = ["--grace", "3500ms", "--master-watchdog", "30s"];
        let deployed = Deployed::start(&scene, program, &options);
        let master = deployed.master();
        thread::scope(|scope| {
            let clock = ask(scope, deployed.address, 4000);
            wait_until_both_have(&deployed, 1);
            let late = ask(scope, deployed.address, 5000);
            wait_until_both_have(&deployed, 2);
            stop_while_one_leaves(&deployed);
            wait_for_answers(clock);
            deployed.herd.signal_to(master.pid, Signal::CONT);
            wait_for_answers(late);
        });
        assert_eq!(deployed.master().pid, master.pid, "{}", program.name());
        assert!(deployed.herd.end().success());
    });
}

/// A herd that can be made to fail.
fn trapped<'a>(scene: &'a Scene, trap: &Trap) -> Deployed<'a> {
    Deployed::start_with(scene, Program::Native, &["--soak", "300ms"], |setup| {
        let (name, value) = trap.variable();
        setup.env(name, value)
    })
}

#[test]
fn r35_a_signal_is_obeyed_once_though_its_master_dies() {
    // It has read the signal; has said that it is written down; is obeying it.
    for step in ["master.save", "master.signal.heard", "master.spawn.saved"] {
        let scene = Scene::new("once");
        let trap = Trap::of(&scene);
        let deployed = trapped(&scene, &trap);
        trap.arm(step, "kill", 1);
        let mark = deployed.herd.mark();
        deployed.herd.signal(Signal::TTIN);
        wait_for(&deployed.herd, mark, 1, "ready", BOOT);
        assert!(trap.sprung().is_some(), "{step}");
        // What waits to be said is said before this.
        let verdict = deployed.deploy(Version::Good(2), BOOT);
        let is_done = matches!(verdict, Verdict::Done { .. });
        assert!(is_done, "{step}: {verdict:?}");
        wait::until(BOOT, "there are three workers", || {
            (deployed.workers().len() == 3).then_some(())
        });
        assert!(deployed.herd.end().success());
    }
}

#[test]
fn r35_a_refusal_is_told_once_though_its_master_dies() {
    let scene = Scene::new("refused");
    let trap = Trap::of(&scene);
    let deployed = trapped(&scene, &trap);
    fs::remove_file(scene.directory().join(TEST_WEB.name())).expect("it was there");
    trap.arm("output.verdict", "kill", 1);
    let verdict = deployed.reload(BOOT);
    let is_refused = matches!(verdict, Verdict::Refused { generation: 2, .. });
    assert!(is_refused, "{verdict:?}");
    assert!(trap.sprung().is_some());
    let good = deployed.deploy(Version::Good(2), BOOT);
    assert!(matches!(good, Verdict::Done { .. }), "{good:?}");
    let lines = deployed.herd.lines();
    let verdicts = lines.iter().filter_map(|it| Verdict::of_line(&it.text));
    assert_eq!(verdicts.count(), 2, "one for each");
    assert!(deployed.herd.end().success());
}
