//! A master that dies in the middle of a reload.

use super::{LONG, PROGRAMS, verdict_on};
use herder_e2e::deploy::{Deployed, Program, Verdict, Version};
use herder_e2e::fault::Trap;
use herder_e2e::foreign::{BOOT, wait_for};
use herder_e2e::herd::Signal;
use herder_e2e::scene::{Scene, at_the_same_time};

#[test]
fn r34_a_reload_goes_on_when_the_master_dies_and_has_one_verdict() {
    at_the_same_time(PROGRAMS, |program| {
        let scene = Scene::new("orphaned");
        let deployed = Deployed::start(&scene, program, &["--soak", "3s"]);
        deployed.install(Version::Good(2));
        let mark = deployed.herd.mark();
        deployed.herd.signal(Signal::HUP);
        wait_for(&deployed.herd, mark, 1, "ready", BOOT);
        let master = deployed.master().pid;
        deployed.herd.signal_to(master, Signal::KILL);
        let verdict = deployed.verdict_after(mark, LONG);
        let is_done = matches!(verdict, Verdict::Done { generation: 2, .. });
        assert!(is_done, "{}: {verdict:?}", program.name());
        let next = deployed.deploy(Version::Good(3), LONG);
        let is_done = matches!(next, Verdict::Done { generation: 3, .. });
        assert!(is_done, "{}: {next:?}", program.name());
        let lines = deployed.herd.lines();
        let verdicts = lines.iter().filter(|line| {
            let text = &line.text;
            text.contains("generation 2 is in service") || text.contains("was rolled back")
        });
        assert_eq!(verdicts.count(), 1, "{}", program.name());
        assert!(deployed.herd.end().success());
    });
}

#[test]
fn r35_what_is_asked_for_in_the_moment_of_the_masters_death_is_done() {
    let scene = Scene::new("unwritten");
    let trap = Trap::of(&scene);
    let deployed = Deployed::start_with(&scene, Program::Native, &["--soak", "300ms"], |setup| {
        let (name, value) = trap.variable();
        setup.env(name, value)
    });
    deployed.install(Version::Good(2));
    // It has read the signal, and dies when it is about to write down what that means.
    trap.arm("master.save", "kill", 1);
    let verdict = deployed.reload(LONG);
    let is_done = matches!(verdict, Verdict::Done { generation: 2, .. });
    assert!(is_done, "{verdict:?}");
    trap.arm("master.save", "kill", 1);
    let mark = deployed.herd.mark();
    deployed.herd.signal(Signal::USR2);
    let told = |line: &str| line.contains("upgrade: ").then_some(());
    let herd = &deployed.herd;
    herd.wait_for_line_after(mark, "what became of the upgrade", LONG, told);
    assert!(deployed.herd.end().success());
}

/// A master dies at `step`, when it has given the verdict on a version, which is then told once.
fn is_told_once(version: Version, step: &str) {
    let scene = Scene::new("behind");
    let (trap, file) = (Trap::of(&scene), scene.directory().join("verdict.json"));
    let path = file.to_str().expect("plain");
    // What is about to die is not taken for proven where the machine stands still meanwhile.
    let soak = match version {
        Version::Dies(..) => "4s",
        Version::Good(_) | Version::Mute(_) | Version::Throws(_) => "300ms",
    };
    let options = ["--soak", soak, "--verdict-file", path];
    let deployed = Deployed::start_with(&scene, Program::Native, &options, |setup| {
        let (name, value) = trap.variable();
        setup.env(name, value)
    });
    trap.arm(step, "kill", 1);
    let mark = deployed.herd.mark();
    let verdict = deployed.deploy(version, LONG);
    let is_good = matches!(version, Version::Good(_));
    let (is_told, outcome) = match &verdict {
        Verdict::Done { generation: 2, .. } => (is_good, "done"),
        Verdict::RolledBack { generation: 2, .. } => (!is_good, "rolled_back"),
        Verdict::Done { .. } | Verdict::Refused { .. } | Verdict::RolledBack { .. } => (false, ""),
    };
    assert!(is_told, "{step}: {verdict:?}");
    assert_eq!(verdict_on(&file, 2)["outcome"], outcome, "{step}");
    let heir = |line: &str| line.contains(" took over ").then_some(());
    let herd = &deployed.herd;
    herd.wait_for_line_after(mark, "another master", LONG, heir);
    let next = deployed.deploy(Version::Good(3), LONG);
    let is_done = matches!(next, Verdict::Done { generation: 3, .. });
    assert!(is_done, "{step}: {next:?}");
    assert_eq!(verdict_on(&file, 3)["outcome"], "done", "{step}");
    let lines = deployed.herd.lines();
    let verdicts = lines.iter().filter_map(|line| Verdict::of_line(&line.text));
    assert_eq!(verdicts.count(), 2, "{step}: one for each");
    assert!(trap.sprung().is_some(), "{step}");
    assert!(deployed.herd.end().success());
}

#[test]
fn r35_a_master_that_dies_behind_its_verdict_leaves_no_reload_under_way() {
    for version in [Version::Good(2), Version::Dies(2, 100)] {
        // It is written down and about to be told; somebody is to leave.
        for step in ["master.verdict", "output.verdict"] {
            is_told_once(version, step);
        }
    }
}

#[test]
fn r37_an_upgrade_that_dies_with_its_master_has_a_verdict() {
    let scene = Scene::new("unprobed");
    let trap = Trap::of(&scene);
    let deployed = Deployed::start_with(&scene, Program::Native, &["--soak", "300ms"], |setup| {
        let (name, value) = trap.variable();
        setup.env(name, value)
    });
    trap.arm("probe.look", "stop", 1);
    let mark = deployed.herd.mark();
    deployed.herd.signal(Signal::USR2);
    let probe = trap.wait(LONG, || false).expect("it was started");
    let master = deployed.master().pid;
    deployed.herd.signal_to(master, Signal::KILL);
    let words = "the master died before it was done";
    deployed
        .herd
        .wait_for_line_after(mark, words, LONG, |line| line.contains(words).then_some(()));
    deployed.herd.try_signal_to(probe.pid, Signal::CONT);
    let good = deployed.deploy(Version::Good(2), LONG);
    assert!(matches!(good, Verdict::Done { .. }), "{good:?}");
    let lines = deployed.herd.lines();
    let told = lines.iter().filter(|line| line.text.contains(words));
    assert_eq!(told.count(), 1, "it is told once");
    assert!(deployed.herd.end().success());
}
