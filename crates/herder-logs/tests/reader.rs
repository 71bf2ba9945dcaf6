//! Log files as they are read.

mod bench;

use std::time::Instant;

use bench::{Bench, Directory, LONG, lines, settings};
use herder_logs::{Filter, Follower, Settings, Stream, follow, go_on, tail};

fn texts(lines: Vec<herder_api::control::LogLine>) -> Vec<String> {
    lines.into_iter().map(|line| line.line).collect()
}

/// Waits for so many lines.
fn read(follower: &mut Follower, count: usize) -> Vec<String> {
    let (mut all, begin) = (Vec::new(), Instant::now());
    while all.len() < count {
        assert!(
            begin.elapsed() < LONG,
            "{} of {count} lines have come",
            all.len()
        );
        follower.wait(Some(LONG)).expect("it can be waited for");
        loop {
            let some = follower.read().expect("files");
            if some.is_empty() {
                break;
            }
            all.extend(texts(some));
        }
    }
    all
}

fn numbers(from: usize, count: usize) -> Vec<String> {
    lines(from, count).lines().map(str::to_owned).collect()
}

fn all(settings: &Settings) -> Follower {
    follow(settings.present(), Filter::default()).expect("a follower")
}

#[test]
fn the_last_lines_are_found_over_files_that_were_put_away() {
    let directory = Directory::new();
    let logs = r#""rotate_size":"100K","keep":100,"error":"/dev/null""#;
    let settings = settings(&directory.0, logs);
    let mut bench = Bench::new(&settings);
    let (mut out, _error) = bench.worker(1, 0);
    let none = tail(&settings.present(), 10, &Filter::default()).expect("files");
    assert_eq!(none, []);
    for n in 0..20 {
        bench.say(&mut out, lines(n * 1000, 1000).as_bytes());
    }
    bench.say(&mut out, b"unfinished");
    // Plain or compressed, or just being compressed: the same.
    for count in [0, 1, 5, 1000, 5000, 20_001, 30_000] {
        let lines = tail(&settings.present(), count, &Filter::default()).expect("files");
        let mut expected = numbers(0, 20_000);
        expected.push("unfinished".to_owned());
        let surplus = expected.len().saturating_sub(count);
        assert!(texts(lines) == expected[surplus..], "the last {count}");
    }
    let filter = Filter {
        contains: Some("9999".to_owned()),
        ..Filter::default()
    };
    let lines = tail(&settings.present(), 2, &filter).expect("files");
    assert_eq!(
        texts(lines),
        [format!("{:099}", 9999), format!("{:099}", 19_999)]
    );
}

