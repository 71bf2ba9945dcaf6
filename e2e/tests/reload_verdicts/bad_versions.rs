//! What is rolled back, or refused, and for what.

use super::{LONG, PROGRAMS, verdict_on};
use herder_e2e::binary::Binary;
use herder_e2e::build;
use herder_e2e::client::get;
use herder_e2e::deploy::{Deployed, Program, TEST_WEB, Verdict, Version};
use herder_e2e::foreign::{BOOT, told, wait_for};
use herder_e2e::herd::Signal;
use herder_e2e::load::{Answer, Kind, Mix};
use herder_e2e::native::BATCH;
use herder_e2e::scene::{Scene, at_the_same_time};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A worker that speaks another version of the control protocol.
const TEST_STRANGER: Binary = Binary::new("herder-e2e", "test-stranger");

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
