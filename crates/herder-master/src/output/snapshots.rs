//! How every event and line looks, literally.
//!
//! `snapshots.txt` holds two lines for each event below, in the same order: text, then JSON.

use std::collections::BTreeSet;
use std::time::Duration;

use herder_core::Exit;
use herder_core::supervisor::{Cause, DrainReason, Outcome, RecycleReason};
use herder_logs::Ending;

use super::queue::{Line, Stream};
use super::standard::Terminal;
use super::wall::Stamp;
use super::{json, text};
use crate::event::{HerdEvent, LibraryInfo, WorkerInfo};
use crate::part::{Part, Process};

/// How many kinds of event there are. A new one has to be added below.
const KINDS: usize = 49;

const STAMP: Stamp = Stamp {
    wall_ms: 1_795_227_049_123,
    mono_us: 42,
};
const WEB: WorkerInfo = WorkerInfo {
    slot: 0,
    id: 3,
    pid: 1234,
};

fn exited(exit: Exit, cause: Cause) -> HerdEvent {
    HerdEvent::Exited {
        worker: WEB,
        exit,
        cause,
    }
}

fn stopping(reason: DrainReason) -> HerdEvent {
    HerdEvent::Stopping {
        worker: WEB,
        reason,
    }
}

fn life_and_death() -> Vec<HerdEvent> {
    let planned = |reason| exited(Exit::Code(0), Cause::Planned(reason));
    let killed = |cause| exited(Exit::Signal(9), cause);
    vec![
        HerdEvent::Forked { worker: WEB },
        HerdEvent::Online { worker: WEB },
        HerdEvent::Ready {
            worker: WEB,
            guessed: false,
        },
        HerdEvent::Ready {
            worker: WEB,
            guessed: true,
        },
        exited(Exit::Code(1), Cause::Crash),
        exited(Exit::Code(0), Cause::Crash),
        exited(Exit::OutOfMemory, Cause::Crash),
        exited(Exit::Unknown, Cause::Crash),
        exited(Exit::Signal(40), Cause::Crash),
        killed(Cause::BootTimeout),
        killed(Cause::Hang),
        killed(Cause::Protocol),
        planned(DrainReason::Recycle(RecycleReason::Requests)),
        planned(DrainReason::Recycle(RecycleReason::Jobs)),
        planned(DrainReason::Replaced),
        planned(DrainReason::Retired),
        planned(DrainReason::RolledBack),
        planned(DrainReason::ScaledDown),
        planned(DrainReason::Stop),
        stopping(DrainReason::Recycle(RecycleReason::Memory)),
        stopping(DrainReason::Retired),
        stopping(DrainReason::ScaledDown),
        stopping(DrainReason::Stop),
    ]
}

#[expect(clippy::too_many_lines, reason = "a list: a sample after the other")]
fn of_a_worker() -> Vec<HerdEvent> {
    let text = || "it said so".to_owned();
    vec![
        HerdEvent::Exhausted { worker: WEB },
        HerdEvent::GraceExpired { worker: WEB },
        HerdEvent::JobDispatched {
            job: 17,
            worker: WEB,
        },
        HerdEvent::LaunchFailed {
            worker: WEB,
            problem: text(),
        },
        HerdEvent::LinesDropped {
            worker: WEB,
            lines: 1,
        },
        HerdEvent::LinesDropped {
            worker: WEB,
            lines: 7,
        },
        HerdEvent::Message {
            worker: WEB,
            text: r#"{"a":1}"#.to_owned(),
        },
        HerdEvent::MessagesLost {
            worker: WEB,
            messages: 7,
        },
        HerdEvent::MessagesUnread {
            worker: WEB,
            messages: 1,
        },
        HerdEvent::Misbehaved {
            worker: WEB,
            problem: text(),
        },
        HerdEvent::Recycling {
            worker: WEB,
            reason: RecycleReason::Lifetime,
        },
        HerdEvent::Ejected {
            worker: WEB,
            spell: Duration::from_secs(30),
        },
        HerdEvent::Readmitted { worker: WEB },
        HerdEvent::Restored { worker: WEB },
        HerdEvent::Retired {
            worker: WEB,
            reason: String::new(),
        },
        HerdEvent::Retired {
            worker: WEB,
            reason: "a\nb\u{1b}[2J".to_owned(),
        },
        HerdEvent::SpawnFailed {
            slot: 0,
            id: 3,
            error: text(),
        },
        HerdEvent::Suspected {
            worker: WEB,
            silent: Duration::from_secs(5),
        },
        HerdEvent::BootTimedOut {
            worker: WEB,
            reason: String::new(),
            last_lines: Vec::new(),
        },
    ]
}

