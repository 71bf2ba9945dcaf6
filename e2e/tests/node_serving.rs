//! Unmodified Node programs behind one address: what herder has beside what Node's own primary has.

use herder_e2e::client::{Load, Target, get};
use herder_e2e::foreign::{BOOT, address, pid_of_body, wait_for};
use herder_e2e::node::run;
use herder_e2e::scene::Scene;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn many_clients_at_once_are_served_evenly() {
    let scene = Scene::new("node_many");
    let herd = run(&scene, "serve.js", &["-i", "2"]).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    let load = Load::http(address(&herd), "/").worker_from(pid_of_body);
    let load = load.clients(16).count(2000).timeout(BOOT);
    load.run_until("both serve hundreds", |ledger| {
        let each = ledger.per_worker();
        each.len() == 2 && each.values().all(|served| *served > 500)
    });
    assert!(herd.end().success());
}

#[test]
fn the_workers_of_a_shared_listener_accept_for_themselves() {
    let scene = Scene::new("node_shared");
    for (options, variable) in [
        (&["-i", "2", "--dispatch", "shared"][..], "rr"),
        (&["-i", "2"], "none"),
    ] {
        let setup = run(&scene, "serve.js", options);
        let herd = setup.env("NODE_CLUSTER_SCHED_POLICY", variable).start();
        wait_for(&herd, 0, 2, "ready", BOOT);
        let load = Load::http(address(&herd), "/slow/5").worker_from(pid_of_body);
        let load = load.clients(8).count(100).timeout(BOOT);
        load.run_until("both serve", |it| it.per_worker().len() == 2);
        assert!(herd.end().success());
    }
}

#[test]
fn a_client_stays_with_its_worker_by_its_address() {
    let scene = Scene::new("node_hash");
    let herd = run(&scene, "serve.js", &["-i", "3", "--policy", "ip-hash"]).start();
    wait_for(&herd, 0, 3, "ready", BOOT);
    let load = Load::http(address(&herd), "/").worker_from(pid_of_body);
    let ledger = load.count(30).run();
    ledger.assert_no_failure();
    assert_eq!(ledger.per_worker().len(), 1);
    assert!(herd.end().success());
}

#[test]
fn a_unix_socket_has_its_rights_and_goes_with_the_herd() {
    let scene = Scene::new("node_unix");
    for (dispatch, name) in [("pass", "pass.sock"), ("shared", "shared.sock")] {
        let path = scene.directory().join(name);
        let wanted = format!(r#"{{"path":{path:?},"readableAll":true,"writableAll":true}}"#);
        let herd = run(&scene, "serve.js", &["-i", "2", "--dispatch", dispatch])
            .env("LISTEN", wanted)
            .start();
        wait_for(&herd, 0, 2, "ready", BOOT);
        let mode = fs::metadata(&path).expect("it is there").permissions();
        assert_eq!(mode.mode() & 0o666, 0o666);
        let load = Load::http(Target::Unix(path.clone()), "/").worker_from(pid_of_body);
        let ledger = load.count(20).run();
        ledger.assert_no_failure();
        assert!(herd.end().success());
        assert!(!path.exists());
    }
}

#[test]
fn a_socket_that_nobody_asked_for_holds_nothing_up() {
    let scene = Scene::new("node_gift");
    let herd = run(&scene, "serve.js", &["-i", "1"]).start();
    wait_for(&herd, 0, 1, "ready", BOOT);
    let address = address(&herd);
    for path in ["/handle", "/", "/", "/", "/", "/", "/"] {
        get(address, path).expect("an answer");
    }
    assert!(herd.end().success());
}

#[test]
fn a_listener_can_be_sent_to_each_worker() {
    let scene = Scene::new("node_handle");
    let options = ["-i", "2", "-l", "127.0.0.1:0", "--send-handle", "server"];
    let herd = run(&scene, "handle.js", &options).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    let load = Load::http(address(&herd), "/").worker_from(pid_of_body);
    let ledger = load.clients(8).count(200).run();
    ledger.assert_no_failure();
    assert!(herd.end().success());
}

#[test]
fn the_environment_is_that_of_a_worker() {
    let scene = Scene::new("node_env");
    let script = scene.directory().join("env.mjs");
    fs::write(
        &script,
        "import cluster from 'node:cluster';\n\
         const e = process.env;\n\
         console.log(['found', cluster.isWorker, cluster.worker.id, e.NODE_APP_INSTANCE, \
         e.NODE_CHANNEL_FD, e.NODE_UNIQUE_ID, process.argv[2]].join(' '));\n",
    )
    .expect("a script");
    let setup = scene.herd(herder_e2e::binary::Binary::HERDER).arg("run");
    let herd = setup
        .arg(&script)
        .args(["-i", "2", "--listen-timeout", "500ms", "--", "word"])
        .start();
    for line in ["found true 1 0   word", "found true 2 1   word"] {
        herd.wait_for_line(line, BOOT, |found| found.contains(line).then_some(()));
    }
    // They have nothing to do, and stay all the same.
    let ready = wait_for(&herd, 0, 2, "ready", BOOT);
    assert_eq!(ready.len(), 2);
    assert!(herd.end().success());
}
