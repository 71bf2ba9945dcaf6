//! What processes print, in files.

mod bench;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use bench::{Bench, Directory, lines, settings};
use herder_logs::{News, Pumped, Stream};
use herder_sys::fd::{Blocking, set_blocking};
use herder_sys::pipe;

#[test]
fn bytes_stay_as_they_come() {
    let directory = Directory::new();
    let mut bench = Bench::new(&settings(&directory.0, ""));
    let (mut out, mut error) = bench.worker(1, 0);
    let mut text = b"prompt> \xff\0\r".to_vec();
    text.extend(lines(0, 50_000).into_bytes());
    text.extend(b"unfinished");
    bench.say(&mut out, &text);
    bench.say(&mut error, b"oh\n");
    let written = std::fs::read(directory.path("web-out.log")).expect("a file");
    assert!(written == text, "every byte, large pieces and small ones");
    assert_eq!(directory.text("web-error.log"), "oh\n");
    let last = bench.desk.last_lines(1);
    assert_eq!(last.len(), 20);
    assert_eq!(last[17], format!("{:099}", 49_999));
    assert_eq!(last[18..], ["oh", "unfinished"]);
}

#[test]
fn files_are_for_their_owner_and_group() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new();
    let deep = directory.path("deep/er");
    let mut bench = Bench::new(&settings(&deep, ""));
    let (mut out, _error) = bench.worker(1, 0);
    bench.say(&mut out, b"x\n");
    let mode = |path: &str| {
        let metadata = std::fs::metadata(directory.path(path)).expect(path);
        metadata.permissions().mode() & 0o7777
    };
    assert_eq!(mode("deep/er/web-out.log"), 0o640);
    assert_eq!(
        mode("deep") & 0o027,
        0,
        "no others, and the group only reads"
    );
}

#[test]
fn nobody_tears_a_line_of_somebody_else() {
    let directory = Directory::new();
    let mut bench = Bench::new(&settings(&directory.0, ""));
    let (mut one, _e1) = bench.worker(1, 0);
    let (mut other, _e2) = bench.worker(2, 1);
    bench.say(&mut one, b"one begins");
    other.write(b"other\n");
    assert_eq!(bench.turn(&other), Pumped::Waits);
    let deadline = bench.desk.deadline().expect("somebody waits");
    assert!(deadline > Instant::now());
    bench.say(&mut one, b" and ends\none goes on");
    bench.pump(&other);
    assert_eq!(
        directory.text("web-out.log"),
        "one begins and ends\nother\n"
    );
    // What has begun is written when nothing more comes.
    std::thread::sleep(bench.desk.deadline().expect("a line has begun") - Instant::now());
    bench.desk.tick();
    let expected = "one begins and ends\nother\none goes on";
    assert_eq!(directory.text("web-out.log"), expected);
    // Nobody waits for ever: then the line is ended.
    other.write(b"other again\n");
    bench.pump(&other);
    let expected = format!("{expected}\nother again\n");
    assert_eq!(directory.text("web-out.log"), expected);
}

