//! The gateway dies, and is what it should be while it lives.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use herder_e2e::baseline::{Baseline, assert_same};
use herder_e2e::foreign::{BOOT, freeze, wait_for};
use herder_e2e::herd::{Herd, Stream};
use herder_e2e::jobs::{
    addresses, dispatches, gateway, gateway_after, herd, started, wait_for_gateway,
};
use herder_e2e::message::{Chat, Crowd, Fate, Heard};
use herder_e2e::process::Process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;

fn kill_gateway(herd: &Herd) -> Process {
    let before = gateway(herd);
    herd.signal_to(before.pid, Signal::KILL);
    gateway_after(herd, &before, BOOT)
}

#[test]
fn a_killed_gateway_costs_its_connections_and_no_worker() {
    let scene = Scene::new("gw_kill");
    let (herd, door) = started(&scene, &["--workers", "2", "--max-jobs", "3"]);
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    let mut chat = Chat::open(&door);
    let mut other = Chat::open(&door);
    let mut lives = Vec::new();
    for question in ["echo a", "echo b", "watch w"] {
        chat.say(question);
        lives.push(chat.hear_reply().worker);
    }
    let mark = herd.mark();
    let killed = gateway(&herd);
    herd.signal_to(killed.pid, Signal::KILL);
    assert_eq!([chat.hear(), other.hear()], [Heard::Ended, Heard::Ended]);
    // At once: whoever comes now waits for the next gateway.
    let mut chat = Chat::open(&door);
    herd.wait_for_line_after(mark, "the job of a closed link", BOOT, |line| {
        line.ends_with("cancelled w").then_some(())
    });
    for id in ["c", "d", "e", "f", "g"] {
        chat.say(&format!("echo {id}"));
        lives.push(chat.hear_reply().worker);
    }
    // The second gateway knows what they had from the first.
    let by = |life| lives.iter().filter(|by| **by == life).count();
    assert_eq!((by(1), by(2)), (3, 3), "{lives:?}");
    let told = wait_for_gateway(&herd, mark, "died: signal SIGKILL");
    assert_eq!(told, (1, killed.pid));
    // Nobody but those who had used up their services leaves.
    let left = wait_for(&herd, mark, 2, "ended: exit status 0", BOOT);
    assert!(workers.iter().all(|worker| left.contains(worker)));
    // Each was given three. (What is said on two streams is read in any order.)
    wait::until(BOOT, "the dispatches are told", || {
        let given = dispatches(&herd);
        (given.get(&1) == Some(&3) && given.get(&2) == Some(&3)).then_some(())
    });
    drop(chat);
    assert!(herd.end().success());
}

/// The descriptors of the processes that outlive a gateway.
fn descriptors(herd: &Herd) -> Baseline {
    let master = herd.master().expect("a master");
    let mut baseline = Baseline::default();
    for process in herd.workers().into_iter().chain([master]) {
        baseline = baseline.with_descriptors_of(process.pid);
    }
    baseline
}

#[test]
fn r25_gateways_that_are_killed_leave_nothing_behind() {
    let scene = Scene::new("gw_leak");
    let (herd, door) = started(&scene, &["--workers", "3"]);
    wait_for(&herd, 0, 3, "ready", BOOT);
    let crowd = || Crowd::at(door.clone()).clients(6).messages(20).run();
    crowd().assert_all_answered();
    let before = descriptors(&herd);
    // More than five within a minute would end in quarantine.
    for _ in 0..5 {
        let load = Crowd::at(door.clone()).clients(6).command("slow/20");
        let load = load.start();
        load.wait_for_settled(20, BOOT);
        kill_gateway(&herd);
        let account = load.finish_disconnected();
        assert_eq!(account.disconnects, vec![Heard::Ended; 6], "{account}");
        account.assert_fates(&[Fate::Answered, Fate::Cut]);
        crowd().assert_all_answered();
    }
    // The last of the clients' connections may still be on their way out.
    wait::attempt(BOOT, || {
        let after = descriptors(&herd);
        before.difference(&after).is_empty().then_some(())
    });
    assert_same(&before, &descriptors(&herd));
    assert!(herd.end().success());
}

