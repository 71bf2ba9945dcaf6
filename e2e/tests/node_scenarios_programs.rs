//! Scenarios of Node's cluster: programs of other sorts, other engines, and channels at their worst.

use herder_e2e::client::{Load, get};
use herder_e2e::foreign::{BOOT, address, freeze, pid_of_body, wait_for};
use herder_e2e::herd::{Herd, Setup, Signal};
use herder_e2e::interpreter::Node;
use herder_e2e::node::{Case, Scheduling, Wire, end, free_address, programs, run};
use herder_e2e::process::own_bytes;
use herder_e2e::scene::Scene;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn dispatch(case: Case) -> &'static str {
    case.scheduling.dispatch()
}

/// Two workers of a script of this kit.
fn setup(scene: &Scene, case: Case, script: impl AsRef<Path>, options: &[&str]) -> Setup {
    let script = programs().join(script);
    let script = script.to_str().expect("text");
    let setup = run(scene, script, &["-i", "2", "--dispatch", dispatch(case)]);
    let setup = setup.arg("--interpreter").arg(case.node.program());
    setup.args(options)
}

fn start(setup: Setup) -> Herd {
    let herd = setup.start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    herd
}

/// Of twenty, one after the other, each of both workers answers ten where they take turns.
fn is_even(load: &Load, case: Case) {
    let load = load.clone().count(20).timeout(BOOT);
    load.run_until(&format!("ten each, {case:?}"), |ledger| {
        let each: Vec<usize> = ledger.per_worker().into_values().collect();
        case.scheduling != Scheduling::RoundRobin || each == [10, 10]
    });
}

/// Both are workers of the cluster, and answer like this.
fn assert_serves(herd: &Herd, case: Case, end: &str) {
    let address = address(herd);
    let answer = get(address, "/").expect("an answer");
    assert!(answer.ends_with(end), "{answer}, {case:?}");
    is_even(&Load::http(address, "/").worker_from(pid_of_body), case);
}

fn scenario_32(cases: &[Case]) {
    let scene = Scene::new("scenario_32");
    let shell = scene.directory().join("start.sh");
    fs::write(&shell, "exec \"$NODE\" \"$PROGRAM\"\n").expect("ours");
    let loader = format!("--import {}", programs().join("loaded.mjs").display());
    for case in cases {
        let module = setup(&scene, *case, "sorts.mjs", &["--node-args", &loader]);
        let herd = start(module);
        assert_serves(&herd, *case, "loaded");
        assert!(herd.end().success());
        if case.major() >= 22 {
            let types = ["--node-args", "--experimental-strip-types"];
            let herd = start(setup(&scene, *case, "sorts.ts", &types));
            assert_serves(&herd, *case, "typed");
            assert!(herd.end().success());
        }
        let options = ["-i", "2", "--interpreter", "sh", "--no-node-shim"];
        let by_shell = run(&scene, shell.to_str().expect("text"), &options)
            .args(["--dispatch", dispatch(*case)])
            .env("NODE", case.node.program())
            .env("PROGRAM", programs().join("sorts.mjs"));
        let herd = start(by_shell);
        assert_serves(&herd, *case, "alone");
        assert!(herd.end().success());
    }
}

/// Every worker is replaced so often while clients come.
fn scenario_34(cases: &[Case], rounds: usize) {
    let scene = Scene::new("scenario_34");
    for case in cases {
        let options = ["--max-lifetime", "400ms"];
        let herd = start(setup(&scene, *case, "serve.js", &options));
        let load = Load::http(address(&herd), "/slow/5").clients(4);
        let load = load.timeout(BOOT).worker_from(pid_of_body).start();
        let count = 2 + 2 * rounds;
        wait_for(&herd, 0, count, "ready", BOOT * 10);
        load.wait_for_answers(8, BOOT);
        let ledger = load.stop_and_finish();
        ledger.assert_no_failure();
        // The last ones may not have had a turn yet.
        assert!(ledger.per_worker().len() >= count - 2, "{ledger}");
        assert!(herd.end().success());
    }
}

/// Connections come behind a message that is nearly as long as what Node reads at once, to a worker that is busy.
fn scenario_27(cases: &[Case]) {
    let scene = Scene::new("scenario_27");
    for case in cases {
        let herd = start(setup(&scene, *case, "flood.js", &[]));
        let address = address(&herd);
        for length in [65_250, 65_350, 65_400, 65_450] {
            get(address, "/block/100").expect("an answer");
            get(address, &format!("/relay/1/{length}")).expect("an answer");
            let load = Load::http(address, "/").clients(6).count(6).timeout(BOOT);
            load.run().assert_no_failure();
        }
        let [accepted, handed, taken_back, closed] = end(herd);
        assert_eq!((handed, taken_back, closed), (accepted, 0, 0), "{case:?}");
    }
}

