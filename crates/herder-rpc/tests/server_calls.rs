//! Calls, as a caller sees them that speaks in frames.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail as tests do"
)]

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use herder_rpc::server::{Library, MethodLimits, ServeError};
use herder_rpc::testing::{RawCaller, RunningLibrary, Script, call};
use herder_rpc::{CallError, Codec, ErrorKind, Executed, Reply};
use herder_wire::rpc::{Delivery, Frame, Target};
use tokio::sync::{mpsc, watch};

fn start(script: Script) -> RunningLibrary {
    RunningLibrary::start(Library::new("core").dynamic("object", script)).unwrap()
}

async fn value(caller: &mut RawCaller) -> (u64, String) {
    match caller.receive().await.unwrap() {
        Frame::Ok { id, value, .. } => (id, String::from_utf8(value.to_vec()).unwrap()),
        frame => panic!("{frame:?}"),
    }
}

async fn error(caller: &mut RawCaller) -> (u64, CallError) {
    match caller.receive().await.unwrap() {
        Frame::Error { id, error } => (id, CallError::from_json(&error)),
        frame => panic!("{frame:?}"),
    }
}

fn echo(script: Script) -> Script {
    script.call("echo", MethodLimits::default(), async |_cx, args| {
        Ok(Reply::new(args.codec(), args.body().clone()))
    })
}

#[tokio::test]
async fn calls_are_answered_each_by_its_number() {
    let library = start(echo(Script::new()));
    let mut caller = library.caller().await.unwrap();
    for id in [7, 8, 1 << 60] {
        caller.call(id, 0, &format!("[{id}]")).await.unwrap();
    }
    for id in [7, 8, 1 << 60] {
        assert_eq!(value(&mut caller).await, (id, format!("[{id}]")));
    }
}

#[tokio::test]
async fn large_arguments_and_results_travel_whole() {
    let library = start(echo(Script::new()));
    let mut caller = library.caller().await.unwrap();
    let text = format!("[\"{}\"]", "x".repeat(3 * 1024 * 1024));
    caller.call(1, 0, &text).await.unwrap();
    assert!(
        value(&mut caller).await == (1, text),
        "another text came back"
    );
}

#[tokio::test]
async fn a_result_beyond_a_frame_is_an_error_that_says_so() {
    let script = Script::new().call("big", MethodLimits::default(), async |_cx, args| {
        Ok(Reply::new(
            args.codec(),
            Bytes::from(vec![b' '; 17 * 1024 * 1024]),
        ))
    });
    let library = start(script);
    let mut caller = library.caller().await.unwrap();
    caller.call(1, 0, "[]").await.unwrap();
    let (id, error) = error(&mut caller).await;
    assert_eq!(
        (id, error.kind, error.executed),
        (1, ErrorKind::TooLarge, Executed::Yes)
    );
}

#[tokio::test]
async fn errors_and_panics_are_answered_within_ten_milliseconds() {
    let script = Script::new()
        .call("fail", MethodLimits::default(), async |_cx, _args| {
            Err(CallError::app("broken", "the disk is full").with_data(17.into()))
        })
        .call("later", MethodLimits::default(), async |_cx, _args| {
            tokio::task::yield_now().await;
            panic!("later")
        })
        .call("panic", MethodLimits::default(), async |_cx, _args| {
            panic!("at once")
        });
    let library = start(script);
    let mut caller = library.caller().await.unwrap();
    // Of the panic's own report, with a backtrace perhaps, the first is the slowest.
    let mut fastest = Duration::MAX;
    for round in 0..5 {
        let start = Instant::now();
        for method in 0..3 {
            caller
                .call(round * 3 + u64::from(method), method, "[]")
                .await
                .unwrap();
            let (_, error) = error(&mut caller).await;
            let expected = [
                (ErrorKind::App, "the disk is full"),
                (ErrorKind::Panicked, "later"),
                (ErrorKind::Panicked, "at once"),
            ];
            assert_eq!(
                (error.kind, error.message.as_str()),
                expected[usize::from(method)]
            );
        }
        fastest = fastest.min(start.elapsed());
    }
    assert!(fastest < Duration::from_millis(10), "{fastest:?}");
}

