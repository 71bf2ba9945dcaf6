//! Every verb in every form: for people, for programs, in silence, with and without colours, at a narrow
//! terminal.

use herder_api::Problem;
use herder_api::control::{Plan, PlanStep, StepKind};
use herder_api::problem::ProblemKind;
use herder_api::status::AppStatus;
use serde_json::{Value, json};

use super::fake::Stage;
use super::fixtures::{self, all_apps, course, detail};

/// Verbs that do something: what they say is not what was asked for.
const DEEDS: [&str; 20] = [
    "start server.js",
    "stop web",
    "restart web",
    "reload web",
    "delete web",
    "scale web 4",
    "apply",
    "start-or-restart herder.toml",
    "start-or-reload herder.toml",
    "save",
    "resurrect",
    "send-signal HUP web",
    "send web hello",
    "reset web",
    "flush web",
    "reload-logs web",
    "upgrade",
    "kill --leave-apps",
    "import ecosystem.json -o imported.toml",
    "man pages",
];

/// Verbs that are asked for something, which they print.
const QUESTIONS: [&str; 15] = [
    "list",
    "describe web",
    "logs web --nostream",
    "history web",
    "events",
    "env web",
    "id all",
    "pid web",
    "jobs api",
    "jlist",
    "check",
    "init -",
    "ping",
    "complete",
    "monit",
];

/// What the machine has a say in: the same everywhere are only the problems.
const OF_THE_MACHINE: [&str; 4] = [
    "startup systemd --print",
    "unstartup systemd",
    "doctor",
    "completion bash --install",
];

/// What no stage can be set for: they last, or are for processes of herder.
const ELSEWHERE: [&str; 4] = ["daemon", "run", "sig", "help"];

fn stage() -> Stage {
    let stage = Stage::new();
    let step = |app: &str, step| PlanStep {
        app: app.to_owned(),
        step,
        changes: Vec::new(),
    };
    let plan = Plan {
        steps: vec![step("old", StepKind::Delete), step("web", StepKind::Start)],
        fingerprint: "abc".to_owned(),
    };
    let mut stopped = detail();
    let found = all_apps()
        .into_iter()
        .find(|app: &AppStatus| app.name == "api");
    stopped.status = found.expect("it is in the list");
    stage.answers("GET /v1/apps", &all_apps());
    stage.answers("GET /v1/apps?target=web", &all_apps()[..1]);
    stage.answers("GET /v1/apps/web", &detail());
    stage.answers("GET /v1/apps/api", &stopped);
    stage.answers("GET /v1/apps/web/environment", &json!({"PORT": "80"}));
    // `kill` waits for its end: nobody has this number.
    let mut daemon = fixtures::daemon();
    daemon.pid = i32::MAX;
    stage.answers("GET /v1/daemon", &daemon);
    stage.answers("GET /v1/apps/web/history", &fixtures::history());
    stage.answers("POST /v1/plan", &plan);
    stage.streams("GET /v1/logs", &fixtures::lines());
    stage.streams("GET /v1/events", &fixtures::events());
    for path in ["actions", "apps", "apply", "resurrect", "daemon/stop"] {
        stage.streams(&format!("POST /v1/{path}"), &course());
    }
    let saved = json!([{"is": "done", "app": "", "text": "5 apps are saved"}, {"is": "end", "done": 5, "failed": 0}]);
    stage.streams("POST /v1/save", &saved);
    stage.file("server.js", "require('http')");
    stage.file("herder.toml", "[apps.web]\nscript = \"server.js\"\n");
    stage.file(
        "ecosystem.json",
        r#"{"apps": [{"name": "web", "script": "server.js", "vizion": false, "wobble": 1}]}"#,
    );
    stage
}

/// A line with an option right behind the verb: what is sent is all that stands behind the app.
fn with(line: &str, option: &str) -> String {
    match line.split_once(' ') {
        Some((verb, rest)) => format!("{verb} {option} {rest}"),
        None => format!("{line} {option}"),
    }
}

