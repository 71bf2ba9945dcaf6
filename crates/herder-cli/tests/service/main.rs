//! The daemon as a service, before a service manager that a test plays; and the commands that make it one.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod setup;

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take here.
const LIMIT: Duration = Duration::from_secs(60);

/// A directory, with what the test needs in it.
struct Scene(PathBuf);

impl Scene {
    fn new() -> Scene {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("herder-service-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Scene(path.canonicalize().unwrap())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herder"));
        command
            .args(args)
            .env("HERDER_HOME", self.0.join("home"))
            .env_remove("NOTIFY_SOCKET")
            .current_dir(&self.0)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn json(&self, args: &[&str]) -> serde_json::Value {
        let ran = self.run(args);
        assert!(ran.status.success(), "{args:?}: {ran:?}");
        serde_json::from_slice(&ran.stdout).unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The service manager, and its service.
struct Manager {
    socket: UnixDatagram,
    service: Child,
    told: Vec<String>,
}

impl Manager {
    fn start(scene: &Scene) -> Manager {
        let path = scene.0.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let service = scene
            .command(&["daemon", "--resurrect"])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "2000000")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Manager {
            socket,
            service,
            told: Vec::new(),
        }
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.service.id()).unwrap()
    }

    /// Waits for a message that has this line; what came before is forgotten with it.
    fn wait_for(&mut self, line: &str) -> String {
        let end = Instant::now() + LIMIT;
        let mut bytes = [0; 4096];
        while Instant::now() < end {
            match self.socket.recv(&mut bytes) {
                Ok(length) => {
                    let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
                    if text.lines().any(|it| it.starts_with(line)) {
                        self.told.clear();
                        return text;
                    }
                    self.told.push(text);
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => panic!("{error}"),
            }
        }
        panic!("{line} was not told, but {:?}", self.told);
    }

    fn end(mut self) -> Option<i32> {
        signal(self.pid(), Signal::TERM);
        self.wait_for("STOPPING=1");
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.service.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // After a test that has failed.
        drop(self.service.kill());
        drop(self.service.wait());
    }
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn number(value: &serde_json::Value) -> i32 {
    i32::try_from(value.as_i64().unwrap()).unwrap()
}

#[test]
fn the_manager_hears_of_readiness_reloads_and_the_end() {
    let scene = Scene::new();
    let mut manager = Manager::start(&scene);
    let ready = manager.wait_for("READY=1");
    assert!(
        ready.contains(&format!("MAINPID={}", manager.pid())),
        "{ready}"
    );
    assert!(scene.run(&["ping"]).status.success());
    manager.wait_for("WATCHDOG=1");
    signal(manager.pid(), Signal::HUP);
    let reloading = manager.wait_for("RELOADING=1");
    let micros = reloading
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(micros.unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
    let ready = manager.wait_for("READY=1");
    assert!(ready.contains("STATUS=0 apps were reloaded"), "{ready}");
    assert_eq!(manager.end(), Some(0));
}

#[test]
fn a_daemon_that_hangs_is_replaced_and_its_apps_go_on() {
    let scene = Scene::new();
    let mut manager = Manager::start(&scene);
    manager.wait_for("READY=1");
    let started = scene.run(&["start", "sleep 1000", "--name", "web"]);
    assert!(started.status.success(), "{started:?}");
    let before = scene.json(&["list", "--json"])[0]["herd"].clone();
    let completed = scene.run(&["complete"]).stdout;
    let names = String::from_utf8(completed).unwrap();
    assert!(names.lines().any(|name| name == "web"), "{names:?}");

    let hung = number(&scene.json(&["ping", "--json"])["pid"]);
    assert_ne!(hung, manager.pid(), "the guard is another process");
    signal(hung, Signal::STOP);
    // The guard itself lives, and says so meanwhile.
    manager.wait_for("WATCHDOG=1");
    manager.wait_for("READY=1");
    assert_ne!(number(&scene.json(&["ping", "--json"])["pid"]), hung);
    let end = Instant::now() + LIMIT;
    let mut after = serde_json::Value::Null;
    while after["keeper"].is_null() && Instant::now() < end {
        after = scene.json(&["list", "--json"])[0]["herd"].clone();
    }
    assert_eq!(
        (&after["keeper"], &after["master"]),
        (&before["keeper"], &before["master"])
    );

    assert!(scene.run(&["delete", "web"]).status.success());
    assert_eq!(manager.end(), Some(0));
}

#[test]
fn an_upgraded_daemon_is_heard_as_before() {
    let scene = Scene::new();
    let mut manager = Manager::start(&scene);
    manager.wait_for("READY=1");
    let before = number(&scene.json(&["ping", "--json"])["pid"]);
    signal(manager.pid(), Signal::USR2);
    let ready = manager.wait_for("READY=1");
    // The guard became the build that is installed: it is the same process.
    assert!(
        ready.contains(&format!("MAINPID={}", manager.pid())),
        "{ready}"
    );
    let after = number(&scene.json(&["ping", "--json"])["pid"]);
    assert_ne!(after, before);
    // What the new daemon proper says arrives, and that it hangs is noticed.
    signal(manager.pid(), Signal::HUP);
    manager.wait_for("RELOADING=1");
    manager.wait_for("STATUS=0 apps were reloaded");
    signal(after, Signal::STOP);
    manager.wait_for("READY=1");
    assert_ne!(number(&scene.json(&["ping", "--json"])["pid"]), after);
    assert_eq!(manager.end(), Some(0));
}

#[test]
fn apps_that_ended_with_the_daemon_start_with_the_service() {
    let scene = Scene::new();
    let mut manager = Manager::start(&scene);
    manager.wait_for("READY=1");
    for name in ["web", "rests"] {
        let started = scene.run(&["start", "sleep 1000", "--name", name]);
        assert!(started.status.success(), "{started:?}");
    }
    assert!(scene.run(&["stop", "rests"]).status.success());
    assert!(scene.run(&["kill"]).status.success());
    manager.wait_for("STOPPING=1");
    assert_eq!(manager.service.wait().unwrap().code(), Some(0));
    drop(manager);
    std::fs::remove_file(scene.0.join("notify")).unwrap();

    let mut manager = Manager::start(&scene);
    manager.wait_for("READY=1");
    let phase = |name: &str| {
        let apps = scene.json(&["list", "--json"]);
        let app = apps
            .as_array()
            .unwrap()
            .iter()
            .find(|app| app["name"] == name);
        app.unwrap()["phase"].as_str().unwrap().to_owned()
    };
    let end = Instant::now() + LIMIT;
    while phase("web") != "online" {
        assert!(Instant::now() < end, "{}", phase("web"));
    }
    assert_eq!(phase("rests"), "stopped");
    assert!(scene.run(&["delete", "all"]).status.success());
    assert_eq!(manager.end(), Some(0));
}

#[test]
fn nobody_waits_for_names_of_apps() {
    let scene = Scene::new();
    let home = scene.0.join("home");
    std::fs::create_dir_all(&home).unwrap();
    let began = Instant::now();
    assert_eq!(scene.run(&["complete"]).stdout, b"");
    assert!(!home.join("daemon.lock").exists(), "no daemon was started");
    // It listens, and never answers.
    let silent = std::os::unix::net::UnixListener::bind(home.join("herder.sock")).unwrap();
    let ran = scene.run(&["complete"]);
    assert!(
        ran.status.success() && ran.stdout.is_empty() && ran.stderr.is_empty(),
        "{ran:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(15));
    drop(silent);
}

#[test]
fn the_doctor_looks_without_a_daemon() {
    let scene = Scene::new();
    let ran = scene.run(&["doctor", "--json"]);
    let found: Vec<serde_json::Value> = serde_json::from_slice(&ran.stdout).unwrap();
    let has_problem = found.iter().any(|it| it["level"] == "problem");
    assert_eq!(ran.status.code(), Some(i32::from(has_problem)));
    let builds = found.iter().find(|it| it["subject"] == "builds").unwrap();
    assert_eq!(builds["text"], "no daemon runs");
    assert!(!scene.0.join("home").exists(), "looking changes nothing");
    let text = String::from_utf8(scene.run(&["doctor"]).stdout).unwrap();
    assert_eq!(
        text.lines()
            .filter(|line| line.contains("  kernel "))
            .count(),
        1,
        "{text}"
    );
}

/// A program in `directory` that writes down how it is called.
fn stand_in(directory: &Path, name: &str, body: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join(name);
    let log = directory.join("called");
    let text = format!("#!/bin/sh\necho \"$*\" >> {}\n{body}\n", log.display());
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
