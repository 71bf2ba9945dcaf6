//! What a foreign program is started with: exactly what is documented, and never through a shell unasked.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use herder_e2e::binary::Binary;
use herder_e2e::foreign::{BOOT, Seat, run, wait_for};
use herder_e2e::process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// What the worker was executed with, as the kernel kept it: variables, or arguments.
fn texts(worker: Seat, file: &str) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{}/{file}", worker.pid)).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// Signals 32 and 33, which the C library keeps to itself: nobody can change them, so they are the caller's.
const C_LIBRARYS_OWN: u64 = 0b11 << 31;

fn status(worker: Seat, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{}/status", worker.pid)).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap().trim().to_owned()
}

#[test]
fn r53_a_workers_environment_is_the_callers_and_what_is_documented() {
    let scene = Scene::new("environment");
    let runtime = scene.directory().to_string_lossy().into_owned();
    let callers = [
        ("FLAVOUR", "vanilla"),
        ("PATH", "/usr/bin:/bin"),
        ("XDG_RUNTIME_DIR", &runtime),
    ];
    let misleading = [
        "HERDER_ROLE=worker@other",
        "LISTEN_FDS=7",
        "LISTEN_PID=1",
        "NOTIFY_SOCKET=/nowhere",
        "WATCHDOG_USEC=1",
        "WATCHDOG_PID=1",
        "NODE_CHANNEL_FD=3",
        "NODE_UNIQUE_ID=1",
        "HERDER_SLOT=99",
    ];
    let herd = scene
        .program("env")
        .arg("-i")
        .args(callers.map(|(name, value)| format!("{name}={value}")))
        .args(misleading)
        .arg(Binary::HERDER.path())
        .args("run -n web -l 127.0.0.1:0 -l unix:web.sock -i 2".split(' '))
        .args("--ready-after 100ms --watchdog 30s -- sleep 600".split(' '))
        .start();
    for worker in wait_for(&herd, 0, 2, "ready", BOOT) {
        let variables = texts(worker, "environ");
        let pairs = variables.iter().map(|text| text.split_once('=').unwrap());
        let mut found: BTreeMap<&str, &str> = pairs.collect();
        assert_eq!(found.len(), variables.len(), "one is twice: {variables:?}");
        let notify = found.remove("NOTIFY_SOCKET").unwrap();
        assert!(notify.starts_with(&runtime), "{notify}");
        assert!(notify.ends_with(&format!("/notify-{}", worker.id)));
        let (id, pid) = (worker.id.to_string(), worker.pid.to_string());
        let slot = worker.slot.to_string();
        let mut expected = BTreeMap::from(callers);
        expected.extend([
            ("HERDER_APP", "web"),
            ("HERDER_SLOT", &slot),
            ("HERDER_WORKER_ID", &id),
            ("LISTEN_FDNAMES", "listener-0:listener-1"),
            ("LISTEN_FDS", "2"),
            ("LISTEN_PID", &pid),
            ("NODE_APP_INSTANCE", &slot),
            ("WATCHDOG_USEC", "30000000"),
        ]);
        assert_eq!(found, expected);
    }
    assert!(herd.end().success());
}

#[test]
fn r53_a_worker_has_its_streams_its_listeners_and_no_other_descriptor() {
    let scene = Scene::new("descriptors");
    let options = [
        "-l",
        "127.0.0.1:0",
        "-l",
        "unix:d.sock",
        "-i",
        "3",
        "--ready-after",
        "100ms",
    ];
    let herd = run(&scene, &options, &["sleep", "600"]).start();
    let workers = wait_for(&herd, 0, 3, "ready", BOOT);
    let mut pipes = BTreeSet::new();
    for worker in &workers {
        let found = process::descriptors(worker.pid).unwrap();
        let kinds: Vec<(i32, &str)> = found
            .iter()
            .map(|(number, target)| (*number, target.split(':').next().unwrap()))
            .collect();
        let expected = [
            (0, "/dev/null"),
            (1, "pipe"),
            (2, "pipe"),
            (3, "socket"),
            (4, "socket"),
        ];
        assert_eq!(kinds, expected);
        pipes.extend([found[&1].clone(), found[&2].clone()]);
        assert_eq!(
            (&found[&3], &found[&4]),
            listeners(workers[0]).each_ref().into()
        );
    }
    assert_eq!(pipes.len(), 6, "no pipe is shared: {pipes:?}");
    assert!(herd.end().success());
}

fn listeners(worker: Seat) -> [String; 2] {
    let found = process::descriptors(worker.pid).unwrap();
    [found[&3].clone(), found[&4].clone()]
}

#[test]
fn r53_a_worker_starts_with_usual_signals_limits_and_scheduling_and_gains_no_rights() {
    let scene = Scene::new("state");
    let options = ["-l", "127.0.0.1:0", "-i", "1", "--ready-after", "100ms"];
    let herd = run(&scene, &options, &["sleep", "600"]).start();
    let worker = wait_for(&herd, 0, 1, "ready", BOOT)[0];
    for key in ["SigBlk", "SigIgn", "SigPnd", "ShdPnd"] {
        let set = u64::from_str_radix(&status(worker, key), 16).unwrap();
        assert_eq!(set & !C_LIBRARYS_OWN, 0, "{key}: {set:x}");
    }
    assert_eq!(status(worker, "NoNewPrivs"), "1");
    let files = |pid: &str| {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        line.unwrap().to_owned()
    };
    assert_eq!(
        files(&worker.pid.to_string()),
        files("self"),
        "the caller's limit"
    );
    let group = process::Process::of(worker.pid).unwrap().group;
    assert_eq!(group, worker.pid, "a process group of its own");
    // Inherited listeners block, as systemd's do.
    let info = fs::read_to_string(format!("/proc/{}/fdinfo/3", worker.pid)).unwrap();
    let flags = info
        .lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .unwrap();
    let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
    const NONBLOCK: u32 = 0o4000;
    const CLOEXEC: u32 = 0o2_000_000;
    assert_eq!(flags & (NONBLOCK | CLOEXEC), 0, "{flags:o}");
    assert!(herd.end().success());
}

#[test]
fn r54_arguments_go_through_no_shell() {
    let scene = Scene::new("no_shell");
    let program = [
        "python3",
        "-c",
        "import time; time.sleep(600)",
        "$(touch x)",
        "; touch x",
        "`touch x`",
        "*",
        "a  b",
        "",
    ];
    let options = ["-i", "1", "-n", "shell", "--ready-after", "100ms"];
    let herd = run(&scene, &options, &program).start();
    let worker = wait_for(&herd, 0, 1, "ready", BOOT)[0];
    // What is called python3 may be a script that looks for the real one.
    let found = texts(worker, "cmdline");
    assert!(
        found
            .iter()
            .skip(1)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .ends_with(&program[1..]),
        "{found:?}"
    );
    assert!(!scene.directory().join("x").exists());
    assert!(herd.end().success());
}

#[test]
fn r54_one_text_with_blanks_is_a_command_line() {
    let scene = Scene::new("one_text");
    let command = "touch \"$(echo x)\" && exec sleep 600";
    let herd = run(&scene, &["-i", "1", "--ready-after", "100ms"], &[command]).start();
    let worker = wait_for(&herd, 0, 1, "ready", BOOT)[0];
    wait::until(BOOT, "the shell has done its work", || {
        (texts(worker, "cmdline") == ["sleep", "600"]).then_some(())
    });
    assert!(scene.directory().join("x").exists());
    assert!(herd.end().success());
}
