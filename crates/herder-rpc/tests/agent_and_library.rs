//! Agents and libraries against each other, through crashes and reloads under load.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use herder_rpc::client::{
    Agent, AgentSettings, Agents, CallOptions, Endpoint, Identity, StreamItem, StreamOptions,
    Subscription,
};
use herder_rpc::server::{
    EventSource, Library, LibraryIdentity, MethodLimits, ServeError, SlowReader,
};
use herder_rpc::testing::Script;
use herder_rpc::{CallError, ErrorKind, Executed, MethodKind, Reply};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A socket that outlives the libraries on it, as the master's does.
struct Herd {
    directory: PathBuf,
    listener: UnixListener,
}

struct Incarnation {
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

impl Herd {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("herder-rpc-herd-{}-{count}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        let listener = UnixListener::bind(directory.join("core.sock")).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self {
            directory,
            listener,
        }
    }

    fn serve(&self, epoch: u64, object: Script) -> Incarnation {
        let listener = self.listener.try_clone().unwrap();
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        let identity = LibraryIdentity {
            name: "core".to_owned(),
            epoch,
            app: "test".to_owned(),
            herd: "00ff".to_owned(),
        };
        let (stop, stopped) = oneshot::channel();
        let library = Library::new("core").dynamic("kv", object);
        let served = tokio::spawn(library.serve_on(listener, identity, stopped));
        Incarnation { stop, served }
    }