#[expect(clippy::too_many_lines, reason = "a list: a sample after the other")]
fn of_the_herd() -> Vec<HerdEvent> {
    let text = || "it said so".to_owned();
    let (window, retry_in) = (Duration::from_secs(60), Duration::from_millis(1500));
    let delay = Duration::from_millis(200);
    let shutdown = |signal, fast| HerdEvent::ShuttingDown { signal, fast };
    let dispatch = |reason: &str| HerdEvent::DispatchChosen {
        mode: "pass".to_owned(),
        reason: reason.to_owned(),
    };
    vec![
        HerdEvent::AcceptPaused { reason: text() },
        HerdEvent::ConnectionsClosed {
            poisoned: 2,
            timed_out: 0,
        },
        HerdEvent::ConnectionsClosed {
            poisoned: 2,
            timed_out: 1,
        },
        dispatch("kernel needs CAP_BPF"),
        dispatch(""),
        HerdEvent::Finished {
            outcome: Outcome::BootFailed,
            last_lines: Vec::new(),
        },
        HerdEvent::Finished {
            outcome: Outcome::Stopped,
            last_lines: Vec::new(),
        },
        HerdEvent::KeeperGone,
        HerdEvent::Listening {
            address: "127.0.0.1:3000".to_owned(),
        },
        HerdEvent::Dispatched {
            accepted: 400,
            handed: 408,
            taken_back: 8,
            closed: 0,
        },
        HerdEvent::Nudged { nudges: 1 },
        HerdEvent::Quarantined {
            slot: 0,
            restarts: 6,
            window,
            retry_in,
        },
        HerdEvent::Released { slot: 0 },
        HerdEvent::ReplacementWaits {
            slot: 0,
            draining: 32,
        },
        HerdEvent::RestartDelayed {
            slot: 0,
            delay,
            failures: 1,
        },
        HerdEvent::RestartDelayed {
            slot: 0,
            delay,
            failures: 2,
        },
        HerdEvent::Scaled { from: 2, to: 4 },
        shutdown(Some("SIGTERM"), false),
        shutdown(None, true),
        HerdEvent::Warning { text: text() },
    ]
}

fn of_the_gateway() -> Vec<HerdEvent> {
    let (error, window) = ("it said so".to_owned(), Duration::from_secs(60));
    let events = vec![
        HerdEvent::Forked { worker: WEB },
        exited(Exit::Signal(9), Cause::Crash),
        HerdEvent::LinesDropped {
            worker: WEB,
            lines: 7,
        },
        HerdEvent::Suspected {
            worker: WEB,
            silent: Duration::from_secs(5),
        },
        HerdEvent::SpawnFailed {
            slot: 0,
            id: 3,
            error,
        },
        HerdEvent::RestartDelayed {
            slot: 0,
            delay: Duration::from_millis(200),
            failures: 1,
        },
        HerdEvent::Quarantined {
            slot: 0,
            restarts: 6,
            window,
            retry_in: window,
        },
        HerdEvent::Released { slot: 0 },
        HerdEvent::Finished {
            outcome: Outcome::BootFailed,
            last_lines: Vec::new(),
        },
    ];
    events
        .into_iter()
        .map(|event| Part::Gateway.said(event))
        .collect()
}

/// Every sentence whose subject or place is another one when a library is meant.
fn of_a_library() -> Vec<HerdEvent> {
    let library = LibraryInfo {
        place: 1,
        name: "core".parse().unwrap(),
    };
    let window = Duration::from_secs(60);
    let events = [
        HerdEvent::Forked { worker: WEB },
        HerdEvent::Ready {
            worker: WEB,
            guessed: false,
        },
        exited(Exit::Signal(9), Cause::Crash),
        HerdEvent::LinesDropped {
            worker: WEB,
            lines: 7,
        },
        HerdEvent::RestartDelayed {
            slot: 0,
            delay: Duration::from_millis(200),
            failures: 1,
        },
        HerdEvent::Quarantined {
            slot: 0,
            restarts: 6,
            window,
            retry_in: window,
        },
        HerdEvent::Finished {
            outcome: Outcome::Stopped,
            last_lines: Vec::new(),
        },
    ];
    let said = |event| Part::Library(library).said(event);
    events.into_iter().map(said).collect()
}