/// What may stand already is taken away.
fn begin(stage: &Stage, line: &str) {
    if line.starts_with("import") {
        stage.no_file("imported.toml");
    }
}

fn all_lines() -> impl Iterator<Item = &'static str> {
    let others = QUESTIONS.into_iter().chain(OF_THE_MACHINE);
    DEEDS.into_iter().chain(others)
}

fn is_silent_anyway(line: &str) -> bool {
    line == "complete"
}

#[test]
fn no_verb_is_left_out() {
    let stage = Stage::new();
    let help = stage.ran("--help", &[]).out;
    let verbs = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs = verbs.take_while(|line| !line.is_empty());
    let names = verbs.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let mut missing: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    assert!(missing.len() > 30, "{help}");
    missing.retain(|name| {
        let has = |line: &str| line.split(' ').next() == Some(name);
        !all_lines().any(has) && !ELSEWHERE.contains(name)
    });
    assert!(missing.is_empty(), "{missing:?}");
    stage.closes();
}

#[test]
fn help_is_printed_for_every_verb() {
    let stage = Stage::new();
    for line in all_lines().chain(ELSEWHERE) {
        let verb = line.split(' ').next().expect("a verb");
        if verb == "help" {
            continue;
        }
        let long = stage.ran(&format!("{verb} --help"), &[]);
        let usage = format!("Usage: herder {verb}");
        assert!(
            long.status == Some(0) && long.out.contains(&usage),
            "{long:?}"
        );
        let brief = stage.ran(&format!("{verb} -h"), &[]);
        assert!(
            brief.status == Some(0) && brief.out.contains(&usage),
            "{brief:?}"
        );
        let other = stage.ran(&format!("help {verb}"), &[]);
        assert_eq!(other.out, long.out, "{verb}");
    }
    let version = stage.ran("--version", &[]);
    assert_eq!(
        version.out,
        format!("herder {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(stage.ran("-V", &[]).out, version.out);
    assert_eq!(stage.ran("help", &[]).out, stage.ran("--help", &[]).out);
    stage.closes();
}

#[test]
fn shells_and_pages_are_written_where_they_belong() {
    let stage = Stage::new();
    let data = stage.path("data");
    let found = [("XDG_DATA_HOME", data.to_str().expect("a text"))];
    // (What is of no use here has to be said, too: where configurations are.)
    let found = [found[0], ("HOME", "/nonexistent")];
    let ran = stage.ran("completion bash --install", &found);
    let script = data.join("bash-completion/completions/herder");
    assert!(
        ran.status == Some(0) && ran.out.contains(&script.display().to_string()),
        "{ran:?}"
    );
    let written = std::fs::read_to_string(script).expect("it is there");
    assert_eq!(written, stage.ran("completion bash", &[]).out);
    for shell in ["zsh", "fish"] {
        let ran = stage.ran(&format!("completion {shell}"), &[]);
        assert!(
            ran.status == Some(0) && ran.out.contains("herder"),
            "{shell}"
        );
    }
    assert_eq!(stage.ran("completion tcsh", &[]).status, Some(2));
    let ran = stage.ran("man", &found);
    let page = std::fs::read_to_string(data.join("man/man1/herder-reload.1"));
    assert!(
        ran.status == Some(0) && page.is_ok_and(|page| page.contains("surge")),
        "{ran:?}"
    );
    let ran = stage.ran("man pages", &[]);
    assert!(
        ran.status == Some(0) && stage.path("work/pages/herder.1").exists(),
        "{ran:?}"
    );
    stage.closes();
}

#[test]
fn every_verb_in_every_form() {
    let stage = stage();
    for line in DEEDS.into_iter().chain(QUESTIONS) {
        begin(&stage, line);
        stage.plays(line);
        if !is_silent_anyway(line) {
            begin(&stage, line);
            stage.plays(&with(line, "--json"));
            begin(&stage, line);
            stage.plays_in_colours(line);
        }
    }
    stage.ends("forms");
}

#[test]
fn every_verb_at_a_narrow_terminal() {
    let stage = stage();
    for line in DEEDS.into_iter().chain(QUESTIONS) {
        if matches!(line, "monit" | "init -") {
            continue;
        }
        begin(&stage, line);
        let answer = if line == "apply" { "y\n" } else { "" };
        stage.shows(40, line, answer);
    }
    stage.ends("narrow");
}

/// For programs there is one value, or one a line; and what is wrong is one, too.
#[test]
fn every_verb_answers_programs_as_well() {
    let stage = stage();
    for line in DEEDS.into_iter().chain(QUESTIONS) {
        if matches!(line, "complete" | "init -" | "monit" | "jobs api") {
            continue;
        }
        begin(&stage, line);
        let ran = stage.ran(&with(line, "--json"), &[]);
        assert_eq!(ran.status, Some(0), "{line}: {ran:?}");
        for one in ran.out.lines().chain(ran.err.lines()) {
            let value: Result<Value, _> = serde_json::from_str(one);
            assert!(value.is_ok(), "{line}: {one}");
        }
        let is_answer = QUESTIONS.contains(&line) || !line.starts_with(['i', 'm']);
        assert_eq!(is_answer, !ran.out.is_empty(), "{line}: {ran:?}");
    }
    stage.without("HERDER_HOME");
    for line in all_lines().filter(|line| !is_silent_anyway(line)) {
        let ran = stage.ran(&with(line, "--json"), &[]);
        assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""), "{line}");
        let problem: Problem = serde_json::from_str(&ran.err).expect(line);
        assert_eq!(problem.kind, ProblemKind::Invalid, "{line}");
    }
    stage.closes();
}

