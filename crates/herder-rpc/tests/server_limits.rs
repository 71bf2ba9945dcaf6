//! What a caller cannot do to a library, whatever it sends.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use herder_rpc::server::{Library, MethodLimits};
use herder_rpc::testing::{RawCaller, RunningLibrary, Script, call, hello};
use herder_rpc::{CallError, ErrorKind, Executed, Part, Reply};
use herder_wire::rpc::{Frame, Signature, Welcome};
use tokio::sync::{mpsc, watch};

const STALLED: MethodLimits = MethodLimits {
    concurrency: 4,
    queue: 16,
};

fn script() -> Script {
    Script::new()
        .call("echo", MethodLimits::default(), async |_cx, args| {
            Ok(Reply::new(args.codec(), args.body().clone()))
        })
        .call("stalled", STALLED, async |_cx, _args| pending().await)
        .call("waits", MethodLimits::default(), async |_cx, _args| {
            pending().await
        })
}

fn start() -> RunningLibrary {
    RunningLibrary::start(Library::new("core").dynamic("object", script())).unwrap()
}

async fn is_served(library: &RunningLibrary) {
    let mut caller = library.caller().await.unwrap();
    caller.call(1, 0, "[1]").await.unwrap();
    assert!(matches!(
        caller.receive().await.unwrap(),
        Frame::Ok { id: 1, .. }
    ));
}

async fn is_closed(caller: &mut RawCaller) {
    let error = caller.receive().await.unwrap_err();
    let kinds = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
    assert!(kinds.contains(&error.kind()), "{error}");
}

#[tokio::test]
async fn the_welcome_says_the_limits_and_the_signature_is_there() {
    let library = start();
    let mut caller = RawCaller::connect(library.socket()).await.unwrap();
    let said = hello(library.herd(), Part::Worker);
    caller.send(&Frame::Hello(said.to_json())).await.unwrap();
    let Frame::Welcome(body) = caller.receive().await.unwrap() else {
        panic!("not welcome")
    };
    let welcome = Welcome::from_json(&body).unwrap();
    assert_eq!((welcome.library.as_str(), welcome.epoch), ("core", 1));
    assert_eq!(
        (welcome.limits.calls, welcome.limits.bytes),
        (256, 4 * 1024 * 1024)
    );
    caller.send(&Frame::SignatureAsk { id: 9 }).await.unwrap();
    let Frame::Signature { id: 9, document } = caller.receive().await.unwrap() else {
        panic!("no signature")
    };
    let signature = Signature::from_json(&document).unwrap();
    assert_eq!(signature.hash, welcome.hash);
    assert!(signature.find("object", "stalled").is_some());
}

#[tokio::test]
async fn a_caller_of_another_herd_or_version_is_told_so() {
    let library = start();
    let mut old = hello(library.herd(), Part::Worker);
    old.versions = [0, 0];
    let strangers = [
        hello("ff", Part::Worker),
        hello("ff", Part::Tool),
        hello("", Part::Worker),
        old,
    ];
    for stranger in strangers {
        let mut caller = RawCaller::connect(library.socket()).await.unwrap();
        caller
            .send(&Frame::Hello(stranger.to_json()))
            .await
            .unwrap();
        let Frame::Refused(error) = caller.receive().await.unwrap() else {
            panic!("let in")
        };
        assert_eq!(CallError::from_json(&error).kind, ErrorKind::Refused);
        is_closed(&mut caller).await;
    }
    let mut tool = RawCaller::connect(library.socket()).await.unwrap();
    tool.send(&Frame::Hello(hello("", Part::Tool).to_json()))
        .await
        .unwrap();
    assert!(matches!(tool.receive().await.unwrap(), Frame::Welcome(_)));
}

#[tokio::test]
async fn garbage_ends_its_connection_and_no_other() {
    let library = start();
    let garbage: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 64],
        &[0; 64],
        &[12, 0, 0, 0, 200, 0x80, 0, 0],
    ];
    for bytes in garbage {
        let mut early = RawCaller::connect(library.socket()).await.unwrap();
        early.send_bytes(bytes).await.unwrap();
        early.send_bytes(&[0; 64]).await.ok();
        is_closed(&mut early).await;
        let mut late = library.caller().await.unwrap();
        late.send_bytes(bytes).await.unwrap();
        late.send_bytes(&[0; 64]).await.ok();
        is_closed(&mut late).await;
    }
    let mut wrong = library.caller().await.unwrap();
    wrong.send(&Frame::End { id: 1 }).await.unwrap();
    is_closed(&mut wrong).await;
    let mut twice = library.caller().await.unwrap();
    twice.call(1, 1, "[]").await.unwrap();
    twice.call(1, 1, "[]").await.unwrap();
    is_closed(&mut twice).await;
    is_served(&library).await;
}

