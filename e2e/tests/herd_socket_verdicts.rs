//! Who asks a herd for a reload or an upgrade gets the verdict, on the same connection.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use herder_api::herd::{HerdAnswer, HerdRequest};
use herder_api::problem::ProblemKind;
use herder_e2e::binary::Binary;
use herder_e2e::build;
use herder_e2e::caller::{Caller, Ordered, PATIENCE};
use herder_e2e::fault::Trap;
use herder_e2e::herd::{Herd, Signal};
use herder_e2e::scene::Scene;
use herder_e2e::{process, wait};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const STOP: HerdRequest = HerdRequest::Stop { fast: true };

/// Serves as the file `version` says: it fails, or not.
const VERSIONED: [&str; 3] = [
    "sh",
    "-c",
    "case $(cat version) in bad) echo cannot go on >&2; exit 9;; esac; exec sleep 600",
];

/// A herd of the command as it is installed in the scene.
struct Installed<'a> {
    ordered: Ordered<'a>,
    path: PathBuf,
    trap: Trap,
}

impl Installed<'_> {
    fn of(scene: &Scene) -> Installed<'_> {
        fs::write(scene.directory().join("version"), "good").unwrap();
        let installed = Installed {
            ordered: Ordered::command(scene, &VERSIONED, 2),
            path: scene.directory().join("herder"),
            trap: Trap::of(scene),
        };
        installed.install();
        installed
    }

    /// Another file, with the same in it.
    fn install(&self) {
        build::install(&Binary::HERDER.path(), "herder", &self.path).unwrap();
    }

    fn start(&self) -> (Herd, Caller) {
        let (name, value) = self.trap.variable();
        let setup = self.ordered.setup().executable(&self.path);
        let herd = setup.env(name, value).start();
        (herd, self.ordered.call_when_ready())
    }
}

#[test]
fn r37_who_asks_for_a_reload_gets_its_verdict() {
    let scene = Scene::new("sock-reload");
    let version = scene.directory().join("version");
    fs::write(&version, "good").unwrap();
    let ordered = Ordered::command(&scene, &VERSIONED, 2);
    let (herd, mut caller) = ordered.start();
    let (mut other, first) = (Caller::connect(&ordered.socket()), caller.workers());
    let asked = caller.ask(HerdRequest::Reload);
    caller.wait_for_status("busy", |status| status.busy);
    let verdict = caller.verdict(asked);
    assert_eq!(
        (verdict.operation.as_str(), verdict.generation),
        ("reload", 2)
    );
    assert_eq!(verdict.outcome, "done");
    caller.wait_for_status("the new generation alone", |status| {
        let mut workers = status.slots.iter().flat_map(|slot| &slot.workers);
        !status.busy && workers.all(|it| it.generation == 2)
    });
    let second = caller.workers();
    assert!(second.iter().all(|pid| !first.contains(pid)));
    assert_eq!(caller.status.verdict.as_ref(), Some(&verdict));
    fs::write(&version, "bad").unwrap();
    // Two who ask at once, and one more meanwhile: each gets the verdict that is its.
    let asked = caller.ask(HerdRequest::Reload);
    other.wait_for_status("busy", |status| status.busy);
    let (again, later) = (
        caller.ask(HerdRequest::Reload),
        other.ask(HerdRequest::Reload),
    );
    let verdict = caller.verdict(asked);
    assert_eq!(
        (verdict.outcome.as_str(), verdict.generation),
        ("rolled_back", 3)
    );
    assert!(verdict.reason.contains("exit status 9"), "{verdict:?}");
    assert_eq!(verdict.last_lines, ["cannot go on"]);
    let verdict = caller.verdict(again);
    assert_eq!(
        (verdict.outcome.as_str(), verdict.generation),
        ("rolled_back", 4)
    );
    assert_eq!(other.verdict(later), verdict);
    caller.wait_for_status("who served before, and nobody else", |status| {
        let workers = status.slots.iter().flat_map(|slot| &slot.workers);
        workers.map(|it| it.pid).eq(second.iter().copied())
    });
    // The end leaves nobody without an answer.
    fs::write(&version, "good").unwrap();
    let (under_way, waiting) = (
        caller.ask(HerdRequest::Reload),
        other.ask(HerdRequest::Reload),
    );
    other.wait_for_status("busy", |status| status.busy);
    caller.count(HerdRequest::Stop { fast: false });
    assert_eq!(caller.verdict(under_way).outcome, "rolled_back");
    match other.answer(waiting) {
        Ok(HerdAnswer::Verdict { verdict }) => assert_eq!(verdict.outcome, "rolled_back"),
        Ok(other) => panic!("{other:?}"),
        Err(problem) => assert_eq!(problem.kind, ProblemKind::Conflict),
    }
    other.wait_for_end();
    assert!(herd.end().success());
}

