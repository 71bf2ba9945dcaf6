//! Bus, state and jobs of herds in one process, as workers and libraries use them.

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use herder::bus::{BusError, Heard, Message, Messages, To};
use herder::jobs::{JobsError, Overlap, Schedule, Target};
use herder::rpc::{ErrorKind, Executed};
use herder::state::{Acquired, Admission, Backend, StateError, Watch, Watched};
use herder::{AsyncWorker, Cluster, Library, LibrarySetup, Running, WorkerHandle};
use serde_json::json;
use tokio::sync::Notify;

const PATIENCE: Duration = Duration::from_secs(30);

/// A herd, and its workers by their places.
struct Herd {
    herd: Option<Running>,
    workers: Vec<WorkerHandle>,
}

impl Herd {
    fn start(cluster: Cluster) -> Herd {
        const WORKERS: usize = 2;
        let (say, said) = channel();
        let say = Mutex::new(say);
        let serve = move |worker: AsyncWorker| {
            let _over = say.lock().expect("nobody panics").send(worker.handle());
            async move {
                worker.ready();
                worker.draining().wait().await;
                io::Result::Ok(())
            }
        };
        let cluster = cluster.listen("127.0.0.1:0").workers(WORKERS);
        let cluster = cluster.grace(Duration::from_secs(5));
        let herd = cluster.start_in_process_async(serve).expect("it starts");
        let mut workers = all(&said, WORKERS);
        workers.sort_by_key(WorkerHandle::slot);
        let herd = Some(herd);
        Herd { herd, workers }
    }

    fn stop(mut self) {
        let herd = self.herd.take().expect("it was not stopped");
        herd.stop().expect("in order");
    }
}