#[tokio::test]
async fn beyond_concurrency_and_queue_a_call_is_refused_at_once() {
    let library = start();
    let mut caller = library.caller().await.unwrap();
    for id in 1..=25 {
        caller.call(id, 1, "[]").await.unwrap();
    }
    for id in 21..=25 {
        let Frame::Error {
            id: answered,
            error,
        } = caller.receive().await.unwrap()
        else {
            panic!("no error")
        };
        let error = CallError::from_json(&error);
        assert_eq!(
            (answered, error.kind, error.executed),
            (id, ErrorKind::Overloaded, Executed::No)
        );
        assert!(error.retry_after.is_some());
    }
    // A place in the queue is free again as soon as somebody leaves it.
    caller.send(&Frame::Cancel { id: 10 }).await.unwrap();
    caller.call(26, 1, "[]").await.unwrap();
    caller.call(27, 1, "[]").await.unwrap();
    let Frame::Error { id, .. } = caller.receive().await.unwrap() else {
        panic!("no error")
    };
    assert_eq!(id, 27);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_large_calls_to_a_stalled_method_cost_little_memory() {
    let library = start();
    let arguments = format!("[\"{}\"]", "x".repeat(16 * 1024));
    let before = resident();
    let mut overloaded = 0;
    for _ in 0..4 {
        let mut caller = library.caller().await.unwrap();
        for id in 1..=5000 {
            caller.send(&call(id, 1, 60_000, &arguments)).await.unwrap();
            if id > 20 || overloaded > 0 {
                let Frame::Error { error, .. } = caller.receive().await.unwrap() else {
                    panic!("no error")
                };
                assert_eq!(CallError::from_json(&error).kind, ErrorKind::Overloaded);
                overloaded += 1;
            }
        }
        if overloaded < 5000 {
            // The first caller keeps its places while the others come.
            tokio::spawn(async move {
                let _kept = caller;
                pending::<()>().await;
            });
        }
    }
    assert_eq!(overloaded, 20_000 - 20);
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 * 1024, "grew by {grown} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_exceeds_its_window_is_not_read() {
    let library = start();
    let caller = library.caller().await.unwrap();
    let arguments = format!("[\"{}\"]", "x".repeat(16 * 1024));
    let before = resident();
    let mut frame = bytes::BytesMut::new();
    let socket = caller.into_socket();
    let mut sent = 0;
    'sending: for id in 1..=20_000 {
        frame.clear();
        call(id, 2, 60_000, &arguments)
            .encode(1 << 20, &mut frame)
            .unwrap();
        let mut rest = &frame[..];
        while !rest.is_empty() {
            let writable = tokio::time::timeout(Duration::from_millis(300), socket.writable());
            let Ok(ready) = writable.await else {
                break 'sending;
            };
            ready.unwrap();
            if let Ok(written) = socket.try_write(rest) {
                sent += written;
                rest = &rest[written..];
            }
        }
    }
    assert!(sent < 6 * 1024 * 1024, "{sent} bytes were taken");
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 * 1024, "grew by {grown} KiB");
    is_served(&library).await;
}

#[tokio::test]
async fn a_caller_that_exceeds_its_window_is_read_again_when_calls_end() {
    let (open, is_open) = watch::channel(false);
    let script = Script::new().call("held", MethodLimits::default(), move |_cx, args| {
        let mut is_open = is_open.clone();
        async move {
            let _opened = is_open.wait_for(|is_open| *is_open).await;
            Ok(Reply::new(args.codec(), args.body().clone()))
        }
    });
    let library = RunningLibrary::start(Library::new("core").dynamic("object", script)).unwrap();
    let mut caller = library.caller().await.unwrap();
    for id in 1..=300 {
        caller.call(id, 0, "[]").await.unwrap();
    }
    // Long enough that the library has looked for the caller's end in between.
    tokio::time::sleep(Duration::from_millis(300)).await;
    open.send_replace(true);
    for _ in 1..=300 {
        let frame = caller.receive().await.unwrap();
        assert!(matches!(frame, Frame::Ok { .. }), "{frame:?}");
    }
}

#[tokio::test]
async fn a_caller_that_goes_while_it_is_not_read_is_noticed() {
    let (down, mut seen) = mpsc::unbounded_channel();
    let script = script().down(move |caller| down.send(caller.clone()).unwrap());
    let library = RunningLibrary::start(Library::new("core").dynamic("object", script)).unwrap();
    let mut caller = library.caller().await.unwrap();
    for id in 1..=300 {
        caller.send(&call(id, 2, 60_000, "[]")).await.unwrap();
    }
    drop(caller);
    assert_eq!(seen.recv().await.unwrap().worker, 7);
}

