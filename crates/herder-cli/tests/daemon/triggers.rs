//! What happens by itself: at its times, when files change, when an app hangs.

use std::fs;
use std::path::{Path, PathBuf};

use herder_api::App;
use herder_api::app::{Health, Watch};
use herder_api::control::{Reason, Verb};
use herder_api::status::{AppPhase, AppStatus};
use herder_api::units::Period;

use super::kit::{Place, attempt, idle, lives, pids, script};

/// A directory for an app's files.
fn files(place: &Place) -> PathBuf {
    let path = place.root().join("app");
    fs::create_dir(&path).unwrap();
    path
}

fn generation(status: &AppStatus) -> u64 {
    status.herd.as_ref().map_or(0, |herd| herd.generation)
}

/// What the daemon has told of an app, as `event`.
fn told(place: &Place, event: &str) -> Vec<String> {
    let log = fs::read_to_string(place.home().join("daemon.log")).unwrap();
    let events = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let events = events.filter(|it: &serde_json::Value| it["event"] == event);
    events
        .map(|it| it["message"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until the app's history has an incident for this reason.
fn until_history(place: &Place, app: &str, reason: Reason) {
    let look = || {
        let history = place.wait(async { place.client().history(app, 100).await.unwrap() });
        history.iter().any(|it| it.reason == reason).then_some(())
    };
    attempt(look).unwrap_or_else(|| panic!("no {reason:?}\n{}", place.complaints()));
}

#[test]
fn at_its_times_an_app_gets_new_workers_one_after_the_other() {
    let place = Place::new("cron");
    place.daemon();
    let app = |name: &str| App {
        cron_restart: Some("*/2 * * * * *".to_owned()),
        ..idle(name)
    };
    place.start(&[app("web"), app("rests")]).done("web");
    place.act(Verb::Stop { now: false }, "rests").done("rests");
    let first = place.app("web");
    let second = place.until("web", |it| {
        generation(it) > generation(&first) && it.phase == AppPhase::Online
    });
    assert_eq!(second.herd.unwrap().master, first.herd.unwrap().master);
    assert!(told(&place, "cron")[0].contains("*/2 * * * * *"));
    until_history(&place, "web", Reason::Cron);

    // The next daemon goes on with it; nobody starts who was stopped.
    place.kill_daemon();
    let before = told(&place, "cron").len();
    place.daemon();
    attempt(|| (told(&place, "cron").len() > before + 1).then_some(())).expect("it goes on");
    assert_eq!(place.app("rests").phase, AppPhase::Stopped);
}

fn watched(name: &str, cwd: &Path) -> App {
    App {
        cwd: Some(cwd.to_owned()),
        watch: Some(Watch {
            delay: Period::millis(50),
            ..Watch::default()
        }),
        ..idle(name)
    }
}

#[test]
fn files_that_change_reload_an_app_that_was_not_stopped() {
    let place = Place::new("watch");
    place.daemon();
    let cwd = files(&place);
    fs::create_dir(cwd.join("node_modules")).unwrap();
    fs::write(cwd.join(".gitignore"), "*.log\n").unwrap();
    place.start(&[watched("web", &cwd)]).done("web");
    let first = place.until("web", |it| it.watching && it.phase == AppPhase::Online);

    fs::write(cwd.join("node_modules/a.js"), "x").unwrap();
    fs::write(cwd.join("a.log"), "x").unwrap();
    fs::create_dir(cwd.join("new")).unwrap();
    fs::write(cwd.join("new/a.js"), "x").unwrap();
    place.until("web", |it| {
        generation(it) == generation(&first) + 1 && it.phase == AppPhase::Online
    });
    assert_eq!(
        told(&place, "watch"),
        ["new/a.js changed: new workers take over"]
    );
    until_history(&place, "web", Reason::Watch);

    place.act(Verb::Stop { now: false }, "web").done("web");
    assert!(!place.app("web").watching);
    fs::write(cwd.join("while-stopped.js"), "x").unwrap();
    place.act(Verb::Start, "web").done("web");
    let again = place.until("web", |it| it.watching && it.phase == AppPhase::Online);
    fs::write(cwd.join("b.js"), "x").unwrap();
    place.until("web", |it| {
        generation(it) > generation(&again) && it.phase == AppPhase::Online
    });
    assert_eq!(
        told(&place, "watch")[1..],
        ["b.js changed: new workers take over"]
    );
}

#[test]
fn what_changes_during_a_reload_is_one_more_reload() {
    let place = Place::new("during");
    place.daemon();
    let cwd = files(&place);
    let mut app = watched("web", &cwd);
    app.ready_after = Some(Period::millis(400));
    place.start(&[app]).done("web");
    let first = place.until("web", |it| it.watching && it.phase == AppPhase::Online);
    fs::write(cwd.join("a.js"), "x").unwrap();
    place.until_phase("web", AppPhase::Reloading);
    for number in 0..20 {
        fs::write(cwd.join(format!("b{number}.js")), "x").unwrap();
    }
    place.until("web", |it| {
        generation(it) >= generation(&first) + 2 && it.phase == AppPhase::Online
    });
    let told = told(&place, "watch");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[1].ends_with("19 other files changed: new workers take over"),
        "{told:?}"
    );
}

#[test]
fn an_app_that_failed_is_started_when_its_files_change() {
    let place = Place::new("repaired");
    place.daemon();
    let cwd = files(&place);
    let mut app = script("web", "test -e good || exit 1; exec sleep 1000");
    (app.cwd, app.watch) = (Some(cwd.clone()), watched("web", &cwd).watch);
    app.max_restarts = Some(1);
    place.start(&[app]).failed("web");
    place.until("web", |it| it.watching && it.phase == AppPhase::Errored);
    fs::write(cwd.join("good"), "").unwrap();
    place.until_phase("web", AppPhase::Online);
}

fn checked(name: &str, text: &str, health: Health) -> App {
    App {
        health: Some(Health {
            interval: Period::millis(100),
            timeout: Period::secs(2),
            failures: 2,
            start_period: Period::secs(0),
            ..health
        }),
        ..script(name, text)
    }
}

#[test]
fn a_hung_app_is_found_out_and_gets_new_workers() {
    let place = Place::new("health");
    place.daemon();
    let cwd = files(&place);
    // Each worker is ill as long as the file is there that says so of its process.
    let text = "for pid in $HERDER_PIDS; do test -e ill-$pid && echo $pid is ill && exit 1; done; \
                echo \"$HERDER_APP\" > asked; exit 0";
    let health = Health {
        exec: vec!["sh".to_owned(), "-c".to_owned(), text.to_owned()],
        ..Health::default()
    };
    let mut app = checked("web", "exec sleep 1000", health);
    (app.cwd, app.workers) = (Some(cwd.clone()), herder_api::app::Workers::Count(2));
    place.start(&[app]).done("web");
    let first = place.until("web", |it| it.healthy == Some(true) && it.ready == 2);
    let old = pids(&first);
    attempt(|| {
        fs::read_to_string(cwd.join("asked"))
            .ok()
            .filter(|it| it == "web\n")
    })
    .expect("it is told whom it asks");

    fs::write(cwd.join(format!("ill-{}", old[1])), "").unwrap();
    let healed = || {
        let now = place.app("web");
        let is_new = pids(&now).iter().all(|pid| !old.contains(pid));
        (is_new && now.ready == 2 && now.healthy == Some(true)).then_some(now)
    };
    let second = attempt(healed).unwrap_or_else(|| panic!("{:#?}", place.app("web")));
    assert_eq!(generation(&second), generation(&first), "it is no reload");
    assert!(old.iter().all(|pid| !lives(*pid)));
    let unhealthy = told(&place, "unhealthy");
    assert_eq!(unhealthy.len(), 1, "{unhealthy:?}");
    let ill = format!("{} is ill", old[1]);
    assert!(
        unhealthy[0].contains(&ill) && unhealthy[0].contains("failed 2 times in a row"),
        "{unhealthy:?}"
    );
    assert_eq!(told(&place, "healthy"), ["its health check passes again"]);
    until_history(&place, "web", Reason::Health);

    place.act(Verb::Stop { now: false }, "web").done("web");
    assert_eq!(place.app("web").healthy, None);
}

#[test]
fn a_check_that_hangs_is_killed_with_all_that_it_started() {
    let place = Place::new("check");
    place.daemon();
    let cwd = files(&place);
    let text = "sleep 1000 & echo $! $$ > pids.new; mv pids.new pids; wait";
    let health = Health {
        exec: vec!["sh".to_owned(), "-c".to_owned(), text.to_owned()],
        ..Health::default()
    };
    let mut app = checked("web", "exec sleep 1000", health);
    app.cwd = Some(cwd.clone());
    if let Some(health) = &mut app.health {
        (health.timeout, health.failures) = (Period::millis(500), 1);
    }
    place.start(&[app]).done("web");
    place.until("web", |it| it.healthy == Some(false));
    let started = fs::read_to_string(cwd.join("pids")).unwrap();
    for pid in started.split_whitespace() {
        let pid = pid.parse().unwrap();
        // A later check may have written it just now: it has its time, too.
        attempt(|| (!lives(pid)).then_some(())).expect("it is killed");
    }
    assert!(
        told(&place, "unhealthy")[0].contains("it did not end within 500ms"),
        "{:?}",
        told(&place, "unhealthy")
    );
}

#[test]
fn an_app_is_asked_by_http() {
    let place = Place::new("http");
    place.daemon();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let mut asked = String::new();
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = [0; 1024];
            let read = stream.read(&mut bytes).unwrap_or(0);
            asked = String::from_utf8_lossy(&bytes[..read]).into_owned();
            drop(stream.write_all(b"HTTP/1.1 204 Well\r\nConnection: close\r\n\r\n"));
        }
        asked
    });
    let health = Health {
        http: Some(url.clone()),
        ..Health::default()
    };
    place
        .start(&[checked("web", "exec sleep 1000", health)])
        .done("web");
    place.until("web", |it| it.healthy == Some(true));
    stop.send(()).unwrap();
    let asked = server.join().unwrap();
    assert!(asked.starts_with("GET /health HTTP/1.1\r\n"), "{asked}");
    // The listener is gone.
    place.until("web", |it| it.healthy == Some(false));
    assert!(told(&place, "unhealthy")[0].contains(&url));
}

