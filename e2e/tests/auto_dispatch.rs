//! Who accepts when nothing is said: the kernel's program picks the worker where that is permitted, and the line at the
//! start says why if it is not. (Where tests are run without the right, the first ones fail.)

use herder_e2e::binary::Binary;
use herder_e2e::client::Load;
use herder_e2e::foreign::{BOOT, address, examples, pid_of_body, wait_for};
use herder_e2e::herd::{Herd, NO_KERNEL_DISPATCH, Setup, Signal};
use herder_e2e::manager::Manager;
use herder_e2e::native::TEST_HERD;
use herder_e2e::node::programs;
use herder_e2e::scene::Scene;
use herder_e2e::wait;

fn herder(scene: &Scene) -> Setup {
    scene.herd(Binary::HERDER).env(NO_KERNEL_DISPATCH, "")
}

fn without_rights(scene: &Scene) -> Setup {
    scene.unprivileged(Binary::HERDER)
}

/// A Rust program that is its own master, and says nothing of who accepts.
fn rust(setup: Setup, options: &[&str]) -> Herd {
    let setup = setup.args(["--dispatch", "auto"]).args(options);
    setup.env("RUST_BACKTRACE", "0").start()
}

fn embedded(scene: &Scene) -> Setup {
    scene.herd(TEST_HERD).env(NO_KERNEL_DISPATCH, "")
}

fn script(setup: Setup, options: &[&str]) -> Herd {
    let setup = setup.arg("run").arg(programs().join("serve.js"));
    setup.args(["-i", "2"]).args(options).start()
}

fn command(setup: Setup, options: &[&str]) -> Herd {
    let setup = setup.args(["run", "-i", "2", "--ready", "notify"]);
    let setup = setup.args(options).args(["--", "python3", "plain.py"]);
    setup.directory(examples()).start()
}

/// The line at the start.
#[track_caller]
fn assert_says(herd: &Herd, expected: &str) {
    let line = herd.wait_for_line("the mode", BOOT, |line| {
        line.contains("dispatch: ").then(|| line.to_owned())
    });
    assert!(line.contains(expected), "{line}");
}

/// Nobody is turned away.
fn assert_serves(herd: &Herd) {
    wait_for(herd, 0, 2, "ready", BOOT);
    let ledger = Load::http(address(herd), "/").timeout(BOOT).count(20).run();
    ledger.assert_no_failure();
}

/// Two workers have their turns.
fn assert_both_serve(herd: &Herd) {
    wait_for(herd, 0, 2, "ready", BOOT);
    wait::until(BOOT, "both serve", || {
        let load = Load::http(address(herd), "/").worker_from(pid_of_body);
        let ledger = load.timeout(BOOT).count(20).run();
        ledger.assert_no_failure();
        (ledger.per_worker().len() == 2).then_some(())
    });
}

const KERNEL: &str = "dispatch: kernel (the kernel takes its program)";
const NEEDS: &str = "(kernel needs CAP_BPF";
const LOCAL: [&str; 2] = ["-l", "127.0.0.1:0"];

#[test]
fn kernel_auto_is_the_kernels_for_scripts_commands_and_rust_programs() {
    let scene = Scene::new("auto_kernel");
    for herd in [
        script(herder(&scene), &[]),
        command(herder(&scene), &LOCAL),
        rust(embedded(&scene), &[]),
        rust(embedded(&scene), &["--blocking"]),
    ] {
        assert_says(&herd, KERNEL);
        assert_both_serve(&herd);
        assert!(herd.end().success());
    }
}

/// What the service manager gives is one listener, and its address nobody else's.
#[test]
fn auto_leaves_the_kernel_out_where_the_service_manager_listens() {
    let scene = Scene::new("auto_given");
    let mut manager = Manager::new(&scene);
    let options = ["run", "-i", "2", "--ready", "notify", "-l", "127.0.0.1:0"];
    let arguments = [&options[..], &["--", "python3", "plain.py"]].concat();
    let start = |manager: &Manager, switch: &str| {
        let setup = manager.service(&scene, Binary::HERDER.path(), &arguments);
        let setup = setup.directory(examples()).env(NO_KERNEL_DISPATCH, switch);
        setup.start()
    };
    let first = start(&manager, "1");
    manager.wait_for("FDNAME=herd.listener.0", BOOT, &first);
    let before = address(&first);
    first.signal(Signal::KILL);
    let second = start(&manager, "");
    assert_says(
        &second,
        &format!("dispatch: shared (the service manager listens at {before})"),
    );
    assert_eq!(address(&second), before);
    assert_serves(&second);
    assert!(second.end().success());
}

