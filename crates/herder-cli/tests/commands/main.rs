//! The command against a daemon that answers what a test has written down: what is asked, what is shown,
//! and how it ends.

mod fake;
mod fixtures;
mod forms;
mod terminal;

use fake::Stage;
use fixtures::{all_apps, course, detail};
use herder_api::Problem;
use herder_api::control::{Plan, PlanStep, StepKind};
use herder_api::problem::ProblemKind;
use serde_json::json;

#[test]
fn what_is_shown_of_apps() {
    let stage = Stage::new();
    stage.answers("GET /v1/apps", &all_apps());
    stage.answers("GET /v1/apps?target=web", &all_apps()[..1]);
    stage.answers("GET /v1/apps/web", &detail());
    stage.answers(
        "GET /v1/apps/web/environment",
        &json!({"PORT": "80", "EVIL": "\u{1b}[2J"}),
    );
    stage.answers("GET /v1/daemon", &fixtures::daemon());
    stage.answers("GET /v1/apps/web/history", &fixtures::history());
    for line in [
        "list",
        "ls web",
        "l --sort restarts:desc",
        "ps -m",
        "list web --mini-list",
        "status --json",
        "jlist",
        "list --sort colour",
        "describe web",
        "show web --json",
        "info",
        "env web",
        "env web --json",
        "id all",
        "id all --json",
        "pid web",
        "pid",
        "ping",
        "ping --json",
        "history web",
        "history web --json -n 5",
    ] {
        stage.plays(line);
    }
    stage.ends("shown");
}

#[test]
fn what_is_done_with_apps() {
    let stage = Stage::new();
    stage.streams("POST /v1/actions", &course());
    for line in [
        "stop web",
        "stop web api --now",
        "stop",
        "restart web",
        "restart web --update-env",
        "restart web -i 4 --kill-timeout 3000 --env production",
        "restart web --cron-restart 0",
        "reload /^w/ 3",
        "reload web -s",
        "delete all",
        "del web",
        "scale web 4",
        "scale web +2",
        "scale web -1",
        "scale web 0",
        "send-signal HUP web",
        "sendSignal SIGUSR2 all",
        "send web hello --world",
        "reset all",
        "flush",
        "flush web",
        "reload-logs",
        "reloadLogs web",
        "upgrade",
        "update web",
        "stop web --json",
    ] {
        stage.plays(line);
    }
    stage.ends("done");
}

#[test]
fn what_fails() {
    let stage = Stage::new();
    let mut boot = Problem::new(ProblemKind::BootFailed, "web: no worker became ready")
        .hint("see what it prints: herder logs web");
    boot.last_lines = vec!["Error: \u{1b}[31mno such module".to_owned()];
    stage.streams(
        "POST /v1/actions",
        &json!([
            {"is": "begun", "app": "web", "verb": "start"},
            {"is": "failed", "app": "web", "problem": boot},
            {"is": "done", "app": "api", "text": "2 workers ready in 310 ms"},
            {"is": "end", "done": 1, "failed": 1},
        ]),
    );
    for line in [
        "reload web api",
        "reload web api -s",
        "reload web api --json",
    ] {
        stage.plays(line);
    }
    // It goes away in the middle.
    stage.streams(
        "POST /v1/actions",
        &json!([{"is": "begun", "app": "web", "verb": "start"}]),
    );
    stage.plays("reload web");
    let missing = Problem::new(ProblemKind::NotFound, "There is no app wob.").hint("web");
    for (kind, status) in [
        (ProblemKind::NotFound, 404),
        (ProblemKind::Conflict, 409),
        (ProblemKind::CannotListen, 422),
        (ProblemKind::Forbidden, 403),
        (ProblemKind::Internal, 500),
    ] {
        let problem = Problem {
            kind,
            ..missing.clone()
        };
        stage.refuses("POST /v1/actions", status, &problem);
        stage.plays("stop wob");
        stage.plays("stop wob --json");
    }
    for line in [
        "stpo web",
        "deploy production",
        "link abc",
        "prettylist",
        "stop --force web",
        "reload",
        "",
        "send-signal",
    ] {
        stage.plays(line);
    }
    stage.ends("failed");
}

#[test]
fn what_is_told_as_it_happens() {
    let stage = Stage::new();
    stage.answers("GET /v1/apps", &all_apps());
    stage.answers("GET /v1/apps?target=web", &all_apps()[..1]);
    stage.streams("GET /v1/logs", &fixtures::lines());
    stage.streams("GET /v1/events", &fixtures::events());
    // It is there as before, so that what follows has ended.
    stage.answers("GET /v1/daemon", &fixtures::daemon());
    for line in [
        "logs",
        "logs web --lines 5 --nostream",
        "logs web --err",
        "log --out --raw",
        "logs --herder",
        "logs --json",
        "logs --slot 1",
        "logs --grep GET",
        "logs --timestamp",
        "logs --out --err",
        "events",
        "events web",
        "events --json",
    ] {
        stage.plays(line);
    }
    stage.plays_in_colours("logs --highlight GET");
    stage.ends("told");
}

