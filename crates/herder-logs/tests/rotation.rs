//! Files that are put away.

mod bench;

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

use bench::{Bench, Directory, LONG, lines, settings};
use flate2::read::GzDecoder;

/// What all files of that base hold, the oldest first.
fn whole(directory: &Directory, base: &str) -> String {
    let mut names = directory.names();
    names.retain(|name| name.starts_with(&format!("{base}.")));
    // The number of a second is no text.
    names.sort_by_key(|name| {
        let name = name.trim_end_matches(".gz");
        let (stamp, number) = name.rsplit_once("Z").expect("a time");
        let number: u32 = number.trim_start_matches('-').parse().unwrap_or(0);
        (stamp.to_owned(), number)
    });
    names.push(base.to_owned());
    let mut all = String::new();
    for name in names {
        let mut file = File::open(directory.path(&name)).expect("a file");
        if name.ends_with(".gz") {
            GzDecoder::new(file).read_to_string(&mut all).expect("gzip");
        } else {
            file.read_to_string(&mut all).expect("text");
        }
    }
    all
}

/// How much all files whose names begin so have in all. One may be renamed meanwhile.
fn size(directory: &Directory, begin: &str) -> u64 {
    let mut names = directory.names();
    names.retain(|name| name.starts_with(begin));
    let size = |name: &String| std::fs::metadata(directory.path(name)).map_or(0, |it| it.len());
    names.iter().map(size).sum()
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < LONG, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn large_files_are_put_away_between_lines_and_nothing_is_lost() {
    for (format, overflow) in [("raw", "block"), ("raw", "drop"), ("time", "block")] {
        let directory = Directory::new();
        let logs = format!(
            r#""rotate_size":"256K","keep":100,"compress":false,"format":"{format}","time_format":"T","overflow":"{overflow}""#
        );
        let mut bench = Bench::new(&settings(&directory.0, &logs));
        let (mut out, mut error) = bench.worker(1, 0);
        for n in 0..20 {
            bench.say(&mut out, lines(n * 1000, 1000).as_bytes());
            bench.say(&mut error, b"x\n");
            if overflow == "drop" {
                // It writes as fast as we do, or something would be dropped.
                wait("the clerk", || {
                    size(&directory, "web-out") == (n as u64 + 1) * 100_000
                });
            }
        }
        let last = bench.desk.last_lines(1);
        assert_eq!(last.len(), 20, "as many as ever, over all files");
        bench.desk.finish();
        let all = whole(&directory, "web-out.log").replace("T ", "");
        assert!(all == lines(0, 20_000), "{format}: each line once");
        let names = directory.names();
        assert!(names.len() > 5, "{names:?}");
        for name in names.iter().filter(|it| it.starts_with("web-out")) {
            let text = directory.text(name);
            assert!(text.is_empty() || text.ends_with('\n'), "{name}");
            assert!(text.len() < 400_000, "{name}: {}", text.len());
        }
    }
}

#[test]
fn what_was_put_away_is_compressed_and_the_oldest_goes() {
    let directory = Directory::new();
    let logs = r#""rotate_size":"100K","keep":3"#;
    let mut bench = Bench::new(&settings(&directory.0, logs));
    let (mut out, _error) = bench.worker(1, 0);
    for n in 0..20 {
        bench.say(&mut out, lines(n * 1000, 1000).as_bytes());
    }
    let away = || -> Vec<String> {
        let mut names = directory.names();
        names.retain(|it| it.starts_with("web-out.log."));
        names
    };
    let done = || {
        away().len() == 3
            && away()
                .iter()
                .all(|it| it.ends_with("Z.gz") || it.contains("Z-") && it.ends_with(".gz"))
    };
    wait("three compressed files", done);
    let all = whole(&directory, "web-out.log");
    let begin = all
        .lines()
        .next()
        .expect("a line")
        .parse()
        .expect("a number");
    assert!(begin > 10_000, "the oldest are gone");
    assert!(all == lines(begin, 20_000 - begin), "what is left is whole");
}

#[test]
fn all_files_together_have_a_limit() {
    let directory = Directory::new();
    let logs = r#""rotate_size":"100K","keep":1000,"compress":false,"total_size":"500K""#;
    let mut bench = Bench::new(&settings(&directory.0, logs));
    let (mut out, mut error) = bench.worker(1, 0);
    for n in 0..20 {
        bench.say(&mut out, lines(n * 1000, 1000).as_bytes());
        bench.say(&mut error, lines(n * 1000, 1000).as_bytes());
        let total = size(&directory, "web-");
        assert!(total <= 512_000 + 200_000, "{total}");
    }
    for base in ["web-out.log", "web-error.log"] {
        let all = whole(&directory, base);
        assert!(lines(0, 20_000).ends_with(&all), "the newest are left");
    }
}

#[test]
fn a_file_that_is_old_is_put_away_also_when_nobody_prints() {
    for overflow in ["block", "drop"] {
        let directory = Directory::new();
        let logs = format!(r#""rotate_age":"300ms","compress":false,"overflow":"{overflow}""#);
        let mut bench = Bench::new(&settings(&directory.0, &logs));
        let (mut out, _error) = bench.worker(1, 0);
        bench.say(&mut out, b"old\n");
        wait("the file to be put away", || {
            let due = bench.desk.deadline().is_some_and(|at| at <= Instant::now());
            due || directory.names().len() == 3
        });
        bench.desk.tick();
        wait("the file to be put away", || directory.names().len() == 3);
        assert_eq!(directory.text("web-out.log"), "");
        assert_eq!(whole(&directory, "web-out.log"), "old\n");
        bench.say(&mut out, b"new\n");
        wait("the line", || directory.text("web-out.log") == "new\n");
    }
}

#[test]
fn what_a_killed_herd_left_undone_is_done_by_the_next() {
    let directory = Directory::new();
    let name = |name: &str| directory.path(&format!("web-out.log.{name}"));
    std::fs::write(name("2020-01-01T00-00-00Z"), "old\n").expect("a file");
    std::fs::write(name("2020-01-01T00-00-01Z"), "half\n").expect("a file");
    std::fs::write(name("2020-01-01T00-00-01Z.gz.unfinished"), "ha").expect("a file");
    std::fs::write(name("not-ours"), "x").expect("a file");
    let _bench = Bench::new(&settings(&directory.0, ""));
    let done = || {
        directory.names()
            == [
                "web-out.log.2020-01-01T00-00-00Z.gz",
                "web-out.log.2020-01-01T00-00-01Z.gz",
                "web-out.log.not-ours",
            ]
    };
    wait("the files to be compressed", done);
    let mut text = String::new();
    let file = File::open(name("2020-01-01T00-00-01Z.gz")).expect("a file");
    GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("gzip");
    assert_eq!(text, "half\n");
}

#[test]
fn a_file_that_is_written_by_lines_puts_itself_away() {
    use herder_logs::attic::{Attic, Each, Family};
    use herder_logs::{LineWriter, Rotation, Writer};
    use std::io::Write;
    let directory = Directory::new();
    let path = directory.path("events.jsonl");
    let family = Family {
        path: path.clone(),
        each: Each::Shares,
    };
    let rotation = Rotation {
        size: 1000,
        keep: 2,
        ..Rotation::of_events()
    };
    let attic = Attic::new(rotation, vec![family]);
    let mut writer = LineWriter(Writer::open(&path, &attic).expect("a file"));
    for n in 0..100 {
        writer
            .write_all(lines(n, 1).as_bytes())
            .expect("it can be written");
    }
    assert!(attic.settle(LONG));
    let names = directory.names();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(
        names[1..].iter().all(|name| name.ends_with(".gz")),
        "{names:?}"
    );
    let all = whole(&directory, "events.jsonl");
    assert!(lines(0, 100).ends_with(&all) && all.lines().count() > 20);
}
