//! What the benchmark has started ends with it.

use herder_e2e::binary::Binary;
use herder_e2e::herd::{Herd, Signal};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// A benchmark that has begun to measure, and the two workers that it measures.
fn begin(scene: &Scene) -> Herd {
    let setup = scene.herd(Binary::new("herder-bench", "herder-bench"));
    let setup = setup.args(["--only", "bare-shared", "--part", "light"]);
    let herd = setup.args(["--rounds", "100", "--seconds", "100"]).start();
    wait::until(SOON, "the workers of what is measured", || {
        let all = herd.descendants();
        let workers = all.iter().filter(|one| one.title.ends_with("bare-sharing"));
        (workers.count() == 2).then_some(())
    });
    herd
}

#[test]
fn a_benchmark_that_is_told_to_end_takes_everything_with_it() {
    let scene = Scene::new("ending_told");
    let herd = begin(&scene);
    herd.signal(Signal::INT);
    assert_eq!(herd.wait_for_exit(SOON).code(), Some(130));
    assert_eq!(scene.processes(), []);
}

#[test]
fn a_benchmark_that_is_killed_leaves_nothing_behind() {
    let scene = Scene::new("ending_killed");
    let herd = begin(&scene);
    let measuring = wait::until(SOON, "the one that measures", || {
        let mut all = herd.descendants().into_iter();
        all.find(|one| one.parent == herd.pid())
    });
    herd.signal_to(measuring.pid, Signal::KILL);
    assert_eq!(herd.wait_for_exit(SOON).code(), Some(137));
    assert_eq!(scene.processes(), []);
}
