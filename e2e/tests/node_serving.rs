//! Unmodified Node programs behind one address.

use herder_e2e::client::{Load, Target, get};
use herder_e2e::foreign::{BOOT, address, pid_of_body, wait_for};
use herder_e2e::node::{found_at, free_address, listen_at, run};
use herder_e2e::scene::Scene;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn connections_go_round_exactly() {
    let scene = Scene::new("node_rr");
    let herd = run(&scene, "serve.js", &["-i", "3"]).start();
    wait_for(&herd, 0, 3, "ready", BOOT);
    let load = Load::http(address(&herd), "/").worker_from(pid_of_body);
    let ledger = load.count(60).run();
    ledger.assert_no_failure();
    let each: Vec<usize> = ledger.per_worker().into_values().collect();
    assert_eq!(each, [20, 20, 20]);
    assert!(herd.end().success());
}

#[test]
fn many_clients_at_once_are_served_evenly() {
    let scene = Scene::new("node_many");
    let herd = run(&scene, "serve.js", &["-i", "2"]).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    let load = Load::http(address(&herd), "/").worker_from(pid_of_body);
    let ledger = load.clients(16).count(2000).run();
    ledger.assert_no_failure();
    let each: Vec<usize> = ledger.per_worker().into_values().collect();
    assert_eq!(each.len(), 2);
    assert!(each.iter().all(|served| *served > 500), "{each:?}");
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
        let ledger = load.clients(8).count(100).run();
        ledger.assert_no_failure();
        assert_eq!(ledger.per_worker().len(), 2);
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
fn a_connection_that_is_kept_stays_with_its_worker() {
    let scene = Scene::new("node_keep");
    let herd = run(&scene, "serve.js", &["-i", "2"]).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    let load = Load::http(address(&herd), "/").worker_from(pid_of_body);
    let ledger = load.keep_alive().count(5).run();
    ledger.assert_no_failure();
    assert_eq!(ledger.per_worker().len(), 1);
    assert!(herd.end().success());
}

#[test]
fn workers_that_let_the_kernel_choose_share_its_choice() {
    let scene = Scene::new("node_zero");
    let wanted = r#"[{"port":0,"host":"127.0.0.1"},{"port":0,"host":"127.0.0.1"}]"#;
    let herd = run(&scene, "bind.js", &["-i", "2"])
        .env("LISTEN", wanted)
        .start();
    let of = |id: u64, place: usize| found_at(&herd, id, place);
    assert_eq!(of(1, 0), of(2, 0));
    assert_eq!(of(1, 1), of(2, 1));
    assert_ne!(of(1, 0), of(1, 1));
    assert!(of(1, 0).contains("127.0.0.1"));
    assert!(herd.end().success());
}

#[test]
fn errors_are_those_of_node() {
    let scene = Scene::new("node_errors");
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = listen_at(stranger.local_addr().expect("it is bound"));
    let free = listen_at(free_address());
    let file = scene.directory().join("stale.sock");
    fs::write(&file, "").expect("a file");
    let wanted = format!(
        r#"[{free},{free},{taken},{{"port":0,"host":"192.0.2.1"}},{{"fd":99}},
            {{"path":"/no/such/directory/socket"}},{{"path":{file:?}}},{{"udp":"udp4","port":0}}]"#
    );
    let herd = run(&scene, "bind.js", &["-i", "1"])
        .env("LISTEN", wanted)
        .start();
    let found = |place: usize| found_at(&herd, 1, place);
    assert!(found(0).contains("port"), "{}", found(0));
    assert_eq!(found(1), r#""EADDRINUSE -98 bind""#);
    assert_eq!(found(2), r#""EADDRINUSE -98 bind""#);
    assert_eq!(found(3), r#""EADDRNOTAVAIL -99 bind""#);
    assert!(found(4).starts_with(r#""EINVAL -22 "#), "{}", found(4));
    assert!(found(5).starts_with(r#""EACCES -13 "#), "{}", found(5));
    assert!(found(6).starts_with(r#""EADDRINUSE -98 "#), "{}", found(6));
    assert!(found(7).contains("port"), "{}", found(7));
    assert!(herd.end().success());
    assert!(file.exists(), "what was there is not ours");
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
fn abstract_names_are_shared_from_anywhere() {
    let scene = Scene::new("node_abstract");
    let wanted = format!(r#"[{{"path":"\u0000ht-{}"}}]"#, std::process::id());
    let herd = run(&scene, "bind.js", &["-i", "2"])
        .env("LISTEN", wanted)
        .start();
    for id in [1, 2] {
        assert!(!found_at(&herd, id, 0).contains("EADDRINUSE"));
    }
    assert!(herd.end().success());
}

#[test]
fn udp_is_shared_in_every_mode() {
    let scene = Scene::new("node_udp");
    for dispatch in ["pass", "shared"] {
        let herd = run(&scene, "bind.js", &["-i", "2", "--dispatch", dispatch])
            .env(
                "LISTEN",
                r#"[{"udp":"udp4","port":0,"address":"127.0.0.1"}]"#,
            )
            .start();
        let found = found_at(&herd, 1, 0);
        assert_eq!(found, found_at(&herd, 2, 0));
        let port = found.split(r#""port":"#).nth(1).expect("a port");
        let port: u16 = port
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .and_then(|port| port.parse().ok())
            .expect("a number");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time");
        socket.send_to(b"hello", ("127.0.0.1", port)).expect("sent");
        let mut room = [0; 64];
        let length = socket.recv(&mut room).expect("an echo");
        assert!(room[..length].starts_with(b"hello from "));
        assert!(herd.end().success());
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
