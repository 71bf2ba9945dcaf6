//! Running a herd of foreign programs: its size, its log, and what it does when something is scarce.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use herder_e2e::binary::Binary;
use herder_e2e::client::{Load, get};
use herder_e2e::foreign::{BOOT, address, examples, pid_of_body, run, wait_for};
use herder_e2e::herd::Stream;
use herder_e2e::process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

#[test]
fn ttin_and_ttou_add_and_remove_a_worker() {
    let scene = Scene::new("scale");
    let options = ["-l", "127.0.0.1:0", "-i", "3", "--grace", "5s"];
    let herd = run(&scene, &options, &["python3", "plain.py"])
        .directory(examples())
        .start();
    let address = address(&herd);
    wait_for(&herd, 0, 3, "ready", BOOT);
    let load = Load::http(address, "/slow/10")
        .clients(4)
        .worker_from(pid_of_body)
        .start();
    herd.signal(Signal::TTIN);
    let added = wait_for(&herd, 0, 4, "ready", BOOT)[3];
    assert_eq!((added.slot, added.id), (3, 4));
    load.wait_for_answers(50, BOOT);
    herd.signal(Signal::TTOU);
    let left = wait_for(
        &herd,
        0,
        1,
        "ended: exit status 0 (fewer workers are wanted)",
        BOOT,
    );
    assert_eq!(left, [added]);
    load.wait_for_answers(50, BOOT);
    load.stop_and_finish().assert_no_failure();
    for change in ["from 3 to 4", "from 4 to 3"] {
        herd.wait_for_line(change, BOOT, |line| line.contains(change).then_some(()));
    }
    assert!(herd.end().success());
}

#[test]
fn a_herd_of_one_does_not_shrink_and_says_so() {
    let scene = Scene::new("shrink");
    let herd = run(
        &scene,
        &["-i", "1", "--ready-after", "100ms"],
        &["sleep", "600"],
    )
    .start();
    wait_for(&herd, 0, 1, "ready", BOOT);
    herd.signal(Signal::TTOU);
    herd.wait_for_line("why not", BOOT, |line| {
        (line.contains("warning: ") && line.contains("1 to 256 workers, not 0")).then_some(())
    });
    assert!(herd.end().success());
}

#[test]
fn json_is_one_object_a_line() {
    let scene = Scene::new("json");
    let options = [
        "--json",
        "-l",
        "127.0.0.1:0",
        "-i",
        "2",
        "--ready-after",
        "300ms",
    ];
    let program = [
        "sh",
        "-c",
        "printf 'quote \" back\\\\ \\377 tab\\t\\n'; echo worse >&2; exec sleep 600",
    ];
    let herd = run(&scene, &options, &program).start();
    let has =
        |line: &str, key: &str, value: &str| parse(line).is_some_and(|object| object[key] == value);
    let pid = herd.wait_for_line("a ready worker", BOOT, |line| {
        let object = parse(line).filter(|object| object["event"] == "ready")?;
        object["pid"].as_i64()
    });
    herd.wait_for_line("what a worker printed", BOOT, |line| {
        has(line, "line", "quote \" back\\ \u{fffd} tab\t").then_some(())
    });
    herd.signal_to(i32::try_from(pid).unwrap(), Signal::KILL);
    herd.wait_for_line("its death", BOOT, |line| {
        (has(line, "event", "exited") && has(line, "signal", "SIGKILL")).then_some(())
    });
    herd.signal(Signal::TERM);
    assert!(herd.wait_for_exit(BOOT).success());
    for line in herd.lines() {
        let object = parse(&line.text).unwrap_or_else(|| panic!("no JSON object: {:?}", line.text));
        for key in ["time", "app", "event"] {
            assert!(object[key].is_string(), "{key}: {object}");
        }
        assert!(object["mono_us"].is_u64(), "{object}");
    }
    let events: Vec<String> = herd
        .lines()
        .iter()
        .map(|line| parse(&line.text).unwrap()["event"].to_string())
        .collect();
    for event in [
        "listening",
        "dispatch_chosen",
        "forked",
        "shutting_down",
        "finished",
    ] {
        assert!(
            events.contains(&format!("\"{event}\"")),
            "{event}: {events:?}"
        );
    }
}

fn parse(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok().filter(Value::is_object)
}

/// Prints a mebibyte of lines before every answer.
const LOUD: &str = r"
import os, socket, sys
listener = socket.socket(fileno=3)
while True:
    connection, _ = listener.accept()
    connection.recv(65536)
    sys.stdout.write(('x' * 127 + '\n') * 8192)
    sys.stdout.flush()
    body = b'pid:%d worker:-' % os.getpid()
    connection.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
    connection.close()
";

