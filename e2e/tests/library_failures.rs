//! Libraries that cannot start, at first or later.

use herder_e2e::foreign::{self, BOOT};
use herder_e2e::herd::Stream;
use herder_e2e::library::{ask, herd, told, wait_for};
use herder_e2e::scene::Scene;
use rustix::process::Signal;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn poison(scene: &Scene) -> (PathBuf, String) {
    let path = scene.directory().join("poison");
    let text = path.to_str().expect("plain").to_owned();
    (path, text)
}

#[test]
fn a_herd_whose_library_never_starts_ends_with_3_and_says_why() {
    let scene = Scene::new("lib_boot");
    let (path, poison) = poison(&scene);
    fs::write(path, "").expect("a file");
    let options = ["--fails-while", &poison, "--max-restarts", "2"];
    let herd = herd(&scene, &options).start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(3));
    let lines = herd.texts(Stream::Stderr);
    let why = lines.iter().position(|line| {
        line.contains("library core did not become ready; the library printed last:")
    });
    let why = why.unwrap_or_else(|| panic!("{lines:#?}"));
    let rest = &lines[why + 1..];
    let text = "    | herder: library core failed: no database";
    assert!(rest.iter().any(|line| line == text), "{lines:#?}");
    assert!(
        !lines.iter().any(|line| line.contains("worker 0")),
        "{lines:#?}"
    );
}

#[test]
fn a_setup_that_takes_too_long_is_a_failed_start() {
    let scene = Scene::new("lib_slow");
    let options = [
        "--setup",
        "60000",
        "--boot-timeout",
        "300",
        "--max-restarts",
        "1",
    ];
    let herd = herd(&scene, &options).start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(3));
    let lines = herd.texts(Stream::Stderr);
    let late = |line: &String| told(line, "was not ready in time and is killed").is_some();
    assert!(lines.iter().any(late), "{lines:#?}");
}

#[test]
fn a_signal_while_libraries_start_ends_the_herd_in_order() {
    let scene = Scene::new("lib_early");
    let herd = herd(&scene, &["--setup", "60000"]).start();
    wait_for(&herd, 0, 1, "online", BOOT);
    let begun = Instant::now();
    herd.signal(Signal::TERM);
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let lines = herd.texts(Stream::Stderr);
    assert!(
        !lines.iter().any(|line| line.contains("worker 0")),
        "{lines:#?}"
    );
}

#[test]
fn a_library_that_dies_again_and_again_is_started_slowly_until_it_can() {
    let scene = Scene::new("lib_loop");
    let (path, poison) = poison(&scene);
    let options = [
        "--fails-while",
        &poison,
        // Three deaths after one another, in a window in which there is time for many.
        "--max-restarts",
        "2",
        "--window",
        "3000",
    ];
    let herd = herd(&scene, &options).start();
    let first = wait_for(&herd, 0, 1, "ready", BOOT).remove(0);
    let workers = foreign::wait_for(&herd, 0, 2, "ready", BOOT);
    fs::write(&path, "").expect("a file");
    let mark = herd.mark();
    herd.signal_to(first.pid, Signal::KILL);
    herd.wait_for_line_after(mark, "the quarantine", BOOT, |line| {
        line.contains("library core is quarantined: ").then_some(())
    });
    // One of the two windows that follow has the first try after the quarantine in it.
    herd.wait_for_line_after(mark, "a second quarantine", BOOT, {
        let mut seen = 0;
        move |line| {
            seen += u32::from(line.contains("library core is quarantined: "));
            (seen == 2).then_some(())
        }
    });
    let lines = herd.texts(Stream::Stderr);
    let starts = lines.iter().filter(|line| told(line, "started").is_some());
    // The first life, two restarts, and one try after the quarantine.
    assert_eq!(starts.count(), 4, "{lines:#?}");
    assert!(
        ask(&herd, "self").contains("worker:"),
        "the workers serve meanwhile"
    );
    fs::remove_file(&path).expect("it is there");
    let mark = herd.mark();
    let last = wait_for(&herd, mark, 1, "ready", BOOT).remove(0);
    assert_eq!(
        ask(&herd, "who core"),
        format!("pid:{} epoch:{} calls:1", last.pid, last.epoch)
    );
    let now = herd.workers();
    let pids: Vec<i32> = now.iter().map(|worker| worker.pid).collect();
    assert!(
        workers.iter().all(|worker| pids.contains(&worker.pid)),
        "{pids:?}"
    );
    assert!(herd.end().success());
}
