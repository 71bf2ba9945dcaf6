//! What a library promises, with real processes.
//!
//! 5, 6 and 9 of the list (and 1 in Rust) are in `library_life` and `library_failures`; 12 and 13 belong
//! to jobs and state, 16 to `sdk/node`.

use futures_util::future::join_all;
use herder::rpc::CallError;
use herder::rpc::client::{Agent, CallOptions, StreamItem, StreamOptions};
use herder::rpc::{ErrorKind, Executed};
use herder_e2e::binary::Binary;
use herder_e2e::foreign::{BOOT, freeze, wait_for as wait_for_workers};
use herder_e2e::herd::{Herd, Stream};
use herder_e2e::library::{self, Life, agent, wait_for};
use herder_e2e::process::{descriptors, resident_bytes};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

const MIB: u64 = 1024 * 1024;

fn start(scene: &Scene, options: &[&str]) -> (Herd, Life) {
    let herd = library::herd(scene, options).start();
    let library = wait_for(&herd, 0, 1, "ready", BOOT).remove(0);
    (herd, library)
}

async fn call(agent: &Agent, method: &str, args: Value) -> Result<Value, CallError> {
    let options = CallOptions::default().deadline(BOOT);
    agent.call_with("trial", method, args, options).await
}

/// Waits until a method without arguments gives this number.
async fn until(agent: &Agent, method: &str, expected: u64) {
    let deadline = Instant::now() + BOOT;
    loop {
        let now = call(agent, method, json!([])).await.expect("it answers");
        if now == json!(expected) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{method} is {now}, not {expected}"
        );
        tokio::task::yield_now().await;
    }
}

fn grown(pid: i32, before: u64) -> u64 {
    let now = resident_bytes(pid).expect("it lives");
    now.saturating_sub(before)
}

fn own_pid() -> i32 {
    std::process::id().cast_signed()
}

/// A library in Node whose objects take three seconds to come.
const SLOW: &str = "
module.exports = new Promise((done) => setTimeout(done, 3000, { slow: { pid: () => process.pid } }));
";

/// Workers in Node that ask at once.
const EAGER: &str = "
const herder = require('SDK');
herder.agent().then(async ({ slow }) => {
  console.log(`library ${await slow.pid()}`);
  require('net').createServer().listen(0, '127.0.0.1');
});
";

