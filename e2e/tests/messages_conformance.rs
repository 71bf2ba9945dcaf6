//! Autobahn's cases, played by kosoku against the gateway with workers behind it.

use herder_e2e::foreign::installed;
use herder_e2e::jobs::{addresses, herd};
use herder_e2e::scene::Scene;
use std::process::{Command, Stdio};

/// Plays the cases of these chapters, and fails the test when one of them fails.
#[expect(clippy::print_stdout, reason = "what a failure is judged by")]
fn play(name: &str, chapters: &[&str]) {
    let scene = Scene::new(name);
    let options = ["--workers", "2", "--echo", "--max-message", "16777216"];
    let herd = herd(&scene, &options).start();
    let mut kosoku = Command::new(installed("kosoku"));
    for chapter in chapters {
        kosoku.args(["--include", &format!("{chapter}.*")]);
    }
    let played = kosoku
        .args(["--parallelism", "4", "--outdir"])
        .arg(scene.directory().join("reports"))
        .arg(addresses(&herd, 1)[0].to_string())
        .stdin(Stdio::null())
        .output()
        .expect("it was installed");
    let said = String::from_utf8_lossy(&played.stdout);
    let failures = String::from_utf8_lossy(&played.stderr);
    println!("{said}");
    assert!(played.status.success(), "{failures}");
    let passed = said.lines().find_map(|line| {
        let count = line.strip_suffix(" cases passed")?;
        count.parse::<usize>().ok()
    });
    assert!(passed.is_some_and(|count| count >= 50), "{said}");
    assert!(herd.end().success());
}

#[test]
fn autobahns_cases_1_to_7_and_10_pass() {
    play("autobahn", &["1", "2", "3", "4", "5", "6", "7", "10"]);
}

#[test]
#[ignore = "limits and performance: in the long set"]
fn autobahns_cases_9_pass() {
    play("autobahn9", &["9"]);
}
