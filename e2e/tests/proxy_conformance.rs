//! Autobahn's cases, played by kosoku through a proxy against workers that know nothing but `PORT`.

use herder_e2e::binary::Binary;
use herder_e2e::foreign::{BOOT, address, installed, run, wait_for};
use herder_e2e::scene::Scene;
use std::process::{Command, Stdio};

/// A WebSocket server that answers each message with itself.
const TEST_ECHO: Binary = Binary::new("herder-e2e", "test-echo");

/// Plays the cases of these chapters, and fails the test when one of them fails, or fewer than `least` were
/// played.
#[expect(clippy::print_stdout, reason = "what a failure is judged by")]
fn play(name: &str, chapters: &[&str], least: usize) {
    let scene = Scene::new(name);
    let program = TEST_ECHO.path().display().to_string();
    let options = ["-l", "127.0.0.1:0", "-i", "2", "--dispatch", "proxy"];
    let herd = run(&scene, &options, &[program.as_str()]).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    let mut kosoku = Command::new(installed("kosoku"));
    for chapter in chapters {
        kosoku.args(["--include", &format!("{chapter}.*")]);
    }
    let played = kosoku
        .args(["--parallelism", "4", "--outdir"])
        .arg(scene.directory().join("reports"))
        .arg(address(&herd).to_string())
        .stdin(Stdio::null())
        .output()
        .expect("it was installed");
    let said = String::from_utf8_lossy(&played.stdout);
    let failures = String::from_utf8_lossy(&played.stderr);
    println!("{said}");
    assert!(played.status.success(), "{said}{failures}");
    let passed = said.lines().find_map(|line| {
        let count = line.strip_suffix(" cases passed")?;
        count.parse::<usize>().ok()
    });
    assert!(passed.is_some_and(|count| count >= least), "{said}");
    assert!(herd.end().success());
}

#[test]
#[ignore = "all of them: in the long set"]
fn autobahns_cases_1_to_7_and_10_pass_through_a_proxy() {
    let chapters = ["1", "2", "3", "4", "5", "6", "7", "10"];
    play("proxy_autobahn", &chapters, 247);
}

#[test]
#[ignore = "limits and performance: in the long set"]
fn autobahns_cases_9_pass_through_a_proxy() {
    play("proxy_autobahn9", &["9"], 50);
}