#[test]
fn acceptance_01_workers_wait_for_a_library_whose_objects_come_late() {
    let scene = Scene::new("acc_01");
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/node");
    for (name, text) in [("slow.js", SLOW), ("app.js", &EAGER.replace("SDK", sdk))] {
        fs::write(scene.directory().join(name), text).expect("a file");
    }
    let setup = scene.herd(Binary::HERDER).arg("run").args(["-i", "4"]);
    let begun = Instant::now();
    let herd = setup.args(["--library", "slow=slow.js", "app.js"]).start();
    let library = wait_for(&herd, 0, 1, "ready", BOOT).remove(0);
    assert!(begun.elapsed() >= Duration::from_secs(3));
    wait_for_workers(&herd, 0, 4, "ready", BOOT);
    let expected = format!("] library {}", library.pid);
    // What they say and what is said of them are two streams.
    wait::until(BOOT, "all have asked the one library", || {
        let said = herd.texts(Stream::Stdout);
        let said = said.iter().filter(|line| line.ends_with(&expected));
        (said.count() == 4).then_some(())
    });
    assert!(herd.end().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn acceptance_02_timed_errors_and_panics_reach_the_caller_within_10_ms() {
    let scene = Scene::new("acc_02");
    let (herd, library) = start(&scene, &[]);
    let agent = agent(&scene, "core");
    agent.ready().await.expect("it is");
    for (method, args, expected) in [
        ("fail", json!(["full"]), (ErrorKind::App, Executed::Yes)),
        ("panic", json!([]), (ErrorKind::Panicked, Executed::Maybe)),
    ] {
        let begun = Instant::now();
        // A busy machine has quiet moments.
        loop {
            let mut times = Vec::new();
            for _ in 0..21 {
                let begun = Instant::now();
                let error = call(&agent, method, args.clone())
                    .await
                    .expect_err("it fails");
                times.push(begun.elapsed());
                assert_eq!((error.kind, error.executed), expected);
            }
            times.sort_unstable();
            if times[10] < Duration::from_millis(10) {
                break;
            }
            assert!(begun.elapsed() < BOOT, "{method}: {times:?}");
        }
    }
    let echo = call(&agent, "echo", json!(["still here"])).await;
    assert_eq!(echo.expect("it lives on"), "still here");
    assert_eq!(herd.titled("herder: library")[0].pid, library.pid);
    assert!(herd.end().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn acceptance_03_timed_a_thousand_calls_in_flight_fail_within_50_ms_of_the_librarys_death() {
    let begun = Instant::now();
    let mut all = Vec::new();
    // The machine may be busy with something else in one of several rounds.
    while all.last().is_none_or(|it| *it > Duration::from_millis(50)) {
        assert!(begun.elapsed() < BOOT, "{all:?}");
        all.push(last_of_a_thousand_to_fail().await);
    }
}

/// Calls that the library holds until it dies: what each ends with, and when.
fn hold_250(agent: &Agent) -> impl Iterator<Item = JoinHandle<(CallError, Instant)>> {
    (0..250).map(move |_| {
        let agent = agent.clone();
        tokio::spawn(async move {
            let held = call(&agent, "hold", json!(["x"])).await;
            (held.expect_err("it dies"), Instant::now())
        })
    })
}

/// A library dies of which a thousand calls and two streams want something. Returns how long the last of the calls
/// took to fail.
async fn last_of_a_thousand_to_fail() -> Duration {
    let scene = Scene::new("acc_03");
    let (herd, library) = start(&scene, &[]);
    // One connection has 256 under way at most.
    let agents = [(); 5].map(|()| agent(&scene, "core"));
    let mut state = agents[4].subscribe("trial", "watch", json!([]), StreamOptions::default());
    let mut events = agents[4].subscribe("trial", "events", json!([]), StreamOptions::default());
    state.opened().await.expect("it is there");
    events.opened().await.expect("it is there");
    let held: Vec<_> = agents[..4].iter().flat_map(hold_250).collect();
    let again = agents[4].clone();
    let again = tokio::spawn(async move { call(&again, "hold_first", json!([])).await });
    until(&agents[4], "held", 1001).await;
    let put = call(&agents[4], "put", json!(["color", 1])).await;
    put.expect("it lives");
    assert_eq!(
        state.next().await.expect("open").expect("open"),
        StreamItem::SnapshotEnd
    );
    let change = state
        .next()
        .await
        .expect("open")
        .expect("open")
        .into_value();
    assert_eq!(change, Some(json!({"key": "color", "value": 1})));

    let mark = herd.mark();
    let killed = Instant::now();
    herd.signal_to(library.pid, Signal::KILL);
    let mut latest = Duration::ZERO;
    for failed in join_all(held).await {
        let (error, when) = failed.expect("no panic");
        let end = (error.kind, error.executed);
        assert_eq!(end, (ErrorKind::Unavailable, Executed::Maybe));
        latest = latest.max(when - killed);
    }
    assert_eq!(wait_for(&herd, mark, 1, "ready", BOOT)[0].epoch, 2);
    let epoch = again.await.expect("no panic").expect("it is made again");
    assert_eq!(epoch, json!(2));
    let gap = |item: &StreamItem| matches!(item, StreamItem::Gap { .. });
    let item = state.next().await.expect("open").expect("open");
    assert!(gap(&item), "{item:?}");
    let item = state.next().await.expect("open").expect("open");
    assert_eq!(
        item,
        StreamItem::SnapshotEnd,
        "the next life has no keys yet"
    );
    let item = events.next().await.expect("open").expect("open");
    assert!(gap(&item), "{item:?}");
    drop((state, events));
    assert!(herd.end().success());
    latest
}

#[tokio::test(flavor = "multi_thread")]
async fn acceptance_04_deadlines_fire_while_the_library_is_stopped() {
    let scene = Scene::new("acc_04");
    let (herd, library) = start(&scene, &["--hang", "2500"]);
    let agent = agent(&scene, "core");
    agent.ready().await.expect("it is");
    let mark = herd.mark();
    freeze(&herd, &[library.pid]);
    let options = CallOptions::default().deadline(Duration::from_millis(200));
    let begun = Instant::now();
    let error = agent
        .call_with("trial", "hold", json!(["x"]), options)
        .await;
    let (error, took) = (error.expect_err("nobody answers"), begun.elapsed());
    // And not that it died, which it does later.
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::Deadline, Executed::Maybe)
    );
    assert!(took >= Duration::from_millis(200), "{took:?}");
    wait_for(&herd, mark, 1, "died: signal SIGKILL (it hung)", BOOT);
    wait_for(&herd, mark, 1, "ready", BOOT);
    let echo = call(&agent, "echo", json!(["back"])).await;
    assert_eq!(echo.expect("the next life answers"), "back");
    assert!(herd.end().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn acceptance_07_a_slow_subscriber_costs_a_bounded_memory_and_is_told() {
    let scene = Scene::new("acc_07");
    let (herd, library) = start(&scene, &[]);
    let [slow, other] = [(); 2].map(|()| agent(&scene, "core"));
    let options = StreamOptions::default().credits(16);
    let mut events = slow.subscribe("trial", "events", json!([]), options);
    events.opened().await.expect("it is there");
    call(&other, "emit", json!([1024, 4096]))
        .await
        .expect("it lives");
    let before = resident_bytes(library.pid).expect("it lives");
    for _ in 0..100 {
        call(&other, "emit", json!([1000, 4096]))
            .await
            .expect("it lives");
    }
    // 400 MiB went by.
    let grown = grown(library.pid, before);
    assert!(grown < 16 * MIB, "the library grew by {grown} bytes");
    let (mut taken, mut missed) = (0, 0);
    while taken + missed < 101_024 {
        match events.next().await.expect("open").expect("open") {
            StreamItem::Gap { missed: more, .. } => missed += more.expect("it is known"),
            StreamItem::Item { .. } => taken += 1,
            other @ (StreamItem::Snapshot { .. } | StreamItem::SnapshotEnd) => panic!("{other:?}"),
        }
    }
    assert_eq!(
        taken + missed,
        101_024,
        "each is there, or told to be missing"
    );
    assert!(missed > 90_000, "{missed}");
    drop(events);
    assert!(herd.end().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn acceptance_08_a_stalled_library_and_20_000_calls_of_16_kib_cost_less_than_32_mib() {
    let scene = Scene::new("acc_08");
    let (herd, library) = start(&scene, &["--hang", "60000"]);
    let agent = agent(&scene, "core");
    agent.ready().await.expect("it is");
    let pids = [own_pid(), library.pid];
    let before = pids.map(|pid| resident_bytes(pid).expect("it lives"));
    let text = "x".repeat(16 * 1024);
    let mut turned_away = 0;
    let mut waiting = Vec::new();
    let options = CallOptions::default().deadline(Duration::from_secs(60));
    for _ in 0..20_000 {
        let args = json!([text]);
        let (agent, options) = (agent.clone(), options.clone());
        let mut calling =
            Box::pin(async move { agent.call_with("trial", "hold", args, options).await });
        match poll_fn(|context| Poll::Ready(calling.as_mut().poll(context))).await {
            Poll::Pending => waiting.push(calling),
            Poll::Ready(answer) => {
                let error = answer.expect_err("it does not answer");
                let told = (error.kind, error.executed);
                assert_eq!(told, (ErrorKind::Overloaded, Executed::No));
                turned_away += 1;
            }
        }
    }
    assert_eq!(turned_away + waiting.len(), 20_000);
    assert!(turned_away > 18_000, "{turned_away}");
    for (pid, before) in pids.into_iter().zip(before) {
        let grown = grown(pid, before);
        assert!(grown < 32 * MIB, "{pid} of {pids:?} grew by {grown} bytes");
    }
    drop(waiting);
    let echo = call(&agent, "echo", json!(["free again"])).await;
    assert_eq!(echo.expect("it lives"), "free again");
    assert!(herd.end().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn acceptance_10_a_thousand_subscriptions_that_end_leave_nothing() {
    let scene = Scene::new("acc_10");
    let (herd, library) = start(&scene, &[]);
    let agent = agent(&scene, "core");
    cycle(&agent, 100).await;
    let open = || descriptors(library.pid).expect("it lives").len();
    let (memory, before) = (resident_bytes(library.pid).expect("it lives"), open());
    cycle(&agent, 1000).await;
    let grown = grown(library.pid, memory);
    assert!(grown < 2 * MIB, "the library grew by {grown} bytes");
    assert_eq!(open(), before);
    assert!(herd.end().success());
}

/// Subscribes and leaves so many times; nobody is subscribed in the end.
async fn cycle(agent: &Agent, count: usize) {
    for number in 0..count {
        let method = ["watch", "events"][number % 2];
        let mut stream = agent.subscribe("trial", method, json!([]), StreamOptions::default());
        stream.opened().await.expect("it is there");
    }
    until(agent, "subscribers", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acceptance_11_queued_calls_whose_time_is_over_never_run() {
    let scene = Scene::new("acc_11");
    let (herd, _) = start(&scene, &[]);
    let agent = agent(&scene, "core");
    let first = agent.clone();
    let first = tokio::spawn(async move { call(&first, "step", json!([1500])).await });
    until(&agent, "steps", 1).await;
    let late = join_all((0..20).map(|_| {
        let options = CallOptions::default().deadline(Duration::from_millis(100));
        agent.call_with("trial", "step", json!([0]), options)
    }));
    for late in late.await {
        assert_eq!(late.expect_err("it waits").kind, ErrorKind::Deadline);
    }
    assert_eq!(first.await.expect("no panic").expect("it runs"), json!(1));
    let next = call(&agent, "step", json!([0])).await;
    assert_eq!(next.expect("it runs"), json!(2), "none ran between");
    assert!(herd.end().success());
}

/// The same calls in Node. Arguments: the package, the socket.
const IN_NODE: &str = "
const herder = require(process.argv[2]);
const say = (value) => console.log(JSON.stringify(value));
async function main() {
  const objects = await herder.connect({ libraries: [{ name: 'core', path: process.argv[3] }] });
  const { trial } = objects;
  const asked = async (promise) => {
    try {
      say({ value: await promise ?? null });
    } catch ({ kind, executed, code }) {
      say({ kind, executed, code: code ?? null });
    }
  };
  await asked(trial.echo('grün'));
  await asked(trial.fail('full'));
  await asked(trial.panic());
  await asked(trial.hold('x', herder.options({ deadline: 50 })));
  await asked(trial.echo(7));
  await asked(trial.put('color', 1));
  const items = trial.watch().items();
  say((await items.next()).value.value);
  say((await items.next()).value.kind);
  await trial.put('color', 2);
  say((await items.next()).value.value);
  await items.return();
  herder.close(objects);
}
main();
";

#[tokio::test(flavor = "multi_thread")]
async fn acceptance_15_agents_in_rust_and_node_see_the_same() {
    let scene = Scene::new("acc_15");
    let (herd, _) = start(&scene, &[]);
    let in_rust = in_rust(&agent(&scene, "core")).await;
    let script = scene.directory().join("scenario.js");
    fs::write(&script, IN_NODE).expect("a file");
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/node");
    let node = scene.program("node").arg(&script).arg(sdk);
    let node = node.arg(library::socket(&scene, "core")).start();
    assert!(node.wait_for_exit(BOOT).success(), "{:?}", node.lines());
    let lines = node.texts(Stream::Stdout);
    let lines = lines.iter().map(|line| serde_json::from_str(line));
    let in_node: Vec<Value> = lines.collect::<Result<_, _>>().expect("JSON");
    assert_eq!(in_node, in_rust);
    assert!(herd.end().success());
}

async fn in_rust(agent: &Agent) -> Vec<Value> {
    let brief = CallOptions::default().deadline(Duration::from_millis(50));
    let mut seen = vec![
        told(call(agent, "echo", json!(["grün"])).await),
        told(call(agent, "fail", json!(["full"])).await),
        told(call(agent, "panic", json!([])).await),
        told(agent.call_with("trial", "hold", json!(["x"]), brief).await),
        told(call(agent, "echo", json!([7])).await),
        told(call(agent, "put", json!(["color", 1])).await),
    ];
    let mut stream = agent.subscribe("trial", "watch", json!([]), StreamOptions::default());
    let item = stream.next().await.expect("open").expect("open");
    seen.extend(item.into_value());
    let item = stream.next().await.expect("open").expect("open");
    assert_eq!(item, StreamItem::SnapshotEnd);
    seen.push(json!("snapshot_end"));
    call(agent, "put", json!(["color", 2]))
        .await
        .expect("it lives");
    let item = stream.next().await.expect("open").expect("open");
    seen.extend(item.into_value());
    // As it was, for the next.
    call(agent, "put", json!(["color", 1]))
        .await
        .expect("it lives");
    seen
}

fn told(answer: Result<Value, CallError>) -> Value {
    match answer {
        Ok(value) => json!({ "value": value }),
        Err(error) => json!({
            "kind": error.kind,
            "executed": error.executed,
            "code": error.code,
        }),
    }
}
