//! What the workers of a herd print, in files.

use herder_api::app::LogFormat;
use herder_api::herd::HerdRequest;
use herder_api::units::Size;
use herder_e2e::caller::{Caller, Ordered, PATIENCE};
use herder_e2e::fault::Trap;
use herder_e2e::herd::Signal;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

/// A worker that prints one line, and waits.
const GREETS: [&str; 3] = [
    "sh",
    "-c",
    "echo \"hello from $HERDER_SLOT\"; exec sleep 600",
];

/// One that counts, as fast as it can.
const COUNTS: [&str; 3] = [
    "sh",
    "-c",
    "i=0; while :; do i=$((i+1)); echo \"$HERDER_WORKER_ID $i\"; done",
];

fn log(scene: &Scene, name: &str) -> PathBuf {
    scene.directory().join("logs").join(name)
}

fn read(path: &PathBuf) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn wait_for(path: &PathBuf, text: &str) {
    wait::until(PATIENCE, text, || read(path).contains(text).then_some(()));
}

#[test]
fn lines_and_events_are_found_in_files_that_are_the_users_own() {
    let scene = Scene::new("logs-plain");
    let (herd, mut caller) = Ordered::command(&scene, &GREETS, 2).start();
    let out = log(&scene, "web-out.log");
    wait_for(&out, "hello from 0\n");
    wait_for(&out, "hello from 1\n");
    assert_eq!(fs::metadata(&out).unwrap().mode() & 0o777, 0o640);
    caller.count(HerdRequest::Stop { fast: false });
    assert!(herd.wait_for_exit(PATIENCE).success());
    let text = read(&log(&scene, "web-herder.jsonl"));
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<_> = events
        .iter()
        .filter_map(|it| it["event"].as_str())
        .collect();
    for name in ["forked", "ready", "shutting_down", "exited", "finished"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(!names.contains(&"line"), "lines are elsewhere");
    assert!(herd.end().success());
}

#[test]
fn usr1_and_the_socket_have_files_opened_again_and_emptied() {
    let scene = Scene::new("logs-reopen");
    let (herd, mut caller) = Ordered::command(&scene, &COUNTS, 1).start();
    let (out, moved) = (log(&scene, "web-out.log"), log(&scene, "moved"));
    wait_for(&out, " 100\n");
    fs::rename(&out, &moved).unwrap();
    herd.signal(Signal::USR1);
    wait::until(PATIENCE, "a new file", || {
        (!read(&out).is_empty()).then_some(())
    });
    fs::rename(&out, log(&scene, "moved again")).unwrap();
    assert_eq!(caller.count(HerdRequest::ReopenLogs), 2);
    wait::until(PATIENCE, "a new file", || {
        (!read(&out).is_empty()).then_some(())
    });
    // From one file to the next no line is lost.
    let names = ["moved", "moved again", "web-out.log"];
    let all: String = names.iter().map(|name| read(&log(&scene, name))).collect();
    is_counted(&all);
    wait_for(&log(&scene, "web-herder.jsonl"), "\"ready\"");
    let before = fs::metadata(&out).unwrap();
    assert_eq!(caller.count(HerdRequest::FlushLogs), 2);
    wait::until(PATIENCE, "the file is emptied", || {
        let first: u64 = read(&out).lines().next()?.split_once(' ')?.1.parse().ok()?;
        (first > 1).then_some(())
    });
    assert_eq!(fs::metadata(&out).unwrap().ino(), before.ino());
    wait_for(&log(&scene, "web-herder.jsonl"), "\"ready\"");
    caller.count(HerdRequest::Stop { fast: true });
    herd.wait_for_exit(PATIENCE);
    herd.end();
}

/// Every line of one worker, from the first one on.
fn is_counted(text: &str) {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (n, line) in whole.lines().enumerate() {
        let (_, count) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        assert_eq!(count, (n + 1).to_string(), "line {n} is {line:?}");
    }
}

#[test]
fn a_master_that_is_killed_leaves_no_gap_in_the_files() {
    let scene = Scene::new("logs-killed");
    let mut ordered = Ordered::command(&scene, &COUNTS, 1);
    ordered.app.logs.rotate_size = Size(0);
    let (herd, caller) = ordered.start();
    drop(caller);
    let out = log(&scene, "web-out.log");
    let size = || fs::metadata(&out).unwrap().len();
    for _ in 0..3 {
        let before = size();
        wait::until(PATIENCE, "it prints", || {
            (size() > before + 100_000).then_some(())
        });
        let master = herd.master().unwrap();
        herd.signal_to(master.pid, Signal::KILL);
        wait::until(PATIENCE, "another master", || {
            herd.master().filter(|it| it.pid != master.pid)
        });
    }
    let mut caller = Caller::connect(&ordered.socket());
    let before = size();
    wait::until(PATIENCE, "it prints", || (size() > before).then_some(()));
    caller.count(HerdRequest::Stop { fast: true });
    herd.wait_for_exit(PATIENCE);
    is_counted(&whole_lines(&read(&out)));
    herd.end();
}

#[test]
fn a_master_that_is_killed_with_lines_on_their_way_leaves_no_gap_in_the_files() {
    const LAST: u32 = 1_000_000;
    let scene = Scene::new("logs-landed");
    let go = scene.directory().join("go");
    let wait = format!("until [ -e {} ]; do sleep 0.1; done", go.display());
    let script = format!("{wait}; seq {LAST}; exec sleep 600");
    let mut ordered = Ordered::command(&scene, &["sh", "-c", &script], 1);
    ordered.app.logs.rotate_size = Size(0);
    let trap = Trap::of(&scene);
    let (name, value) = trap.variable();
    let herd = ordered.setup().env(name, value).start();
    drop(ordered.call_when_ready());
    // While nobody reads, the pipe is filled.
    let master = herd.master().unwrap().pid;
    herd.signal_to(master, Signal::STOP);
    fs::write(&go, "").unwrap();
    wait::until(PATIENCE, "the pipe is full", || {
        let seq = herd
            .descendants()
            .into_iter()
            .find(|it| it.title.starts_with("seq "))?;
        // It only writes, so that is what it waits for.
        (seq.state == 'S').then_some(())
    });
    for round in 0..3 {
        trap.arm("logs.landed", "kill", 1);
        if round == 0 {
            herd.signal_to(master, Signal::CONT);
        }
        let sprung = trap.wait(PATIENCE, || false).unwrap();
        wait::until(PATIENCE, "another master", || {
            herd.master().filter(|it| it.pid != sprung.pid)
        });
    }
    let out = log(&scene, "web-out.log");
    let whole: u64 = (1..=LAST).map(|n| u64::from(n.ilog10()) + 2).sum();
    wait::until(PATIENCE, "everything is printed", || {
        (fs::metadata(&out).unwrap().len() >= whole).then_some(())
    });
    let mut caller = Caller::connect(&ordered.socket());
    caller.count(HerdRequest::Stop { fast: true });
    herd.wait_for_exit(PATIENCE);
    is_counted_to(LAST, &fs::read(&out).unwrap());
    herd.end();
}

/// Every number up to `last`, a line each. A line within which a master was killed is ended there, and goes
/// on in the next one: for three masters.
fn is_counted_to(last: u32, mut text: &[u8]) {
    let mut cuts = 0;
    for n in 1..=last {
        let line = format!("{n}\n");
        if let Some(rest) = text.strip_prefix(line.as_bytes()) {
            text = rest;
            continue;
        }
        cuts += 1;
        let end = text.iter().position(|byte| *byte == b'\n');
        let (begin, rest) = text.split_at(end.expect("it ends with a line") + 1);
        let begin = &begin[..begin.len() - 1];
        let goes_on = line.as_bytes().strip_prefix(begin);
        let whole = goes_on.and_then(|it| rest.strip_prefix(it));
        text = whole.unwrap_or_else(|| {
            let found = String::from_utf8_lossy(&text[..text.len().min(80)]);
            panic!("in place of {n}: {found:?}")
        });
    }
    assert!(text.is_empty(), "{} bytes more", text.len());
    assert!(cuts <= 3, "{cuts} lines are cut");
}

/// Without the newline that ends a line within which a master was killed: it goes on in the next one.
fn whole_lines(text: &str) -> String {
    let id = |line: &str| line.split_once(' ').map(|it| it.0.to_owned());
    let known = text.lines().next().and_then(id);
    let mut lines: Vec<String> = Vec::new();
    let mut cut = 0;
    for line in text.lines() {
        match lines.last_mut() {
            Some(last) if id(line) != known => {
                last.push_str(line);
                cut += 1;
            }
            Some(_) | None => lines.push(line.to_owned()),
        }
    }
    assert!(cut <= 3, "{cut} lines are cut");
    lines.push(String::new());
    lines.join("\n")
}

#[test]
fn r60_a_herd_whose_log_file_is_none_is_not_started_and_says_why() {
    let scene = Scene::new("logs-refused");
    let ordered = Ordered::command(&scene, &GREETS, 1);
    let setup = ordered.setup();
    symlink("/etc/passwd", log(&scene, "web-out.log")).unwrap();
    let herd = setup.start();
    let status = herd.wait_for_exit(PATIENCE);
    assert_eq!(status.code(), Some(2));
    let said = herd.texts(herder_e2e::herd::Stream::Stderr).join("\n");
    assert!(
        said.contains("web-out.log cannot be opened: it is a symbolic link"),
        "{said}"
    );
    assert!(!said.contains("panicked"), "{said}");
    herd.end();
}

#[test]
fn r12_a_reload_that_fails_shows_what_was_printed_last_though_it_went_to_files() {
    let scene = Scene::new("logs-verdict");
    let mut ordered = Ordered::command(&scene, &GREETS, 1);
    ordered.app.logs.format = LogFormat::Json;
    let (herd, mut caller) = ordered.start();
    ordered.app.command = [
        "sh",
        "-c",
        "echo about to fail; echo no such thing >&2; exit 3",
    ]
    .map(str::to_owned)
    .to_vec();
    ordered.write();
    let asked = caller.ask(HerdRequest::Reload);
    let verdict = caller.verdict(asked);
    assert_eq!(
        verdict.last_lines,
        ["about to fail", "no such thing"],
        "{verdict:?}"
    );
    let error = log(&scene, "web-error.log");
    wait_for(&error, "\"stream\":\"error\",\"line\":\"no such thing\"}\n");
    caller.count(HerdRequest::Stop { fast: true });
    herd.wait_for_exit(PATIENCE);
    herd.end();
}