#[tokio::test]
async fn wrong_numbers_and_arguments_are_errors_of_the_call() {
    let script = Script::new()
        .call("number", MethodLimits::default(), async |_cx, args| {
            let (number,): (u32,) = args.decode()?;
            Reply::encode(args.codec(), &number)
        })
        .stream(
            "stream",
            herder_rpc::MethodKind::Events,
            async |_cx, _args, _sink| Ok(()),
        );
    let library = start(script);
    let mut caller = library.caller().await.unwrap();
    caller.call(1, 0, "[\"x\"]").await.unwrap();
    caller.call(2, 1, "[]").await.unwrap();
    caller.call(3, 2, "[]").await.unwrap();
    let mut other = call(4, 0, 1000, "[]");
    if let Frame::Call { target, .. } = &mut other {
        *target = Target {
            object: 1,
            method: 0,
        };
    }
    caller.send(&other).await.unwrap();
    let expected = [
        ErrorKind::BadArguments,
        ErrorKind::NoMethod,
        ErrorKind::NoMethod,
        ErrorKind::NoObject,
    ];
    for (id, kind) in (1..).zip(expected) {
        let (answered, error) = error(&mut caller).await;
        assert_eq!(
            (answered, error.kind, error.executed),
            (id, kind, Executed::No)
        );
    }
}

#[tokio::test]
async fn the_deadline_ends_a_call_and_its_future() {
    let (dropped, mut seen) = mpsc::unbounded_channel();
    let script = Script::new().call("hang", MethodLimits::default(), move |cx, _args| {
        let dropped = dropped.clone();
        async move {
            let _told = OnDrop(dropped);
            assert!(cx.remaining() <= Duration::from_millis(30));
            pending().await
        }
    });
    let library = start(script);
    let mut caller = library.caller().await.unwrap();
    caller.send(&call(1, 0, 30, "[]")).await.unwrap();
    let (_, error) = error(&mut caller).await;
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::Deadline, Executed::Maybe)
    );
    seen.recv().await.unwrap();
}

#[tokio::test]
async fn a_cancelled_call_is_dropped_and_not_answered() {
    let (dropped, mut seen) = mpsc::unbounded_channel();
    let script = echo(Script::new()).call("hang", MethodLimits::default(), move |_cx, _args| {
        let dropped = dropped.clone();
        async move {
            let _told = OnDrop(dropped);
            pending().await
        }
    });
    let library = start(script);
    let mut caller = library.caller().await.unwrap();
    caller.call(1, 1, "[]").await.unwrap();
    caller.send(&Frame::Cancel { id: 1 }).await.unwrap();
    seen.recv().await.unwrap();
    caller.call(2, 0, "[2]").await.unwrap();
    assert_eq!(value(&mut caller).await, (2, "[2]".to_owned()));
}

#[tokio::test]
async fn who_has_taken_work_elsewhere_learns_of_a_cancelled_call() {
    let (told, mut seen) = mpsc::unbounded_channel();
    let script = Script::new().call("work", MethodLimits::default(), move |cx, _args| {
        let told = told.clone();
        tokio::spawn(async move {
            cx.cancelled().await;
            told.send(cx.is_cancelled()).unwrap();
        });
        pending()
    });
    let library = start(script);
    let mut caller = library.caller().await.unwrap();
    caller.call(1, 0, "[]").await.unwrap();
    caller.send(&Frame::Cancel { id: 1 }).await.unwrap();
    assert!(seen.recv().await.unwrap());
}

#[tokio::test]
async fn a_one_way_call_runs_and_is_not_answered() {
    let (ran, mut seen) = mpsc::unbounded_channel();
    let script = echo(Script::new()).call("tell", MethodLimits::default(), move |_cx, args| {
        ran.send(args.decode::<(u32,)>().unwrap()).unwrap();
        async { panic!("nobody hears of this") }
    });
    let library = start(script);
    let mut caller = library.caller().await.unwrap();
    let mut tell = call(1, 1, 1000, "[5]");
    if let Frame::Call { delivery, .. } = &mut tell {
        *delivery = Delivery::OneWay;
    }
    caller.send(&tell).await.unwrap();
    caller.call(2, 0, "[]").await.unwrap();
    assert_eq!(value(&mut caller).await.0, 2);
    assert_eq!(seen.recv().await.unwrap(), (5,));
}

