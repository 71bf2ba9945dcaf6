//! New versions are deployed under load, again and again: no request fails, none hangs, and afterwards everybody
//! who serves is new.

#![expect(clippy::print_stdout, reason = "what a failure is judged by")]

use herder_e2e::client::get;
use herder_e2e::deploy::{Deployed, Own, Program, Verdict, Version};
use herder_e2e::foreign::BOOT;
use herder_e2e::interpreter::Node;
use herder_e2e::jobs::{self, gateway};
use herder_e2e::load::{Answer, Kind, Mix};
use herder_e2e::message::Crowd;
use herder_e2e::native::is_cut;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// In every run of the tests, and in the long one.
const FEW: u32 = 3;
const SOME: u32 = 5;
const MANY: u32 = 20;

/// A reload with its soak, on a machine with a lot to do.
const LONG: Duration = Duration::from_secs(40);

/// Deploys so many versions under the load of every kind of clients.
fn loses_nothing(name: &str, program: Program, times: u32) {
    let scene = Scene::new(name);
    let options = ["--soak", "300ms", "--grace", "10s"];
    let deployed = Deployed::start(&scene, program, &options);
    let mix = Mix::of_all(deployed.address);
    let mut moments = Vec::new();
    for number in 2..=times + 1 {
        mix.wait_for_answers_of_all(1, BOOT);
        moments.push((number, replaced(&deployed, number)));
    }
    mix.wait_for_answers_of_all(1, BOOT);
    let books = mix.finish();
    println!("{books}");
    books.assert_nothing_lost();
    books.assert_balanced(&deployed.book());
    for (number, moment) in moments {
        let outdated = books.outdated(&[Kind::Fresh, Kind::FreshSlow], moment, number);
        assert_eq!(outdated, [], "since version {number} is in service");
    }
    assert!(deployed.herd.end().success());
}

/// Deploys version `number`, and waits until nobody of before is left. Returns when it was in service.
fn replaced(deployed: &Deployed<'_>, number: u32) -> Instant {
    let before = deployed.workers();
    let begun = Instant::now();
    let verdict = deployed.deploy(Version::Good(number), LONG);
    let Verdict::Done { generation, at } = verdict else {
        panic!("version {number}: {verdict:?}");
    };
    assert_eq!(generation, number);
    println!("version {number} in service after {:.3?}", begun.elapsed());
    wait::until(LONG, "who served before has gone", || {
        deployed.workers().is_disjoint(&before).then_some(())
    });
    for _ in 0..4 {
        let body = get(deployed.address, "/").expect("somebody serves");
        let answer = Answer::of_body(body.as_bytes()).expect("it says who");
        assert_eq!(answer.version, number, "{body}");
        assert!(!before.contains(&answer.pid), "{body}");
    }
    if deployed.accepts_for_itself() {
        // Workers that share a listener go on with it until they are told to leave.
        return Instant::now();
    }
    at
}

#[test]
fn reloads_lose_nothing_by_node() {
    loses_nothing("reload_node", Program::Node(Node::Version(20)), FEW);
}

#[test]
fn reloads_lose_nothing_by_node_that_handles_sigint() {
    let program = Program::NodeWithHandler(Node::Version(24));
    loses_nothing("reload_sigint", program, FEW);
}

#[test]
fn reloads_lose_nothing_by_python() {
    loses_nothing("reload_python", Program::Python, FEW);
}

#[test]
fn reloads_lose_nothing_by_rust() {
    loses_nothing("reload_native", Program::Native, FEW);
}

#[test]
fn reloads_lose_nothing_by_rust_that_accepts() {
    loses_nothing("reload_shared", Program::NativeShared, FEW);
}

/// By programs whose workers have listeners of their own.
fn accepting_reloads_lose_nothing(own: Own, times: u32) {
    loses_nothing("own_python", Program::PythonOwn(own), times);
    loses_nothing("own_native", Program::NativeOwn(own), times);
}

#[test]
fn kernel_reloads_lose_nothing() {
    accepting_reloads_lose_nothing(Own::Kernel, SOME);
}

#[test]
fn reuseport_reloads_lose_nothing() {
    accepting_reloads_lose_nothing(Own::Reuseport, SOME);
}

#[test]
fn kernel_and_reuseport_reloads_lose_nothing_by_node() {
    for own in [Own::Kernel, Own::Reuseport] {
        loses_nothing("own_node", Program::NodeOwn(Node::Version(24), own), SOME);
    }
}

#[test]
#[ignore = "twenty reloads of each program"]
fn kernel_and_reuseport_twenty_reloads_lose_nothing() {
    for own in [Own::Kernel, Own::Reuseport] {
        accepting_reloads_lose_nothing(own, MANY);
        loses_nothing("own_node", Program::NodeOwn(Node::Version(24), own), MANY);
    }
}

