//! Programs that know nothing but `PORT` are replaced under load, again and again: no request fails, and whoever
//! serves afterwards is new.

#![expect(clippy::print_stdout, reason = "what a failure is judged by")]

use herder_e2e::client::Load;
use herder_e2e::foreign::BOOT;
use herder_e2e::proxy::{NODE, PHP, PYTHON, Three, examples, replace_all};
use herder_e2e::scene::Scene;
use std::process::Command;

const TIMES: usize = 20;

/// All kinds of clients: those that keep their connection and those that come anew, with what may be done twice and
/// with what may not. Some requests take a while, so that a worker that is to leave has one.
fn loads(three: &Three) -> [Load; 4] {
    let reads = three.load().clients(2).rarely(50, "/slow/30");
    let posts = three.posts().clients(2);
    [
        reads.clone().keep_alive(),
        reads,
        posts.clone().keep_alive(),
        posts,
    ]
}

/// Reloads this program twenty times under load.
fn loses_nothing(scene: &Scene, program: &[&str]) {
    let three = Three::new(scene, &["--soak", "0", "--surge", "3"], program);
    let running = loads(&three).map(Load::start);
    let mut serving = three.pids();
    for _ in 0..TIMES {
        for load in &running {
            load.wait_for_answers(10, BOOT);
        }
        serving = replace_all(&three.herd, &serving, &three.load());
    }
    for load in &running {
        load.wait_for_answers(10, BOOT);
    }
    for load in running {
        let ledger = load.stop_and_finish();
        println!("{ledger}");
        ledger.assert_no_failure();
    }
    assert!(three.herd.end().success());
}

#[test]
fn r31_twenty_reloads_under_load_lose_no_request_of_node_programs() {
    loses_nothing(&Scene::new("proxy_reload_node"), &NODE);
}

#[test]
fn r31_twenty_reloads_under_load_lose_no_request_of_python_programs() {
    loses_nothing(&Scene::new("proxy_reload_python"), &PYTHON);
}

#[test]
fn r31_twenty_reloads_under_load_lose_no_request_of_java_programs() {
    let scene = Scene::new("proxy_reload_java");
    // Of a source file each start would be one of the compiler, too.
    let classes = scene.directory().to_str().expect("text").to_owned();
    let compiled = Command::new("javac")
        .args(["-d", &classes, "Server.java"])
        .current_dir(examples())
        .status()
        .expect("scripts/setup test has installed it");
    assert!(compiled.success());
    loses_nothing(&scene, &["java", "-cp", &classes, "Server"]);
}

#[test]
fn r31_twenty_reloads_under_load_lose_no_request_of_php_programs() {
    loses_nothing(&Scene::new("proxy_reload_php"), &PHP);
}
