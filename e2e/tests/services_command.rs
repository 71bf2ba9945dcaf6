//! What `herder run --state …` and `herder sig` say and do, whatever the program is.

use herder_e2e::binary::Binary;
use herder_e2e::foreign::{BOOT, wait_for};
use herder_e2e::herd::Stream;
use herder_e2e::node::{Case, ClusterSetup, Primary};
use herder_e2e::scene::Scene;
use serde_json::{Value, json};
use std::process::Command;

/// Says hello to the library of its herd, and is ready when it was welcomed.
const VISITOR: &str = "
import json, os, signal, socket, struct
path = os.environ['HERDER_LIBRARIES'].removeprefix('herder=')
hello = json.dumps({'versions': [1, 1], 'language': 'python', 'app': os.environ['HERDER_APP'],
  'herd': os.environ['HERDER_HERD'], 'part': 'worker', 'slot': 0, 'worker': int(os.environ['HERDER_WORKER_ID']),
  'pid': os.getpid(), 'codecs': ['json'], 'hash': ''}).encode()
library = socket.socket(socket.AF_UNIX)
library.connect(path)
library.sendall(struct.pack('<IBBHQ', len(hello) + 12, 1, 0, 0, 0) + hello)
print('answer', library.recv(5)[4], flush=True)
signal.pause()
";

#[test]
fn a_library_tells_what_it_offers() {
    let scene = Scene::new("srv_sig");
    let setup = ClusterSetup::new(&scene, Primary::Herder, Case::USUAL[2], "services.js", 1);
    let cluster = setup.options(&["--bus"]).start();
    let mut one = cluster.actor(1);
    let place = one.run("return process.env.HERDER_LIBRARIES;");
    let socket = place.as_str().and_then(|it| it.strip_prefix("herder="));
    let socket = socket.expect("there is one library");
    let ask = |arguments: &[&str]| {
        let herder = Binary::HERDER.path();
        let asked = Command::new(herder).arg("sig").args(arguments).output();
        let output = asked.expect("it can be started");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("plain");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (status, json, _) = ask(&[socket]);
    assert_eq!(status, Some(0));
    let signature: Value = serde_json::from_str(&json).expect("it is JSON");
    let kind = &signature["objects"]["state"]["methods"]["watch"]["kind"];
    assert_eq!(
        (&signature["library"], kind),
        (&json!("herder"), &json!("state"))
    );
    let (status, types, _) = ask(&["--ts", socket]);
    assert_eq!(status, Some(0));
    let watch = "  watch(space: string, prefix: string, options?: CallOptions): Subscription<";
    assert!(types.contains(watch), "{types}");
    cluster.end();
    let (status, _, error) = ask(&[socket]);
    assert_eq!(status, Some(1));
    assert!(error.starts_with("herder: there is no \"/"), "{error}");
}

#[test]
fn the_built_in_library_has_the_workers_rights_and_takes_their_calls() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can start workers of another user");
        return;
    }
    let scene = Scene::new("srv_user");
    let setup = scene.herd(Binary::HERDER).args(["run", "-i", "1"]);
    let setup = setup.args(["--user", "nobody", "--cwd", "/", "--state", "s=memory"]);
    let setup = setup.args(["--name", "web", "--ready-after", "100ms", "--"]);
    let herd = setup.args(["/usr/bin/python3", "-c", VISITOR]).start();
    wait_for(&herd, 0, 1, "ready", BOOT);
    herd.wait_for_line("it was welcomed", BOOT, |line| {
        line.ends_with("answer 2").then_some(())
    });
    let library = herd.titled("herder: library web/herder").remove(0);
    let status = std::fs::read_to_string(format!("/proc/{}/status", library.pid));
    let status = status.expect("it lives");
    let rights = status.lines().find(|line| line.starts_with("Uid:"));
    assert!(rights.is_some_and(|line| !line.contains("\t0")), "{status}");
    assert_eq!(herd.end().code(), Some(0));
}

#[test]
fn what_cannot_be_shared_is_said_at_once() {
    let scene = Scene::new("srv_wrong");
    for (options, expected) in [
        (
            &["--state", "s=disk"][..],
            "none of memory, file:PATH and store",
        ),
        (&["--state", "s=store"], "--store redis://127.0.0.1:6379"),
        (
            &["--state", "s=file:/none/a.redb"],
            "--state \"/none/a.redb\"",
        ),
        (&["--job", "a=every day"], "is no timing such as"),
        (
            &["--bus", "--library", "herder=/bin/true"],
            "choose another name",
        ),
    ] {
        let setup = scene.herd(Binary::HERDER).arg("run").args(options);
        let herd = setup.args(["--", "sleep", "600"]).start();
        assert_eq!(herd.wait_for_exit(BOOT).code(), Some(2), "{options:?}");
        let lines = herd.texts(Stream::Stderr);
        assert!(
            lines.iter().any(|line| line.contains(expected)),
            "{options:?}: {lines:#?}"
        );
    }
}

#[test]
fn a_file_that_is_none_of_ours_ends_the_herd_and_is_named() {
    let scene = Scene::new("srv_file");
    let path = scene.directory().join("s.redb");
    std::fs::write(&path, "no database".repeat(1000)).expect("a file");
    let state = format!("s=file:{}", path.display());
    let setup = scene.herd(Binary::HERDER).args(["run", "--state", &state]);
    let setup = setup.args(["--max-restarts", "1", "--", "sleep", "600"]);
    let herd = setup.start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(3));
    let lines = herd.texts(Stream::Stderr);
    let why = |line: &String| line.starts_with("    | ") && line.contains("s.redb");
    assert!(lines.iter().any(why), "{lines:#?}");
    std::fs::remove_file(path).expect("ours");
}
