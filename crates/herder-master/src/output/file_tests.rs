//! Lines and events that go to files.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use herder_api::App;
use herder_core::Tick;
use herder_logs::Settings;
use herder_sys::clock;
use herder_sys::pipe::pipe;

use super::bench::{Disk, LONG, WEB, exited};
use super::custody::{Filing, Streams};
use super::event_file::EventFile;
use super::handle::{Output, Teller};
use super::standard::Targets;
use crate::config::Format;
use crate::event::{HerdEvent, WorkerInfo};
use crate::part::{Part, Process};

struct Bench {
    output: Output,
    directory: PathBuf,
    stdout: Disk,
    stderr: Disk,
    reopen: Arc<AtomicBool>,
}

impl Bench {
    fn start(logs: &str) -> Bench {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("herder-output-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        let text = format!(r#"{{"name":"web","logs":{{{logs}}}}}"#);
        let app: App = serde_json::from_str(&text).unwrap();
        let (stdout, stderr) = (Disk::endless(), Disk::endless());
        let reopen = Arc::new(AtomicBool::new(false));
        let events = EventFile::target(&directory.join("events.jsonl"), Arc::clone(&reopen));
        let targets = Targets {
            stdout: stdout.target("stdout"),
            stderr: stderr.target("stderr"),
            verdicts: None,
            marks: None,
            events: Some(events),
        };
        let teller = Teller {
            app: "web".to_owned(),
            format: Format::Quiet,
            observer: None,
        };
        let settings = Settings::of(&app, &directory).unwrap();
        let vault = None;
        let filing = Filing { settings, vault };
        Bench {
            output: Output::put_together(teller, targets, Some(filing)).unwrap(),
            directory,
            stdout,
            stderr,
            reopen,
        }
    }

    fn attach(&self, info: WorkerInfo) -> (File, File) {
        let ((out, print), (err, complain)) = (pipe().unwrap(), pipe().unwrap());
        let part = Part::Workers;
        let streams = Streams::new(out, err);
        self.output.attach(Process { part, info }, streams);
        self.output.tell(HerdEvent::Forked { worker: info });
        (print.into(), complain.into())
    }

    fn wait_for(&self, name: &str, text: &str) {
        wait_for(&self.directory.join(name), text);
    }

    /// Ends the output; gives what stands in this file.
    fn finish(self, name: &str) -> String {
        self.output.finish(LONG);
        let text = fs::read_to_string(self.directory.join(name)).unwrap();
        fs::remove_dir_all(&self.directory).unwrap();
        assert_eq!(self.stdout.content(), "");
        assert_eq!(self.stderr.content(), "");
        text
    }
}

fn wait_for(path: &Path, text: &str) {
    let begin = Instant::now();
    while !fs::read_to_string(path).is_ok_and(|it| it.contains(text)) {
        assert!(begin.elapsed() < LONG, "{text} never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn lines_go_to_files_and_events_to_theirs_though_nobody_is_told() {
    let bench = Bench::start("");
    let (mut print, mut complain) = bench.attach(WEB);
    writeln!(print, "hello").unwrap();
    writeln!(complain, "oh").unwrap();
    let job = HerdEvent::JobDispatched {
        job: 1,
        worker: WEB,
    };
    bench.output.tell(job);
    bench.output.tell(exited(WEB));
    bench.wait_for("web-out.log", "hello\n");
    bench.wait_for("web-error.log", "oh\n");
    let text = bench.finish("events.jsonl");
    let events: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<_> = events.iter().map(|it| it["event"].as_str()).collect();
    assert_eq!(names, [Some("forked"), Some("exited")], "no single jobs");
    assert_eq!(events[0]["app"], "web");
}

#[test]
fn r12_the_last_lines_are_there_though_they_went_past_us() {
    let bench = Bench::start("");
    let (mut print, mut complain) = bench.attach(WEB);
    // More than is copied: it goes from the pipe to the file within the kernel.
    let many: String = (0..500).map(|n| format!("{n:0>99}\n")).collect();
    print.write_all(many.as_bytes()).unwrap();
    complain.write_all(b"Error: no\nloading ...").unwrap();
    let lines = bench.output.last_lines(Part::Workers, WEB.id);
    assert_eq!(lines.len(), 20);
    assert_eq!(lines[17], format!("{:0>99}", 499));
    assert_eq!(lines[18..], ["Error: no", "loading ..."]);
    bench.output.tell(exited(WEB));
    drop((print, complain));
    assert_eq!(bench.output.last_lines(Part::Workers, WEB.id).len(), 20);
    assert_eq!(bench.finish("web-out.log"), many);
}

#[test]
fn files_are_opened_again_and_emptied_on_request() {
    let bench = Bench::start("");
    let (mut print, _complain) = bench.attach(WEB);
    writeln!(print, "one").unwrap();
    bench.wait_for("web-out.log", "one\n");
    bench.wait_for("events.jsonl", "forked");
    for name in ["web-out.log", "web-error.log", "events.jsonl"] {
        let moved = bench.directory.join(format!("{name}.moved"));
        fs::rename(bench.directory.join(name), moved).unwrap();
    }
    bench.reopen.store(true, Ordering::Relaxed);
    assert_eq!(bench.output.reopen_logs(), 2);
    bench.output.tell(HerdEvent::Released { slot: 3 });
    bench.wait_for("events.jsonl", "released");
    writeln!(print, "two").unwrap();
    bench.wait_for("web-out.log", "two\n");
    assert_eq!(bench.output.flush_logs(), 2);
    let begin = Instant::now();
    while fs::metadata(bench.directory.join("web-out.log"))
        .unwrap()
        .len()
        > 0
    {
        assert!(begin.elapsed() < LONG);
    }
    writeln!(print, "three").unwrap();
    bench.wait_for("web-out.log", "three\n");
    wait_for(&bench.directory.join("web-out.log.moved"), "one\n");
    assert_eq!(bench.finish("web-out.log"), "three\n");
}

#[test]
fn many_workers_write_at_once_and_all_of_it_is_there_at_the_end() {
    let bench = Bench::start(r#""rotate_size":"200K","compress":false,"keep":1000"#);
    std::thread::scope(|scope| {
        for id in 0..6 {
            let worker = WorkerInfo {
                slot: 0,
                id,
                pid: 1,
            };
            let (mut print, complain) = bench.attach(worker);
            scope.spawn(move || {
                for n in 0..3000 {
                    // In one piece, as programs write lines.
                    print
                        .write_all(format!("{id} {n:0>97}\n").as_bytes())
                        .unwrap();
                }
                drop(complain);
            });
        }
    });
    let directory = bench.directory.clone();
    bench.output.finish(LONG);
    let mut seen = Vec::new();
    for entry in fs::read_dir(&directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("web-out") {
            let text = fs::read_to_string(entry.path()).unwrap();
            for line in text.lines() {
                let (id, n) = line.split_once(' ').unwrap();
                seen.push((id.parse::<u64>().unwrap(), n.parse::<u32>().unwrap()));
            }
        }
    }
    seen.sort_unstable();
    let expected: Vec<_> = (0..6)
        .flat_map(|id| (0..3000).map(move |n| (id, n)))
        .collect();
    assert!(seen == expected, "every line once, and whole");
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn silence_is_heard_though_lines_go_past_us() {
    let bench = Bench::start("");
    let (mut print, complain) = bench.attach(WEB);
    let limit = Duration::from_secs(5);
    let later = |seconds| {
        let now = Tick::from_micros(clock::monotonic_micros());
        now.after(Duration::from_secs(seconds))
    };
    let silent = |at| bench.output.is_silent_for(Part::Workers, WEB.id, limit, at);
    assert!(!silent(later(4)));
    assert!(silent(later(6)));
    bench
        .output
        .excuse_silence(Part::Workers, WEB.id, later(10));
    assert!(!silent(later(14)));
    assert!(silent(later(16)));
    writeln!(print, "x").unwrap();
    drop((print, complain));
    bench.wait_for("web-out.log", "x\n");
    let begin = Instant::now();
    while silent(later(100)) {
        assert!(
            begin.elapsed() < LONG,
            "who has closed its output is not judged"
        );
    }
    bench.finish("web-out.log");
}
