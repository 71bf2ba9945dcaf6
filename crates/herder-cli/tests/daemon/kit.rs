//! A home of a test's own, and a daemon in it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use herder_api::App;
use herder_api::control::{Action, Known, Progress, Start, Verb};
use herder_api::status::{AppPhase, AppStatus};
use herder_api::units::Period;
use herder_client::{Client, Error, Lines, Warnings};
use herder_sys::pidfd::PidFd;
use herder_sys::signal::Signal;

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

static MADE: AtomicU32 = AtomicU32::new(0);

/// A home of a test's own. Dropped, it ends everything that lives in it.
pub(crate) struct Place {
    root: PathBuf,
    runtime: tokio::runtime::Runtime,
    guards: Mutex<Vec<Child>>,
}

/// What was told of something.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) Vec<Progress>);

impl Place {
    pub(crate) fn new(name: &str) -> Place {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("hd-{name}-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&root).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Place {
            root,
            runtime,
            guards: Mutex::default(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Puts the command where others can reach it who may enter here: a link, where it can be, as it is large.
    pub(crate) fn put_command(&self) -> PathBuf {
        let (original, path) = (env!("CARGO_BIN_EXE_herder"), self.root.join("herder"));
        if fs::hard_link(original, &path).is_err() {
            fs::copy(original, &path).unwrap();
        }
        path
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// The command that starts a daemon.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herder"));
        command
            .args(["daemon", "--background"])
            .env("HERDER_HOME", self.home())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts a daemon, and returns what it announces.
    pub(crate) fn announced(&self) -> serde_json::Value {
        let mut child = self.command().spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        self.guards.lock().unwrap().push(child);
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    /// Starts a daemon that gets ready; returns its guard.
    pub(crate) fn daemon(&self) -> i32 {
        let word = self.announced();
        assert_eq!(word["is"], "ready", "{word} {}", self.complaints());
        pid(&word["pid"])
    }

    /// What the daemon said on stderr, and in its log.
    pub(crate) fn complaints(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.home().join(name)).unwrap_or_default();
        format!("{}{}", read("daemon.err"), read("daemon.log"))
    }

    pub(crate) fn client(&self) -> Client {
        Client::of_home(&self.home())
    }

    pub(crate) fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        let limited = async { tokio::time::timeout(LIMIT, what).await };
        let done = self.runtime.block_on(limited);
        done.unwrap_or_else(|_| panic!("nothing within {LIMIT:?}\n{}", self.complaints()))
    }

    pub(crate) fn told(
        &self,
        stream: impl Future<Output = Result<Lines<Progress>, Error>>,
    ) -> Told {
        self.wait(async {
            let mut stream = stream.await.unwrap();
            let mut told = Vec::new();
            while let Some(progress) = stream.next().await {
                told.push(progress.unwrap());
            }
            assert!(
                matches!(told.last(), Some(Progress::End { .. })),
                "{told:?}"
            );
            Told(told)
        })
    }

    pub(crate) fn start(&self, apps: &[App]) -> Told {
        self.start_known(apps, Known::Refuse)
    }

    pub(crate) fn start_known(&self, apps: &[App], known: Known) -> Told {
        let start = Start {
            apps: apps.to_vec(),
            environment: environment(),
            profile: None,
            known,
            sources: BTreeMap::new(),
        };
        self.told(async { self.client().start(&start).await })
    }

    pub(crate) fn act(&self, verb: Verb, target: &str) -> Told {
        self.told(async { self.client().act(&action(verb, target)).await })
    }

    /// The app, if it is in the list.
    pub(crate) fn find(&self, name: &str) -> Option<AppStatus> {
        let apps = self.wait(async { self.client().apps(&[]).await.unwrap() });
        apps.into_iter().find(|app| app.name == name)
    }

    pub(crate) fn app(&self, name: &str) -> AppStatus {
        self.find(name)
            .unwrap_or_else(|| panic!("no app {name}\n{}", self.complaints()))
    }

    /// Waits until an app is as it should be.
    pub(crate) fn until(&self, name: &str, is_it: impl Fn(&AppStatus) -> bool) -> AppStatus {
        let what = || Some(self.app(name)).filter(|status| is_it(status));
        attempt(what).unwrap_or_else(|| panic!("{:#?}\n{}", self.app(name), self.complaints()))
    }

    pub(crate) fn until_phase(&self, name: &str, phase: AppPhase) -> AppStatus {
        self.until(name, |status| status.phase == phase)
    }

    /// What everybody is told who asks.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let warnings = Warnings::default();
        let client = self.client().warning(&warnings);
        self.wait(async { client.daemon().await }).unwrap();
        warnings.take()
    }

    /// The daemon proper.
    pub(crate) fn proper(&self) -> i32 {
        self.wait(async { self.client().daemon().await.unwrap().pid })
    }

    /// The daemon proper that answers now, if it is another one.
    pub(crate) fn another(&self, before: i32) -> Option<i32> {
        let status = self.wait(async { self.client().daemon().await });
        let pid = status.ok().map(|status| status.pid);
        pid.filter(|pid| *pid != before)
    }

    /// The guard, as the lock file says.
    pub(crate) fn guard(&self) -> Option<i32> {
        let text = fs::read_to_string(self.home().join("daemon.lock")).ok()?;
        text.trim().parse().ok()
    }

    /// Kills both processes of the daemon; its herds go on.
    pub(crate) fn kill_daemon(&self) {
        let (guard, proper) = (self.guard().unwrap(), self.proper());
        // Neither of them gets the time to start the other again.
        let stopped = PidFd::open(guard).unwrap();
        stopped.signal(Signal::Stop).unwrap();
        kill(proper);
        kill(guard);
        self.bury();
    }

    /// Waits for the guards that were started here, and are dead or about to end.
    pub(crate) fn bury(&self) {
        for mut guard in self.guards.lock().unwrap().drain(..) {
            guard.wait().unwrap();
        }
    }

    /// Whoever lives on a lock of this home.
    fn holders(&self) -> Vec<i32> {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let pids = processes.filter_map(|it| it.file_name().to_str()?.parse::<i32>().ok());
        let here = |pid: &i32| {
            let stdin = fs::read_link(format!("/proc/{pid}/fd/0"));
            let is_keeper = stdin.is_ok_and(|it| it.starts_with(self.home().join("run")));
            let text = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let home = format!("HERDER_HOME={}", self.home().display());
            let mut variables = text.split(|byte| *byte == 0);
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let is_daemon = line.windows(8).any(|part| part == b"\0daemon\0")
                && variables.any(|it| it == home.as_bytes());
            is_keeper || is_daemon
        };
        pids.filter(here).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // First who would start others again.
        for guard in self.guards.lock().unwrap().iter_mut() {
            drop(guard.kill());
            drop(guard.wait());
        }
        for signal in [Signal::Terminate, Signal::Interrupt] {
            for pid in self.holders() {
                if let Ok(process) = PidFd::open(pid) {
                    drop(process.signal(signal));
                }
            }
        }
        let gone = attempt(|| self.holders().is_empty().then_some(()));
        if gone.is_none() {
            for pid in self.holders() {
                kill(pid);
            }
        }
        drop(fs::remove_dir_all(&self.root));
        if !thread::panicking() {
            assert!(
                gone.is_some(),
                "something of {} did not end",
                self.root.display()
            );
        }
    }
}

impl Told {
    /// What was said of an app that is done.
    pub(crate) fn done(&self, name: &str) -> &str {
        let mut told = self.0.iter();
        let found = told.find_map(|progress| {
            let Progress::Done { app, text } = progress else {
                return None;
            };
            (app == name).then_some(text.as_str())
        });
        found.unwrap_or_else(|| panic!("{name} is not done: {self:#?}"))
    }

    /// Why it failed.
    pub(crate) fn failed(&self, name: &str) -> &herder_api::Problem {
        let mut told = self.0.iter();
        let found = told.find_map(|progress| {
            let Progress::Failed { app, problem } = progress else {
                return None;
            };
            (app == name).then_some(problem)
        });
        found.unwrap_or_else(|| panic!("{name} has not failed: {self:#?}"))
    }

    /// How many were done, and how many failed.
    pub(crate) fn end(&self) -> (u32, u32) {
        match self.0.last() {
            Some(Progress::End { done, failed }) => (*done, *failed),
            other => panic!("{other:?}"),
        }
    }
}

/// An app that does nothing, and is ready after a moment.
pub(crate) fn idle(name: &str) -> App {
    App {
        name: name.to_owned(),
        command: vec!["sleep".to_owned(), "1000".to_owned()],
        cwd: Some("/".into()),
        ready_after: Some(Period::millis(30)),
        grace: Some(Period::secs(3)),
        soak: Some(Period::millis(100)),
        ..App::default()
    }
}

/// An app that is a shell's script.
pub(crate) fn script(name: &str, text: &str) -> App {
    let words = ["sh", "-c", text];
    App {
        command: words.map(str::to_owned).to_vec(),
        ..idle(name)
    }
}

pub(crate) fn action(verb: Verb, target: &str) -> Action {
    Action {
        verb,
        targets: vec![target.to_owned()],
        environment: None,
        profile: None,
        settings: serde_json::Map::new(),
    }
}

pub(crate) fn environment() -> BTreeMap<String, String> {
    let path = std::env::var("PATH").unwrap();
    BTreeMap::from([("PATH".to_owned(), path)])
}

/// The processes of an app's workers.
pub(crate) fn pids(status: &AppStatus) -> Vec<i32> {
    let slots = status.herd.iter().flat_map(|herd| &herd.slots);
    slots
        .flat_map(|slot| &slot.workers)
        .map(|it| it.pid)
        .collect()
}

/// Kills a process, and waits until it is dead.
pub(crate) fn kill(pid: i32) {
    let Ok(process) = PidFd::open(pid) else {
        return;
    };
    process.signal(Signal::Kill).unwrap();
    attempt(|| process.is_over().unwrap().then_some(())).expect("the kernel kills");
}

pub(crate) fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Asks again and again, for what sends no event.
pub(crate) fn attempt<T>(what: impl Fn() -> Option<T>) -> Option<T> {
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(found) = what() {
            return Some(found);
        }
        if Instant::now() > until {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn pid(value: &serde_json::Value) -> i32 {
    i32::try_from(value.as_i64().unwrap()).unwrap()
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}
