//! The master goes on as another build, under load: the same process, the same workers, nothing lost. A build that
//! cannot be the master changes nothing.

#![expect(clippy::print_stdout, reason = "what a failure is judged by")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use herder_e2e::binary::Binary;
use herder_e2e::build;
use herder_e2e::deploy::{Deployed, Own, Program, TEST_WEB, Verdict, Version};
use herder_e2e::foreign::BOOT;
use herder_e2e::herd::Signal;
use herder_e2e::interpreter::Node;
use herder_e2e::load::Mix;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// In every run of the tests, and in the long one.
const FEW: usize = 2;
const MANY: usize = 20;

const ALL: [(&str, Program); 4] = [
    ("native", Program::Native),
    ("shared", Program::NativeShared),
    ("node", Program::Node(Node::Version(20))),
    ("python", Program::Python),
];

/// What is installed, and upgraded.
struct Installed {
    original: PathBuf,
    path: PathBuf,
}

impl Installed {
    fn of(program: Program, scene: &Scene) -> Installed {
        let binary = if program.is_native() {
            TEST_WEB
        } else {
            Binary::HERDER
        };
        Installed {
            original: binary.path(),
            path: scene.directory().join(binary.name()),
        }
    }

    fn install(&self, name: &str) {
        build::install(&self.original, name, &self.path).unwrap();
    }

    fn start<'a>(&self, scene: &'a Scene, program: Program, options: &[&str]) -> Deployed<'a> {
        let path = self.path.clone();
        Deployed::start_with(scene, program, options, |setup| {
            self.install("build-a");
            setup.executable(path)
        })
    }
}

/// Asks for an upgrade, and waits for the line that tells what became of it.
fn upgrade(deployed: &Deployed<'_>) -> String {
    let mark = deployed.herd.mark();
    deployed.herd.signal(Signal::USR2);
    let told = |line: &str| {
        line.split_once("upgrade: ")
            .map(|(_, text)| text.to_owned())
    };
    deployed
        .herd
        .wait_for_line_after(mark, "the verdict on the upgrade", BOOT * 3, told)
}

/// Upgrades so many times under the load of every kind of clients, to one build and back.
fn upgraded(name: &str, program: Program, times: usize) {
    let scene = Scene::new(name);
    let installed = Installed::of(program, &scene);
    let deployed = installed.start(&scene, program, &["--soak", "300ms", "--grace", "10s"]);
    let (workers, master) = (deployed.workers(), deployed.master().pid);
    let mix = Mix::of_all(deployed.address);
    for time in 0..times {
        mix.wait_for_answers_of_all(1, BOOT);
        let (now, before) = [("build-b", "build-a"), ("build-a", "build-b")][time % 2];
        installed.install(now);
        let told = upgrade(&deployed);
        println!("{told}");
        assert!(told.starts_with("the master goes on as "), "{told}");
        if program.is_native() {
            assert!(told.starts_with(&format!("the master goes on as {now} after ")));
            assert!(told.ends_with(&format!("; it was {before}")), "{told}");
        }
        assert_eq!(deployed.master().pid, master, "another process");
        let file = build::file_of(master);
        assert_eq!(file, build::identity(&installed.path), "another file");
    }
    mix.wait_for_answers_of_all(1, BOOT);
    assert_eq!(deployed.workers(), workers, "a worker was restarted");
    let lines = deployed.herd.lines();
    let told = lines
        .iter()
        .filter(|line| line.text.contains("upgrade: the master goes on as "));
    assert_eq!(told.count(), times, "each is told once");
    // Whoever comes after a master that dies is the build that was in charge.
    let takeover = deployed.end_master(Signal::KILL, BOOT);
    let file = build::file_of(deployed.master().pid);
    assert_eq!(file, build::identity(&installed.path), "an older build");
    let books = mix.finish();
    println!("{books}");
    if takeover.cut == 0 {
        books.assert_nothing_lost();
    }
    let failed = books.failures().count() as u64;
    assert!(
        failed <= takeover.cut,
        "{failed} failed, {takeover:?}\n{books}"
    );
    assert!(deployed.herd.end().success());
}

#[test]
fn r31_an_upgrade_keeps_the_process_its_workers_and_every_request() {
    for (name, program) in ALL {
        println!("{name}");
        upgraded("upgraded", program, FEW);
    }
}

#[test]
fn r31_kernel_and_reuseport_an_upgrade_keeps_workers_and_every_request() {
    for own in [Own::Kernel, Own::Reuseport] {
        for program in [Program::NativeOwn(own), Program::PythonOwn(own)] {
            println!("{}", program.name());
            upgraded("upgraded_own", program, FEW);
        }
    }
}

#[test]
fn r31_kernel_and_reuseport_an_upgrade_keeps_workers_and_every_request_by_node() {
    for own in [Own::Kernel, Own::Reuseport] {
        let program = Program::NodeOwn(Node::Version(24), own);
        println!("{}", program.name());
        upgraded("upgraded_own", program, FEW);
    }
}

#[test]
#[ignore = "twenty upgrades of each"]
fn timed_r31_twenty_upgrades_lose_nothing() {
    for (name, program) in ALL {
        println!("{name}");
        upgraded("upgraded20", program, MANY);
    }
}

