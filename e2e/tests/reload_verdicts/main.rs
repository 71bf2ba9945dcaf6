//! A new version that is no good is rolled back, and the log and the verdict say why. The old one serves
//! throughout, and the next good one is deployed.

#![expect(clippy::print_stdout, reason = "what a failure is judged by")]

mod bad_versions;
mod deaths;

use herder_e2e::binary::Binary;
use herder_e2e::client::get;
use herder_e2e::deploy::{Deployed, Program, Verdict, Version};
use herder_e2e::foreign::{BOOT, wait_for};
use herder_e2e::herd::Signal;
use herder_e2e::interpreter::Node;
use herder_e2e::load::Answer;
use herder_e2e::manager::Manager;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::{Pid, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A reload with its soak, on a machine with a lot to do.
const LONG: Duration = Duration::from_secs(40);

const PROGRAMS: [Program; 3] = [
    Program::Node(Node::Version(20)),
    Program::Native,
    Program::Python,
];

/// What stands in the file of the verdict.
fn written(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("there is a verdict");
    serde_json::from_str(&text).expect("it is JSON")
}

/// Waits until the verdict on this generation is in the file.
#[track_caller]
fn verdict_on(path: &Path, generation: u32) -> Value {
    wait::until(BOOT, "the verdict is written", || {
        let found = path.exists().then(|| written(path))?;
        (found["generation"] == generation).then_some(found)
    })
}

/// How many reloads were begun so far.
fn begun(deployed: &Deployed<'_>) -> usize {
    let lines = deployed.herd.lines();
    let is_one = |text: &str| text.contains("reload: generation") && text.ends_with(" begins");
    lines.iter().filter(|line| is_one(&line.text)).count()
}

#[test]
fn r34_r39_of_a_hundred_reloads_at_once_two_are_done_and_the_last_wins() {
    let scene = Scene::new("storm");
    // All hundred come before it is over, however slow the machine is.
    let options = ["--soak", "4s"];
    let deployed = Deployed::start(&scene, Program::Node(Node::Version(20)), &options);
    deployed.install(Version::Good(2));
    let mark = deployed.herd.mark();
    deployed.herd.signal(Signal::HUP);
    for words in ["reload: generation 2 begins", "worker 0 #3"] {
        let herd = &deployed.herd;
        herd.wait_for_line_after(mark, words, LONG, |line| line.contains(words).then_some(()));
    }
    deployed.install(Version::Good(3));
    // Nothing else between them: what `Herd::signal` looks up each time would take longer than the reload.
    let keeper = Pid::from_raw(deployed.herd.pid()).expect("a process");
    for _ in 0..99 {
        kill_process(keeper, Signal::HUP).expect("it lives");
        std::thread::yield_now();
    }
    let done = deployed.verdict_after(mark, LONG);
    assert!(
        matches!(done, Verdict::Done { generation: 2, .. }),
        "{done:?}"
    );
    let second = "generation 3 is in service";
    let herd = &deployed.herd;
    herd.wait_for_line_after(mark, second, LONG, |line| {
        line.contains(second).then_some(())
    });
    assert_eq!(begun(&deployed), 2);
    wait::until(LONG, "only the last version serves", || {
        let versions: BTreeSet<u32> = (0..4).map(|_| version_of(&deployed)).collect();
        (versions == BTreeSet::from([3])).then_some(())
    });
    assert!(deployed.herd.end().success());
}

fn version_of(deployed: &Deployed<'_>) -> u32 {
    let body = get(deployed.address, "/").expect("somebody serves");
    let answer = Answer::of_body(body.as_bytes());
    answer.expect("it says who").version
}

#[test]
fn a_service_manager_hears_of_a_reload_and_of_its_end() {
    let scene = Scene::new("managed_reload");
    let mut manager = Manager::new(&scene);
    let arguments = [
        "run",
        "-i",
        "2",
        "--ready-after",
        "100ms",
        "--soak",
        "300ms",
        "--",
        "sleep",
        "600",
    ];
    let setup = manager.service(&scene, Binary::HERDER.path(), &arguments);
    let herd = setup.start();
    manager.wait_for("READY=1", BOOT, &herd);
    wait_for(&herd, 0, 2, "ready", BOOT);
    manager.forget_told();
    herd.signal(Signal::HUP);
    manager.wait_for("RELOADING=1", BOOT, &herd);
    manager.wait_for("READY=1", BOOT, &herd);
    manager.wait_for("STATUS=generation 2 serves", BOOT, &herd);
    let since = |line: &&String| line.starts_with("MONOTONIC_USEC=");
    let told = &manager.told;
    assert_eq!(told.iter().filter(since).count(), 1, "{told:?}");
    herd.signal(Signal::TERM);
    manager.wait_for("STOPPING=1", BOOT, &herd);
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
}