#[test]
fn every_verb_can_be_silent() {
    let stage = stage();
    for line in DEEDS {
        begin(&stage, line);
        let ran = stage.ran(&with(line, "--silent"), &[]);
        assert_eq!(
            (ran.status, ran.out.as_str(), ran.err.as_str()),
            (Some(0), "", ""),
            "{line}"
        );
        begin(&stage, line);
        let loud = stage.ran(line, &[]);
        assert_ne!(loud.out, "", "{line}");
    }
    // What was asked for is said.
    for line in QUESTIONS.into_iter().filter(|line| !is_silent_anyway(line)) {
        let (silent, loud) = (stage.ran(&with(line, "-s"), &[]), stage.ran(line, &[]));
        assert_eq!(silent.status, loud.status, "{line}");
        assert_eq!(silent.out, loud.out, "{line}");
    }
    // And so is what is wrong.
    stage.without("HERDER_HOME");
    for line in all_lines().filter(|line| !is_silent_anyway(line)) {
        let ran = stage.ran(&with(line, "-s"), &[]);
        assert!(
            ran.status == Some(2) && ran.err.contains("HERDER_HOME"),
            "{line}: {ran:?}"
        );
    }
    stage.closes();
}

#[test]
fn every_verb_can_be_without_colours() {
    let stage = stage();
    let forced = [("CLICOLOR_FORCE", "1")];
    let is_coloured = |text: &str| text.contains("\x1b[");
    for line in DEEDS.into_iter().chain(QUESTIONS) {
        if is_silent_anyway(line) {
            continue;
        }
        begin(&stage, line);
        let ran = stage.ran(&with(line, "--no-color"), &forced);
        // What programs print has their own, which are shown as text.
        assert!(
            !is_coloured(&ran.out) && !is_coloured(&ran.err),
            "{line}: {ran:?}"
        );
        begin(&stage, line);
        let refused = stage.ran(line, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]);
        assert_eq!((refused.out, refused.err), (ran.out, ran.err), "{line}");
    }
    stage.without("HERDER_HOME");
    for line in all_lines().filter(|line| !is_silent_anyway(line)) {
        let coloured = stage.ran(line, &forced);
        assert!(is_coloured(&coloured.err), "{line}: {coloured:?}");
        let plain = stage.ran(&with(line, "--no-color"), &forced);
        assert!(!is_coloured(&plain.err), "{line}: {plain:?}");
    }
    stage.closes();
}