#[test]
fn every_event_looks_like_this_in_text_and_json() {
    let mut expected = include_str!("snapshots.txt").lines();
    let mut kinds = BTreeSet::new();
    for event in life_and_death()
        .into_iter()
        .chain(of_a_worker())
        .chain(of_the_herd())
        .chain(super::reloading::samples())
        .chain(of_the_gateway())
        .chain(of_a_library())
        .chain(super::ending::samples())
    {
        let (mut as_text, mut as_json) = (Vec::new(), Vec::new());
        text::event("web", STAMP, &event, &mut as_text);
        json::event("web", STAMP, &event, &mut as_json);
        for rendered in [as_text, as_json.clone()] {
            let rendered = String::from_utf8(rendered).unwrap();
            assert_eq!(rendered.strip_suffix('\n'), expected.next(), "{event:?}");
        }
        let parsed: serde_json::Value = serde_json::from_slice(&as_json).unwrap();
        kinds.insert(parsed["event"].as_str().unwrap().to_owned());
    }
    assert_eq!(expected.next(), None);
    assert_eq!(kinds.len(), KINDS);
}

#[test]
fn r12_the_last_lines_of_a_worker_stand_below_its_event() {
    let last_lines = vec!["plain".to_owned(), "\u{1b}[31mred".to_owned()];
    let event = HerdEvent::BootTimedOut {
        worker: WEB,
        reason: "it said nothing".to_owned(),
        last_lines,
    };
    let mut out = Vec::new();
    text::event("web", STAMP, &event, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "2026-11-21T02:10:49.123Z web: warning: worker 0 #3 [1234] was not ready in time and is \
         killed: it said nothing; the worker printed last:\n    | plain\n    | \\x1b[31mred\n"
    );
    let mut out = Vec::new();
    json::event("web", STAMP, &event, &mut out);
    let parsed: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(parsed["last_lines"][1], "\u{1b}[31mred");
}

#[test]
fn why_a_library_did_not_become_ready_stands_below() {
    let library = LibraryInfo {
        place: 0,
        name: "core".parse().unwrap(),
    };
    let event = Part::Library(library).said(HerdEvent::Finished {
        outcome: Outcome::BootFailed,
        last_lines: vec!["no database".to_owned()],
    });
    let mut out = Vec::new();
    text::event("web", STAMP, &event, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "2026-11-21T02:10:49.123Z web: warning: library core did not become ready; the library \
         printed last:\n    | no database\n"
    );
}

fn rendered(render: &dyn Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    render(&mut out);
    out
}

#[test]
fn a_line_looks_like_this_everywhere() {
    for (bytes, ending, file, terminal, bare, json_fields) in [
        (
            &b"hello"[..],
            Ending::Whole,
            &b"web/0 #3 [1234] hello\n"[..],
            &b"web/0 #3 [1234] hello\n"[..],
            &b"hello\n"[..],
            r#""line":"hello"}"#,
        ),
        (
            b"a\x1b[2J\tb\r",
            Ending::Whole,
            b"web/0 #3 [1234] a\x1b[2J\tb\r\n",
            b"web/0 #3 [1234] a\\x1b[2J\tb\n",
            b"a\x1b[2J\tb\r\n",
            r#""line":"a\u001b[2J\tb\r"}"#,
        ),
        (
            b"\xff\0",
            Ending::Continues,
            b"web/0 #3 [1234] \xff\0 [line continues]\n",
            b"web/0 #3 [1234] \\xff\\x00 [line continues]\n",
            b"\xff\0 [line continues]\n",
            "\"line\":\"\u{fffd}\\u0000\",\"continues\":true}",
        ),
    ] {
        let line = Line {
            printer: Process {
                part: Part::Workers,
                info: WEB,
            },
            stream: Stream::Stdout,
            bytes: bytes.into(),
            ending,
        };
        assert_eq!(
            rendered(&|out| text::line("web", &line, Terminal::No, out)),
            file
        );
        assert_eq!(
            rendered(&|out| text::line("web", &line, Terminal::Yes, out)),
            terminal
        );
        assert_eq!(rendered(&|out| text::bare_line(&line, out)), bare);
        let as_json = rendered(&|out| json::line("web", STAMP, &line, out));
        assert_eq!(
            String::from_utf8(as_json).unwrap(),
            format!(
                "{}{json_fields}\n",
                concat!(
                    r#"{"time":"2026-11-21T02:10:49.123Z","mono_us":42,"app":"web","#,
                    r#""event":"line","slot":0,"worker":3,"pid":1234,"stream":"stdout","#
                )
            )
        );
    }
}
