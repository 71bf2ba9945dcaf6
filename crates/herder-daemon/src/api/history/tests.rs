use std::io::Write;
use std::path::PathBuf;

use flate2::write::GzEncoder;
use herder_api::app::Logs;
use herder_api::control::Reason;

use super::*;

/// A private directory that goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("herder-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn files(&self) -> AppFiles {
        AppFiles {
            id: 0,
            name: "web".to_owned(),
            workers: 1,
            logs: Logs::default(),
            out: None,
            error: None,
            events: self.0.join("web-herder.jsonl"),
            daemon: self.0.join("daemon.log"),
        }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn event(second: u32, rest: &str) -> String {
    format!("{{\"time\":\"2026-11-21T02:10:{second:02}.123Z\",\"mono_us\":42,{rest}\n")
}

fn died(second: u32, rest: &str) -> String {
    event(
        second,
        &format!(
            r#""app":"web","event":"exited","slot":1,"worker":{second},"pid":9,{rest},"level":"warning","message":"it ended"}}"#
        ),
    )
}

#[test]
fn deaths_are_classified() {
    for (rest, expected) in [
        (r#""exit":"code","code":1,"cause":"crash""#, Reason::Crash),
        (r#""exit":"unknown","cause":"crash""#, Reason::Crash),
        (r#""exit":"code","code":0,"cause":"crash""#, Reason::Done),
        (r#""exit":"signal","cause":"crash""#, Reason::Signal),
        (r#""exit":"signal","cause":"hang""#, Reason::Watchdog),
        (r#""exit":"signal","cause":"watchdog""#, Reason::Watchdog),
        (r#""exit":"signal","cause":"boot_timeout""#, Reason::Boot),
        (r#""exit":"signal","cause":"protocol""#, Reason::Crash),
        (
            r#""exit":"out_of_memory","cause":"crash""#,
            Reason::OutOfMemory,
        ),
        (
            r#""exit":"code","cause":"planned","reason":"recycle","limit":"max_memory""#,
            Reason::Recycle,
        ),
        (
            r#""exit":"code","cause":"planned","reason":"replaced""#,
            Reason::Deploy,
        ),
        (
            r#""exit":"code","cause":"planned","reason":"retired""#,
            Reason::Retired,
        ),
        (
            r#""exit":"code","cause":"planned","reason":"rolled_back""#,
            Reason::Rollback,
        ),
        (
            r#""exit":"code","cause":"planned","reason":"scaled_down""#,
            Reason::Scale,
        ),
        (
            r#""exit":"code","cause":"planned","reason":"stop""#,
            Reason::Operator,
        ),
    ] {
        let line = died(7, rest);
        let found = incident(line.as_bytes(), classify::Teller::Herd, "web");
        let found = found.unwrap_or_else(|| panic!("{line}")).incident;
        assert_eq!(found.reason, expected, "{rest}");
        assert_eq!((found.slot, found.id), (Some(1), Some(7)));
    }
}

#[test]
fn what_the_herd_says_of_itself_is_classified() {
    // As the master writes them: each kind of event, once or more.
    let all = include_str!("../../../../herder-master/src/output/snapshots.txt");
    let mut found = std::collections::BTreeMap::new();
    for line in all.lines().filter(|line| line.starts_with('{')) {
        let event: DaemonEvent = serde_json::from_str(line).unwrap();
        let told = incident(line.as_bytes(), classify::Teller::Herd, "web");
        assert_eq!(told.is_some(), reason(&event).is_some(), "{line}");
        if let Some(told) = told {
            found.insert(event.event, told.incident.reason);
        }
    }
    for (event, expected) in [
        ("done", Reason::Done),
        ("keeper_gone", Reason::Master),
        ("quarantined", Reason::Quarantine),
        ("reloaded", Reason::Deploy),
        ("rolled_back", Reason::Rollback),
        ("refused", Reason::Master),
        ("scaled", Reason::Scale),
        ("spawn_failed", Reason::Boot),
        ("launch_failed", Reason::Boot),
        ("finished", Reason::Boot),
        ("took_over", Reason::Master),
        ("upgraded", Reason::Master),
        ("shutting_down", Reason::Operator),
    ] {
        assert_eq!(found.remove(event), Some(expected), "{event}");
    }
    found.remove("exited").expect("deaths");
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn what_the_daemon_says_is_put_between() {
    let directory = Directory::new("history-between");
    let own = |second, app: &str, kind: &str| {
        event(
            second,
            &format!(r#""app":"{app}","event":"{kind}","message":"m","level":"info"}}"#),
        )
    };
    let all = [
        own(1, "web", "app_started"),
        own(4, "api", "app_started"),
        own(5, "web", "saved"),
        own(6, "web", "unhealthy"),
        own(8, "web", "watch"),
        own(9, "web", "cron"),
    ];
    directory.write("daemon.log", &all.concat());
    let crash = r#""exit":"code","code":1,"cause":"crash""#;
    directory.write(
        "web-herder.jsonl",
        &[died(2, crash), died(7, crash)].concat(),
    );
    let found = gather(&directory.files(), 100).unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|one| (one.time[17..19].parse().unwrap(), one.reason))
        .collect();
    assert_eq!(
        told,
        [
            (1, Reason::Operator),
            (2, Reason::Crash),
            (6, Reason::Health),
            (7, Reason::Crash),
            (8, Reason::Watch),
            (9, Reason::Cron),
        ]
    );
    assert_eq!(gather(&directory.files(), 2).unwrap(), found[4..]);
}

#[test]
fn a_job_that_is_done_is_no_crash() {
    let directory = Directory::new("history-job");
    let done = |second, completion: &str, code: u8| {
        event(
            second,
            &format!(
                r#""app":"web","event":"done","slot":1,"completion":"{completion}","exit":"code","code":{code},"level":"info","message":"slot 1 is done"}}"#
            ),
        )
    };
    let ended = |second, code: u8| {
        died(
            second,
            &format!(r#""exit":"code","code":{code},"cause":"crash""#),
        )
    };
    let lines = [
        ended(1, 0),
        done(1, "as_meant", 0),
        // One of the statuses with which it may end.
        ended(2, 78),
        done(2, "as_meant", 78),
        ended(3, 5),
        done(3, "failed", 5),
    ];
    directory.write("web-herder.jsonl", &lines.concat());
    let found = gather(&directory.files(), 10).unwrap();
    let told: Vec<_> = found.iter().map(|one| (one.reason, one.id)).collect();
    let expected = [
        (Reason::Done, Some(1)),
        (Reason::Done, Some(2)),
        (Reason::Crash, Some(3)),
    ];
    assert_eq!(told, expected, "{found:#?}");
    assert_eq!(gather(&directory.files(), 2).unwrap().len(), 2);
}

#[test]
fn a_herd_that_ends_because_its_keeper_was_killed_was_not_stopped_by_anybody() {
    let directory = Directory::new("history-keeper");
    let herd = |second, rest: &str| {
        event(
            second,
            &format!(r#""app":"web",{rest},"level":"info","message":"m"}}"#),
        )
    };
    let stopped = r#""exit":"code","code":0,"cause":"planned","reason":"stop""#;
    let lines = [
        herd(1, r#""event":"keeper_gone""#),
        herd(1, r#""event":"shutting_down","signal":null,"fast":false"#),
        died(2, stopped),
        herd(
            3,
            r#""event":"finished","outcome":"stopped","last_lines":[]"#,
        ),
        herd(
            5,
            r#""event":"shutting_down","signal":"SIGTERM","fast":false"#,
        ),
        died(6, stopped),
    ];
    directory.write("web-herder.jsonl", &lines.concat());
    let own = [
        herd(3, r#""event":"herd_lost""#),
        herd(4, r#""event":"app_retried""#),
    ];
    directory.write("daemon.log", &own.concat());
    let found = gather(&directory.files(), 10).unwrap();
    let reasons: Vec<_> = found.iter().map(|one| one.reason).collect();
    let mut expected = vec![Reason::Master; 5];
    expected.extend([Reason::Operator, Reason::Operator]);
    assert_eq!(reasons, expected, "{found:#?}");
}

#[test]
fn files_that_were_put_away_are_read_too() {
    let directory = Directory::new("history-away");
    let crash = r#""exit":"code","code":1,"cause":"crash""#;
    let compressed = |lines: [String; 2]| {
        let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(lines.concat().as_bytes()).unwrap();
        gzip.finish().unwrap()
    };
    let path = |end: &str| directory.0.join(format!("web-herder.jsonl{end}"));
    let old = compressed([died(1, crash), died(2, crash)]);
    std::fs::write(path(".2026-11-20T10-00-00Z.gz"), &old).unwrap();
    // Damaged: what comes before the damage counts.
    let gzip = compressed([died(0, crash), died(0, crash)]);
    std::fs::write(path(".2026-11-19T10-00-00Z.gz"), &gzip[..gzip.len() - 9]).unwrap();
    std::fs::write(path(".2026-11-21T10-00-00Z"), died(3, crash)).unwrap();
    std::fs::write(path(".swp"), died(59, crash)).unwrap();
    let noise = "no JSON\n{\"event\":\"exited\"}\n\n".to_owned();
    let long = format!("{}\n", "x".repeat(3 << 20));
    std::fs::write(path(""), [noise, long, died(4, crash)].concat()).unwrap();
    let ids = |most| -> Vec<u64> {
        let found = gather(&directory.files(), most).unwrap();
        found.iter().filter_map(|one| one.id).collect()
    };
    assert_eq!(ids(4), [1, 2, 3, 4]);
    assert_eq!(ids(3), [2, 3, 4]);
    assert_eq!(ids(1), [4]);
    assert_eq!(ids(0), [0_u64; 0]);
    assert!(ids(100).len() >= 4);
}

#[test]
fn what_is_no_file_is_not_read() {
    let directory = Directory::new("history-link");
    let files = directory.files();
    assert!(gather(&files, 5).unwrap().is_empty(), "nothing is there");
    std::os::unix::fs::symlink("/etc/passwd", &files.events).unwrap();
    assert!(gather(&files, 5).is_err(), "a link is not followed");
    std::fs::remove_file(&files.events).unwrap();
    std::fs::create_dir(&files.events).unwrap();
    assert!(gather(&files, 5).is_err(), "a directory is no file");
}