/// What stands at the path instead of a good build, and what is said of it.
fn refused(name: &str, spoil: impl FnOnce(&Installed), why: &str) {
    let scene = Scene::new(name);
    let installed = Installed::of(Program::Native, &scene);
    let verdicts = scene.directory().join("verdict.json");
    let options = [
        "--soak",
        "300ms",
        "--verdict-file",
        verdicts.to_str().unwrap(),
    ];
    let deployed = installed.start(&scene, Program::Native, &options);
    let (workers, master) = (deployed.workers(), deployed.master().pid);
    let file = build::file_of(master);
    let mix = Mix::of_all(deployed.address);
    mix.wait_for_answers_of_all(1, BOOT);
    spoil(&installed);
    let told = upgrade(&deployed);
    assert!(
        told.starts_with("refused: ") && told.contains(why),
        "{told}"
    );
    assert_eq!(deployed.master().pid, master);
    assert_eq!(build::file_of(master), file);
    assert_eq!(deployed.workers(), workers);
    let verdict = verdict(&verdicts);
    assert_eq!(verdict["operation"], "upgrade");
    assert_eq!(verdict["outcome"], "refused");
    assert!(
        verdict["reason"].as_str().unwrap().contains(why),
        "{verdict}"
    );
    // The next good one works, and so does a reload.
    installed.install("build-b");
    let told = upgrade(&deployed);
    assert!(told.starts_with("the master goes on as build-b"), "{told}");
    fs::write(
        scene.directory().join("version"),
        Version::Good(2).to_string(),
    )
    .unwrap();
    let told = deployed.reload(BOOT);
    assert!(matches!(told, Verdict::Done { .. }), "{told:?}");
    mix.wait_for_answers_of_all(1, BOOT);
    let books = mix.finish();
    books.assert_nothing_lost();
    assert!(deployed.herd.end().success());
}

fn verdict(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn r32_a_build_that_is_missing_changes_nothing() {
    let spoil = |installed: &Installed| fs::remove_file(&installed.path).unwrap();
    refused("missing", spoil, "cannot be started");
}

#[test]
fn r32_a_build_that_is_cut_short_changes_nothing() {
    // Well within the code: how long the rest is depends on the debug information.
    const LEFT: u64 = 256 * 1024;
    let spoil = |installed: &Installed| {
        build::install_own(&installed.original, "short", &installed.path).unwrap();
        let file = fs::File::options().write(true).open(&installed.path);
        file.unwrap().set_len(LEFT).unwrap();
    };
    refused("truncated", spoil, "the new build");
}

#[test]
fn r32_a_build_that_crashes_changes_nothing() {
    let spoil = |installed: &Installed| installed.install("crashes");
    refused("crashes", spoil, "it was ended by SIGABRT");
}

#[test]
fn r33_a_build_of_another_app_changes_nothing() {
    let spoil = |installed: &Installed| installed.install("stranger");
    refused(
        "stranger",
        spoil,
        "the herd stranger cannot take over the herd test-web",
    );
}

#[test]
#[ignore = "a probe has half a minute"]
fn timed_r32_a_build_that_hangs_changes_nothing() {
    let spoil = |installed: &Installed| installed.install("hangs");
    refused("hangs", spoil, "was not ready within 30 s");
}

#[test]
fn r34_one_operation_at_a_time() {
    let scene = Scene::new("one-at-a-time");
    let installed = Installed::of(Program::Native, &scene);
    let options = ["--soak", "2s", "--grace", "5s"];
    let deployed = installed.start(&scene, Program::Native, &options);
    let mark = deployed.herd.mark();
    deployed.herd.signal(Signal::HUP);
    let began = |line: &str| line.contains("reload: generation 2 begins").then_some(());
    deployed
        .herd
        .wait_for_line_after(mark, "the reload begins", BOOT, began);
    let told = upgrade(&deployed);
    assert!(told.starts_with("refused: a reload is under way"), "{told}");
    let verdict = deployed.verdict_after(mark, BOOT + Duration::from_secs(2));
    assert!(matches!(verdict, Verdict::Done { .. }), "{verdict:?}");
    let told = upgrade(&deployed);
    assert!(told.starts_with("the master goes on as build-a"), "{told}");
    assert!(deployed.herd.end().success());
}

#[test]
fn r36_after_an_upgrade_and_a_reload_nobody_runs_the_old_build() {
    let scene = Scene::new("nobody-old");
    let installed = Installed::of(Program::Native, &scene);
    let options = ["--soak", "300ms", "--grace", "5s"];
    let deployed = installed.start(&scene, Program::Native, &options);
    let workers = deployed.workers();
    installed.install("build-b");
    let told = upgrade(&deployed);
    assert!(told.starts_with("the master goes on as build-b"), "{told}");
    let verdict = deployed.reload(BOOT);
    assert!(matches!(verdict, Verdict::Done { .. }), "{verdict:?}");
    let new = build::identity(&installed.path);
    wait::until(BOOT, "nobody but the keeper runs the old build", || {
        let mut alive = deployed.herd.descendants();
        alive.retain(|it| !it.title.starts_with("herder: keeper"));
        let is_new = alive.iter().all(|it| build::file_of(it.pid) == new);
        (alive.len() == 3 && is_new).then_some(())
    });
    assert!(deployed.workers().is_disjoint(&workers));
    assert!(deployed.herd.end().success());
}
