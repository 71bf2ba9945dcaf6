//! The whole of the output, from the workers' pipes to injected writers.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::bench::{Bench, Disk, LONG, WEB, exited, listener, lost};
use super::handle::Output;
use super::pipes::KEPT;
use super::queue::PRINTER_LIMIT;
use super::standard::Targets;
use crate::config::{Format, Observer};
use crate::event::{HerdEvent, WorkerInfo};

#[test]
fn each_stream_goes_to_its_own_place_with_the_worker_before_it() {
    let bench = Bench::start(Format::Text, None);
    let (mut print, mut complain) = bench.attach(WEB);
    write!(print, "hello\nwor").unwrap();
    bench.stdout.wait_for("hello\n");
    write!(print, "ld\nno newline").unwrap();
    writeln!(complain, "oh").unwrap();
    bench.stderr.wait_for("oh");
    drop((print, complain));
    let (stdout, stderr) = bench.finish();
    assert_eq!(
        stdout,
        "web/0 #3 [1234] hello\nweb/0 #3 [1234] world\nweb/0 #3 [1234] no newline\n"
    );
    assert_eq!(stderr, "web/0 #3 [1234] oh\n");
}

#[test]
fn finish_passes_on_what_is_in_the_pipes_even_if_somebody_holds_them_open() {
    let bench = Bench::start(Format::Quiet, None);
    let (mut print, _complain) = bench.attach(WEB);
    write!(print, "one\ntwo\nthree").unwrap();
    assert_eq!(
        bench.finish(),
        ("one\ntwo\nthree\n".to_owned(), String::new())
    );
}

#[test]
fn what_a_worker_printed_stands_before_the_news_of_its_end() {
    for _ in 0..100 {
        let bench = Bench::start(Format::Text, None);
        let (print, mut complain) = bench.attach(WEB);
        write!(complain, "panic!").unwrap();
        drop((print, complain));
        bench.output.tell(exited(WEB));
        let (_, stderr) = bench.finish();
        let lines: Vec<&str> = stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{stderr}");
        assert_eq!(lines[0], "web/0 #3 [1234] panic!");
        assert!(
            lines[1].ends_with("Z web: worker 0 #3 [1234] ended: exit status 0 (the herd stops)")
        );
    }
}

#[test]
fn what_a_worker_printed_stands_between_the_news_of_its_start_and_that_it_is_ready() {
    for _ in 0..100 {
        let bench = Bench::start(Format::Text, None);
        let (_print, mut complain) = bench.attach_untold(WEB);
        writeln!(complain, "connected").unwrap();
        bench.output.tell(HerdEvent::Forked { worker: WEB });
        bench.output.tell(HerdEvent::Ready {
            worker: WEB,
            guessed: false,
        });
        let (_, stderr) = bench.finish();
        let lines: Vec<&str> = stderr.lines().collect();
        assert_eq!(lines.len(), 3, "{stderr}");
        assert!(lines[0].ends_with("Z web: worker 0 #3 [1234] started"));
        assert_eq!(lines[1], "web/0 #3 [1234] connected");
        assert!(lines[2].ends_with("Z web: worker 0 #3 [1234] ready"));
    }
}

#[test]
fn r12_the_last_lines_are_there_as_soon_as_the_worker_has_printed_them() {
    let bench = Bench::start(Format::Quiet, None);
    let (mut print, mut complain) = bench.attach(WEB);
    for n in 0..25 {
        writeln!(print, "line {n}").unwrap();
        if n % 5 == 0 {
            writeln!(complain, "problem {n}").unwrap();
            assert_eq!(bench.last_lines(WEB.id).len(), (n + 2 + n / 5).min(20));
        }
    }
    let lines = bench.last_lines(WEB.id);
    assert_eq!(lines.len(), 20);
    assert_eq!(lines[19], "line 24");
    assert!(lines.contains(&"problem 20".to_owned()));
    assert!(bench.last_lines(99).is_empty());
    bench.finish();
}