/// A worker sends 40 MB to another one, which does not move.
fn scenario_36_stopped(cases: &[Case]) {
    let scene = Scene::new("scenario_36_stopped");
    for case in cases {
        let herd = setup(&scene, *case, "flood.js", &[]).start();
        let workers = wait_for(&herd, 0, 2, "ready", BOOT);
        let address = address(&herd);
        let master = herd.master().expect("it lives").pid;
        let loud = get(address, "/relay/40000/1024").expect("an answer");
        let loud = pid_of_body(loud.as_bytes()).expect("its process");
        let still = workers.iter().find(|seat| seat.pid != loud);
        let still = still.expect("the other one").pid;
        freeze(&herd, &[still]);
        herd.wait_for_line("all is sent", BOOT * 2, |line| {
            line.contains("all is sent").then_some(())
        });
        let resident = own_bytes(master).expect("it lives");
        assert!(resident < 32 << 20, "{resident} bytes, {case:?}");
        let load = Load::http(address, "/").clients(30).count(30);
        let load = load.timeout(BOOT).start();
        // All but what is in its channel.
        load.wait_for_total(26, BOOT);
        herd.signal_to(still, Signal::CONT);
        load.finish().assert_no_failure();
        // It was not killed for that, and hears again what is said.
        let mark = herd.mark();
        while get(address, "/report").is_ok_and(|by| by.contains(&still.to_string())) {}
        herd.wait_for_line_after(mark, "a report", BOOT, |line| {
            line.contains("heard ").then_some(())
        });
        assert!(herd.end().success());
    }
}

/// A worker sends 40 MB that nobody asked for.
fn scenario_36(cases: &[Case]) {
    let scene = Scene::new("scenario_36");
    for case in cases {
        let herd = start(setup(&scene, *case, "flood.js", &[]));
        let address = address(&herd);
        let master = herd.master().expect("it lives").pid;
        get(address, "/flood").expect("an answer");
        // Those that come to the loud one wait for it; the other one serves all others.
        let load = Load::http(address, "/").clients(2).timeout(BOOT).start();
        herd.wait_for_line("the end of the flood", BOOT * 2, |line| {
            line.contains("all is sent").then_some(())
        });
        load.wait_for_answers(20, BOOT);
        load.stop_and_finish().assert_no_failure();
        let resident = own_bytes(master).expect("it lives");
        assert!(resident < 32 << 20, "{resident} bytes, {case:?}");
        assert!(herd.end().success());
    }
}

/// What the workers of two programs find when their channels are cut in random places; or whole.
fn by_pieces(scene: &Scene, case: Case, seed: Option<&str>) -> Value {
    let name = format!(
        "{}-{}-{}",
        case.major(),
        dispatch(case),
        seed.unwrap_or("whole")
    );
    let tap = scene.directory().join(&name);
    fs::create_dir(&tap).expect("ours");
    let taken = free_address();
    let wanted = format!(
        r#"[{{"port":0,"host":"127.0.0.1"}},{{"port":{0},"host":"{1}"}},{{"port":{0},"host":"{1}"}},
            {{"udp":"udp4","port":0,"address":"127.0.0.1"}},{{"path":"\u0000ht-{2}"}}]"#,
        taken.port(),
        taken.ip(),
        std::process::id(),
    );
    let tapped = |setup: Setup| {
        let tap_py = programs().join("tap.py");
        let setup = setup.args(["-i", "2", "--dispatch", dispatch(case)]);
        let setup = setup.arg("--interpreter").arg(tap_py).env("TAP", &tap);
        let setup = setup.env("TAP_NODE", case.node.program());
        match seed {
            Some(seed) => setup.env("TAP_SEED", seed),
            None => setup,
        }
    };
    let herd = tapped(run(scene, "bind.js", &[]))
        .env("LISTEN", wanted)
        .start();
    for id in [1, 2] {
        let done = format!("worker {id} is done");
        herd.wait_for_line(&done, BOOT, |line| line.contains(&done).then_some(()));
    }
    assert!(herd.end().success());
    // Only now all of it has gone through.
    let found: Vec<Value> = [1, 2].map(|id| Wire::of(&tap, id).plain()).into();
    if seed.is_some() {
        serves_in_pieces(start(tapped(run(scene, "serve.js", &[]))), case, &tap);
    }
    Value::from(found)
}