#[test]
fn lines_of_all_lengths_are_found_from_behind() {
    let directory = Directory::new();
    let settings = settings(&directory.0, r#""error":"/dev/null""#);
    let long: Vec<String> = [0, 1, 65_534, 65_535, 65_536, 65_537, 131_072, 300_000, 7]
        .iter()
        .enumerate()
        .map(|(n, length)| {
            char::from(b'a' + u8::try_from(n).expect("few"))
                .to_string()
                .repeat(*length)
        })
        .collect();
    for end in ["\n", ""] {
        let text = format!("{}{end}", long.join("\n"));
        std::fs::write(directory.path("web-out.log"), text).expect("a file");
        for count in 0..=long.len() {
            let lines = tail(&settings.present(), count, &Filter::default()).expect("files");
            assert!(
                texts(lines) == long[long.len() - count..],
                "the last {count}"
            );
        }
    }
}

#[test]
fn lines_that_come_are_followed_over_rotation() {
    let directory = Directory::new();
    for (format, compress) in [("raw", true), ("json", false)] {
        let logs = format!(
            r#""rotate_size":"100K","keep":1000,"compress":{compress},"out":"{format}.log","error":"/dev/null","format":"{format}""#
        );
        let settings = settings(&directory.0, &logs);
        let mut bench = Bench::new(&settings);
        let mut early = all(&settings);
        let (mut out, _error) = bench.worker(1, 0);
        bench.say(&mut out, b"before\nun");
        let mut follower = all(&settings);
        let before = follower.before(10).expect("files");
        assert_eq!(texts(before), ["before"]);
        bench.say(&mut out, b"finished\n");
        assert_eq!(read(&mut follower, 1), ["unfinished"]);
        // Many files are made and put away between two looks.
        for n in 0..5 {
            bench.say(&mut out, lines(n * 4000, 2000).as_bytes());
            bench.say(&mut out, lines(n * 4000 + 2000, 2000).as_bytes());
            assert!(read(&mut follower, 4000) == numbers(n * 4000, 4000));
        }
        bench.desk.empty();
        bench.say(&mut out, b"after\n");
        assert_eq!(read(&mut follower, 1), ["after"]);
        let mut expected = vec!["before".to_owned(), "unfinished".to_owned()];
        expected.extend(numbers(0, 20_000));
        let seen = read(&mut early, 2);
        assert_eq!(seen[..2], expected[..2], "one that did not look for long");
    }
}

#[test]
fn files_may_come_later() {
    let directory = Directory::new();
    let deep = directory.path("deep");
    let settings = settings(&deep, r#""out":"a.log","error":"b.log""#);
    let mut follower = all(&settings);
    assert_eq!(follower.read().expect("files"), []);
    let mut bench = Bench::new(&settings);
    let (mut out, mut error) = bench.worker(1, 0);
    bench.say(&mut out, b"one\n");
    assert_eq!(read(&mut follower, 1), ["one"]);
    bench.say(&mut error, b"two\n");
    assert_eq!(read(&mut follower, 1), ["two"]);
}

#[test]
fn only_what_is_wanted_comes() {
    let directory = Directory::new();
    let settings = settings(
        &directory.0,
        r#""format":"json","out":"a.log","error":"a.log""#,
    );
    let mut bench = Bench::new(&settings);
    let filter = Filter {
        stream: Some(Stream::Error),
        slot: Some(1),
        contains: Some("x".to_owned()),
    };
    let mut follower = follow(settings.present(), filter.clone()).expect("a follower");
    let (mut out, mut error) = bench.worker(1, 0);
    let (_out, mut wanted) = bench.worker(2, 1);
    bench.say(&mut out, b"x out\n");
    bench.say(&mut error, b"x error\n");
    bench.say(&mut wanted, b"y\nx wanted\n");
    assert_eq!(read(&mut follower, 1), ["x wanted"]);
    let lines = tail(&settings.present(), 10, &filter).expect("files");
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (lines[0].slot, lines[0].stream.as_str()),
        (Some(1), "error")
    );
}

#[test]
fn r60_what_is_no_log_file_is_not_read() {
    let directory = Directory::new();
    std::os::unix::fs::symlink("/etc/passwd", directory.path("web-out.log")).expect("a link");
    let settings = settings(&directory.0, "");
    let error = tail(&settings.present(), 10, &Filter::default()).expect_err("refused");
    assert!(
        error.to_string().contains("it is a symbolic link"),
        "{error}"
    );
}

#[test]
fn who_goes_on_from_marks_misses_nothing_and_hears_nothing_twice() {
    let directory = Directory::new();
    let logs = r#""rotate_size":"100K","keep":100,"compress":false,"error":"/dev/null""#;
    let settings = settings(&directory.0, logs);
    let mut bench = Bench::new(&settings);
    let (mut out, _error) = bench.worker(1, 0);
    let mut heard = Vec::new();
    let mut follower = all(&settings);
    for round in 0..10 {
        // While somebody follows, and while nobody does: over files that are put away, too.
        bench.say(&mut out, lines(round * 6000, 3000).as_bytes());
        heard.extend(read(&mut follower, 3000));
        let marks = follower.marks().to_string();
        drop(follower);
        bench.say(&mut out, lines(round * 6000 + 3000, 3000).as_bytes());
        let (files, marks) = (settings.present(), marks.parse().expect("marks"));
        follower = go_on(files, Filter::default(), &marks).expect("a follower");
        let mut rest = Vec::new();
        while rest.len() < 3000 {
            let some = texts(follower.read().expect("files"));
            assert!(!some.is_empty(), "{} lines of 3000 in {round}", rest.len());
            rest.extend(some);
        }
        heard.extend(rest);
    }
    assert_eq!(heard, numbers(0, 60_000));
}