fn all(said: &Receiver<WorkerHandle>, count: usize) -> Vec<WorkerHandle> {
    let next = |_| said.recv_timeout(PATIENCE).expect("it comes");
    (0..count).map(next).collect()
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

fn shared() -> Cluster {
    Cluster::new().state("s", Backend::Memory)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_worker_writes_another_reads() {
    let herd = Herd::start(shared());
    let (one, two) = (herd.workers[0].state("s"), herd.workers[1].state("s"));
    assert_eq!(one.namespace(), "s");
    assert!(two.get("k").await.expect("an answer").is_none());
    let revision = one.set("k", "v").ttl(PATIENCE).await.expect("written");
    let entry = two.get("k").await.expect("an answer").expect("it is there");
    assert_eq!((entry.text(), entry.revision), (Some("v"), revision));
    assert!(entry.ttl.expect("it has one") <= PATIENCE);
    let entry = two.get_fresh("k").await.expect("an answer");
    assert_eq!(entry.expect("it is there").revision, revision);

    let conflict = two
        .set("k", "w")
        .if_absent()
        .await
        .expect_err("it is there");
    assert!(
        matches!(conflict, StateError::Conflict { present } if present == revision),
        "{conflict}"
    );
    two.set("k", "w")
        .if_revision(revision)
        .await
        .expect("written");
    let late = one.delete("k").if_revision(revision).await;
    assert!(matches!(late, Err(StateError::Conflict { .. })), "{late:?}");
    assert!(one.delete("k").await.expect("an answer"));
    assert!(!one.delete("k").await.expect("an answer"));

    one.set_as("j", &json!({ "a": [1, 2] }))
        .await
        .expect("written");
    let read: serde_json::Value = two.get_as("j").await.expect("an answer").expect("there");
    assert_eq!(read, json!({ "a": [1, 2] }));
    let wrong = two.get_as::<u32>("j").await.expect_err("no number");
    assert!(matches!(wrong, StateError::Json(_)), "{wrong}");
    assert!(matches!(
        two.increment("j", 1).await,
        Err(StateError::NotANumber(_))
    ));
    assert_eq!(
        one.increment("n", 5).ttl(PATIENCE).await.expect("counted"),
        5
    );
    assert_eq!(two.increment("n", -7).await.expect("counted"), -2);
    one.add("n", 12).await.expect("added");
    assert_eq!(two.increment("n", 0).await.expect("counted"), 10);
    assert!(matches!(
        two.add("j", 1).await,
        Err(StateError::NotANumber(_))
    ));
    herd.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_read_in_pages_and_watched() {
    let herd = Herd::start(shared());
    let (one, two) = (herd.workers[0].state("s"), herd.workers[1].state("s"));
    for number in 0..5 {
        one.set(&format!("a/{number}"), "x").await.expect("written");
    }
    one.set("b", "y").await.expect("written");
    let mut scan = two.scan("a/").page(2);
    let mut pages = Vec::new();
    while let Some(page) = scan.next().await.expect("an answer") {
        let keys: Vec<String> = page.into_iter().map(|(key, _)| key).collect();
        pages.push(keys.join(" "));
    }
    assert_eq!(pages, ["a/0 a/1", "a/2 a/3", "a/4"]);
    let rest = two.scan("a/").after("a/3").next().await.expect("an answer");
    assert_eq!(rest.expect("there is one").len(), 1);

    let mut watch = two.watch("a/").await.expect("it opens");
    for _ in 0..5 {
        assert!(matches!(next(&mut watch).await, Watched::Put { .. }));
    }
    assert_eq!(next(&mut watch).await, Watched::Complete);
    one.set("c", "not watched").await.expect("written");
    one.set("a/9", "z").await.expect("written");
    let put = next(&mut watch).await;
    let Watched::Put { key, entry } = put else {
        panic!("{put:?}");
    };
    assert_eq!((key.as_str(), entry.text()), ("a/9", Some("z")));
    one.delete("a/9").await.expect("deleted");
    let key = "a/9".to_owned();
    assert_eq!(next(&mut watch).await, Watched::Deleted { key });
    herd.stop();
}

async fn next(watch: &mut Watch) -> Watched {
    let next = soon(watch.next()).await.expect("it goes on");
    next.expect("it is well")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_has_one_holder_and_a_token_that_grows() {
    let herd = Herd::start(shared());
    let (one, two) = (herd.workers[0].state("s"), herd.workers[1].state("s"));
    let ttl = Duration::from_millis(600);
    let lease = one.acquire("l", ttl).await.expect("an answer").lease();
    let lease = lease.expect("nobody has it");
    assert!(lease.is_held());
    // Neither another worker gets it, nor another part of this one.
    for state in [&one, &two] {
        let held = state.acquire("l", ttl).await.expect("an answer");
        assert!(matches!(held, Acquired::Held { .. }), "{held:?}");
    }
    // It is prolonged.
    tokio::time::timeout(ttl * 3, lease.lost())
        .await
        .expect_err("it is held");
    assert!(lease.is_held());
    let token = lease.token();
    lease.release().await.expect("it was ours");
    let next = two.acquire("l", ttl).await.expect("an answer").lease();
    let next = next.expect("it was given back");
    assert!(next.token() > token);
    // Who drops it gives it back, soon.
    drop(next);
    let again = async {
        loop {
            let acquired = one.acquire("l", ttl).await.expect("an answer");
            match acquired {
                Acquired::Ours(lease) => break lease,
                Acquired::Held { .. } => tokio::task::yield_now().await,
            }
        }
    };
    assert_eq!(soon(again).await.name(), "l");
    herd.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ended_is_lost() {
    let herd = Herd::start(shared());
    let state = herd.workers[0].state("s");
    let ttl = Duration::from_millis(300);
    let lease = state.acquire("l", ttl).await.expect("an answer").lease();
    let lease = lease.expect("nobody has it");
    // Somebody takes it away: the library says so to who prolongs it.
    let release = json!(["s", "l", lease.token()]);
    let agent = herd.workers[0].agent();
    agent.call("state", "release", release).await.expect("done");
    soon(lease.lost()).await;
    assert!(!lease.is_held());
    let error = lease.release().await.expect_err("it is lost");
    assert!(matches!(error, StateError::NotHeld), "{error}");
    herd.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_what_happens_once() {
    let herd = Herd::start(shared());
    let (one, two) = (herd.workers[0].state("s"), herd.workers[1].state("s"));
    assert!(one.once("mail", PATIENCE).await.expect("an answer"));
    assert!(!two.once("mail", PATIENCE).await.expect("an answer"));
    let first = one.limit("ip", 2, PATIENCE).await.expect("an answer");
    assert_eq!(first, Admission::Allowed { left: 1 });
    two.limit("ip", 2, PATIENCE).await.expect("an answer");
    let third = two.limit("ip", 2, PATIENCE).await.expect("an answer");
    match third {
        Admission::Denied { retry_after } => assert!(retry_after <= PATIENCE / 2),
        Admission::Allowed { .. } => panic!("two are allowed"),
    }
    herd.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_by_the_call() {
    let herd = Herd::start(shared());
    let state = herd.workers[0].state("other").with_deadline(PATIENCE);
    let error = state.get("k").await.expect_err("there is none");
    assert!(error.to_string().contains("there is: s"), "{error}");
    assert_eq!(error.executed(), Executed::No);
    assert!(!error.is_temporary());
    herd.stop();
    let herd = Herd::start(Cluster::new());
    let error = herd.workers[0].state("s").get("k").await;
    let Err(StateError::Call(error)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.kind, ErrorKind::NoObject);
    assert!(error.to_string().contains("Cluster::state"), "{error}");
    herd.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_to_all_to_one_and_to_nobody() {
    let herd = Herd::start(Cluster::new().bus());
    let (one, two) = (herd.workers[0].bus(), herd.workers[1].bus());
    let nobody = one.broadcast("news", "x").await.expect_err("nobody");
    assert!(matches!(nobody, BusError::NoReceiver(_)), "{nobody}");
    let mut first = one.subscribe(["news"]).await.expect("it opens");
    let mut second = two.subscribe(["news", "ask"]).await.expect("it opens");
    let got = one.broadcast("news", &json!({ "n": 1 })).await;
    assert_eq!(got.expect("sent").receivers, 2);
    for messages in [&mut first, &mut second] {
        let message = heard(messages).await;
        assert_eq!((message.topic.as_str(), message.from.slot), ("news", 0));
        assert_eq!(message.payload, json!({ "n": 1 }));
        assert!(!message.is_request());
        let error = message.reply("so?").await.expect_err("nobody asked");
        assert!(matches!(error, BusError::NoRequest(_)), "{error}");
    }
    let got = one.send(To::Slot(1), "news", &7).await.expect("sent");
    assert_eq!(got.receivers, 1);
    assert_eq!(heard(&mut second).await.json::<u32>().expect("a number"), 7);

    let answers = async {
        let question = heard(&mut second).await;
        assert!(question.is_request());
        question.reply(&json!([question.payload, "yes"])).await
    };
    let request = one.request(To::Slot(1), "ask", "well?").deadline(PATIENCE);
    let (answer, replied) = tokio::join!(request.into_future(), answers);
    assert_eq!(answer.expect("an answer"), json!(["well?", "yes"]));
    replied.expect("it was awaited");
    herd.stop();
}

async fn heard(messages: &mut Messages) -> Message {
    let heard = soon(messages.next()).await.expect("it goes on");
    match heard.expect("it is well") {
        Heard::Message(message) => message,
        Heard::Missed { reason, .. } => panic!("missed: {reason}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_its_failures_are_kept_and_it_ends_with_the_worker() {
    let never = Schedule::new("0 3 1 1 *").retries(1);
    let herd = Herd::start(Cluster::new().job("j", never));
    let (worker, jobs) = (&herd.workers[0], herd.workers[1].jobs());
    let tries = std::sync::Arc::new(AtomicU32::new(0));
    let running = {
        let (jobs, tries) = (worker.jobs(), tries.clone());
        tokio::spawn(async move {
            let work = |run: herder::jobs::Run| {
                assert_eq!((run.job(), run.token()), ("j", None));
                tries.fetch_add(1, Ordering::Relaxed);
                async move {
                    match run.attempt() {
                        1 => Err("not yet"),
                        _ => Ok(()),
                    }
                }
            };
            jobs.run("j", work).await
        })
    };
    // Whoever offers to run it may not be there yet: then it waits for them.
    jobs.run_now("j").await.expect("it is there");
    let history = soon(async {
        loop {
            let history = jobs.history(Some("j"), 9).await.expect("an answer");
            if history.len() == 2 {
                return history;
            }
        }
    });
    let history = history.await;
    let outcomes: Vec<&str> = history.iter().map(|it| it.outcome.as_str()).collect();
    assert_eq!(outcomes, ["succeeded", "failed"]);
    assert_eq!(history[1].reason.as_deref(), Some("not yet"));
    assert_eq!(tries.load(Ordering::Relaxed), 2);
    worker.retire("enough");
    let ended = soon(running).await.expect("no panic");
    ended.expect("in order");
    herd.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_takes_too_long_is_cancelled() {
    let herd = Herd::start(Cluster::new().bus());
    let jobs = herd.workers[0].jobs();
    let schedule = Schedule::new("0 3 1 1 *").timeout(Duration::from_millis(100));
    jobs.define("j", schedule.overlap(Overlap::Allow))
        .await
        .expect("it can be");
    let dropped = std::sync::Arc::new(Notify::new());
    let (runs, dropping) = (jobs.clone(), dropped.clone());
    let running = tokio::spawn(async move {
        let work = |_| {
            let last = Last(dropping.clone());
            async move {
                let _last = last;
                std::future::pending::<io::Result<()>>().await
            }
        };
        runs.run("j", work).await
    });
    jobs.run_now("j").await.expect("it is there");
    soon(dropped.notified()).await;
    let history = jobs.history(None, 1).await.expect("an answer");
    assert_eq!(history[0].outcome, "timed-out");
    running.abort();
    jobs.pause("j").await.expect("it is there");
    assert!(jobs.list().await.expect("an answer")[0].paused);
    jobs.resume("j").await.expect("it is there");
    jobs.remove("j").await.expect("it is there");
    let gone = jobs.run_now("j").await.expect_err("it is gone");
    assert!(matches!(gone, JobsError::NoJob(_)), "{gone}");
    let wrong = jobs.define("j", "every day").await.expect_err("no timing");
    assert!(matches!(wrong, JobsError::Invalid(_)), "{wrong}");
    let cluster = Schedule::new("@hourly").target(Target::Cluster);
    let wrong = jobs.define("j", cluster).await.expect_err("no store");
    assert!(matches!(wrong, JobsError::Invalid(_)), "{wrong}");
    herd.stop();
}

/// Tells when it is dropped.
struct Last(std::sync::Arc<Notify>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_shares_what_the_workers_do() {
    let core = async |setup: LibrarySetup| {
        let state = setup.state("s");
        state.set("from", "the library").await?;
        let (bus, jobs) = (setup.bus(), setup.jobs());
        tokio::spawn(async move { jobs.run("j", async |_| io::Result::Ok(())).await });
        let mut asked = bus.subscribe(["ask"]).await.map_err(io::Error::other).ok();
        tokio::spawn(async move {
            if let Some(asked) = &mut asked {
                let question = heard(asked).await;
                drop(question.reply("core").await);
            }
        });
        Ok::<Library, StateError>(setup.library())
    };
    let job = Schedule::new("0 3 1 1 *").target(Target::Library);
    let herd = Herd::start(shared().job("j", job).library("core", core));
    let worker = &herd.workers[0];
    let entry = worker.state("s").get("from").await.expect("an answer");
    assert_eq!(entry.expect("there").text(), Some("the library"));
    let to = To::Library("core".to_owned());
    let answer = worker.bus().request(to, "ask", &()).await;
    assert_eq!(answer.expect("an answer"), json!("core"));
    let jobs = worker.jobs();
    jobs.run_now("j").await.expect("it is there");
    soon(async { while jobs.history(None, 1).await.expect("an answer").is_empty() {} }).await;
    herd.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn values_in_a_file_are_there_in_the_next_herd() {
    let file = Folder::new();
    for expected in [1, 2] {
        let backend = Backend::file(file.0.join("state.redb"));
        let herd = Herd::start(Cluster::new().state("s", backend));
        let lives = herd.workers[0].state("s").increment("herds", 1).await;
        assert_eq!(lives.expect("counted"), expected);
        herd.stop();
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let name = format!("herder-facade-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("it is ours");
    }
}
