//! The example `sessions`: who is logged in stays so, whatever process dies; in a file, and in a store
//! by another argument. R47: without the store a worker says so in time, and everything else goes on.

use herder_e2e::binary::Binary;
use herder_e2e::foreign::{self, BOOT, address};
use herder_e2e::herd::Herd;
use herder_e2e::library::wait_for;
use herder_e2e::machines::Store;
use herder_e2e::process::Process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const SESSIONS: Binary = Binary::new("sessions", "sessions");

const WORKERS: usize = 2;

/// What the example itself allows for an answer, and what a busy machine adds.
const IN_TIME: Duration = Duration::from_secs(4);

/// A browser: it keeps its cookie.
#[derive(Clone)]
struct Browser {
    address: SocketAddr,
    cookie: String,
}

/// What a server answered.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Browser {
    fn of(herd: &Herd) -> Browser {
        Browser {
            address: address(herd),
            cookie: String::new(),
        }
    }

    /// Logs in, once the herd is ready to.
    fn logged_in(herd: &Herd, user: &str) -> Browser {
        let mut browser = Browser::of(herd);
        let answer = wait::until(BOOT, "somebody logs in", || {
            browser
                .ask("POST /login", user)
                .ok()
                .filter(|it| it.status == 200)
        });
        let cookie = answer.head.lines().find_map(|line| {
            let value = line.strip_prefix("set-cookie: ")?;
            Some(value.split(';').next()?.to_owned())
        });
        browser.cookie = cookie.expect("a cookie");
        browser
    }

    fn ask(&self, request: &str, body: &str) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(BOOT))?;
        write!(
            stream,
            "{request} HTTP/1.1\r\nhost: herd\r\nconnection: close\r\ncookie: {}\r\n\
             content-length: {}\r\n\r\n{body}",
            self.cookie,
            body.len()
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let answer = text.split_once("\r\n\r\n").and_then(|(head, body)| {
            let status = head.split(' ').nth(1)?.parse().ok()?;
            Some(Answer {
                status,
                head: head.to_owned(),
                body: body.trim_end().to_owned(),
            })
        });
        answer.ok_or_else(|| io::Error::other("no answer"))
    }

    /// Asks who it is, until somebody knows, and returns how often it was here.
    #[track_caller]
    fn visit(&self, user: &str) -> u64 {
        let answer = wait::until(BOOT, "somebody knows who it is", || {
            let answer = self.ask("GET /whoami", "").ok()?;
            assert_ne!(answer.status, 401, "the session is lost");
            (answer.status == 200).then_some(answer.body)
        });
        let (_, visits) = answer
            .split_once(&format!(" {user} visit:"))
            .unwrap_or_else(|| panic!("not {user}: {answer}"));
        visits.parse().expect("a number")
    }

    fn status(&self, request: &str) -> u16 {
        self.ask(request, "").expect("an answer").status
    }
}

fn start(scene: &Scene, sessions: &str) -> Herd {
    let setup = scene
        .herd(SESSIONS)
        .args(["--listen", "127.0.0.1:0", "--sessions", sessions]);
    let setup = setup.args(["--workers", &WORKERS.to_string()]);
    let herd = setup.env("RUST_BACKTRACE", "0").start();
    wait_for(&herd, 0, 1, "ready", BOOT);
    foreign::wait_for(&herd, 0, WORKERS, "ready", BOOT);
    herd
}

fn library(herd: &Herd) -> Process {
    let found = herd.titled("herder: library sessions/herder");
    found.into_iter().next().expect("it lives")
}

/// Kills every process of a herd, so that none of them can do anything about it.
fn kill_all(scene: &Scene, herd: Herd) {
    herd.signal(Signal::STOP);
    let processes = herd.descendants();
    for process in &processes {
        herd.try_signal_to(process.pid, Signal::KILL);
    }
    herd.signal(Signal::KILL);
    herd.wait_for_exit(BOOT);
    wait::until(BOOT, "all are gone", || {
        let any = processes.iter().any(Process::lives_on);
        (!any).then_some(())
    });
    herd.end();
    // Nobody is left who could remove it.
    let entries = fs::read_dir(scene.directory()).expect("it is there");
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with("herder-") {
            fs::remove_dir_all(entry.path()).expect("ours");
        }
    }
}

/// A session outlives workers, library and herd, wherever it is kept.
fn survives_everything(scene: &Scene, sessions: &str) {
    let herd = start(scene, sessions);
    let mut alice = Browser::logged_in(&herd, "alice");
    assert_eq!(alice.visit("alice"), 1);
    assert_eq!(alice.visit("alice"), 2);

    let mark = herd.mark();
    for worker in herd.workers() {
        herd.signal_to(worker.pid, Signal::KILL);
    }
    foreign::wait_for(&herd, mark, WORKERS, "ready", BOOT);
    let visits = alice.visit("alice");
    assert!(visits >= 3, "{visits}");

    let mark = herd.mark();
    let workers: Vec<i32> = herd.workers().iter().map(|it| it.pid).collect();
    herd.signal_to(library(&herd).pid, Signal::KILL);
    assert_eq!(wait_for(&herd, mark, 1, "ready", BOOT)[0].epoch, 2);
    let more = alice.visit("alice");
    assert!(more > visits, "{more} after {visits}");
    let stayed: Vec<i32> = herd.workers().iter().map(|it| it.pid).collect();
    assert_eq!(stayed, workers, "the workers outlive the library");

    kill_all(scene, herd);
    let herd = start(scene, sessions);
    alice.address = address(&herd);
    let last = alice.visit("alice");
    assert!(last > more, "{last} after {more}");
    assert_eq!(alice.status("POST /logout"), 200);
    assert_eq!(alice.status("GET /whoami"), 401);
    assert!(herd.end().success());
}

