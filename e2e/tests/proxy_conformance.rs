//! Autobahn's cases through a proxy, against workers that know nothing but `PORT`.

use herder_e2e::autobahn;
use herder_e2e::binary::Binary;
use herder_e2e::foreign::{BOOT, address, run, wait_for};
use herder_e2e::scene::Scene;

/// A WebSocket server that answers each message with itself.
const TEST_ECHO: Binary = Binary::new("herder-e2e", "test-echo");

fn play(name: &str, chapters: &[&str], least: usize) {
    let scene = Scene::new(name);
    let program = TEST_ECHO.path().display().to_string();
    let options = ["-l", "127.0.0.1:0", "-i", "2", "--dispatch", "proxy"];
    let herd = run(&scene, &options, &[program.as_str()]).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    autobahn::play(&scene, address(&herd), chapters, least);
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