#[tokio::test]
async fn the_key_and_the_caller_reach_the_method() {
    let script = Script::new().call("who", MethodLimits::default(), async |cx, args| {
        let key = cx
            .key
            .as_deref()
            .map(|key| String::from_utf8_lossy(key).into_owned());
        Reply::encode(
            args.codec(),
            &(cx.caller.slot, cx.caller.worker, cx.epoch, key),
        )
    });
    let library = start(script);
    let mut caller = library.caller().await.unwrap();
    let mut keyed = call(1, 0, 1000, "[]");
    if let Frame::Call { key, codec, .. } = &mut keyed {
        (*key, *codec) = (Bytes::from_static(b"once"), Codec::Json);
    }
    caller.send(&keyed).await.unwrap();
    assert_eq!(value(&mut caller).await, (1, "[1,7,1,\"once\"]".to_owned()));
}

#[tokio::test]
async fn expired_calls_of_the_queue_never_run() {
    let ran = Arc::new(AtomicUsize::new(0));
    let (open, gate) = watch::channel(false);
    let counter = Arc::clone(&ran);
    let limits = MethodLimits {
        concurrency: 1,
        queue: 8,
    };
    let script = Script::new().call("slow", limits, move |_cx, args| {
        counter.fetch_add(1, Ordering::SeqCst);
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            Ok(Reply::new(args.codec(), args.body().clone()))
        }
    });
    let library = start(script);
    let mut caller = library.caller().await.unwrap();
    caller.call(1, 0, "[1]").await.unwrap();
    for id in 2..=5 {
        caller.send(&call(id, 0, 20, "[]")).await.unwrap();
    }
    caller.call(6, 0, "[6]").await.unwrap();
    for id in 2..=5 {
        let (answered, error) = error(&mut caller).await;
        assert_eq!((answered, error.kind), (id, ErrorKind::Deadline));
        assert_eq!(error.executed, Executed::No);
    }
    open.send_replace(true);
    assert_eq!(value(&mut caller).await.0, 1);
    assert_eq!(value(&mut caller).await.0, 6);
    assert_eq!(ran.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn one_caller_of_many_calls_does_not_keep_another_waiting() {
    let (go, turns) = mpsc::unbounded_channel::<()>();
    let turns = Arc::new(tokio::sync::Mutex::new(turns));
    let limits = MethodLimits {
        concurrency: 1,
        queue: 512,
    };
    let script = Script::new().call("slow", limits, move |_cx, args| {
        let turns = Arc::clone(&turns);
        async move {
            turns.lock().await.recv().await.unwrap();
            Ok(Reply::new(args.codec(), Bytes::from_static(b"null")))
        }
    });
    let library = start(script);
    let mut greedy = library.caller().await.unwrap();
    let mut modest = library.caller().await.unwrap();
    for id in 1..=200 {
        greedy.call(id, 0, "[]").await.unwrap();
    }
    greedy.send(&Frame::Ping { id: 0 }).await.unwrap();
    assert!(matches!(
        greedy.receive().await.unwrap(),
        Frame::Pong { .. }
    ));
    modest.call(1, 0, "[]").await.unwrap();
    modest.send(&Frame::Ping { id: 0 }).await.unwrap();
    assert!(matches!(
        modest.receive().await.unwrap(),
        Frame::Pong { .. }
    ));
    // The one that runs, one of the greedy caller's lane, then the modest one.
    for _ in 0..3 {
        go.send(()).unwrap();
    }
    assert_eq!(value(&mut modest).await.0, 1);
}

#[tokio::test]
async fn a_method_that_panics_for_ever_ends_the_library() {
    let script = Script::new().call("panic", MethodLimits::default(), async |_cx, _args| {
        panic!("again")
    });
    let library = Library::new("core")
        .dynamic("object", script)
        .max_panics(20);
    let mut library = RunningLibrary::start(library).unwrap();
    let mut caller = library.caller().await.unwrap();
    for id in 1..=20 {
        caller.call(id, 0, "[]").await.unwrap();
        assert_eq!(error(&mut caller).await.1.kind, ErrorKind::Panicked);
    }
    assert!(matches!(caller.receive().await.unwrap(), Frame::GoAway(_)));
    assert!(matches!(
        library.ended().await,
        Err(ServeError::TooManyPanics(20))
    ));
}

/// Tells that it was dropped.
struct OnDrop(mpsc::UnboundedSender<()>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
    }
}