#[test]
fn a_session_in_a_file_survives_workers_library_and_herd() {
    let scene = Scene::new("sessions_file");
    let file = scene.directory().join("sessions.redb");
    survives_everything(&scene, &format!("file:{}", file.display()));
}

#[test]
fn a_session_in_a_store_survives_workers_library_and_herd() {
    let scene = Scene::new("sessions_store");
    let store = Store::start(&scene);
    survives_everything(&scene, &store.url(None));
    store.kill();
}

#[test]
fn a_user_is_logged_out_at_every_worker_that_it_waits_at() {
    let scene = Scene::new("sessions_out");
    let herd = start(&scene, "memory");
    let (here, there) = (
        Browser::logged_in(&herd, "bob"),
        Browser::logged_in(&herd, "bob"),
    );
    let carol = Browser::logged_in(&herd, "carol");
    let waiting: Vec<_> = (0..2 * WORKERS)
        .map(|_| {
            let browser = there.clone();
            thread::spawn(move || browser.ask("GET /wait", "").expect("an answer"))
        })
        .collect();
    wait::until(BOOT, "all wait at their workers", || {
        let accepted = herd.workers().into_iter();
        let accepted: usize = accepted
            .map(|worker| foreign::accepted_by(worker.pid).len())
            .sum();
        (accepted == waiting.len()).then_some(())
    });
    let ended = here.ask("POST /logout-everywhere", "").expect("an answer");
    assert!(ended.body.ends_with("bob had 2 sessions"), "{}", ended.body);
    let mut told_by = BTreeSet::new();
    for answer in waiting {
        let answer = answer.join().expect("no panic");
        let (name, said) = answer.body.split_once(" you ").expect("what is said");
        assert_eq!((answer.status, said), (200, "were logged out"));
        told_by.insert(name.to_owned());
    }
    assert_eq!(told_by.len(), WORKERS, "{told_by:?}");
    assert_eq!(there.status("GET /whoami"), 401);
    assert_eq!(here.status("GET /whoami"), 401);
    carol.visit("carol");
    assert!(herd.end().success());
}

#[test]
fn one_worker_counts_the_sessions() {
    let scene = Scene::new("sessions_count");
    let herd = start(&scene, "memory");
    let browsers = ["dave", "erin", "dave"].map(|user| Browser::logged_in(&herd, user));
    assert_eq!(browsers[0].status("POST /logout"), 200);
    let mark = herd.mark();
    assert_eq!(browsers[1].status("POST /count"), 200);
    // The job's own time may come as well.
    herd.wait_for_line_after(mark, "the count", BOOT, |line| {
        line.ends_with("2 sessions").then_some(())
    });
    wait::until(BOOT, "the count is known", || {
        let active = browsers[2].ask("GET /active", "").ok()?;
        active.body.ends_with(" active:2").then_some(())
    });
    assert!(herd.end().success());
}

#[test]
fn r47_without_the_store_workers_say_so_in_time_and_dispatch_goes_on() {
    let scene = Scene::new("sessions_r47");
    let store = Store::start(&scene);
    let herd = start(&scene, &store.url(None));
    let alice = Browser::logged_in(&herd, "alice");
    alice.visit("alice");
    let workers: Vec<i32> = herd.workers().iter().map(|it| it.pid).collect();

    // A store that says nothing at all is the worst.
    store.signal(Signal::STOP);
    assert_unavailable(&alice);
    store.signal(Signal::CONT);
    alice.visit("alice");

    store.kill();
    assert_unavailable(&alice);
    // It comes back with nothing.
    let store = Store::start(&scene);
    let again = Browser::logged_in(&herd, "alice");
    assert_eq!(again.visit("alice"), 1);
    let stayed: Vec<i32> = herd.workers().iter().map(|it| it.pid).collect();
    assert_eq!(stayed, workers, "nobody died of it");
    assert!(herd.end().success());
    store.kill();
}

/// What needs the store is refused in time; what does not is served.
#[track_caller]
fn assert_unavailable(browser: &Browser) {
    for _ in 0..2 * WORKERS {
        let began = Instant::now();
        let answer = browser.ask("GET /whoami", "").expect("an answer");
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
        assert!(began.elapsed() < IN_TIME, "after {:?}", began.elapsed());
        let began = Instant::now();
        assert_eq!(browser.status("GET /nothing-here"), 404);
        assert!(began.elapsed() < IN_TIME, "after {:?}", began.elapsed());
    }
}