#[test]
#[ignore = "twenty reloads of each program"]
fn twenty_reloads_lose_nothing() {
    for (name, program) in [
        ("reloads_node20", Program::Node(Node::Version(20))),
        ("reloads_node24", Program::Node(Node::Version(24))),
        ("reloads_int20", Program::NodeWithHandler(Node::Version(20))),
        ("reloads_int24", Program::NodeWithHandler(Node::Version(24))),
        ("reloads_python", Program::Python),
        ("reloads_native", Program::Native),
        ("reloads_shared", Program::NativeShared),
    ] {
        println!("{name}");
        loses_nothing(name, program, MANY);
    }
}

/// Deploys so many versions that die soon after they are ready; then one that does not.
fn survives_bad_versions(name: &str, program: Program, times: u32) {
    let scene = Scene::new(name);
    // Long enough that a machine that stands still meanwhile does not take what is about to die for proven.
    let options = ["--soak", "4s", "--grace", "10s"];
    let deployed = Deployed::start(&scene, program, &options);
    let mix = Mix::of_all(deployed.address);
    for number in 2..=times + 1 {
        mix.wait_for_answers_of_all(1, BOOT);
        let verdict = deployed.deploy(Version::Dies(number, 50), LONG);
        let is_back =
            matches!(&verdict, Verdict::RolledBack { reason, .. } if reason.contains("3"));
        assert!(is_back, "version {number}: {verdict:?}");
    }
    mix.wait_for_answers_of_all(1, BOOT);
    replaced(&deployed, times + 2);
    mix.wait_for_answers_of_all(1, BOOT);
    let books = mix.finish();
    println!("{books}");
    books.assert_balanced(&deployed.book());
    // What the bad ones had received when they died, and nothing else.
    let wrong: Vec<_> = books
        .failures()
        .filter(|entry| !is_cut(entry.outcome))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}\n{books}");
    assert!(deployed.herd.end().success());
}

#[test]
fn r38_a_version_that_dies_is_rolled_back_under_load() {
    survives_bad_versions("rollback_native", Program::Native, FEW);
    let node = Program::Node(Node::Version(20));
    survives_bad_versions("rollback_node", node, 1);
}

#[test]
fn r38_kernel_and_reuseport_a_version_that_dies_is_rolled_back_under_load() {
    for own in [Own::Kernel, Own::Reuseport] {
        survives_bad_versions("own_rollback", Program::NativeOwn(own), 1);
        survives_bad_versions("own_rollback_python", Program::PythonOwn(own), 1);
    }
}

#[test]
fn r38_kernel_and_reuseport_a_version_that_dies_is_rolled_back_under_load_by_node() {
    for own in [Own::Kernel, Own::Reuseport] {
        let program = Program::NodeOwn(Node::Version(24), own);
        survives_bad_versions("own_rollback_node", program, 1);
    }
}

#[test]
#[ignore = "twenty rollbacks of each program"]
fn r38_twenty_versions_that_die_are_rolled_back_under_load() {
    for (name, program) in [
        ("rollbacks_native", Program::Native),
        ("rollbacks_shared", Program::NativeShared),
        ("rollbacks_node", Program::Node(Node::Version(20))),
        ("rollbacks_python", Program::Python),
    ] {
        println!("{name}");
        survives_bad_versions(name, program, MANY);
    }
}

/// A hundred clients keep their connections to the gateway and talk, while the workers behind it are replaced.
fn keeps_a_hundred_clients(name: &str, times: u32) {
    let scene = Scene::new(name);
    let options = ["--workers", "2", "--soak", "300"];
    let (herd, door) = jobs::started(&scene, &options);
    let first = gateway(&herd).pid;
    let load = Crowd::at(door).clients(100).command("slow/20").start();
    load.wait_until_connected(100, BOOT);
    for number in 2..=times + 1 {
        load.wait_for_settled(100, BOOT);
        let before: BTreeSet<i32> = herd.workers().iter().map(|worker| worker.pid).collect();
        let mark = herd.mark();
        herd.signal(Signal::HUP);
        let done = format!("reload: generation {number} is in service");
        herd.wait_for_line_after(mark, &done, LONG, |line| line.contains(&done).then_some(()));
        wait::until(LONG, "who worked before has gone", || {
            let now = herd.workers();
            let is_new = |pid| !before.contains(pid);
            (now.len() == 2 && now.iter().map(|worker| &worker.pid).all(is_new)).then_some(())
        });
    }
    load.wait_for_settled(100, BOOT);
    let account = load.stop_and_finish();
    println!("{account}");
    account.assert_all_answered();
    assert_eq!(gateway(&herd).pid, first);
    assert!(
        account.per_worker().len() >= 2 * times as usize,
        "{account}"
    );
    assert!(herd.end().success());
}

#[test]
fn reloads_keep_a_hundred_web_sockets() {
    keeps_a_hundred_clients("reload_jobs", FEW);
}

#[test]
#[ignore = "twenty reloads"]
fn twenty_reloads_keep_a_hundred_web_sockets() {
    keeps_a_hundred_clients("reloads_jobs", MANY);
}