#[test]
fn last_lines_are_kept_for_the_living_and_the_64_that_ended_last() {
    let bench = Bench::start(Format::Quiet, None);
    let worker = |id| WorkerInfo {
        slot: 0,
        id,
        pid: 1,
    };
    let mut held = Vec::new();
    for id in 1..=KEPT as u64 + 10 {
        let (mut print, complain) = bench.attach(worker(id));
        writeln!(print, "{id}").unwrap();
        // Something that the worker started goes on holding its pipes.
        held.push((print, complain));
        if id != 1 {
            bench.output.tell(exited(worker(id)));
        }
    }
    assert_eq!(bench.last_lines(1), ["1"], "it lives");
    for id in 2..=10 {
        assert!(bench.last_lines(id).is_empty(), "{id}");
    }
    for id in 11..=KEPT as u64 + 10 {
        assert_eq!(bench.last_lines(id), [id.to_string()]);
    }
    // Their pipes are closed, too: nothing is kept open for a crash loop of daemonizing programs.
    let mut orphan = &held[1].0;
    assert_eq!(
        orphan.write_all(b"x").unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
    bench.finish();
}

#[test]
fn r43_a_stuck_reader_stops_no_worker_and_the_loss_is_told_afterwards() {
    const LINES: u64 = 100_000;
    let (observer, events) = listener();
    let bench = Bench::start(Format::Quiet, observer);
    bench.stdout.stick(true);

    let (print, _complain) = bench.attach(WEB);
    let worker = thread::spawn(move || {
        let mut print = io::BufWriter::new(print);
        for n in 0..LINES {
            writeln!(print, "{n:0>80}").unwrap();
        }
        print.flush().unwrap();
    });
    // The worker gets everything written, although nobody takes a single line. So does another.
    worker.join().unwrap();
    let other = WorkerInfo {
        slot: 1,
        id: 4,
        pid: 1235,
    };
    let (mut print, _also_complain) = bench.attach(other);
    writeln!(print, "still here").unwrap();
    let tail = bench.last_lines(WEB.id);
    assert_eq!(tail[19], format!("{:0>80}", LINES - 1));
    assert!(
        bench.output.queued_line_bytes() <= 2 * PRINTER_LIMIT,
        "memory is bounded"
    );
    assert!(
        events.try_recv().is_err(),
        "nothing is told while nobody listens"
    );

    bench.stdout.stick(false);
    bench.stdout.wait_for("still here\n");
    let (stdout, _) = bench.finish();
    let written = stdout.lines().filter(|line| line.len() == 80).count() as u64;
    assert!(written > 0);
    assert_eq!(
        written + lost(&events),
        LINES,
        "every line was written or counted"
    );
    let numbers: Vec<u64> = stdout
        .lines()
        .filter(|line| line.len() == 80)
        .map(|line| line.parse().unwrap())
        .collect();
    assert!(numbers.is_sorted(), "in order");
}

#[test]
fn r43_finish_gives_up_on_a_stuck_reader_at_its_deadline() {
    let bench = Bench::start(Format::Quiet, None);
    bench.stdout.stick(true);
    let (mut print, complain) = bench.attach(WEB);
    writeln!(print, "never read").unwrap();
    drop((print, complain));
    let begin = Instant::now();
    bench.output.finish(Duration::from_millis(50));
    assert!(begin.elapsed() < LONG);
    bench.stdout.stick(false);
}

#[test]
fn r43_a_full_disk_loses_lines_and_says_so_where_it_still_can() {
    let (observer, events) = listener();
    let (stdout, stderr) = (Disk::with_room(20), Disk::endless());
    let targets = Targets {
        stdout: stdout.target("stdout"),
        stderr: stderr.target("stderr"),
        verdicts: None,
        marks: None,
        events: None,
    };
    let app = "web".parse().unwrap();
    let output = Output::start_with(&app, Format::Text, observer, targets).unwrap();
    let bench = Bench {
        output,
        stdout,
        stderr,
    };

    let (mut print, _complain) = bench.attach(WEB);
    writeln!(print, "lost").unwrap();
    bench.stderr.wait_for("warning: stdout cannot be written");
    bench.stdout.add_room(1000);
    writeln!(print, "back").unwrap();
    bench
        .stderr
        .wait_for("warning: output of worker 0 #3 [1234] was lost: 1 line could");
    assert!(matches!(events.try_recv(), Ok(HerdEvent::Warning { .. })));
    assert_eq!(lost(&events), 1);
    let (stdout, _) = bench.finish();
    assert_eq!(
        stdout,
        "web/0 #3 [1234] lost [cut off here]\nweb/0 #3 [1234] back\n"
    );
}

#[test]
fn r43_what_a_closed_stdout_lost_is_told_at_the_end() {
    let (observer, events) = listener();
    let (stdout, stderr) = (Disk::with_room(0), Disk::endless());
    let targets = Targets {
        stdout: stdout.target("stdout"),
        stderr: stderr.target("stderr"),
        verdicts: None,
        marks: None,
        events: None,
    };
    let app = "web".parse().unwrap();
    let output = Output::start_with(&app, Format::Text, observer, targets).unwrap();
    let bench = Bench {
        output,
        stdout,
        stderr,
    };
    let (mut print, _complain) = bench.attach(WEB);
    write!(print, "a\nb\nc").unwrap();
    let (_, stderr) = bench.finish();
    assert!(
        stderr.contains("warning: output of worker 0 #3 [1234] was lost: 3 lines could"),
        "{stderr}"
    );
    assert!(matches!(events.try_recv(), Ok(HerdEvent::Warning { .. })));
    assert_eq!(lost(&events), 3);
}

#[test]
fn an_observer_that_panics_is_not_called_again_and_everything_else_goes_on() {
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let observer: Observer = Box::new(move |_| {
        *counted.lock().unwrap() += 1;
        std::panic::resume_unwind(Box::new("a bug in the hook"));
    });
    let bench = Bench::start(Format::Text, Some(observer));
    bench.output.tell(HerdEvent::Forked { worker: WEB });
    bench.output.tell(HerdEvent::Online { worker: WEB });
    let (_, stderr) = bench.finish();
    let texts: Vec<&str> = stderr
        .lines()
        .map(|line| line.split_once(" web: ").unwrap().1)
        .collect();
    assert_eq!(
        texts,
        [
            "worker 0 #3 [1234] started",
            "warning: the event hook panicked and is not called again: a bug in the hook",
            "worker 0 #3 [1234] online",
        ]
    );
    assert_eq!(*calls.lock().unwrap(), 1);
}

#[test]
fn the_observer_is_told_everything_in_order_on_the_output_thread() {
    let (told, heard) = channel();
    let observer: Observer = Box::new(move |event| {
        let thread = thread::current().name().unwrap().to_owned();
        told.send((thread, event.clone())).unwrap();
    });
    let bench = Bench::start(Format::Quiet, Some(observer));
    for slot in 0..1000 {
        bench.output.tell(HerdEvent::Released { slot });
    }
    let (_, stderr) = bench.finish();
    assert_eq!(stderr, "", "quiet");
    let heard: Vec<_> = heard.try_iter().collect();
    let expected: Vec<_> = (0..1000)
        .map(|slot| ("herder-output".to_owned(), HerdEvent::Released { slot }))
        .collect();
    assert_eq!(heard, expected);
}

#[test]
fn many_workers_at_once_lose_nothing_while_somebody_reads() {
    let bench = Bench::start(Format::Quiet, None);
    let workers: Vec<_> = (1..=16)
        .map(|id| {
            let (mut print, mut complain) = bench.attach(WorkerInfo {
                slot: 0,
                id,
                pid: 1,
            });
            thread::spawn(move || {
                for n in 0..500 {
                    writeln!(print, "{id}:{n}").unwrap();
                    writeln!(complain, "{id}!{n}").unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let (stdout, stderr) = bench.finish();
    let distinct = |text: &str| {
        text.lines()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
            .len()
    };
    assert_eq!((stdout.lines().count(), distinct(&stdout)), (8000, 8000));
    assert_eq!((stderr.lines().count(), distinct(&stderr)), (8000, 8000));
}

#[test]
fn nothing_is_left_after_the_end() {
    let bench = Bench::start(Format::Text, None);
    let (mut print, complain) = bench.attach(WEB);
    let (pipes, queue) = bench.output.parts();
    bench.finish();
    assert_eq!(pipes.strong_count(), 0, "epoll, bell and pipes are closed");
    assert_eq!(queue.strong_count(), 0, "both threads have ended");
    assert_eq!(
        print.write_all(b"x").unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
    drop(complain);
}
