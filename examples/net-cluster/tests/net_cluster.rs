//! The example does what it promises, word for word.

use herder_e2e::binary::Binary;
use herder_e2e::client::{Load, ask};
use herder_e2e::foreign::{BOOT, address, wait_for};
use herder_e2e::herd::{Herd, Stream};
use herder_e2e::scene::Scene;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::time::Duration;

fn start(scene: &Scene, options: &[&str]) -> Herd {
    let setup = scene
        .herd(Binary::NET_CLUSTER)
        .args(["--listen", "127.0.0.1:0"]);
    setup.args(["--workers", "3"]).args(options).start()
}

fn handled_by(body: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(body).ok()?;
    text.strip_prefix("Request handled by worker-")?
        .parse()
        .ok()
}

/// Waits for so many lines `Create worker-P` and returns the pids.
fn created(herd: &Herd, count: usize) -> BTreeSet<i32> {
    let mut pids = BTreeSet::new();
    herd.wait_for_line(&format!("{count} workers are created"), BOOT, |line| {
        pids.extend(
            line.strip_prefix("Create worker-")
                .and_then(|pid| pid.parse::<i32>().ok()),
        );
        (pids.len() == count).then_some(())
    });
    pids
}

fn pids(herd: &Herd) -> BTreeSet<i32> {
    herd.workers().iter().map(|worker| worker.pid).collect()
}

#[test]
fn it_answers_after_ten_milliseconds_and_closes() {
    let scene = Scene::new("s4");
    let herd = start(&scene, &[]);
    let address = address(&herd);
    assert_eq!(created(&herd, 3), pids(&herd));
    // Read to the end of the connection, whether or not the client has said something.
    for greeting in [&b""[..], b"GET / HTTP/1.0\r\n\r\n"] {
        let load = Load::plain(address, greeting)
            .clients(3)
            .count(30)
            .timeout(BOOT);
        let ledger = load.worker_from(handled_by).run();
        println!("{ledger}");
        ledger.assert_no_failure();
        assert_eq!(ledger.notes.unclosed, 0);
        let quick = |entry: &&herder_e2e::client::Entry| entry.latency < Duration::from_millis(10);
        assert_eq!(ledger.entries.iter().find(quick), None);
        assert_eq!(
            ledger.per_worker().into_keys().collect::<BTreeSet<_>>(),
            pids(&herd)
        );
    }
    assert!(herd.end().success());
}

#[test]
fn a_worker_that_exits_is_logged_and_replaced() {
    let scene = Scene::new("s4_kill");
    let herd = start(&scene, &[]);
    let address = address(&herd);
    let first = created(&herd, 3);
    wait_for(&herd, 0, 3, "ready", BOOT);
    let victim = *first.first().unwrap();
    herd.signal_to(victim, Signal::KILL);
    let all = created(&herd, 4);
    let next = *all.difference(&first).next().unwrap();
    wait_for(&herd, 0, 4, "ready", BOOT);
    let ledger = Load::plain(address, b"")
        .count(30)
        .worker_from(handled_by)
        .run();
    ledger.assert_no_failure();
    assert!(ledger.per_worker().contains_key(&next));
    let mut expected: Vec<String> = first
        .iter()
        .map(|pid| format!("Create worker-{pid}"))
        .collect();
    let mut said = herd.texts(Stream::Stdout);
    said[..3].sort_unstable();
    expected.sort_unstable();
    expected.push(format!(
        "[Master] worker {victim} died with code:null, andSIGKILL"
    ));
    expected.push(format!("Create worker-{next}"));
    assert_eq!(said, expected);
    assert!(herd.end().success());
}

#[test]
fn the_policy_is_chosen_by_flag_or_by_environment() {
    for (options, variable, mode) in [
        (&[][..], None, "pass"),
        (&["--policy", "rr"], None, "pass"),
        (&["--policy", "none"], None, "shared"),
        (&[], Some("none"), "shared"),
        (&[], Some("rr"), "pass"),
        (&["--policy", "rr"], Some("none"), "pass"),
    ] {
        let scene = Scene::new("s4_policy");
        let setup = scene
            .herd(Binary::NET_CLUSTER)
            .args(["--listen", "127.0.0.1:0"]);
        let mut setup = setup.args(options);
        if let Some(value) = variable {
            setup = setup.env("NODE_CLUSTER_SCHED_POLICY", value);
        }
        let herd = setup.start();
        herd.wait_for_line(mode, BOOT, |line| {
            line.contains(&format!("dispatch: {mode}")).then_some(())
        });
        let answer = ask(address(&herd), b"").unwrap();
        assert!(
            pids(&herd).contains(&handled_by(answer.as_bytes()).unwrap()),
            "{answer}"
        );
        assert!(herd.end().success());
    }
}

#[test]
fn an_unknown_policy_is_an_error_that_names_the_known_ones() {
    let scene = Scene::new("s4_wrong");
    let by_flag = scene.herd(Binary::NET_CLUSTER).args(["--policy", "fair"]);
    let by_environment = scene
        .herd(Binary::NET_CLUSTER)
        .env("NODE_CLUSTER_SCHED_POLICY", "fair");
    for setup in [by_flag, by_environment] {
        let herd = setup.start();
        assert_eq!(herd.wait_for_exit(BOOT).code(), Some(2));
        let said = herd.texts(Stream::Stderr).join("\n");
        for word in ["fair", "none", "rr"] {
            assert!(said.contains(word), "{said}");
        }
        assert_eq!(herd.texts(Stream::Stdout), [""; 0]);
    }
}