    fn agent(&self, settings: AgentSettings) -> Agent {
        let endpoint = Endpoint {
            library: "core".to_owned(),
            path: self.directory.join("core.sock"),
            herd: "00ff".to_owned(),
            identity: Identity::tool(),
        };
        Agent::with_settings(endpoint, settings)
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

impl Incarnation {
    async fn crash(self) {
        self.served.abort();
        drop(self.served.await);
    }

    async fn leave(self) {
        drop(self.stop);
        self.served.await.unwrap().unwrap();
    }
}

fn wide() -> MethodLimits {
    MethodLimits {
        concurrency: 4_096,
        queue: 0,
    }
}

/// `echo` answers at once, `rest` after a moment, `hang` never, `panic` panics.
fn object() -> Script {
    Script::new()
        .call("echo", wide(), async |_cx, args| {
            let [value] = args.decode::<[u64; 1]>()?;
            Reply::encode(args.codec(), &value)
        })
        .call("rest", wide(), async |_cx, args| {
            tokio::time::sleep(Duration::from_millis(3)).await;
            Reply::encode(args.codec(), &())
        })
        .call("hang", wide(), async |_cx, _args| {
            std::future::pending().await
        })
        .call("panic", wide(), async |_cx, _args| panic!("as asked"))
}

fn with_events(events: &EventSource<u64>) -> Script {
    let events = events.clone();
    object().stream("feed", MethodKind::Events, move |_cx, _args, sink| {
        let feed = events.feed();
        feed.run(sink)
    })
}

#[tokio::test]
async fn a_caller_may_wait_for_ever() {
    let herd = Herd::new();
    let _library = herd.serve(1, object());
    let agent = herd.agent(AgentSettings::default());
    let options = CallOptions::default().deadline(Duration::MAX);
    let echo = agent.call_with("kv", "echo", json!([7]), options).await;
    assert_eq!(echo.unwrap(), json!(7));
    let options = StreamOptions::default().deadline(Duration::MAX);
    let mut stream = agent.subscribe("kv", "echo", json!([7]), options);
    let refused = stream.next().await.unwrap().unwrap_err();
    assert_eq!(refused.kind, ErrorKind::BadArguments);
}

#[tokio::test]
async fn a_library_that_does_not_answer_keeps_no_other() {
    let herd = Herd::new();
    let _library = herd.serve(1, object());
    let endpoint = |library: &str, socket: &str| Endpoint {
        library: library.to_owned(),
        path: herd.directory.join(socket),
        herd: "00ff".to_owned(),
        identity: Identity::tool(),
    };
    let endpoints = [endpoint("away", "away.sock"), endpoint("core", "core.sock")];
    let agents = Agents::new(endpoints);
    let begin = Instant::now();
    let echo = agents.call("kv", "echo", json!([7])).await;
    assert_eq!(echo.unwrap(), json!(7));
    assert!(begin.elapsed() < Duration::from_secs(3));
    let short = Duration::from_millis(100);
    let error = agents.with_object("other", short).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.to_string().contains("away"), "{error}");
}

#[tokio::test]
async fn errors_of_the_library_come_back_within_10_ms() {
    let herd = Herd::new();
    let _library = herd.serve(1, object());
    let agent = herd.agent(AgentSettings::default());
    agent.ready().await.unwrap();
    assert_eq!(agent.call("kv", "echo", json!([7])).await.unwrap(), 7);
    let mut took = Vec::new();
    for _ in 0..10 {
        let began = Instant::now();
        let error = agent.call("kv", "panic", json!([])).await.unwrap_err();
        took.push(began.elapsed());
        assert_eq!((error.kind, error.epoch), (ErrorKind::Panicked, 1));
    }
    assert!(
        took.iter().min() < Some(&Duration::from_millis(10)),
        "{took:?}"
    );
    assert_eq!(
        agent.call("kv", "echo", json!([8])).await.unwrap(),
        8,
        "the object lives on"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_fails_a_thousand_calls_within_50_ms() {
    let mut took = Vec::new();
    let began = Instant::now();
    // A busy machine may hold many a try up, but not every one.
    while began.elapsed() < Duration::from_secs(60) {
        took.push(crash_under_a_thousand_calls().await);
        if took.last() < Some(&Duration::from_millis(50)) {
            return;
        }
    }
    panic!("{took:?}");
}

async fn crash_under_a_thousand_calls() -> Duration {
    let herd = Herd::new();
    let library = herd.serve(1, object());
    let agents: Vec<_> = (0..4)
        .map(|_| herd.agent(AgentSettings::default()))
        .collect();
    let calls: Vec<_> = (0..1_000)
        .map(|turn| {
            let agent = agents[turn % agents.len()].clone();
            let call = async move { agent.call("kv", "hang", json!([])).await };
            tokio::spawn(async move { (call.await, Instant::now()) })
        })
        .collect();
    let all = || {
        agents
            .iter()
            .map(|agent| agent.gauges().under_way)
            .sum::<usize>()
            == 1_000
    };
    until("all are in flight", all).await;
    // An answer of the library proves that it read what came before.
    for agent in &agents {
        agent.call("kv", "echo", json!([1])).await.unwrap();
    }
    let died = Instant::now();
    library.crash().await;
    let mut last = died;
    for call in calls {
        let (result, ended) = call.await.unwrap();
        let error = result.unwrap_err();
        assert_eq!(
            (error.kind, error.executed),
            (ErrorKind::Unavailable, Executed::Maybe)
        );
        last = last.max(ended);
    }
    let _next = herd.serve(2, object());
    for agent in &agents {
        assert_eq!(agent.call("kv", "echo", json!([2])).await.unwrap(), 2);
    }
    last - died
}

/// Calls until told to stop; how many were answered, and the errors.
fn load(agent: &Agent, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<(u64, Vec<CallError>)>> {
    let caller = |turn: u64| {
        let (agent, stop) = (agent.clone(), Arc::clone(stop));
        tokio::spawn(async move {
            let (mut answered, mut errors) = (0, Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let method = if turn.is_multiple_of(2) {
                    ("echo", json!([turn]))
                } else {
                    ("rest", json!([]))
                };
                match agent.call("kv", method.0, method.1).await {
                    Ok(_) => answered += 1,
                    Err(error) => errors.push(error),
                }
            }
            (answered, errors)
        })
    };
    (0..32).map(caller).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_reload_under_load_fails_no_call() {
    let herd = Herd::new();
    let mut library = herd.serve(1, object());
    let agent = herd.agent(AgentSettings::default());
    let stop = Arc::new(AtomicBool::new(false));
    let callers = load(&agent, &stop);
    for epoch in 2..8 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let next = herd.serve(epoch, object());
        library.leave().await;
        library = next;
    }
    stop.store(true, Ordering::Relaxed);
    let mut all = 0;
    for caller in callers {
        let (answered, errors) = caller.await.unwrap();
        assert_eq!(errors, []);
        all += answered;
    }
    assert!(all > 1_000, "{all} calls");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_under_load_are_told_and_never_hang() {
    let herd = Herd::new();
    let mut library = herd.serve(1, object());
    let agent = herd.agent(AgentSettings::default());
    let stop = Arc::new(AtomicBool::new(false));
    let callers = load(&agent, &stop);
    for epoch in 2..8 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        library.crash().await;
        library = herd.serve(epoch, object());
    }
    stop.store(true, Ordering::Relaxed);
    let (mut all, mut told) = (0, Vec::new());
    for caller in callers {
        let (answered, errors) = tokio::time::timeout(PATIENCE, caller)
            .await
            .unwrap()
            .unwrap();
        all += answered;
        told.extend(errors);
    }
    assert!(all > 500, "{all} calls");
    assert!(
        told.iter()
            .all(|error| error.kind == ErrorKind::Unavailable),
        "{told:?}"
    );
    assert!(
        told.iter().all(|error| error.executed == Executed::Maybe),
        "the others were repeated"
    );
    assert_eq!(agent.gauges(), herder_rpc::client::Gauges::default());
    drop(library);
}

#[tokio::test]
async fn events_go_on_over_connections_and_gaps_are_told_over_incarnations() {
    let herd = Herd::new();
    let events = EventSource::new(8, SlowReader::DropOldest);
    let library = herd.serve(1, with_events(&events));
    let agent = herd.agent(AgentSettings::default());
    let mut feed = agent.subscribe("kv", "feed", json!([]), StreamOptions::default());
    feed.opened().await.unwrap();
    events.publish(1).await;
    assert_eq!(
        next(&mut feed).await,
        StreamItem::Item {
            seq: 1,
            value: json!(1)
        }
    );
    library.crash().await;
    events.publish(2).await;
    let _library = herd.serve(2, with_events(&events));
    assert!(matches!(next(&mut feed).await, StreamItem::Gap { .. }));
    until("it is subscribed again", || events.subscribers() > 0).await;
    events.publish(3).await;
    loop {
        // What the source still held may come first.
        if let StreamItem::Item { value, .. } = next(&mut feed).await
            && value == 3
        {
            break;
        }
    }
}

#[tokio::test]
async fn a_thousand_subscriptions_leave_nothing_on_either_side() {
    let herd = Herd::new();
    let events = EventSource::<u64>::new(8, SlowReader::DropOldest);
    let _library = herd.serve(1, with_events(&events));
    let agent = herd.agent(AgentSettings::default());
    for _ in 0..1_000 {
        let mut feed = agent.subscribe("kv", "feed", json!([]), StreamOptions::default());
        feed.opened().await.unwrap();
    }
    assert_eq!(agent.gauges(), herder_rpc::client::Gauges::default());
    until("the library dropped them, too", || {
        events.subscribers() == 0
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_leaves_its_calls_does_not_fill_its_window() {
    let herd = Herd::new();
    let _library = herd.serve(1, object());
    let agent = herd.agent(AgentSettings::default());
    for _ in 0..4 {
        let calls: Vec<_> = (0..256)
            .map(|_| {
                let agent = agent.clone();
                tokio::spawn(async move { agent.call("kv", "hang", json!([])).await })
            })
            .collect();
        until("all are in flight", || agent.gauges().under_way == 256).await;
        calls.iter().for_each(JoinHandle::abort);
        until("all are left", || agent.gauges().under_way == 0).await;
    }
    assert_eq!(agent.call("kv", "echo", json!([5])).await.unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_threads_share_one_connection() {
    let herd = Herd::new();
    let _library = herd.serve(1, object());
    let agent = herd.agent(AgentSettings::default());
    let answered = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..64_u64)
        .map(|caller| {
            let (agent, answered) = (agent.clone(), Arc::clone(&answered));
            tokio::spawn(async move {
                for turn in 0..100 {
                    let value = caller * 1_000 + turn;
                    assert_eq!(
                        agent.call("kv", "echo", json!([value])).await.unwrap(),
                        value
                    );
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for caller in callers {
        tokio::time::timeout(PATIENCE, caller)
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!(answered.load(Ordering::Relaxed), 6_400);
}

const PATIENCE: Duration = Duration::from_secs(20);

async fn next(stream: &mut Subscription) -> StreamItem {
    tokio::time::timeout(PATIENCE, stream.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

async fn until(what: &str, mut met: impl FnMut() -> bool) {
    let wait = async {
        while !met() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{what}"));
}