/// Is ill as long as the file is there that says so of its process.
const SERVER: &str = r"
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ill = self.path == '/health' and os.path.exists(f'ill-{os.getpid()}')
        self.send_response(500 if ill else 200)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()
";

fn proxied(name: &str, cwd: &Path, health: Health) -> App {
    let mut app = checked(name, "", health);
    if let Some(health) = &mut app.health {
        // Nobody is ill because the machine is busy.
        health.timeout = Period::secs(60);
    }
    App {
        command: vec!["python3".to_owned(), "server.py".to_owned()],
        cwd: Some(cwd.to_owned()),
        workers: herder_api::app::Workers::Count(2),
        dispatch: herder_api::app::Dispatch::Proxy,
        listen: vec!["127.0.0.1:0".to_owned()],
        ready_after: None,
        ..app
    }
}

#[test]
fn a_worker_behind_a_proxy_that_is_ill_is_replaced_alone() {
    let place = Place::new("proxied");
    place.daemon();
    let cwd = files(&place);
    fs::write(cwd.join("server.py"), SERVER).unwrap();
    let health = Health {
        http: Some("/health".to_owned()),
        ..Health::default()
    };
    place.start(&[proxied("web", &cwd, health)]).done("web");
    let first = place.until("web", |it| it.healthy == Some(true) && it.ready == 2);
    let old = pids(&first);
    fs::write(cwd.join(format!("ill-{}", old[1])), "").unwrap();
    let healed = || {
        let now = place.app("web");
        let is_new = !pids(&now).contains(&old[1]);
        (is_new && now.ready == 2 && now.healthy == Some(true)).then_some(now)
    };
    let second = attempt(healed).unwrap_or_else(|| panic!("{:#?}", place.app("web")));
    assert!(pids(&second).contains(&old[0]), "the other one stays");
    assert!(!lives(old[1]));
    let unhealthy = told(&place, "unhealthy");
    assert_eq!(unhealthy.len(), 1, "{unhealthy:?}");
    let text = "the health check of worker 1 failed 2 times in a row (/health at 127.0.0.1:";
    assert!(
        unhealthy[0].contains(text) && unhealthy[0].ends_with("it answers 500): it is replaced"),
        "{unhealthy:?}"
    );
}

#[test]
fn a_program_is_asked_about_each_worker_behind_a_proxy() {
    let place = Place::new("each");
    place.daemon();
    let cwd = files(&place);
    fs::write(cwd.join("server.py"), SERVER).unwrap();
    let text = "test -n \"$PORT\" && echo \"$HERDER_PIDS\" > asked-$HERDER_SLOT";
    let exec = Health {
        exec: vec!["sh".to_owned(), "-c".to_owned(), text.to_owned()],
        ..Health::default()
    };
    let tcp = Health {
        tcp: Some("worker".to_owned()),
        ..Health::default()
    };
    for (name, health) in [("web", exec), ("shop", tcp)] {
        place.start(&[proxied(name, &cwd, health)]).done(name);
        place.until(name, |it| it.healthy == Some(true) && it.ready == 2);
    }
    let pids = pids(&place.app("web"));
    for (slot, pid) in pids.iter().enumerate() {
        let asked = || fs::read_to_string(cwd.join(format!("asked-{slot}"))).ok();
        let is_asked = || asked().filter(|it| it.trim() == pid.to_string());
        attempt(is_asked).unwrap_or_else(|| panic!("slot {slot}: {:?}", asked()));
    }
}