#[test]
fn what_fails_is_told_in_every_form() {
    let stage = stage();
    let problem = |kind| Problem::new(kind, "web: it does not work").hint("try something else");
    for (kind, status) in [
        (ProblemKind::Invalid, 400),
        (ProblemKind::NotFound, 404),
        (ProblemKind::Conflict, 409),
        (ProblemKind::Busy, 503),
        (ProblemKind::BootFailed, 422),
        (ProblemKind::CannotListen, 422),
        (ProblemKind::Forbidden, 403),
        (ProblemKind::Failed, 500),
        (ProblemKind::Internal, 500),
    ] {
        // (Who is busy is asked again, for a while.)
        if kind != ProblemKind::Busy {
            stage.refuses("POST /v1/actions", status, &problem(kind));
            stage.plays("stop web");
            stage.plays("stop web --json");
            stage.plays_in_colours("stop web");
            stage.shows(40, "stop web", "");
        }
        // And when it turns out on the way.
        let failed = json!([
            {"is": "begun", "app": "web", "verb": "stop"},
            {"is": "failed", "app": "web", "problem": problem(kind)},
            {"is": "end", "done": 0, "failed": 1},
        ]);
        stage.streams("POST /v1/actions", &failed);
        stage.plays("stop web");
        stage.shows(40, "stop web", "");
    }
    stage.ends("refused");
}

#[test]
fn a_question_is_asked_where_somebody_can_answer() {
    let stage = stage();
    stage.shows(80, "apply", "n\n");
    stage.shows(80, "apply", "\n");
    stage.shows(80, "apply", "y\n");
    // Who says yes before is not asked.
    stage.shows(80, "apply --yes", "");
    stage.shows(80, "apply -y", "");
    // Nor who has no terminal, or wants to know only.
    stage.plays("apply");
    stage.shows(80, "apply --plan", "");
    stage.shows(80, "apply --json", "");
    stage.ends("asked");
}

#[test]
fn options_of_pm2_that_there_are_not_have_an_answer() {
    let stage = stage();
    for line in [
        "run server.js --kill-timeout 1000",
        "run server.js --max-memory-restart 1G",
        "run server.js --watch",
        "run server.js -o a.log",
        "run server.js --namespace x",
        "run server.js --update-env",
        "restart web --name other",
        "reload web --node-args=--inspect",
        "startup systemd -u root --hp /root",
        "start server.js -p a.pid",
        "start server.js --ext js",
        "start server.js --write",
        "logs --format",
        "stop web --watch",
        "dump --force",
        "start server.js --wobble",
    ] {
        stage.plays(line);
    }
    stage.ends("unknown");
}

#[test]
fn what_pm2_knows_is_taken_and_said() {
    let stage = stage();
    let plain = stage.ran("start server.js", &[]);
    for option in [
        "--no-pmx",
        "--no-vizion",
        "--no-treekill",
        "--disable-source-map-support",
        "--parallel 2",
    ] {
        let ran = stage.ran(&format!("start server.js {option}"), &[]);
        assert_eq!(
            (ran.status, ran.out),
            (Some(0), plain.out.clone()),
            "{option}"
        );
    }
    for verb in ["restart", "reload"] {
        let ran = stage.ran(&format!("{verb} web --parallel 2"), &[]);
        assert_eq!(ran.status, Some(0), "{verb}");
    }
    for verb in ["stop", "delete"] {
        let ran = stage.ran(&format!("{verb} herder.toml --env production"), &[]);
        assert_eq!(ran.status, Some(0), "{verb}: {ran:?}");
    }
    stage.plays("start server.js --no-daemon");
    stage.plays("start server.js --attach");
    stage.ends("accepted");
}
