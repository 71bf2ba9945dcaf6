//! Libraries that are scripts or programs: `herder run --library NAME=SCRIPT`.

use herder_e2e::binary::Binary;
use herder_e2e::foreign::{self, BOOT};
use herder_e2e::herd::{Setup, Stream};
use herder_e2e::library::{ask_at, wait_for};
use herder_e2e::process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A library in Node.
const CORE: &str = "
let calls = 0;
exports.kv = {
  who() { calls += 1; return `pid:${process.pid} epoch:${process.env.HERDER_EPOCH} calls:${calls}`; },
};
";

/// A worker in Node that asks it.
const APP: &str = "
const net = require('net');
const herder = require('SDK');
const server = net.createServer(async (socket) => {
  socket.on('error', () => {});
  socket.on('end', () => {});
  socket.once('data', async () => {
    try {
      const { kv } = await herder.agent();
      socket.end(`${await kv.who()}\\n`);
    } catch (error) {
      socket.end(`error ${error.message}\\n`);
    }
  });
});
server.listen(0, '127.0.0.1');
";

/// A library that knows nothing of calls: it says that it is ready, and waits.
const PLAIN: &str = "#!/bin/sh
echo \"lib:$HERDER_LIBRARY epoch:$HERDER_EPOCH fds:$LISTEN_FDS names:$LISTEN_FDNAMES\"
printf READY=1 >&4
exec sleep 600
";

fn run(scene: &Scene, options: &[&str]) -> Setup {
    let setup = scene.herd(Binary::HERDER).arg("run").args(options);
    setup.directory(scene.directory())
}

fn write(scene: &Scene, name: &str, text: &str) {
    let path = scene.directory().join(name);
    fs::write(&path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
}

#[test]
fn a_node_program_calls_its_library_and_the_next_life_of_it() {
    let scene = Scene::new("lib_node");
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/node");
    write(&scene, "core.js", CORE);
    write(&scene, "app.js", &APP.replace("SDK", sdk));
    let herd = run(&scene, &["-i", "2", "--library", "core=core.js", "app.js"]).start();
    let first = wait_for(&herd, 0, 1, "ready", BOOT).remove(0);
    foreign::wait_for(&herd, 0, 2, "ready", BOOT);
    let address = foreign::address(&herd);
    let expected = format!("pid:{} epoch:1 calls:1", first.pid);
    assert_eq!(ask_at(address, "who"), expected);
    let mark = herd.mark();
    herd.signal_to(first.pid, Signal::KILL);
    let second = wait_for(&herd, mark, 1, "ready", BOOT).remove(0);
    let expected = format!("pid:{} epoch:2", second.pid);
    wait::until(BOOT, "it answers", || {
        ask_at(address, "who").starts_with(&expected).then_some(())
    });
    assert!(herd.end().success());
}

#[test]
fn r28_a_script_does_not_outlive_keeper_and_master() {
    let scene = Scene::new("lib_alone");
    write(&scene, "core.js", CORE);
    write(
        &scene,
        "app.js",
        "require('net').createServer().listen(0, '127.0.0.1');",
    );
    let options = [
        "-i",
        "1",
        "--grace",
        "2s",
        "--no-node-shim",
        "--library",
        "core=core.js",
    ];
    let herd = run(&scene, &options).arg("app.js").start();
    wait_for(&herd, 0, 1, "ready", BOOT);
    foreign::wait_for(&herd, 0, 1, "ready", BOOT);
    let master = herd.master().expect("a master").pid;
    herd.signal_to(herd.pid(), Signal::STOP);
    herd.signal_to(master, Signal::KILL);
    herd.signal_to(herd.pid(), Signal::KILL);
    wait::until(BOOT, "all are gone", || {
        herd.descendants().is_empty().then_some(())
    });
    // Nobody is left who could remove it.
    let directories = fs::read_dir(scene.directory())
        .expect("it is there")
        .flatten();
    for directory in
        directories.filter(|it| it.file_name().to_string_lossy().starts_with("herder-"))
    {
        fs::remove_dir_all(directory.path()).expect("ours");
    }
}

#[test]
fn a_program_that_knows_nothing_of_herder_has_libraries_too() {
    let scene = Scene::new("lib_plain");
    write(&scene, "plain", PLAIN);
    let options = [
        "-i",
        "1",
        "--ready-after",
        "100ms",
        "--library",
        "core=plain",
    ];
    let herd = run(&scene, &options).args(["--", "sleep", "600"]).start();
    let library = wait_for(&herd, 0, 1, "ready", BOOT).remove(0);
    let worker = foreign::wait_for(&herd, 0, 1, "ready", BOOT)[0];
    let said = format!(
        "/core #1 [{}] lib:core epoch:1 fds:1 names:library",
        library.pid
    );
    herd.wait_for_line("what it inherits", BOOT, |line| {
        line.ends_with(&said).then_some(())
    });
    let entries = fs::read(format!("/proc/{}/environ", worker.pid)).expect("it lives");
    let entries = String::from_utf8(entries).expect("plain");
    let libraries = entries
        .split('\0')
        .find(|it| it.starts_with("HERDER_LIBRARIES=core=/"));
    assert!(
        libraries.is_some_and(|it| it.ends_with("/core.sock")),
        "{entries:?}"
    );
    let herd_id = entries
        .split('\0')
        .find_map(|it| it.strip_prefix("HERDER_HERD="));
    assert_eq!(herd_id.map(str::len), Some(32));
    assert!(process::environment_holds(
        library.pid,
        "HERDER_NOTIFY_FD=4"
    ));
    assert!(herd.end().success());
}

#[test]
fn a_script_that_throws_at_its_start_says_so_in_the_end() {
    let scene = Scene::new("lib_throws");
    write(&scene, "core.js", "throw new Error('no database');");
    let options = ["--library", "core=core.js", "--max-restarts", "1"];
    let herd = run(&scene, &options).args(["--", "sleep", "600"]).start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(3));
    let lines = herd.texts(Stream::Stderr);
    let why = |line: &String| line.starts_with("    | ") && line.contains("no database");
    assert!(lines.iter().any(why), "{lines:#?}");
}

#[test]
fn what_is_no_library_is_said_at_once() {
    let scene = Scene::new("lib_wrong");
    write(&scene, "core.js", CORE);
    fs::write(scene.directory().join("text"), "no program").expect("a file");
    for (library, expected) in [
        ("core", "write NAME=SCRIPT"),
        ("Core=core.js", "is not the name of a library"),
        ("core=missing.js", "cannot read the script"),
        ("core=text", "it is not executable"),
    ] {
        let herd = run(&scene, &["--library", library, "--", "sleep", "600"]).start();
        assert_eq!(herd.wait_for_exit(BOOT).code(), Some(2), "{library}");
        let lines = herd.texts(Stream::Stderr);
        assert!(
            lines.iter().any(|line| line.contains(expected)),
            "{library}: {lines:#?}"
        );
    }
    let twice = [
        "--library",
        "a=core.js",
        "--library",
        "a=core.js",
        "--",
        "sleep",
        "600",
    ];
    let herd = run(&scene, &twice).start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(2));
    let lines = herd.texts(Stream::Stderr);
    assert!(
        lines
            .iter()
            .any(|line| line.contains("library a is named twice")),
        "{lines:#?}"
    );
}
