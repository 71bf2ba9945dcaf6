//! A new version that is no good is rolled back, and the log and the verdict say why. The old one serves
//! throughout, and the next good one is deployed.

#![expect(clippy::print_stdout, reason = "what a failure is judged by")]

use herder_e2e::binary::Binary;
use herder_e2e::build;
use herder_e2e::client::get;
use herder_e2e::deploy::{Deployed, Program, TEST_WEB, Verdict, Version};
use herder_e2e::fault::Trap;
use herder_e2e::foreign::{BOOT, told, wait_for};
use herder_e2e::herd::Signal;
use herder_e2e::interpreter::Node;
use herder_e2e::load::{Answer, Kind, Mix};
use herder_e2e::manager::Manager;
use herder_e2e::native::BATCH;
use herder_e2e::scene::{Scene, at_the_same_time};
use herder_e2e::wait;
use rustix::process::{Pid, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A reload with its soak, on a machine with a lot to do.
const LONG: Duration = Duration::from_secs(40);

/// A worker that speaks another version of the control protocol.
const TEST_STRANGER: Binary = Binary::new("herder-e2e", "test-stranger");

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

/// A version and what it is rolled back for.
struct Bad {
    name: &'static str,
    version: Version,
    options: &'static [&'static str],
    /// In the reason.
    because: &'static str,
}

/// Deploys a bad version of `program` and then a good one, while clients ask all the time.
fn is_rolled_back(program: Program, bad: &Bad) {
    let scene = Scene::new(bad.name);
    let file = scene.directory().join("verdict.json");
    let path = file.to_str().expect("plain");
    let mut options = vec!["--grace", "5s", "--verdict-file", path];
    options.extend(bad.options);
    let deployed = Deployed::start(&scene, program, &options);
    let before = deployed.workers();
    let mix = Mix::of(deployed.address, &[Kind::Fresh, Kind::Kept]);
    mix.wait_for_answers(10, BOOT);
    let verdict = deployed.deploy(bad.version, LONG);
    let Verdict::RolledBack { generation, reason } = &verdict else {
        panic!("{}: {verdict:?}", program.name());
    };
    assert_eq!(*generation, 2);
    assert!(reason.contains(bad.because), "{}: {reason}", program.name());
    check_verdict_of(bad, &file, reason);
    mix.wait_for_answers(10, BOOT);
    assert!(before.is_subset(&deployed.workers()), "who served, serves");
    let good = deployed.deploy(Version::Good(3), LONG);
    assert!(
        matches!(good, Verdict::Done { generation: 3, .. }),
        "{good:?}"
    );
    assert_eq!(verdict_on(&file, 3)["outcome"], "done");
    mix.wait_for_answers(10, BOOT);
    let books = mix.finish();
    match bad.version {
        // It has served, and took with it what it held.
        Version::Dies(..) => {
            let (dead, book) = (dead_by_themselves(&deployed), deployed.book());
            for lost in books.failures() {
                let seen = book.saw.get(&lost.id);
                let took = |ports: &BTreeSet<u16>| ports.contains(&lost.port);
                let taken = book.got.iter().filter(|(_, ports)| took(ports));
                let taken: Vec<_> = taken.map(|(pid, _)| pid).collect();
                println!(
                    "{}: {lost:?}, taken by {taken:?}, seen by {seen:?}; dead: {dead:?}",
                    program.name()
                );
            }
            books.assert_lost_only_with(&dead, unnoted(program), &book);
            books.assert_balanced(&book);
        }
        Version::Good(_) | Version::Mute(_) | Version::Throws(_) => books.assert_nothing_lost(),
    }
    let body = get(deployed.address, "/").expect("somebody serves");
    let answer = Answer::of_body(body.as_bytes()).expect("it says who");
    assert_eq!(answer.version, 3, "{body}");
    assert!(deployed.herd.end().success());
}

/// The file has the verdict on a bad version. `reason` is that in the log.
fn check_verdict_of(bad: &Bad, file: &Path, reason: &str) {
    let found = verdict_on(file, 2);
    assert_eq!(found["outcome"], "rolled_back", "{found}");
    assert_eq!(found["operation"], "reload", "{found}");
    let told = found["reason"].as_str().expect("a text");
    assert!(
        reason.starts_with(told),
        "{told:?}, and in the log {reason:?}"
    );
    let mode = fs::metadata(file).expect("it is there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    if let Version::Throws(_) = bad.version {
        let lines = found["last_lines"].to_string();
        assert!(lines.contains("cannot be loaded"), "{found}");
        assert_eq!(found["exit"]["code"], 1, "{found}");
    }
}

/// How many connections a worker can have that it has not noted. The scripts note each before they do anything
/// else; a native worker when it reads a request, on any of its threads.
fn unnoted(program: Program) -> usize {
    if program.is_native() { BATCH } else { 0 }
}

/// The processes that ended as a version does that dies.
fn dead_by_themselves(deployed: &Deployed<'_>) -> BTreeSet<i32> {
    let lines = deployed.herd.lines();
    let dead: BTreeSet<i32> = lines
        .iter()
        .filter(|line| line.text.contains("exit status 3"))
        .filter_map(|line| told(&line.text, "died").or_else(|| told(&line.text, "ended")))
        .map(|seat| seat.pid)
        .collect();
    assert!(!dead.is_empty(), "somebody has died");
    dead
}