#[test]
fn lines_of_many_that_print_at_once_stay_whole() {
    let directory = Directory::new();
    for format in ["raw", "time", "json"] {
        let logs = format!(r#""format":"{format}","time_format":"T","out":"{format}.log""#);
        let mut bench = Bench::new(&settings(&directory.0, &logs));
        let mut voices: Vec<_> = (0..4).map(|n| bench.worker(n, 0).0).collect();
        let texts: Vec<_> = (0..4)
            .map(|n| lines(n * 10_000, 3000).into_bytes())
            .collect();
        let mut at = [0; 4];
        // Pieces of lengths that end within lines.
        for round in 0.. {
            let mut wrote = false;
            for (n, voice) in voices.iter_mut().enumerate() {
                let length = [20_011, 977, 17_321, 5][(round + n) % 4];
                let piece = &texts[n][at[n]..];
                let piece = &piece[..piece.len().min(length)];
                if !piece.is_empty() {
                    wrote = true;
                    voice.write(piece);
                    at[n] += piece.len();
                }
            }
            bench.take(&voices);
            if !wrote {
                break;
            }
        }
        bench.desk.finish();
        let text = directory.text(&format!("{format}.log"));
        let mut seen: Vec<usize> = text
            .lines()
            .map(|line| {
                let line = match format {
                    "time" => line.strip_prefix("T ").expect("the time"),
                    "json" => line.split_once(r#""line":""#).expect("a line").1,
                    _ => line,
                };
                let line = line.trim_end_matches(['"', '}']);
                assert_eq!(line.len(), 99, "{format}: {line}");
                line.parse().expect("a number")
            })
            .collect();
        seen.sort_unstable();
        let expected: Vec<_> = (0..4).flat_map(|n| n * 10_000..n * 10_000 + 3000).collect();
        assert!(seen == expected, "{format}: every line once, and whole");
    }
}

#[test]
fn each_worker_may_have_its_file() {
    let directory = Directory::new();
    let logs = r#""files":"per_worker","error":"all.log","out":"all.log""#;
    let settings = settings(&directory.0, logs);
    let mut bench = Bench::new(&settings);
    let (mut out, mut error) = bench.worker(1, 0);
    let (mut other, _error) = bench.worker(2, 11);
    bench.say(&mut out, b"out\n");
    bench.say(&mut error, b"error\n");
    bench.say(&mut other, b"other\n");
    assert_eq!(directory.text("all-0.log"), "out\nerror\n");
    assert_eq!(directory.text("all-11.log"), "other\n");
    let present = settings.present();
    let slots: Vec<_> = present.iter().map(|it| it.slot).collect();
    assert_eq!(slots, [Some(0), Some(11)]);
}

#[test]
fn times_and_objects_stand_one_a_line() {
    let directory = Directory::new();
    let mut bench = Bench::new(&settings(&directory.0, r#""format":"json""#));
    let (mut out, _error) = bench.worker(7, 3);
    bench.say(&mut out, b"say \"hi\"\n\xff\x1b[31m\nhalf");
    out.end();
    assert_eq!(bench.turn(&out), Pumped::Ended);
    bench.desk.close(7, Stream::Out);
    let text = directory.text("web-out.log");
    let mut lines = text.lines();
    let mut next = || -> serde_json::Value {
        serde_json::from_str(lines.next().expect("a line")).expect("JSON")
    };
    let first = next();
    assert_eq!(first["app"], "web");
    assert_eq!((&first["slot"], &first["id"]), (&3.into(), &7.into()));
    assert_eq!(first["stream"], "out");
    assert_eq!(first["line"], "say \"hi\"");
    assert_eq!(first["time"].as_str().map(str::len), Some(24));
    assert_eq!(next()["line"], "\u{fffd}\u{1b}[31m");
    assert_eq!(next()["line"], "half");

    let logs = r#""format":"time","time_format":"%Y at","out":"timed.log""#;
    let mut bench = Bench::new(&settings(&directory.0, logs));
    let (mut out, _error) = bench.worker(1, 0);
    bench.say(&mut out, b"one\n\ntwo\n");
    let text = directory.text("timed.log");
    let (year, _) = text.split_once(' ').expect("a time");
    assert_eq!(text, format!("{year} at one\n{year} at \n{year} at two\n"));
}

#[test]
fn nothing_is_written_where_nothing_shall_be() {
    let directory = Directory::new();
    let logs = r#""out":"/dev/null","error":"e.log""#;
    let mut bench = Bench::new(&settings(&directory.0, logs));
    let (mut out, mut error) = bench.worker(1, 0);
    bench.say(&mut out, b"thrown away\n");
    bench.say(&mut error, b"kept\n");
    assert_eq!(directory.names(), ["e.log"]);
    assert_eq!(bench.desk.last_lines(1), ["thrown away", "kept"]);
    let mut bench = Bench::new(&settings(&directory.0, r#""enabled":false"#));
    let (mut out, _error) = bench.worker(1, 0);
    bench.say(&mut out, &lines(0, 3000).into_bytes());
    assert_eq!(directory.names(), ["e.log"]);
}

#[test]
fn a_line_that_a_killed_herd_left_is_ended_first() {
    let directory = Directory::new();
    std::fs::write(directory.path("web-out.log"), "half").expect("a file");
    let mut bench = Bench::new(&settings(&directory.0, ""));
    let (mut out, _error) = bench.worker(1, 0);
    bench.say(&mut out, &lines(0, 300).into_bytes());
    assert_eq!(
        directory.text("web-out.log"),
        format!("half\n{}", lines(0, 300))
    );
}

#[test]
fn two_herds_may_share_a_file() {
    let directory = Directory::new();
    let settings = settings(&directory.0, "");
    let (mut one, mut other) = (Bench::new(&settings), Bench::new(&settings));
    let (mut out_one, _e1) = one.worker(1, 0);
    let (mut out_other, _e2) = other.worker(1, 0);
    for n in 0..50 {
        one.say(&mut out_one, lines(n * 1000, 500).as_bytes());
        other.say(&mut out_other, lines(n * 1000 + 500, 500).as_bytes());
    }
    let text = directory.text("web-out.log");
    assert!(text == lines(0, 50_000), "nothing is written over");
}

#[test]
fn r43_a_slow_disk_costs_lines_and_not_time_where_that_was_asked_for() {
    let directory = Directory::new();
    let mut bench = Bench::new(&settings(&directory.0, r#""overflow":"drop""#));
    let (mut out, _error) = bench.worker(1, 0);
    for n in 0..500 {
        bench.say(&mut out, lines(n * 600, 600).as_bytes());
    }
    let news = bench.news.clone();
    bench.desk.finish();
    let text = directory.text("web-out.log");
    let numbers: Vec<usize> = text
        .lines()
        .map(|line| line.parse().expect("whole"))
        .collect();
    assert!(numbers.is_sorted(), "in order");
    let lost: u64 = news
        .lock()
        .expect("no panic")
        .iter()
        .map(|news| match news {
            News::Lost { process: 1, lines } => *lines,
            News::Lost { .. } | News::Warning(_) => panic!("{news:?}"),
        })
        .sum();
    assert_eq!(
        numbers.len() as u64 + lost,
        300_000,
        "each is written or counted"
    );
}

#[test]
fn files_are_opened_again_and_emptied_on_request() {
    let directory = Directory::new();
    let mut bench = Bench::new(&settings(&directory.0, ""));
    let (mut out, _error) = bench.worker(1, 0);
    bench.say(&mut out, lines(0, 300).as_bytes());
    std::fs::rename(directory.path("web-out.log"), directory.path("moved")).expect("ours");
    bench.desk.reopen();
    bench.say(&mut out, b"new\n");
    assert_eq!(directory.text("web-out.log"), "new\n");
    assert_eq!(directory.text("moved"), lines(0, 300));
    bench.desk.empty();
    assert_eq!(directory.text("web-out.log"), "");
    bench.say(&mut out, lines(0, 300).as_bytes());
    bench.say(&mut out, b"newer\n");
    assert_eq!(
        directory.text("web-out.log"),
        format!("{}newer\n", lines(0, 300))
    );
    let last = bench.desk.last_lines(1);
    assert_eq!(last.last().map(String::as_str), Some("newer"));
    // And without a request, if somebody forgets it.
    std::fs::remove_file(directory.path("web-out.log")).expect("ours");
    bench.say(&mut out, b"after\n");
    assert_eq!(directory.text("web-out.log"), "after\n");
    std::fs::rename(directory.path("web-out.log"), directory.path("moved")).expect("ours");
    std::thread::sleep(Duration::from_millis(1100));
    bench.say(&mut out, b"again\n");
    assert_eq!(directory.text("web-out.log"), "again\n");
    assert_eq!(bench.news(), []);
}

#[test]
fn a_pipe_that_is_full_of_pieces_holds_more_from_then_on() {
    let directory = Directory::new();
    let mut bench = Bench::new(&settings(&directory.0, ""));
    let _voices = bench.worker(1, 0);
    let (from, to) = pipe::pipe().expect("a pipe");
    for end in [&from, &to] {
        set_blocking(end.as_fd(), Blocking::No).expect("a pipe");
    }
    // Two of them do not fit into a page.
    let piece = [b'x'; 3000];
    let fill = || {
        let written = || pipe::write(to.as_fd(), &piece).ok();
        std::iter::from_fn(written).sum::<usize>()
    };
    let mut empty = || {
        while let Pumped::Moved(_) = bench.desk.pump(1, Stream::Out, from.as_fd()) {}
    };
    let before = fill();
    empty();
    let after = fill();
    assert!(after >= 2 * before, "{before} {after}");
}