#[test]
fn r43_a_log_that_nobody_reads_stops_nobody() {
    let scene = Scene::new("stuck_log");
    let fifo = scene.directory().join("log");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
    // With a reader at hand the herd can open it; what it writes stays unread for now.
    let reader = rustix::fs::open(&fifo, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap();
    let herd = scene
        .program("sh")
        .args(["-c", "exec \"$@\" >log 2>&1", "sh"])
        .arg(Binary::HERDER.path())
        .args([
            "run",
            "-n",
            "loud",
            "-l",
            "127.0.0.1:0",
            "-i",
            "2",
            "--ready-after",
            "300ms",
        ])
        .args(["--", "python3", "-c", LOUD])
        .start();
    let mut log = Log {
        reader: BufReader::new(File::from(reader)),
        begun: String::new(),
    };
    let address: SocketAddr = log
        .find("listening on ")
        .split_once("listening on ")
        .unwrap()
        .1
        .trim()
        .parse()
        .unwrap();
    // The pipe holds 64 KiB, the herd a mebibyte for each worker: most of these 30 are too much.
    let load = Load::http(address, "/")
        .clients(4)
        .count(30)
        .timeout(BOOT)
        .worker_from(pid_of_body);
    load.run().assert_no_failure();
    let told = log.find("could not be written");
    assert!(told.contains("was lost"), "{told}");
    herd.signal(Signal::TERM);
    log.find("every worker has ended");
    assert!(herd.end().success());
    std::fs::remove_file(fifo).unwrap();
}

/// The log, read when a test wants to, and hardly further than it wants to.
struct Log {
    reader: BufReader<File>,
    /// The part of the next line that has come.
    begun: String,
}

impl Log {
    /// The first line from here on that contains `text`.
    fn find(&mut self, text: &str) -> String {
        wait::until(BOOT, text, || {
            std::iter::from_fn(|| self.next()).find(|line| line.contains(text))
        })
    }

    /// The next line; `None` when it is not whole yet.
    fn next(&mut self) -> Option<String> {
        // Without a whole line there is either nothing more yet (EAGAIN), or never.
        let read = self.reader.read_line(&mut self.begun);
        let whole = read.is_ok() && self.begun.ends_with('\n');
        whole.then(|| std::mem::take(&mut self.begun))
    }
}

/// Starts `herder run OPTIONS -- python3 plain.py` with few descriptors for itself and all its workers.
fn with_few_descriptors(scene: &Scene, limit: &str, options: &[&str]) -> herder_e2e::herd::Herd {
    scene
        .program("sh")
        .args(["-c", "ulimit -n $0 && exec \"$@\"", limit])
        .arg(Binary::HERDER.path())
        .arg("run")
        .args(options)
        .args(["--", "python3", "plain.py"])
        .directory(examples())
        .start()
}

#[test]
fn r44_a_herd_outlives_more_connections_than_it_has_descriptors() {
    let scene = Scene::new("few");
    let options = ["-l", "127.0.0.1:0", "-i", "3", "--grace", "5s"];
    let herd = with_few_descriptors(&scene, "48", &options);
    let address = address(&herd);
    let workers = wait_for(&herd, 0, 3, "ready", BOOT);
    // 240 at once, where three workers hold some 40 each.
    let load = Load::http(address, "/slow/300")
        .clients(240)
        .count(480)
        .timeout(BOOT)
        .worker_from(pid_of_body);
    load.run().assert_no_failure();
    for worker in &workers {
        assert!(process::Process::of(worker.pid).is_some_and(|it| it.is_alive()));
    }
    assert!(get(address, "/").is_ok());
    assert!(herd.end().success());
}

#[test]
fn r16_a_herd_that_has_too_few_descriptors_to_grow_goes_on_serving() {
    let scene = Scene::new("no_room");
    let options = ["-l", "127.0.0.1:0", "-i", "3", "--grace", "5s"];
    let herd = with_few_descriptors(&scene, "48", &options);
    let address = address(&herd);
    wait_for(&herd, 0, 3, "ready", BOOT);
    let master = wait::until(BOOT, "the master", || herd.master()).pid;
    let full = || {
        herd.signal(Signal::TTIN);
        let lines = herd.texts(Stream::Stderr);
        lines
            .iter()
            .any(|line| line.contains("could not be started"))
            .then_some(())
    };
    wait::until(BOOT, "there is no room for one more", full);
    let before = process::descriptors(master).unwrap().len();
    Load::http(address, "/")
        .count(100)
        .worker_from(pid_of_body)
        .run()
        .assert_no_failure();
    // It tries again and again, and each failure closes what it had opened.
    wait_for_failures(&herd, 6);
    wait::until(BOOT, "as few descriptors as before", || {
        let now = process::descriptors(master).unwrap().len();
        (now <= before.max(47)).then_some(())
    });
    assert!(herd.end().success());
}

fn wait_for_failures(herd: &herder_e2e::herd::Herd, count: usize) {
    let mut seen = 0;
    herd.wait_for_line("more failures", BOOT, |line| {
        seen += usize::from(line.contains("could not be started"));
        (seen >= count).then_some(())
    });
}

#[test]
fn a_unix_listener_serves_and_is_removed() {
    let scene = Scene::new("unix");
    let path = scene.directory().join("web.sock");
    let listen = format!("unix:{}", path.display());
    let options = ["-l", &*listen, "-i", "2", "--unix-mode", "640"];
    let herd = run(&scene, &options, &["python3", "plain.py"])
        .directory(examples())
        .start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    assert_eq!(mode(&path), 0o640);
    let load = Load::http(herder_e2e::client::Target::Unix(path.clone()), "/slow/5");
    let load = load.clients(4).count(40).worker_from(pid_of_body);
    load.run().assert_no_failure();
    assert!(herd.end().success());
    assert!(!path.exists());
}

fn mode(path: &Path) -> u32 {
    let found = std::fs::metadata(path).unwrap();
    std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o777
}

#[test]
fn a_worker_that_reached_its_age_is_replaced_without_a_failed_request() {
    let scene = Scene::new("lifetime");
    let options = [
        "-l",
        "127.0.0.1:0",
        "-i",
        "2",
        "--max-lifetime",
        "1s",
        "--grace",
        "5s",
    ];
    let herd = run(&scene, &options, &["python3", "plain.py"])
        .directory(examples())
        .start();
    let address = address(&herd);
    wait_for(&herd, 0, 2, "ready", BOOT);
    let load = Load::http(address, "/slow/10")
        .clients(4)
        .timeout(Duration::from_secs(10))
        .worker_from(pid_of_body)
        .start();
    wait_for(
        &herd,
        0,
        3,
        "ended: exit status 0 (it reached max_lifetime)",
        BOOT,
    );
    load.stop_and_finish().assert_no_failure();
    assert!(herd.end().success());
}
