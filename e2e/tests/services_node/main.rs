//! State, messages and jobs of Node programs: `herder run --state …`, and `sdk/node`.

mod jobs;
mod messages;
mod state;

use herder_e2e::foreign::BOOT;
use herder_e2e::herd::Signal;
use herder_e2e::node::{Actor, Case, Cluster, ClusterSetup, Primary};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::fs;

/// Node 20 and 24.
const CASES: [Case; 2] = [Case::USUAL[0], Case::USUAL[2]];

fn start(scene: &Scene, case: Case, options: &[&str]) -> Cluster {
    let setup = ClusterSetup::new(scene, Primary::Herder, case, "services.js", 3);
    let setup = setup.directory(scene.directory());
    setup.options(options).start()
}

fn actors(cluster: &Cluster) -> [Actor; 3] {
    [1, 2, 3].map(|id| cluster.actor(id))
}

fn library(cluster: &Cluster) -> Option<i32> {
    let found = cluster.herd().titled("herder: library services/herder");
    found.first().map(|process| process.pid)
}

/// Kills the built-in library, and returns when the next one lives.
#[track_caller]
fn kill_library(cluster: &Cluster) {
    let before = library(cluster).expect("it lives");
    cluster.herd().signal_to(before, Signal::KILL);
    wait::until(BOOT, "another library", || {
        library(cluster).filter(|pid| *pid != before)
    });
}

/// The lines of the common file, each split into words.
fn log(scene: &Scene) -> Vec<Vec<String>> {
    let text = fs::read_to_string(scene.directory().join("log")).unwrap_or_default();
    let words = |line: &str| line.split(' ').map(str::to_owned).collect();
    text.lines().map(words).collect()
}

/// Waits until the common file has what `pick` looks for.
#[track_caller]
fn wait_for<T>(scene: &Scene, what: &str, pick: impl Fn(&[Vec<String>]) -> Option<T>) -> T {
    wait::until(BOOT, what, || pick(&log(scene)))
}

fn clean(scene: &Scene) {
    for name in ["held", "log", "s.redb", "jobs.redb"] {
        let _not_made = fs::remove_file(scene.directory().join(name));
    }
}

/// The code of the error that this ends with.
fn code(body: &str) -> String {
    format!("try {{ {body} }} catch (error) {{ return error.code ?? error.kind; }}")
}