#[test]
fn auto_says_what_is_missing_and_takes_what_is_left() {
    let scene = Scene::new("auto_rights");
    let node = script(without_rights(&scene), &[]);
    assert_says(&node, &format!("dispatch: pass {NEEDS}"));
    let python = command(without_rights(&scene), &LOCAL);
    assert_says(&python, &format!("dispatch: shared {NEEDS}"));
    let rust = rust(scene.unprivileged(TEST_HERD), &[]);
    assert_says(&rust, &format!("dispatch: pass {NEEDS}"));
    for herd in [node, python, rust] {
        assert_serves(&herd);
        assert!(herd.end().success());
    }
}

#[test]
fn auto_leaves_the_kernel_out_where_it_cannot_be_for_rust_programs() {
    let scene = Scene::new("auto_rust");
    for (options, expected) in [
        (
            &["--policy", "ip-hash"][..],
            "pass (kernel has no such policy)",
        ),
        (
            &["--listen", "unix:a.sock"],
            "pass (a Unix socket has one listener)",
        ),
    ] {
        let herd = rust(embedded(&scene), options);
        assert_says(&herd, expected);
        wait_for(&herd, 0, 2, "ready", BOOT);
        assert!(herd.end().success());
    }
    let herd = rust(embedded(&scene).env(NO_KERNEL_DISPATCH, "1"), &[]);
    assert_says(
        &herd,
        "pass (kernel is switched off by HERDER_NO_KERNEL_DISPATCH)",
    );
    assert_serves(&herd);
    assert!(herd.end().success());
}

#[test]
fn auto_leaves_the_kernel_out_where_it_cannot_be() {
    let scene = Scene::new("auto_cannot");
    for (options, expected) in [
        (
            &["--policy", "ip-hash"][..],
            "pass (kernel has no such policy)",
        ),
        (
            &["--max-requests", "50"],
            "pass (kernel counts no requests)",
        ),
    ] {
        let herd = script(herder(&scene), options);
        assert_says(&herd, expected);
        assert_serves(&herd);
        assert!(herd.end().success());
    }
    let herd = command(herder(&scene), &["-l", "unix:a.sock"]);
    assert_says(&herd, "shared (a Unix socket has one listener)");
    wait_for(&herd, 0, 2, "ready", BOOT);
    assert!(herd.end().success());
    let herd = script(herder(&scene).env(NO_KERNEL_DISPATCH, "1"), &[]);
    assert_says(
        &herd,
        "pass (kernel is switched off by HERDER_NO_KERNEL_DISPATCH)",
    );
    assert_serves(&herd);
    assert!(herd.end().success());
}

#[test]
fn kernel_least_loaded_is_the_kernels_without_more() {
    let scene = Scene::new("auto_least");
    let herd = script(herder(&scene), &["--policy", "least-loaded"]);
    assert_says(&herd, "dispatch: kernel (least-loaded is the kernel's)");
    assert_both_serve(&herd);
    assert!(herd.end().success());
    let refused = script(without_rights(&scene), &["--policy", "least-loaded"]);
    assert_eq!(refused.wait_for_exit(BOOT).code(), Some(2));
}

/// The mode stays what it was: for the next master, and after a reload.
#[test]
fn kernel_r26_auto_stays_what_it_was() {
    let scene = Scene::new("auto_stays");
    for herd in [
        script(herder(&scene), &["--soak", "100ms"]),
        command(herder(&scene), &[&LOCAL[..], &["--soak", "100ms"]].concat()),
    ] {
        assert_says(&herd, KERNEL);
        assert_both_serve(&herd);
        let master = herd.master().expect("it lives").pid;
        herd.signal_to(master, Signal::KILL);
        herd.wait_for_line("another master", BOOT, |line| {
            line.contains("no connection was cut").then_some(())
        });
        assert_serves(&herd);
        herd.signal(Signal::HUP);
        herd.wait_for_line("the reload", BOOT, |line| {
            line.contains("generation 2 is in service").then_some(())
        });
        herd.signal(Signal::USR2);
        herd.wait_for_line("the upgrade", BOOT, |line| {
            line.contains("the master goes on as").then_some(())
        });
        assert_serves(&herd);
        assert!(herd.end().success());
    }
}