#[test]
fn r37_who_asks_for_an_upgrade_gets_its_verdict_from_the_new_image() {
    let scene = Scene::new("sock-upgrade");
    let installed = Installed::of(&scene);
    let (herd, mut caller) = installed.start();
    let mut other = Caller::connect(&installed.ordered.socket());
    let (master, workers) = (caller.status.master, caller.workers());
    for _ in 0..3 {
        installed.install();
        // Half a request travels too.
        other.say(br#"{"id":77,"request":{"verb":"#);
        let asked = caller.ask(HerdRequest::Upgrade);
        let verdict = caller.verdict(asked);
        assert_eq!(verdict.operation, "upgrade");
        assert_eq!(verdict.outcome, "done", "{verdict:?}");
        assert_eq!(build::file_of(master), build::identity(&installed.path));
        other.say(b"\"status\"}}\n");
        let Ok(HerdAnswer::Status { status }) = other.answer(77) else {
            panic!("no status");
        };
        assert_eq!((status.master, status.keeper), (master, herd.pid()));
        assert_eq!(status.verdict.unwrap(), verdict);
        caller.wait_for_event("upgraded");
        other.wait_for_event("upgraded");
        caller.forget();
        other.forget();
    }
    // Who comes now is heard, too, and what is asked for works.
    let mut third = Caller::connect(&installed.ordered.socket());
    assert_eq!(third.workers(), workers);
    assert_eq!(third.count(HerdRequest::Scale { workers: 3 }), 1);
    other.wait_for_status("scaled", |status| status.wanted == 3);
    // Two who ask for the same get the same.
    let (one, two) = (
        caller.ask(HerdRequest::Upgrade),
        other.ask(HerdRequest::Upgrade),
    );
    let verdicts = (caller.verdict(one), other.verdict(two));
    assert_eq!(verdicts.0.outcome, "done");
    assert_eq!(verdicts.1.outcome, "done");
    // A reload that is asked for meanwhile comes after it.
    let upgrade = caller.ask(HerdRequest::Upgrade);
    let reload = caller.ask(HerdRequest::Reload);
    assert_eq!(caller.verdict(upgrade).outcome, "done");
    let verdict = caller.verdict(reload);
    assert_eq!(
        (verdict.operation.as_str(), verdict.outcome.as_str()),
        ("reload", "done")
    );
    caller.count(STOP);
    other.wait_for_end();
    assert!(herd.end().success());
}

#[test]
fn r37_a_build_that_is_refused_is_the_answer() {
    let scene = Scene::new("sock-refused");
    let installed = Installed::of(&scene);
    let (herd, mut caller) = installed.start();
    let master = caller.status.master;
    fs::remove_file(&installed.path).unwrap();
    let asked = caller.ask(HerdRequest::Upgrade);
    let verdict = caller.verdict(asked);
    assert_eq!(verdict.outcome, "refused");
    assert!(verdict.reason.contains("cannot be started"), "{verdict:?}");
    installed.install();
    // While a reload goes on there is none.
    let reload = caller.ask(HerdRequest::Reload);
    caller.wait_for_status("busy", |status| status.busy);
    let asked = caller.ask(HerdRequest::Upgrade);
    let verdict = caller.verdict(asked);
    assert_eq!(verdict.outcome, "refused");
    assert!(
        verdict.reason.contains("a reload is under way"),
        "{verdict:?}"
    );
    assert_eq!(caller.verdict(reload).outcome, "done");
    assert_eq!(caller.status.master, master);
    caller.count(STOP);
    assert!(herd.end().success());
}

#[test]
fn r37_a_master_that_dies_in_an_upgrade_ends_the_connections() {
    let steps = [
        "master.upgrade.probe",
        "master.upgrade.surrender",
        "master.upgrade.save",
        "master.upgrade.execute",
        "master.adopt.read",
        "master.adopt.stored",
    ];
    for step in steps {
        let scene = Scene::new("sock-cut");
        let installed = Installed::of(&scene);
        let (herd, mut caller) = installed.start();
        let mut other = Caller::connect(&installed.ordered.socket());
        let (workers, before) = (caller.workers(), sockets(&herd));
        installed.trap.arm(step, "kill", 1);
        caller.ask(HerdRequest::Upgrade);
        // Nobody keeps the connections open who does not hear them.
        caller.wait_for_end();
        other.wait_for_end();
        assert_eq!(installed.trap.sprung().unwrap().step, step);
        let mut caller = installed.ordered.call_when_ready();
        assert_eq!(caller.workers(), workers, "{step}");
        let asked = caller.ask(HerdRequest::Upgrade);
        assert_eq!(caller.verdict(asked).outcome, "done", "{step}");
        // The keeper has let go of everything, too.
        wait::until(PATIENCE, "the keeper has forgotten the clients", || {
            (sockets(&herd) <= before).then_some(())
        });
        caller.count(STOP);
        assert!(herd.end().success(), "{step}");
    }
}

/// How many sockets the keeper holds.
fn sockets(herd: &Herd) -> usize {
    let open = process::descriptors(herd.pid()).unwrap().into_values();
    open.filter(|target| target.starts_with("socket:")).count()
}

#[test]
fn r37_an_answer_outlives_a_build_that_cannot_be_executed_after_all() {
    let scene = Scene::new("sock-exec-fails");
    let installed = Installed::of(&scene);
    let (herd, mut caller) = installed.start();
    let (master, workers) = (caller.status.master, caller.workers());
    build::install_own(&Binary::HERDER.path(), "herder", &installed.path).unwrap();
    installed.trap.arm("master.upgrade.execute", "stop", 1);
    let asked = caller.ask(HerdRequest::Upgrade);
    let sprung = installed.trap.wait(PATIENCE, || false).unwrap();
    let nobody = Permissions::from_mode(0o600);
    fs::set_permissions(&installed.path, nobody).unwrap();
    herd.signal_to(sprung.pid, Signal::CONT);
    let verdict = caller.verdict(asked);
    assert_eq!(verdict.outcome, "refused");
    assert!(verdict.reason.contains("cannot be executed"), "{verdict:?}");
    assert_eq!(caller.workers(), workers);
    assert_eq!(
        Caller::connect(&installed.ordered.socket()).status.master,
        master
    );
    caller.count(STOP);
    assert!(herd.end().success());
}
