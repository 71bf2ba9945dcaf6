//! Autobahn's cases against the gateway with workers behind it.

use herder_e2e::autobahn;
use herder_e2e::jobs::{addresses, herd};
use herder_e2e::scene::Scene;

fn play(name: &str, chapters: &[&str], least: usize) {
    let scene = Scene::new(name);
    let options = ["--workers", "2", "--echo", "--max-message", "16777216"];
    let herd = herd(&scene, &options).start();
    autobahn::play(&scene, addresses(&herd, 1)[0], chapters, least);
    assert!(herd.end().success());
}

#[test]
fn autobahns_cases_1_to_7_and_10_pass() {
    let chapters = ["1", "2", "3", "4", "5", "6", "7", "10"];
    play("autobahn", &chapters, 247);
}

#[test]
#[ignore = "limits and performance: in the long set"]
fn autobahns_cases_9_pass() {
    play("autobahn9", &["9"], 50);
}