#[tokio::test]
async fn objects_learn_of_a_caller_that_is_gone_when_its_calls_are_dropped() {
    let running = Arc::new(AtomicUsize::new(0));
    let (down, mut seen) = mpsc::unbounded_channel();
    let (counter, at_the_end) = (Arc::clone(&running), Arc::clone(&running));
    let script = Script::new()
        .call("hold", MethodLimits::default(), move |_cx, _args| {
            let _running = Running::new(&counter);
            async move {
                let _running = _running;
                pending().await
            }
        })
        .down(move |caller| {
            let running = at_the_end.load(Ordering::SeqCst);
            down.send((caller.pid, running)).unwrap();
        });
    let library = RunningLibrary::start(Library::new("core").dynamic("object", script)).unwrap();
    let mut first = library.caller().await.unwrap();
    let second = library.caller().await.unwrap();
    for id in 1..=10 {
        first.call(id, 0, "[]").await.unwrap();
    }
    first.send(&Frame::Ping { id: 1 }).await.unwrap();
    first.receive().await.unwrap();
    assert_eq!(running.load(Ordering::SeqCst), 10);
    drop(second);
    drop(first);
    // One caller with two connections is gone once.
    assert_eq!(seen.recv().await.unwrap(), (std::process::id(), 0));
    drop(library);
    assert!(seen.recv().await.is_none());
}

#[tokio::test]
async fn the_end_of_a_library_is_not_that_of_its_callers() {
    let (down, mut seen) = mpsc::unbounded_channel();
    let script = script().down(move |caller| down.send(caller.pid).unwrap());
    let mut library =
        RunningLibrary::start(Library::new("core").dynamic("object", script)).unwrap();
    let mut caller = library.caller().await.unwrap();
    library.ask_to_stop();
    assert!(matches!(caller.receive().await.unwrap(), Frame::GoAway(_)));
    drop(caller);
    library.ended().await.unwrap();
    drop(library);
    assert_eq!(seen.recv().await, None);
}

#[tokio::test]
async fn a_library_that_ends_finishes_what_is_under_way_and_takes_nothing_new() {
    let (open, gate) = watch::channel(false);
    let script = Script::new().call("slow", MethodLimits::default(), move |_cx, args| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            Ok(Reply::new(args.codec(), Bytes::from_static(b"null")))
        }
    });
    let mut library =
        RunningLibrary::start(Library::new("core").dynamic("object", script)).unwrap();
    let mut busy = library.caller().await.unwrap();
    let mut idle = library.caller().await.unwrap();
    busy.call(1, 0, "[]").await.unwrap();
    busy.send(&Frame::Ping { id: 1 }).await.unwrap();
    assert!(matches!(busy.receive().await.unwrap(), Frame::Pong { .. }));
    library.ask_to_stop();
    assert!(matches!(idle.receive().await.unwrap(), Frame::GoAway(_)));
    is_closed(&mut idle).await;
    assert!(matches!(busy.receive().await.unwrap(), Frame::GoAway(_)));
    busy.call(2, 0, "[]").await.unwrap();
    let Frame::Error { id: 2, error } = busy.receive().await.unwrap() else {
        panic!("no error")
    };
    let error = CallError::from_json(&error);
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::Unavailable, Executed::No)
    );
    open.send_replace(true);
    assert!(matches!(
        busy.receive().await.unwrap(),
        Frame::Ok { id: 1, .. }
    ));
    is_closed(&mut busy).await;
    library.ended().await.unwrap();
}

#[tokio::test]
async fn a_call_that_does_not_end_holds_the_library_no_longer_than_its_grace() {
    let library = Library::new("core")
        .dynamic("object", script())
        .grace(Duration::from_millis(50));
    let library = RunningLibrary::start(library).unwrap();
    let mut caller = library.caller().await.unwrap();
    caller.call(1, 2, "[]").await.unwrap();
    caller.send(&Frame::Ping { id: 2 }).await.unwrap();
    assert!(matches!(
        caller.receive().await.unwrap(),
        Frame::Pong { .. }
    ));
    let ended = tokio::time::timeout(Duration::from_secs(5), library.stop());
    ended.await.unwrap().unwrap();
    assert!(matches!(caller.receive().await.unwrap(), Frame::GoAway(_)));
    is_closed(&mut caller).await;
}

#[tokio::test]
async fn a_pong_says_how_long_a_method_kept_the_thread() {
    let script = Script::new().call("busy", MethodLimits::default(), async |_cx, args| {
        let end = std::time::Instant::now() + Duration::from_millis(30);
        while std::time::Instant::now() < end {
            std::hint::spin_loop();
        }
        Ok(Reply::new(args.codec(), Bytes::from_static(b"null")))
    });
    let library = RunningLibrary::start(Library::new("core").dynamic("object", script)).unwrap();
    let mut caller = library.caller().await.unwrap();
    caller.call(1, 0, "[]").await.unwrap();
    caller.receive().await.unwrap();
    caller.send(&Frame::Ping { id: 3 }).await.unwrap();
    let Frame::Pong { id: 3, lag_us } = caller.receive().await.unwrap() else {
        panic!("no pong")
    };
    assert!((30_000..1_000_000).contains(&lag_us), "{lag_us} µs");
}

struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(counter))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Resident memory of this process, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
