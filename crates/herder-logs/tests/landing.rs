//! What lies between a pipe and a file, in the hands of a desk and of who holds it.

mod bench;

use std::os::fd::AsFd;
use std::thread;
use std::time::Instant;

use bench::{Bench, Directory, LONG, Store, Voice, lines, settings};
use herder_logs::{Pumped, Stream};
use herder_sys::pipe;

/// Lines of somebody who says more than a pipe holds.
const MANY: usize = 40_000;

/// Takes all that `voice` says until it ends.
fn listen(bench: &mut Bench, voice: &Voice) {
    let begin = Instant::now();
    loop {
        match bench.turn(voice) {
            Pumped::Ended => return,
            Pumped::Moved(_) => {}
            Pumped::Empty | Pumped::Waits => thread::yield_now(),
        }
        assert!(begin.elapsed() < LONG);
    }
}

/// Has it said that there are so many lines, while they are taken.
fn overwhelm(bench: &mut Bench, mut voice: Voice, text: &str) {
    let mut mouth = voice.take();
    thread::scope(|scope| {
        scope.spawn(move || std::io::Write::write_all(&mut mouth, text.as_bytes()));
        listen(bench, &voice);
    });
}

#[test]
fn what_a_loud_process_says_is_held_and_comes_into_the_file_in_order() {
    let directory = Directory::new();
    let mut bench = Bench::new(&settings(&directory.0, r#""rotate_size":0"#));
    let store = Store::default();
    bench.desk.be_kept_by(Box::new(store.clone()));
    let (mut out, mut error) = bench.worker(1, 0);
    bench.say(&mut out, b"a line\n");
    bench.say(&mut error, b"another\n");
    assert_eq!(store.held(), 0, "who says little needs nothing");
    let text = lines(0, MANY);
    overwhelm(&mut bench, out, &text);
    assert!(directory.text("web-out.log") == format!("a line\n{text}"));
    assert_eq!(store.ever(), 1);
    let last = bench.desk.last_lines(1);
    assert_eq!(last.last().map(String::as_str), text.lines().last());
    bench.desk.close(1, Stream::Out);
    assert_eq!(store.held(), 0, "it has ended");
    assert_eq!(directory.text("web-error.log"), "another\n");
}

#[test]
fn nothing_is_held_any_more_of_who_is_gone_though_its_children_are_loud() {
    let directory = Directory::new();
    let mut bench = Bench::new(&settings(&directory.0, r#""rotate_size":0"#));
    let store = Store::default();
    bench.desk.be_kept_by(Box::new(store.clone()));
    let ((one, _e1), (other, _e2)) = (bench.worker(1, 0), bench.worker(2, 1));
    let text = lines(0, MANY);
    let (mut one, mut mouth) = (one, None);
    mouth.replace(one.take());
    thread::scope(|scope| {
        let mut mouth = mouth.take().expect("it was put there");
        let begin = Instant::now();
        let text = &text;
        scope.spawn(move || std::io::Write::write_all(&mut mouth, text.as_bytes()));
        while store.held() == 0 {
            bench.turn(&one);
            assert!(begin.elapsed() < LONG);
        }
        bench.desk.exited(1);
        assert_eq!(store.held(), 0);
        listen(&mut bench, &one);
    });
    bench.desk.exited(2);
    overwhelm(&mut bench, other, &text);
    assert_eq!(store.ever(), 1);
    assert!(directory.text("web-out.log") == format!("{text}{text}"));
}

#[test]
fn what_nobody_holds_goes_straight_into_the_file() {
    let directory = Directory::new();
    let mut bench = Bench::new(&settings(&directory.0, r#""rotate_size":0"#));
    let store = Store::deaf();
    bench.desk.be_kept_by(Box::new(store.clone()));
    let (out, _error) = bench.worker(1, 0);
    let text = lines(0, MANY);
    overwhelm(&mut bench, out, &text);
    assert!(directory.text("web-out.log") == text);
    assert!(store.asked() > 0);
    assert_eq!(store.ever(), 0);
}

#[test]
fn only_so_many_are_held_at_once() {
    let directory = Directory::new();
    let logs = r#""rotate_size":0,"files":"per_worker""#;
    let mut bench = Bench::new(&settings(&directory.0, logs));
    let store = Store::default();
    bench.desk.be_kept_by(Box::new(store.clone()));
    let mut voices = Vec::new();
    for slot in 0..20 {
        let (mut out, _error) = bench.worker(u64::from(slot) + 1, slot);
        // As much as a pipe holds at first.
        out.write(&[b'x'; 65_536]);
        voices.push(out);
    }
    bench.take(&voices);
    assert_eq!(store.held(), 16);
    for slot in 0..20 {
        let text = directory.text(&format!("web-out-{slot}.log"));
        assert_eq!(text.len(), 65_536);
    }
    bench.desk.close(3, Stream::Out);
    assert_eq!(store.held(), 15);
    voices[19].write(&[b'x'; 65_536]);
    bench.take(&voices);
    assert_eq!(store.held(), 16);
}

#[test]
fn what_another_desk_has_left_comes_before_everything_else() {
    for format in ["raw", "time", "json"] {
        let directory = Directory::new();
        let logs = format!(r#""format":"{format}","time_format":"T""#);
        let mut bench = Bench::new(&settings(&directory.0, &logs));
        let (mut out, _error) = bench.worker(1, 0);
        let (left, filled) = pipe::pipe().expect("a pipe");
        // A line and a half.
        pipe::write(filled.as_fd(), b"one\ntw").expect("there is room");
        out.write(b"o\nthree\n");
        bench.desk.go_on(1, Stream::Out, left).expect("a pipe");
        assert_eq!(bench.pump(&out), 14, "{format}");
        out.write(b"four\n");
        assert_eq!(bench.pump(&out), 5, "{format}: nothing more comes of it");
        out.end();
        listen(&mut bench, &out);
        bench.desk.finish();
        let text = directory.text("web-out.log");
        let expected = match format {
            "raw" => "one\ntwo\nthree\nfour\n",
            "time" => "T one\nT two\nT three\nT four\n",
            _ => {
                let is = |(line, word): (&str, &str)| line.ends_with(&format!("\"{word}\"}}"));
                let words = ["one", "two", "three", "four"];
                assert!(text.lines().zip(words).all(is), "{text}");
                assert_eq!(text.lines().count(), words.len());
                continue;
            }
        };
        assert_eq!(text, expected);
    }
}