#[test]
fn r38_a_version_that_cannot_be_loaded_changes_nothing() {
    for program in PROGRAMS {
        let bad = Bad {
            name: "throws",
            version: Version::Throws(2),
            options: &["--soak", "300ms"],
            because: "ended before it was ready: exit status 1",
        };
        is_rolled_back(program, &bad);
    }
}

#[test]
fn r38_a_version_that_never_listens_changes_nothing() {
    at_the_same_time(PROGRAMS, |program| {
        let bad = Bad {
            name: "mute",
            version: Version::Mute(2),
            options: &["--soak", "300ms", "--boot-timeout", "9s"],
            because: "was not ready within ",
        };
        is_rolled_back(program, &bad);
    });
}

#[test]
fn r38_a_version_that_dies_after_three_seconds_is_rolled_back() {
    at_the_same_time(PROGRAMS, |program| {
        let bad = Bad {
            name: "dies",
            version: Version::Dies(2, 3000),
            options: &["--soak", "6s"],
            because: "died (exit status ",
        };
        is_rolled_back(program, &bad);
    });
}

/// Where the native program of a scene lies.
fn installed(scene: &Scene) -> PathBuf {
    scene.directory().join(TEST_WEB.name())
}

/// Puts a file in the place of the native program, as an installation does.
fn install(scene: &Scene, program: &Path) {
    build::install(program, "", &installed(scene)).expect("there is room");
}

#[test]
fn r38_a_missing_or_broken_file_changes_nothing() {
    let scene = Scene::new("missing");
    let deployed = Deployed::start(&scene, Program::Native, &["--soak", "300ms"]);
    let before = deployed.workers();
    fs::remove_file(installed(&scene)).expect("it was there");
    let verdict = deployed.reload(LONG);
    let Verdict::Refused { generation, reason } = &verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(*generation, 2);
    assert!(reason.contains("No such file"), "{reason}");
    // A beginning of a program, as a copy leaves it that was interrupted.
    let whole = fs::read(TEST_WEB.path()).expect("it is there");
    fs::write(installed(&scene), &whole[..1000]).expect("there is room");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(installed(&scene), executable).expect("it is ours");
    let verdict = deployed.reload(LONG);
    let Verdict::RolledBack { reason, .. } = &verdict else {
        panic!("{verdict:?}");
    };
    assert!(reason.contains("could not be started"), "{reason}");
    assert_eq!(deployed.workers(), before);
    let good = deployed.deploy(Version::Good(3), LONG);
    assert!(matches!(good, Verdict::Done { .. }), "{good:?}");
    assert!(deployed.herd.end().success());
}

#[test]
fn r38_another_version_of_the_protocol_is_named_with_its_cure() {
    let scene = Scene::new("stranger");
    let deployed = Deployed::start(&scene, Program::Native, &["--soak", "300ms"]);
    let before = deployed.workers();
    install(&scene, &TEST_STRANGER.path());
    let verdict = deployed.reload(LONG);
    let Verdict::RolledBack { reason, .. } = &verdict else {
        panic!("{verdict:?}");
    };
    assert!(reason.contains("speaks version 2"), "{reason}");
    assert!(reason.contains("USR2"), "{reason}");
    assert_eq!(deployed.workers(), before);
    let good = deployed.deploy(Version::Good(3), LONG);
    assert!(
        matches!(good, Verdict::Done { generation: 3, .. }),
        "{good:?}"
    );
    assert!(deployed.herd.end().success());
}

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
fn r38_the_program_is_looked_for_again_where_path_leads() {
    let scene = Scene::new("looked_for");
    let place = scene.directory().join("bin");
    fs::create_dir(&place).expect("a directory");
    let tool = place.join("serve-it");
    let script = "#!/bin/sh\nexec sleep 600\n";
    fs::write(&tool, script).expect("a file");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("ours");
    let path = std::env::var("PATH").expect("there is one");
    let herd = scene
        .herd(Binary::HERDER)
        .args([
            "run",
            "-i",
            "1",
            "--ready-after",
            "100ms",
            "--soak",
            "100ms",
        ])
        .args(["--", "serve-it"])
        .env("PATH", format!("{}:{path}", place.display()))
        .start();
    wait_for(&herd, 0, 1, "ready", BOOT);
    fs::remove_file(&tool).expect("it was there");
    let mark = herd.mark();
    herd.signal(Signal::HUP);
    let reason = herd.wait_for_line_after(mark, "it is refused", BOOT, |line| {
        Some(line.split_once("generation 2 was refused: ")?.1.to_owned())
    });
    assert!(
        reason.contains("no program \"serve-it\" in PATH"),
        "{reason}"
    );
    fs::write(&tool, script).expect("a file");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("ours");
    herd.signal(Signal::HUP);
    let done = "generation 2 is in service";
    herd.wait_for_line_after(mark, done, BOOT, |line| line.contains(done).then_some(()));
    assert!(herd.end().success());
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
