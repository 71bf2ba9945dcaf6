//! A library in a process of its own, killed or stopped under load.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use herder_rpc::client::{Agent, AgentSettings, CallOptions, Endpoint, Identity};
use herder_rpc::server::{Library, LibraryIdentity, MethodLimits};
use herder_rpc::testing::Script;
use herder_rpc::{CallError, ErrorKind, Executed, Reply};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::task::JoinHandle;

/// What the process of a library finds its incarnation in.
const EPOCH: &str = "HERDER_RPC_TEST_EPOCH";

/// How many calls are made of a library that does not answer.
const MANY: usize = 20_000;

/// How much its process and that of its caller may grow meanwhile, in KiB.
const GROWTH: usize = 32 * 1024;

/// A socket that outlives the libraries on it, as the master's does.
struct Herd {
    directory: PathBuf,
    listener: UnixListener,
}

impl Herd {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("herder-rpc-processes-{}-{count}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        let listener = UnixListener::bind(directory.join("core.sock")).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self {
            directory,
            listener,
        }
    }

    /// Starts an incarnation; it has the listener as its standard input.
    fn start(&self, epoch: u64) -> Process {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_process_of_a_library", "--ignored"])
            .env(EPOCH, epoch.to_string())
            .stdin(self.listener.as_fd().try_clone_to_owned().unwrap())
            .stdout(Stdio::null())
            .spawn();
        Process(child.unwrap())
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
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// The process of a library, which ends with this.
struct Process(Child);

impl Process {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
#[ignore = "it is what the other tests start"]
fn the_process_of_a_library() {
    let Some(epoch) = std::env::var(EPOCH).ok().and_then(|text| text.parse().ok()) else {
        return;
    };
    let limits = MethodLimits {
        concurrency: 4_096,
        queue: 0,
    };
    let object = Script::new()
        .call("hang", limits, async |_cx, _args| {
            std::future::pending().await
        })
        .call("epoch", limits, move |_cx, args| async move {
            Reply::encode(args.codec(), &epoch)
        });
    let identity = LibraryIdentity {
        name: "core".to_owned(),
        epoch,
        app: "test".to_owned(),
        herd: "00ff".to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(async {
            let listener = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
            let listener = UnixListener::from(listener);
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            let library = Library::new("core").dynamic("kv", object);
            let served = library.serve_on(listener, identity, std::future::pending::<()>());
            served.await
        })
        .unwrap();
}

/// The machine may be busy with other things just then: the best of three incarnations counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_under_a_thousand_calls_fails_all_within_50_ms() {
    let _turn = turn().await;
    let herd = Herd::new();
    let settings = AgentSettings {
        reconnect_wait: Duration::ZERO,
        ..AgentSettings::default()
    };
    let agents: Vec<_> = (0..4).map(|_| herd.agent(settings.clone())).collect();
    let mut slowest: Vec<Duration> = Vec::new();
    let (mut epoch, began) = (0, Instant::now());
    // Three deaths; more while the machine is too busy for one of them to be measured.
    while epoch < 3 || !slowest.iter().any(|it| *it < Duration::from_millis(50)) {
        assert!(began.elapsed() < Duration::from_secs(60), "{slowest:?}");
        epoch += 1;
        let library = herd.start(epoch);
        for agent in &agents {
            until_serves(agent, epoch).await;
        }
        slowest.push(kill_under_calls(library, &agents).await);
    }
}

/// What was in flight may have run; what waited for the window did not. How long the last took.
async fn kill_under_calls(mut library: Process, agents: &[Agent]) -> Duration {
    const WINDOW: usize = 256;
    const WAITING: usize = 44;
    let mut calls = hang(agents, WINDOW - 1);
    let all_are = |under_way, waiting| {
        move || {
            let gauges = agents.iter().map(Agent::gauges);
            let mut numbers = gauges.map(|gauges| (gauges.under_way, gauges.waiting));
            numbers.all(|numbers| numbers == (under_way, waiting))
        }
    };
    until("the calls are under way", all_are(WINDOW - 1, 0)).await;
    for agent in agents {
        // The library took this one, and those before it.
        agent.call("kv", "epoch", json!([])).await.unwrap();
    }
    // The first of these has the last place in the window; whether it has left yet, nobody knows.
    calls.extend(hang(agents, 1 + WAITING));
    until("the others wait", all_are(WINDOW, WAITING)).await;
    let died = Instant::now();
    library.kill();
    let (mut slowest, mut maybe, mut no) = (Duration::ZERO, 0, 0);
    for call in calls {
        let (error, ended) = call.await.unwrap();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        match error.executed {
            Executed::Maybe => maybe += 1,
            Executed::No => no += 1,
            Executed::Yes => panic!("nobody answered"),
        }
        slowest = slowest.max(ended - died);
    }
    let [least, most] = [WINDOW - 1, WINDOW].map(|each| each * agents.len());
    assert!(
        (least..=most).contains(&maybe),
        "{maybe} may have run, {no} did not"
    );
    slowest
}

/// Makes calls that do not end by themselves.
fn hang(agents: &[Agent], each: usize) -> Vec<JoinHandle<(CallError, Instant)>> {
    let calls = (0..each).flat_map(|_| agents).map(|agent| {
        let agent = agent.clone();
        tokio::spawn(async move {
            let result = agent.call("kv", "hang", json!([])).await;
            (result.unwrap_err(), Instant::now())
        })
    });
    calls.collect()
}

/// The library reads, and its method does not come to an end.
#[tokio::test]
async fn a_stalled_method_and_20_000_calls_of_16_kib_take_little_memory() {
    let _turn = turn().await;
    let herd = Herd::new();
    let library = herd.start(1);
    let agent = herd.agent(AgentSettings::default());
    until_serves(&agent, 1).await;
    press(&agent, &library).await;
    until_serves(&agent, 1).await;
}

/// The library does not even read.
#[tokio::test]
async fn a_stopped_library_and_20_000_calls_of_16_kib_take_little_memory() {
    let _turn = turn().await;
    let herd = Herd::new();
    let library = herd.start(1);
    let agent = herd.agent(AgentSettings::default());
    until_serves(&agent, 1).await;
    kill_process(library.pid(), Signal::STOP).unwrap();
    press(&agent, &library).await;
    kill_process(library.pid(), Signal::CONT).unwrap();
    until_serves(&agent, 1).await;
}

/// Calls as requests come to a worker, one after the other; none waits beyond its deadline, and most not at all.
async fn press(agent: &Agent, library: &Process) {
    const DEADLINE: Duration = Duration::from_millis(1_500);
    let pids = [None, Some(library.pid())];
    let before = pids.map(|pid| {
        forget_peak(pid);
        memory(pid, "VmRSS")
    });
    let mut calls = Vec::new();
    let mut refused = 0;
    let began = Instant::now();
    for _ in 0..MANY {
        let agent = agent.clone();
        let call = tokio::spawn(async move {
            let args = json!(["x".repeat(16 * 1024)]);
            let options = CallOptions::default().deadline(DEADLINE);
            let began = Instant::now();
            let result = agent.call_with("kv", "hang", args, options).await;
            (result.unwrap_err(), began.elapsed())
        });
        tokio::task::yield_now().await;
        if call.is_finished() {
            let (error, _) = call.await.unwrap();
            is_refused(&error);
            refused += 1;
        } else {
            calls.push(call);
        }
    }
    // Those that were taken first end while there are still more, if the machine is slow: then others have their
    // places.
    let turns = 1 + began.elapsed().as_millis() / DEADLINE.as_millis();
    let most = 2_000 * usize::try_from(turns).unwrap();
    assert!(calls.len() < most, "{} calls were taken", calls.len());
    assert_eq!(refused + calls.len(), MANY);
    for call in calls {
        let (error, took) = call.await.unwrap();
        assert_eq!(error.kind, ErrorKind::Deadline, "{error}");
        assert!(took >= DEADLINE && took < 4 * DEADLINE, "after {took:?}");
    }
    for (pid, before) in pids.into_iter().zip(before) {
        let grown = memory(pid, "VmHWM").saturating_sub(before);
        assert!(grown < GROWTH, "{pid:?} grew by {grown} KiB");
    }
}

fn is_refused(error: &CallError) {
    let expected = (ErrorKind::Overloaded, Executed::No);
    assert_eq!((error.kind, error.executed), expected, "{error}");
}

/// Memory and time are those of the whole process: its tests take turns.
async fn turn() -> tokio::sync::MutexGuard<'static, ()> {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    TURN.lock().await
}

/// The directory of a process in /proc; of this one without a number.
fn proc(pid: Option<Pid>) -> PathBuf {
    let name = pid.map_or("self".to_owned(), |pid| pid.as_raw_nonzero().to_string());
    PathBuf::from("/proc").join(name)
}

/// The peak that is told from now on begins here.
fn forget_peak(pid: Option<Pid>) {
    std::fs::write(proc(pid).join("clear_refs"), "5").unwrap();
}

/// A field of a process's status, in KiB.
fn memory(pid: Option<Pid>, field: &str) -> usize {
    let status = std::fs::read_to_string(proc(pid).join("status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

async fn until_serves(agent: &Agent, epoch: u64) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match agent.call("kv", "epoch", json!([])).await {
            Ok(answer) if answer == epoch => return,
            other => assert!(Instant::now() < deadline, "epoch {epoch}: {other:?}"),
        }
        tokio::task::yield_now().await;
    }
}

async fn until(what: &str, met: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !met() {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        tokio::task::yield_now().await;
    }
}
