//! Libraries are there before the workers and after them, and the workers outlive their deaths.

use herder_e2e::foreign::{self, BOOT, freeze};
use herder_e2e::herd::{Herd, Stream};
use herder_e2e::library::{ask, herd, wait_for};
use herder_e2e::process::Process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The sockets of libraries in the scene's private directories, with their inodes.
fn sockets(scene: &Scene) -> Vec<(PathBuf, u64)> {
    let directories = std::fs::read_dir(scene.directory()).into_iter().flatten();
    let files = directories
        .flatten()
        .filter_map(|entry| std::fs::read_dir(entry.path()).ok())
        .flatten()
        .flatten();
    let socket = |path: PathBuf| {
        let found = std::fs::symlink_metadata(&path).ok()?;
        let is_socket = found.file_type().is_socket() && found.mode() & 0o777 == 0o600;
        is_socket.then(|| (path, found.ino()))
    };
    files.filter_map(|entry| socket(entry.path())).collect()
}

/// The place of the first line that has `text` in it.
fn place_of(herd: &Herd, text: &str) -> usize {
    let lines = herd.texts(Stream::Stderr);
    let place = lines.iter().position(|line| line.contains(text));
    place.unwrap_or_else(|| panic!("no {text:?} in {lines:#?}"))
}

#[test]
fn libraries_are_ready_before_a_worker_is_started() {
    let scene = Scene::new("lib_start");
    let began = Instant::now();
    let options = ["--library", "core", "--library", "b-2", "--setup", "3000"];
    let herd = herd(&scene, &options).start();
    let ready = wait_for(&herd, 0, 2, "ready", BOOT);
    assert!(
        began.elapsed() >= Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    let workers = foreign::wait_for(&herd, 0, 2, "ready", BOOT);
    assert_eq!(workers.iter().map(|worker| worker.id).max(), Some(2));
    for name in ["core", "b-2"] {
        let of_it = ready.iter().find(|life| life.name == name).expect("both");
        let pid = of_it.pid;
        assert_eq!(
            ask(&herd, &format!("who {name}")),
            format!("pid:{pid} epoch:1 calls:1")
        );
        let ready = place_of(&herd, &format!("library {name} #1 [{pid}] ready"));
        assert!(ready < place_of(&herd, "worker 0 #1"), "{name}");
        assert_eq!(
            Process::of(pid).map(|it| it.title),
            Some(format!("herder: library test-library/{name}"))
        );
    }
    assert!(ask(&herd, "who nobody").starts_with("error NoObject"));
    assert_eq!(sockets(&scene).len(), 2);
    assert!(herd.end().success());
    assert_eq!(
        sockets(&scene),
        [],
        "the private directory went with the herd"
    );
}

#[test]
fn a_killed_library_is_restarted_at_its_socket_and_the_workers_stay() {
    let scene = Scene::new("lib_kill");
    let herd = herd(&scene, &[]).start();
    let first = wait_for(&herd, 0, 1, "ready", BOOT).remove(0);
    let workers = foreign::wait_for(&herd, 0, 2, "ready", BOOT);
    assert!(ask(&herd, "who core").contains("epoch:1 calls:1"));
    let before = sockets(&scene);
    let mark = herd.mark();
    herd.signal_to(first.pid, Signal::KILL);
    assert_eq!(
        wait_for(&herd, mark, 1, "died: signal SIGKILL", BOOT),
        [first]
    );
    let second = wait_for(&herd, mark, 1, "ready", BOOT).remove(0);
    assert_eq!(second.epoch, 2);
    let answer = ask(&herd, "who core");
    assert_eq!(answer, format!("pid:{} epoch:2 calls:1", second.pid));
    assert_eq!(sockets(&scene), before, "nobody bound it again");
    for worker in &workers {
        assert!(Process::of(worker.pid).is_some_and(|it| it.is_alive()));
    }
    assert!(herd.end().success());
}

#[test]
fn a_stopped_library_is_noticed_by_its_silence_and_replaced() {
    let scene = Scene::new("lib_stop");
    let herd = herd(&scene, &["--hang", "1000"]).start();
    let first = wait_for(&herd, 0, 1, "ready", BOOT).remove(0);
    foreign::wait_for(&herd, 0, 2, "ready", BOOT);
    let mark = herd.mark();
    freeze(&herd, &[first.pid]);
    let suspected = wait_for(&herd, mark, 1, "may hang: no heartbeat for", BOOT);
    assert_eq!(suspected, std::slice::from_ref(&first));
    assert_eq!(
        wait_for(&herd, mark, 1, "died: signal SIGKILL (it hung)", BOOT),
        [first]
    );
    assert_eq!(wait_for(&herd, mark, 1, "ready", BOOT)[0].epoch, 2);
    assert!(ask(&herd, "who core").contains("epoch:2"));
    assert!(herd.end().success());
}

#[test]
fn libraries_end_after_the_workers_whose_calls_they_answer() {
    let scene = Scene::new("lib_end");
    let herd = herd(&scene, &[]).start();
    let library = wait_for(&herd, 0, 1, "ready", BOOT).remove(0);
    foreign::wait_for(&herd, 0, 2, "ready", BOOT);
    let address = foreign::address(&herd);
    let slow = std::thread::spawn(move || herder_e2e::library::ask_at(address, "slow core 1500"));
    wait::until(BOOT, "the call is under way", || {
        let calls = ask(&herd, "who core");
        (!calls.ends_with("calls:1")).then_some(())
    });
    herd.signal(Signal::TERM);
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
    let answer = slow.join().expect("no panic");
    assert!(answer.contains("epoch:1"), "{answer}");
    let told = format!("library core #1 [{}] is told to leave", library.pid);
    let lines = herd.texts(Stream::Stderr);
    let last_worker = lines
        .iter()
        .rposition(|line| foreign::told(line, "ended: exit status 0").is_some());
    assert!(
        last_worker.expect("they ended") < place_of(&herd, &told),
        "{lines:#?}"
    );
    place_of(
        &herd,
        &format!("library core #1 [{}] ended: exit status 0", library.pid),
    );
}

#[test]
fn two_herds_of_one_name_do_not_meet() {
    let scenes = [Scene::new("lib_two_a"), Scene::new("lib_two_b")];
    let herds = scenes.each_ref().map(|scene| {
        // One runtime directory for both.
        herd(scene, &[])
            .env("XDG_RUNTIME_DIR", scenes[0].directory())
            .start()
    });
    let pids = herds
        .each_ref()
        .map(|herd| wait_for(herd, 0, 1, "ready", BOOT)[0].pid);
    for (herd, pid) in herds.iter().zip(pids) {
        foreign::wait_for(herd, 0, 2, "ready", BOOT);
        for _ in 0..4 {
            let answer = ask(herd, "who core");
            assert!(
                answer.starts_with(&format!("pid:{pid} ")),
                "{answer} of {pids:?}"
            );
        }
    }
    for herd in herds {
        assert!(herd.end().success());
    }
}

#[test]
fn r28_timed_nothing_is_left_when_keeper_and_master_are_killed_together() {
    wait::timed(Duration::from_secs(3), || {
        let scene = Scene::new("lib_orphan");
        let herd = herd(&scene, &["--grace", "2000"]).start();
        wait_for(&herd, 0, 1, "ready", BOOT);
        foreign::wait_for(&herd, 0, 2, "ready", BOOT);
        assert!(ask(&herd, "who core").contains("epoch:1"));
        let master = herd.master().expect("a master").pid;
        herd.signal_to(herd.pid(), Signal::STOP);
        herd.signal_to(master, Signal::KILL);
        herd.signal_to(herd.pid(), Signal::KILL);
        let begun = Instant::now();
        wait::until(BOOT, "all are gone", || {
            herd.descendants().is_empty().then_some(())
        });
        begun.elapsed()
    });
}