#[test]
fn the_list_is_kept_and_the_daemon_ended() {
    let stage = Stage::new();
    stage.streams("POST /v1/save", &json!([{"is": "done", "app": "", "text": "5 apps are saved"}, {"is": "end", "done": 5, "failed": 0}]));
    stage.streams("POST /v1/resurrect", &course());
    stage.streams("POST /v1/daemon/stop", &course());
    for line in ["save", "dump -s", "resurrect", "kill", "kill --leave-apps"] {
        stage.plays(line);
    }
    stage.goes();
    stage.plays("kill");
    stage.ends("kept");
}

#[test]
fn a_file_is_applied_by_a_plan() {
    let stage = Stage::new();
    let step = |app: &str, step| PlanStep {
        app: app.to_owned(),
        step,
        changes: Vec::new(),
    };
    let plan = |steps| Plan {
        steps,
        fingerprint: "abc".to_owned(),
    };
    stage.file("server.js", "require('http')");
    stage.file("herder.toml", "[apps.web]\nscript = \"server.js\"\n");
    stage.answers("POST /v1/plan", &plan(vec![step("web", StepKind::Keep)]));
    stage.plays("apply");
    let changes = vec![step("old", StepKind::Delete), step("web", StepKind::Start)];
    stage.answers("POST /v1/plan", &plan(changes));
    stage.streams("POST /v1/apply", &course());
    for line in [
        "apply herder.toml --plan",
        "apply herder.toml --dry-run --json",
        "apply herder.toml",
        "apply herder.toml --only web -s",
        "apply herder.toml --only wob",
        "apply missing.toml",
    ] {
        stage.plays(line);
    }
    stage.ends("applied");
}

#[test]
fn programs_files_and_names_are_started() {
    let stage = Stage::new();
    stage.answers("GET /v1/apps", &all_apps());
    stage.streams("POST /v1/apps", &course());
    stage.streams("POST /v1/actions", &course());
    stage.file("server.js", "require('http')");
    stage.file("app.py", "print('hello')");
    stage.file("dir/herder.toml", "[apps.inner]\ncommand = \"sleep 100\"\n");
    stage.file(
        "herder.toml",
        "[apps.web]\nscript = \"server.js\"\n[apps.job]\ncommand = [\"sleep\", \"5\"]\n\
         [apps.job.profiles.production]\nA = 1\n",
    );
    stage.file(
        "bad.toml",
        "[apps.web]\nscript = \"server.js\"\ninstances = 4\n",
    );
    for line in [
        "start server.js",
        "start server.js -i max --name api -f -- --port 80",
        "start server.js --max-memory-restart 300M --watch --no-autorestart -o a.log",
        "start app.py --interpreter python3",
        "start sleep -- 100",
        "start --listen 8080 -- sleep 100",
        "start web",
        "start 0 office --update-env",
        "start all",
        "start",
        "start herder.toml --only job --env production",
        "start herder.toml -i 2",
        "start dir",
        "start server.js app.py --name one",
        "start herder.toml --name one",
        "start bad.toml",
        "start wob",
        "start ./missing.js",
        "start server.js -i 1000",
        "start server.js --cron-restart nonsense",
        "start server.js --no-daemon",
        "startOrRestart herder.toml",
        "startOrReload herder.toml --only web",
        "restart herder.toml",
        "reload herder.toml --only web",
        "reload herder.toml -i 4",
        "stop herder.toml",
        "delete herder.toml --only web",
    ] {
        stage.plays(line);
    }
    stage.says("start -", "[apps.web]\nscript = \"server.js\"\n");
    stage.ends("started");
}

#[test]
fn files_are_checked_written_and_imported() {
    let stage = Stage::new();
    stage.file("server.js", "require('http')");
    stage.file("herder.toml", "[apps.web]\nscript = \"server.js\"\n");
    stage.file(
        "bad.toml",
        "[apps.web]\nscript = \"server.js\"\ninstances = 4\n",
    );
    stage.file(
        "ecosystem.json",
        r#"{"apps": [{"name": "web", "script": "server.js", "instances": 2, "vizion": false, "wobble": 1}]}"#,
    );
    for line in [
        "check",
        "check herder.toml bad.toml",
        "check bad.toml --json",
        "check ecosystem.json",
        "check missing.toml",
        "init",
        "init other.toml",
        "init other.toml",
        "import ecosystem.json",
        "import ecosystem.json -o imported.toml",
        "check imported.toml",
    ] {
        stage.plays(line);
    }
    stage.ends("files");
}

#[test]
fn without_a_home_there_is_one_sentence() {
    let stage = Stage::new();
    stage.without("HERDER_HOME");
    stage.plays("list");
    stage.ends("homeless");
}
