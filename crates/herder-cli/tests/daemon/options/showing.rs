//! What verbs that show do by their options.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use super::super::kit::{LIMIT, Place, attempt, kill, pids};
use super::ended;

/// What is printed, line by line.
fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (line, lines) = channel();
    std::thread::spawn(move || {
        let printed = BufReader::new(pipe).lines().map_while(Result::ok);
        // Who hears no more has heard enough.
        printed
            .take_while(|it| line.send(it.clone()).is_ok())
            .for_each(drop);
    });
    lines
}

#[test]
fn verbs_that_show_do_as_their_options_say() {
    let place = Place::new("o-shows");
    place.daemon();
    let text = "for word in one two three; do echo $word of $HERDER_SLOT; echo no $word >&2; done; \
                while [ ! -e go-on ]; do sleep 0.05; done; echo later; exec sleep 1000";
    place.starts(
        "-n web -i 2 --log-files per-worker --ready-after 20ms",
        text,
    );
    let all = || {
        let count = |stream| {
            let text = place.does(&format!("logs web --nostream {stream}"));
            text.lines().count()
        };
        (count("--out") == 6 && count("--err") == 6).then_some(())
    };
    attempt(all).unwrap_or_else(|| panic!("{}", place.does("logs web --nostream")));
    let lines = |more: &str| {
        let text = place.does(&format!("logs web --nostream --raw {more}"));
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(
        lines("--out --slot 1 --lines 2"),
        ["three of 1", "two of 1"]
    );
    assert_eq!(lines("--err --slot 0"), ["no one", "no three", "no two"]);
    assert_eq!(lines("--grep one --out"), ["one of 0", "one of 1"]);
    let said = place.does("logs web --nostream --herder");
    assert!(
        said.lines().all(|line| line.contains(" * ")) && said.contains("ready"),
        "{said}"
    );
    let marked = place.does("logs web --nostream --out --slot 0");
    assert!(
        marked.lines().all(|line| line.starts_with("web:0 | ")),
        "{marked}"
    );

    // What comes later is told to whoever follows; that it does, is seen by what was there already.
    let mut following = place.herder(["logs", "web", "--follow", "--raw", "-n", "1", "--out"]);
    let mut following = following.spawn().unwrap();
    let told = lines_of(following.stdout.take().unwrap());
    let first = told.recv_timeout(LIMIT);
    std::fs::write(place.root().join("go-on"), "").unwrap();
    let later = std::iter::from_fn(|| told.recv_timeout(LIMIT).ok()).find(|line| line == "later");
    following.kill().unwrap();
    following.wait().unwrap();
    assert!(first.is_ok_and(|line| line.contains(" of ")));
    assert!(later.is_some());

    // Two ends, of which one is asked for.
    for _ in 0..2 {
        let status = place.until("web", |it| it.ready == 2);
        kill(pids(&status)[0]);
        place.until("web", |it| it.restarts > status.restarts && it.ready == 2);
    }
    let history = |more: &str| {
        let found = place.asks(&format!("history web {more}"));
        found.as_array().unwrap().len()
    };
    attempt(|| (history("") >= 2).then_some(())).expect("they are told");
    assert_eq!(history("-n 1"), 1);
    assert_eq!(history("--lines 2"), 2);
}

#[test]
fn jobs_are_shown_run_paused_and_resumed() {
    let place = Place::new("o-jobs");
    place.daemon();
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/node");
    let program = format!(
        "require({sdk:?}).jobs().then((jobs) => jobs.on('later', async () => {{}}));\n\
         setInterval(() => {{}}, 1000);\n"
    );
    std::fs::write(place.root().join("app.js"), program).unwrap();
    let start = ["start", "app.js", "-n", "web", "--listen-timeout", "100"];
    let mut start = place.herder(start);
    start.args(["--job", "later=every 9h", "--jobs-file", "jobs.db"]);
    let ran = ended(&mut start);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let job = || {
        let jobs: Value = place.asks("jobs web");
        jobs.as_array().unwrap()[0].clone()
    };
    assert_eq!(job()["name"], "later");
    assert!(place.does("jobs web").contains("later"));
    place.does("jobs web --pause later");
    assert_eq!(job()["paused"], true, "{}", job());
    // It stays so: there is a file for that.
    place.does("restart web");
    assert_eq!(job()["paused"], true, "{}", job());
    place.does("jobs web --resume later");
    assert_eq!(job()["paused"], false, "{}", job());
    let runs = |more: &str| place.asks(&format!("jobs web --history {more}"));
    assert_eq!(runs("").as_array().unwrap().len(), 0);
    place.does("jobs web --run later");
    let told = || (!runs("later").as_array().unwrap().is_empty()).then_some(());
    attempt(told).unwrap_or_else(|| panic!("{}", runs("")));
    let wrong = place.tries("jobs web --run sooner");
    assert!(
        wrong.status == Some(2) && wrong.err.contains("sooner"),
        "{wrong:?}"
    );
    let wrong = place.tries("jobs web --run later --pause later");
    assert_eq!(wrong.status, Some(2), "{wrong:?}");
}
