//! What becomes of what workers print.

use std::fs;

use super::super::kit::{Place, attempt};

const SPEAKS: &str = "echo word; echo trouble >&2; exec sleep 1000";

/// The files of a directory with this beginning.
fn files(directory: &std::path::Path, beginning: &str) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().flatten();
    let names = names.map(|it| it.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(beginning)).collect();
    names.sort();
    names
}

#[test]
fn lines_are_written_as_the_options_say() {
    let place = Place::new("o-logs");
    place.daemon();
    let start = |options: &str| place.starts(&format!("--ready-after 20ms {options}"), SPEAKS);
    start("-n two -o two.out -e two.err");
    start("-n one -l one.log --time");
    start("-n year -l year.log --log-date-format [in]YYYY");
    start("-n json -l json.log --log-type json");
    start("-n each -i 2 --log-files per-worker");
    start("-n none --disable-logs");
    assert_eq!(place.lines("two.out", 1), ["word"]);
    assert_eq!(place.lines("two.err", 1), ["trouble"]);
    let one = place.lines("one.log", 2);
    let is_timed = |line: &String| {
        let (time, rest) = line.split_once(' ').unwrap();
        time.starts_with("20") && time.contains('T') && ["word", "trouble"].contains(&rest)
    };
    assert!(one.iter().all(is_timed), "{one:?}");
    let mut year = place.lines("year.log", 2);
    year.sort();
    assert!(
        year[0].starts_with("in20") && year[0].ends_with(" trouble"),
        "{year:?}"
    );
    assert_eq!(year[1].len(), "in2026 word".len(), "{year:?}");
    for line in place.lines("json.log", 2) {
        let record: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = record.to_string();
        assert!(
            text.contains("word") || text.contains("trouble"),
            "{record}"
        );
    }
    let logs = place.home().join("logs");
    attempt(|| (files(&logs, "each-out").len() == 2).then_some(())).expect("a file for each");
    assert_eq!(
        files(&logs, "none-out").len() + files(&logs, "none-error").len(),
        0
    );
    place.does("restart each --merge-logs");
    place.lines("home/logs/each-out.log", 2);
}

#[test]
fn files_are_put_away_as_the_options_say() {
    let place = Place::new("o-rotation");
    place.daemon();
    let logs = place.home().join("logs");
    let prints = format!("while :; do echo {}; sleep 0.02; done", "x".repeat(99));
    place.starts(
        "-n large --ready-after 20ms --log-rotate-size 1K --log-keep 2",
        &prints,
    );
    place.starts("-n usual --ready-after 20ms", &prints);
    let away = || {
        let names = files(&logs, "large-out").into_iter();
        names
            .filter(|name| name.ends_with(".gz"))
            .collect::<Vec<String>>()
    };
    let first = attempt(|| away().into_iter().next()).expect("it is put away");
    // It goes when two others are there.
    let is_gone = || {
        let names = away();
        (names.len() == 2 && !names.contains(&first)).then_some(())
    };
    attempt(is_gone).unwrap_or_else(|| panic!("{:?}", files(&logs, "large-out")));
    place.lines("home/logs/usual-out.log", 30);
    assert_eq!(files(&logs, "usual-out"), ["usual-out.log"]);

    let ticks = "while :; do echo tick; sleep 0.1; done";
    place.starts("-n old --ready-after 20ms --log-rotate-age 1s", ticks);
    attempt(|| (files(&logs, "old-out").len() > 1).then_some(())).expect("it is put away");
}
