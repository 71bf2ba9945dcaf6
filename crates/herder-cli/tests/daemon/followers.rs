//! Who follows goes on with the next daemon; and who asks is told what everybody has to know.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use herder_api::control::Verb;
use herder_api::status::AppPhase;

use super::kit::{LIMIT, Place, attempt, idle, kill, pids, script};

/// A command that goes on, and its lines.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn new(place: &Place, words: &[&str]) -> Follower {
        let mut child = place
            .types(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if to.send(line).is_err() {
                    return;
                }
            }
        });
        Follower { child, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a line")
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Place {
    /// The command, in this home.
    fn types(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herder"));
        command
            .args(words)
            .env("HERDER_HOME", self.home())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn answers(&self) -> bool {
        self.wait(async { self.client().daemon().await.is_ok() })
    }
}

#[test]
fn a_log_is_followed_over_the_daemons_death_and_upgrade() {
    let place = Place::new("follow");
    place.daemon();
    let counts = "n=0; while echo $n; do n=$((n+1)); sleep 0.01; done";
    let mut web = script("web", counts);
    // Far too few lines to be put away.
    web.logs.rotate_size = "64M".parse().unwrap();
    place.start(&[web]).done("web");
    let follower = Follower::new(&place, &["logs", "web", "--out", "--raw", "--lines", "1"]);
    let number = || follower.next().parse::<u64>().unwrap();
    let first = number();
    let mut expected = first + 1;
    let mut take = |many: u64| {
        for _ in 0..many {
            assert_eq!(number(), expected, "nothing is missed or told twice");
            expected += 1;
        }
    };
    take(10);
    for _ in 0..2 {
        let proper = place.proper();
        kill(proper);
        attempt(|| place.another(proper)).expect("another daemon");
        take(100);
    }
    place.act(Verb::Upgrade, "all");
    take(200);
}

#[test]
fn events_go_on_with_the_next_daemon() {
    let place = Place::new("events");
    place.daemon();
    place.start(&[idle("web")]).done("web");
    let follower = Follower::new(&place, &["events", "web"]);
    // It may not listen yet.
    let told = attempt(|| {
        place.act(Verb::Restart, "web").done("web");
        let line = follower
            .lines
            .recv_timeout(std::time::Duration::from_secs(1));
        line.ok()
    });
    told.expect("an event");
    // What happens while there is no daemon is told by the next one.
    let (proper, worker) = (place.proper(), pids(&place.app("web"))[0]);
    kill(proper);
    kill(worker);
    attempt(|| place.another(proper)).expect("another daemon");
    let mut told = Vec::new();
    while told.iter().all(|line: &String| !line.contains("died")) {
        told.push(follower.next());
    }
    place.until_phase("web", AppPhase::Online);
    place.act(Verb::Stop { now: false }, "web").done("web");
    while told.iter().all(|line| !line.contains("was stopped")) {
        told.push(follower.next());
    }
    let deaths = told.iter().filter(|line| line.contains("died"));
    assert_eq!(deaths.count(), 1, "{told:?}");
}

#[test]
fn who_follows_a_daemon_that_does_not_come_back_is_told_so() {
    let place = Place::new("noreturn");
    place.daemon();
    place
        .start(&[script("web", "echo hello; exec sleep 1000")])
        .done("web");
    let mut follower = Follower::new(&place, &["logs", "web", "--out", "--raw"]);
    assert_eq!(follower.next(), "hello");
    place.kill_daemon();
    let status = follower.child.wait().unwrap();
    let mut said = String::new();
    let stderr = follower.child.stderr.as_mut().unwrap();
    std::io::Read::read_to_string(stderr, &mut said).unwrap();
    assert_eq!(status.code(), Some(6), "{said}");
    assert!(said.contains("did not come back within 10 s"), "{said}");
}

#[test]
fn a_list_that_could_not_be_read_is_told_to_everybody_until_somebody_has_seen_to_it() {
    let place = Place::new("warned");
    place.daemon();
    place.start(&[idle("web")]).done("web");
    // From now on there is a list before the last change.
    place.act(Verb::Restart, "web").done("web");
    place.kill_daemon();
    let list = place.home().join("state/apps.json");
    fs::write(&list, &fs::read(&list).unwrap()[..40]).unwrap();
    place.daemon();
    let says = |words: &[&str]| {
        let output = place.types(words).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for words in [["list", "--no-color"], ["describe", "web"]] {
        let said = says(&words);
        assert!(
            said.contains("warning: the list of apps could not be read"),
            "{said}"
        );
        assert!(
            said.contains("state/apps.json.bak was used instead"),
            "{said}"
        );
    }
    fs::remove_file(place.home().join("state/apps.json.broken")).unwrap();
    assert_eq!(says(&["list", "--no-color"]), "");
}