fn serves_in_pieces(herd: Herd, case: Case, tap: &Path) {
    let address = address(&herd);
    for path in ["/handle", "/", "/handle", "/"] {
        get(address, path).expect("an answer");
    }
    // By their numbers: the processes that the herd knows are not those that answer.
    let worker = |body: &[u8]| -> Option<i32> {
        let text = std::str::from_utf8(body).ok()?;
        text.rsplit(':').next()?.parse().ok()
    };
    let load = Load::http(address, "/").clients(4).count(200).timeout(BOOT);
    let ledger = load.worker_from(worker).run();
    ledger.assert_no_failure();
    let lost = |line: &Value| line["cmd"] == "NODE_HANDLE_NACK";
    for id in [1, 2] {
        assert!(!Wire::of(tap, id).said().iter().any(lost), "{case:?}");
    }
    is_even(&Load::http(address, "/").worker_from(worker), case);
    assert!(herd.end().success());
}

fn scenario_37(cases: &[Case], seeds: &[&str]) {
    let scene = Scene::new("scenario_37");
    for case in cases {
        let whole = by_pieces(&scene, *case, None);
        for seed in seeds {
            let cut = by_pieces(&scene, *case, Some(seed));
            assert_eq!(cut, whole, "cut by {seed} (left) and whole, {case:?}");
        }
    }
}

#[test]
fn scenario_32_programs_of_all_sorts() {
    scenario_32(&Case::USUAL);
}

#[test]
fn scenario_34_everybody_is_replaced_under_load() {
    scenario_34(&Case::USUAL, 3);
}

#[test]
#[ignore = "every worker is replaced twenty times"]
fn scenario_34_everybody_is_replaced_twenty_times() {
    scenario_34(&Case::USUAL, 20);
    scenario_34(&Case::OTHERS, 20);
}

#[test]
fn scenario_27_connections_behind_long_messages() {
    scenario_27(&[Case::USUAL[0], Case::USUAL[2]]);
}

#[test]
fn scenario_36_a_worker_that_does_not_move_is_flooded() {
    scenario_36_stopped(&[Case::USUAL[0], Case::USUAL[3]]);
}

#[test]
fn scenario_36_a_worker_floods_its_primary() {
    scenario_36(&Case::USUAL);
}

#[test]
fn scenario_37_channels_in_random_pieces() {
    scenario_37(&Case::USUAL, &["a"]);
}

#[test]
#[ignore = "many seeds, and three more versions of Node"]
fn scenario_37_channels_in_more_random_pieces() {
    scenario_37(&Case::USUAL, &["b", "c", "d", "e", "f"]);
    scenario_37(&Case::OTHERS, &["a", "b", "c"]);
}

#[test]
#[ignore = "three more versions of Node"]
fn scenarios_27_to_36_by_other_versions() {
    scenario_27(&[Case::OTHERS[0], Case::OTHERS[2], Case::OTHERS[4]]);
    scenario_32(&Case::OTHERS);
    scenario_36(&Case::OTHERS);
    scenario_36_stopped(&Case::OTHERS);
}

#[test]
#[ignore = "Deno"]
fn scenario_38_deno() {
    let scene = Scene::new("scenario_38_deno");
    let case = Case {
        node: Node::Deno,
        scheduling: Scheduling::RoundRobin,
    };
    let herd = start(setup(&scene, case, "sorts.mjs", &[]));
    assert_serves(&herd, case, "alone");
    let load = Load::http(address(&herd), "/").clients(8).count(400);
    load.run().assert_no_failure();
    assert!(herd.end().success());
}

#[test]
#[ignore = "Bun"]
fn scenario_38_bun() {
    let scene = Scene::new("scenario_38_bun");
    let taken = free_address();
    // It listens for itself: the kernel cannot be asked for one port for all.
    let script = scene.directory().join("bun.mjs");
    let text = fs::read_to_string(programs().join("sorts.mjs")).expect("it is there");
    let port = format!("listen({}, '127.0.0.1')", taken.port());
    fs::write(&script, text.replace("listen(0, '127.0.0.1')", &port)).expect("ours");
    let herd = scene
        .herd(herder_e2e::binary::Binary::HERDER)
        .arg("run")
        .arg(script);
    let herd = herd
        .args(["-i", "2", "--grace", "4s", "--interpreter"])
        .arg(Node::Bun.program());
    let herd = start(herd);
    let answer = get(taken, "/").expect("an answer");
    assert!(answer.ends_with("alone"), "{answer}");
    let load = Load::http(taken, "/").clients(8).count(400);
    let ledger = load.worker_from(pid_of_body).run();
    ledger.assert_no_failure();
    assert_eq!(ledger.per_worker().len(), 2);
    assert!(herd.end().success());
}
