//! A disk that is full. It is one of 64 KiB, in a mount namespace of the test's own.

mod bench;

use std::process::Command;

use bench::{Bench, Directory, Store, lines, settings};
use herder_logs::News;

const INSIDE: &str = "HERDER_LOGS_TEST_DISK";

/// Runs a test of this file once more, with a small disk.
fn on_a_small_disk(test: &str, body: impl FnOnce(&std::path::Path)) {
    if let Ok(disk) = std::env::var(INSIDE) {
        return body(std::path::Path::new(&disk));
    }
    let directory = Directory::new();
    let script = r#"mount -t tmpfs -o size=64k,mode=700 none "$0" && exec "$@""#;
    let this = std::env::current_exe().expect("a test");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(&directory.0)
        .arg(this)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, &directory.0)
        .output()
        .expect("unshare, of util-linux");
    assert!(output.status.success(), "{output:?}");
}

fn lost(news: &[News]) -> u64 {
    news.iter()
        .map(|news| match news {
            News::Lost { lines, .. } => *lines,
            News::Warning(_) => 0,
        })
        .sum()
}

#[test]
fn r43_what_a_full_disk_loses_is_counted_and_the_gap_is_marked() {
    on_a_small_disk(
        "r43_what_a_full_disk_loses_is_counted_and_the_gap_is_marked",
        |disk| {
            for format in ["raw", "time", "json"] {
                for overflow in ["block", "drop"] {
                    fill(disk, format, overflow);
                }
            }
        },
    );
}

#[test]
fn r43_what_is_on_its_way_when_the_disk_becomes_full_is_counted_too() {
    on_a_small_disk(
        "r43_what_is_on_its_way_when_the_disk_becomes_full_is_counted_too",
        |disk| {
            let mut bench = Bench::new(&settings(disk, r#""rotate_size":0"#));
            let store = Store::default();
            bench.desk.be_kept_by(Box::new(store.clone()));
            let ballast = disk.join("ballast");
            let (out, _error) = bench.worker(1, 0);
            let mut out = out;
            // It is loud enough for a landing, and the file is emptied so that there is room once more.
            for from in [0, 700] {
                out.write(lines(from, 630).as_bytes());
                bench.pump(&out);
                bench.desk.empty();
            }
            assert_eq!(store.held(), 1);
            std::fs::write(&ballast, vec![0; 30_000]).expect("it fits");
            out.write(lines(0, 630).as_bytes());
            assert_eq!(bench.pump(&out), 63_000);
            std::fs::remove_file(&ballast).expect("it is there");
            out.write(b"back\n");
            assert_eq!(bench.pump(&out), 5);
            let told = bench.news.clone();
            bench.desk.finish();
            let news = std::mem::take(&mut *told.lock().expect("no panic"));
            let text = std::fs::read_to_string(disk.join("web-out.log")).expect("a file");
            let written = text.lines().filter(|line| line.len() == 99).count() as u64;
            assert!(lost(&news) > 100, "{news:?}");
            assert_eq!(written + lost(&news), 630, "{news:?}");
            assert!(text.ends_with("\nback\n"));
        },
    );
}

fn fill(disk: &std::path::Path, format: &str, overflow: &str) {
    let case = format!("{format} {overflow}");
    let logs = format!(r#""format":"{format}","time_format":"T","overflow":"{overflow}""#);
    let ballast = disk.join("ballast");
    std::fs::write(&ballast, vec![0; 40_000]).expect("it fits");
    let mut bench = Bench::new(&settings(disk, &logs));
    let (mut out, _error) = bench.worker(1, 0);
    // 50,000 bytes at once, and then single lines.
    bench.say(&mut out, lines(0, 500).as_bytes());
    for n in 500..600 {
        bench.say(&mut out, lines(n, 1).as_bytes());
    }
    settle(&bench, overflow);
    std::fs::remove_file(&ballast).expect("it is there");
    bench.say(&mut out, b"back\n");
    let told = bench.news.clone();
    bench.desk.finish();
    let news = std::mem::take(&mut *told.lock().expect("no panic"));
    let complaints = news.iter().filter(|it| matches!(it, News::Warning(_)));
    assert_eq!(complaints.count(), 1, "{case}: {news:?}");
    let text = std::fs::read_to_string(disk.join("web-out.log")).expect("a file");
    let whole = |line: &&str| match format {
        "json" => line.starts_with('{') && line.ends_with('}'),
        "time" => line.starts_with("T ") && line.len() == 101,
        _ => line.len() == 99,
    };
    let written = text.lines().filter(whole).count() as u64 - u64::from(format == "json");
    assert_eq!(written + lost(&news), 600, "{case}: {news:?}\n{text}");
    assert!(lost(&news) > 100, "{case}: it was full");
    let odd: Vec<_> = text.lines().filter(|line| !whole(line)).collect();
    let (last, torn) = match format {
        "json" => (&[][..], &odd[..]),
        _ => {
            let (last, torn) = odd.split_last().expect("the last line");
            (std::slice::from_ref(last), torn)
        }
    };
    assert!(
        last.iter().all(|last| last.ends_with("back")),
        "{case}: {odd:?}"
    );
    assert!(torn.len() <= 1, "{case}: {odd:?}");
    if format != "json" {
        assert!(
            torn.iter().all(|line| line.ends_with(" [cut off here]")),
            "{case}: {odd:?}"
        );
    }
    std::fs::remove_file(disk.join("web-out.log")).expect("it is there");
    let _none = std::fs::remove_file(disk.join("web-error.log"));
}

/// Waits until the thread that writes has found that the disk is full, and has no more to write.
fn settle(bench: &Bench, overflow: &str) {
    if overflow == "drop" {
        let begin = std::time::Instant::now();
        while bench.news.lock().expect("no panic").is_empty() {
            assert!(begin.elapsed() < bench::LONG);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        // What was queued by then is written in less time than this.
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}