#[test]
fn max_jobs_is_kept_across_gateways() {
    let scene = Scene::new("gw_max");
    let (herd, door) = started(&scene, &["--workers", "4", "--max-jobs", "5"]);
    let load = Crowd::at(door).clients(8).outstanding(3);
    let load = load.command("slow/10").returning().start();
    for _ in 0..3 {
        load.wait_for_settled(60, BOOT);
        kill_gateway(&herd);
    }
    load.wait_for_settled(200, BOOT);
    let account = load.stop_and_finish();
    println!("{account}");
    account.assert_fates(&[Fate::Answered, Fate::Cut]);
    assert_eq!(account.refusals, 0, "{account}");
    assert_eq!(account.disconnects, vec![Heard::Ended; 3 * 8]);
    let beyond: BTreeMap<u64, usize> = account
        .per_life()
        .into_iter()
        .filter(|(_, count)| *count > 5)
        .collect();
    assert_eq!(beyond, BTreeMap::new());
    assert!(herd.end().success());
}

#[test]
fn r08_a_gateway_that_hangs_is_replaced() {
    let scene = Scene::new("gw_hang");
    let (herd, door) = started(&scene, &["--workers", "2", "--hang", "1000"]);
    let mut chat = Chat::open(&door);
    let before = gateway(&herd);
    let mark = herd.mark();
    freeze(&herd, &[before.pid]);
    assert_eq!(chat.hear(), Heard::Ended);
    wait_for_gateway(&herd, mark, "died: signal SIGKILL (it hung)");
    let mut chat = Chat::open(&door);
    chat.say("echo x");
    assert_eq!(chat.hear_reply().id, "x");
    drop(chat);
    assert!(herd.end().success());
}

fn status_line(pid: i32, name: &str) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let words = line.unwrap().split_whitespace();
    words.map(str::to_owned).collect()
}

#[test]
fn r64_the_gateway_has_no_rights() {
    let scene = Scene::new("gw_rights");
    let (herd, door) = started(&scene, &["--workers", "1"]);
    Chat::open(&door);
    let pid = gateway(&herd).pid;
    assert_eq!(status_line(pid, "NoNewPrivs:"), ["1"]);
    if rustix::process::geteuid().is_root() {
        for ids in ["Uid:", "Gid:"] {
            assert_eq!(status_line(pid, ids), ["65534"; 4]);
        }
        assert_eq!(status_line(pid, "Groups:"), [""; 0]);
        for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
            assert_eq!(status_line(pid, set), ["0000000000000000"], "{set}");
        }
    }
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .unwrap();
    let files: Vec<&str> = files.split_whitespace().collect();
    assert_eq!(files[0], files[1], "as many clients as the system permits");
    assert!(herd.end().success());
}

#[test]
fn a_page_that_is_not_there_is_refused_at_start() {
    let scene = Scene::new("gw_nopage");
    let missing = scene.directory().join("missing");
    let herd = herd(&scene, &["--page"]).arg(&missing).start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(2));
    let said = herd.texts(Stream::Stderr).join("\n");
    assert!(said.contains(&*missing.to_string_lossy()), "{said}");
}

#[test]
fn a_port_that_another_program_has_is_refused_at_start() {
    let scene = Scene::new("gw_port");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let herd = herd(&scene, &["--messages", &address]).start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(4));
    let said = herd.texts(Stream::Stderr).join("\n");
    assert!(said.contains(&address), "{said}");
}

#[test]
fn clients_wait_until_the_first_workers_are_ready() {
    let scene = Scene::new("gw_early");
    let herd = herd(&scene, &["--workers", "8"]).start();
    let door = herder_e2e::message::Door::web_socket(addresses(&herd, 1)[0]);
    // From the first moment on: whoever comes early is let in a little later, and loses nothing.
    let account = Crowd::at(door).clients(30).messages(3).run();
    account.assert_all_answered();
    assert!(herd.end().success());
}
