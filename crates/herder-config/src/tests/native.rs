//! herder.toml.

use std::collections::BTreeMap;
use std::path::Path;

use herder_api::App;
use herder_api::app::{Delay, EnvMode, Scalar, Workers};
use herder_api::herd::HerdOrder;
use herder_api::problem::ProblemKind;
use herder_api::units::Period;

use super::{Scene, told};
use crate::{Loaded, Options, environment, load, load_text, with_settings};

fn read(scene: &Scene, text: &str) -> Result<Loaded, Vec<String>> {
    let path = scene.write("herder.toml", text);
    let here = format!("{}/", scene.path().display());
    load(&path, &Options::default()).map_err(|problems| {
        let lines = told(problems).into_iter();
        lines.map(|line| line.replace(&here, "")).collect()
    })
}

#[test]
fn a_file_defines_apps_in_its_order() {
    let scene = Scene::new("native");
    scene.write("web/app.js", "");
    let text = r#"
        [defaults]
        grace = "5s"
        env = { A = 1, B = true }
        logs = { keep = 3 }
        command = "nothing"

        [apps.web]
        script = "app.js"
        cwd = "web"
        workers = "max"
        restart_delay = { first = "1s", max = 10 }
        env = { A = "own", C = "c" }
        profiles.production = { A = 2 }
        logs = { out = "out.log" }

        [apps.api]
        command = ["sleep", "100"]
        listen = "127.0.0.1:0"
        grace = 1.5
    "#;
    let loaded = read(&scene, text).unwrap();
    let [web, api] = &loaded.apps[..] else {
        panic!("{loaded:#?}");
    };
    assert_eq!((web.name.as_str(), api.name.as_str()), ("web", "api"));
    assert_eq!(web.script, Some(scene.path().join("web/app.js")));
    assert_eq!(web.cwd, Some(scene.path().join("web")));
    assert!(web.command.is_empty(), "a script stands for itself");
    assert_eq!(web.grace, Some(Period::secs(5)));
    assert_eq!(api.grace, Some(Period::millis(1500)));
    assert_eq!(web.env["A"], Scalar::Text("own".to_owned()));
    assert_eq!(web.env["B"], Scalar::Bool(true));
    assert_eq!(web.logs.keep, 3);
    assert_eq!(web.logs.out, Some(scene.path().join("web/out.log")));
    let growing = Delay::Growing {
        first: Period::secs(1),
        max: Period::secs(10),
    };
    assert_eq!(web.restart_delay, Some(growing));
    assert_eq!(api.cwd.as_deref(), Some(scene.path()));
    assert_eq!(api.command, ["sleep", "100"]);
    assert_eq!(loaded.warnings, []);
}

#[test]
fn r38_everything_that_is_wrong_is_told_with_its_line() {
    let scene = Scene::new("wrong");
    let text = "\
grace = \"5s\"
[defaults]
bus = \"yes\"
[apps.web]
script = \"app.js\"
instances = 4
logs = { kep = 1 }
[apps.\"a/b\"]
command = \"sleep 1\"
workers = 0
health = { http = \"x\", tcp = \"y\" }
";
    let wrong = read(&scene, text).unwrap_err();
    let expected = [
        "herder.toml:1:1: There is no \"grace\" at the top of a file, only apps and defaults. A setting belongs below [apps.NAME]: grace.",
        "herder.toml:3:7: bus: this is a text, but it has to be true or false.",
        "herder.toml:6:1: There is no setting \"instances\". herder's word for it: workers.",
        "herder.toml:7:10: There is no setting \"logs.kep\". Did you mean logs.keep?",
    ];
    assert_eq!(wrong, expected);
    let text = text
        .replace("grace = \"5s\"\n", "")
        .replace("\"yes\"", "true")
        .replace("instances = 4", "")
        .replace("kep", "keep");
    let wrong = read(&scene, &text).unwrap_err();
    let starts = [
        "herder.toml:4:1: App web: script: there is no ",
        "herder.toml:7:7: App a/b: name: \"a/b\" is not an app name",
        "herder.toml:9:1: App a/b: workers: use a number from 1 to 256",
        "herder.toml:10:1: App a/b: health: give one of http, tcp and exec",
    ];
    for (line, start) in wrong.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\n{start}");
    }
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let scene = Scene::new("syntax");
    for (text, place) in [
        ("[apps.web]\nscript = \n", "herder.toml:2"),
        ("[apps.web]\na = 1\na = 2\n", "herder.toml:3:1"),
        ("apps = 3\n", "herder.toml:1:8"),
        ("", "herder.toml:1:1"),
        ("[apps]\nweb = 3", "herder.toml:2:7"),
        (
            "[apps.web]\nname = \"x\"\nscript = \"a\"",
            "herder.toml:2:1",
        ),
        (
            "[defaults]\nname = \"x\"\n[apps.a]\ncommand = \"a b\"",
            "herder.toml:2:1",
        ),
    ] {
        let wrong = read(&scene, text).unwrap_err();
        assert!(wrong[0].starts_with(place), "{text}: {wrong:?}");
    }
    scene.write("latin.toml", "");
    std::fs::write(scene.path().join("latin.toml"), b"a = 1\nb = \"\xe4\"\n").unwrap();
    let wrong = load(&scene.path().join("latin.toml"), &Options::default()).unwrap_err();
    assert!(
        wrong[0].place.as_ref().unwrap().ends_with("latin.toml:2"),
        "{wrong:?}"
    );
    let missing = load(&scene.path().join("missing.toml"), &Options::default()).unwrap_err();
    assert_eq!(missing[0].kind, ProblemKind::NotFound);
}

#[test]
fn apps_that_wait_for_one_another_are_named() {
    let scene = Scene::new("circle");
    let text = "[apps.a]\ncommand='x y'\ndepends_on='b'\n[apps.b]\ncommand='x y'\ndepends_on=['d','c']\n[apps.c]\ncommand='x y'\ndepends_on='a'";
    let wrong = read(&scene, text).unwrap_err();
    assert!(wrong[0].contains("a → b → c → a"), "{wrong:?}");
    let right = text.replace("depends_on='a'", "depends_on='d'");
    assert_eq!(read(&scene, &right).unwrap().apps.len(), 3);
}

#[test]
fn only_some_and_one_profile_are_chosen_by_name() {
    let scene = Scene::new("choose");
    let path = scene.write(
        "herder.toml",
        "[apps.web]\ncommand='x y'\nprofiles.staging={A=1}\n[apps.api]\ncommand='x y'\n",
    );
    let with = |only: &[&str], profile: Option<&str>| {
        let options = Options {
            only: only.iter().map(|name| (*name).to_owned()).collect(),
            profile: profile.map(str::to_owned),
        };
        load(&path, &options).map_err(told)
    };
    let names = |loaded: Loaded| {
        loaded
            .apps
            .into_iter()
            .map(|app| app.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(with(&["api"], None).unwrap()), ["api"]);
    assert_eq!(names(with(&[], Some("staging")).unwrap()), ["web", "api"]);
    let wrong = with(&["wbe"], None).unwrap_err();
    assert!(
        wrong[0].contains("\"wbe\"") && wrong[0].ends_with("Did you mean web?"),
        "{wrong:?}"
    );
    let wrong = with(&[], Some("production")).unwrap_err();
    assert!(wrong[0].ends_with("There are: staging."), "{wrong:?}");
}

#[test]
fn the_same_can_be_said_in_json_and_yaml() {
    let scene = Scene::new("formats");
    let expected = {
        let text = "[apps.web]\ncommand = ['sleep', '1']\nworkers = 2\nenv.A = '1'\n";
        load_text(
            text,
            Path::new("herder.toml"),
            scene.path(),
            &Options::default(),
        )
        .unwrap()
        .apps
    };
    for (name, text) in [
        (
            "a.json",
            "{ // so\n apps: {web: {command: ['sleep', \"1\"], workers: 2, env: {A: '1',}}} }",
        ),
        (
            "a.yaml",
            "apps:\n  web:\n    command: [sleep, '1']\n    workers: 2\n    env: {A: '1'}\n",
        ),
        (
            "-",
            "[apps.web]\ncommand = ['sleep', '1']\nworkers = 2\nenv.A = '1'\n",
        ),
        (
            "-",
            "{\"apps\": {\"web\": {\"command\": [\"sleep\", \"1\"], \"workers\": 2, \"env\": {\"A\": \"1\"}}}}",
        ),
        (
            "-",
            "apps:\n  web:\n    command: [sleep, '1']\n    workers: 2\n    env: {A: '1'}\n",
        ),
    ] {
        let loaded = load_text(text, Path::new(name), scene.path(), &Options::default());
        assert_eq!(
            loaded.map(|loaded| loaded.apps),
            Ok(expected.clone()),
            "{name} {text}"
        );
    }
    let text = "apps:\n  web:\n    command: x y\n    wrokers: 2\n";
    let wrong =
        load_text(text, Path::new("a.yaml"), scene.path(), &Options::default()).unwrap_err();
    assert_eq!(wrong[0].place.as_deref(), Some("a.yaml:4:5"));
}

#[test]
fn a_program_that_is_nowhere_is_doubted() {
    let scene = Scene::new("doubt");
    let text = "[apps.a]\ncommand = ['no-such-program', 'x']\n[apps.b]\ncommand = 'no-such-program x'\n[apps.c]\ncommand = 'sleep'\n\
                env = {PATH = '/nowhere'}\n";
    let warnings = told(read(&scene, text).unwrap().warnings);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].ends_with(
            "herder.toml:2:1: App a: command: there is no program no-such-program in PATH."
        ),
        "{warnings:?}"
    );
    assert!(warnings[1].contains("herder.toml:6:1"), "{warnings:?}");
}

#[test]
fn workers_find_what_is_inherited_configured_and_chosen() {
    let mut order = HerdOrder {
        app: App {
            env: [("A", "own"), ("LISTEN_FDS", "3")]
                .map(|(name, value)| (name.to_owned(), Scalar::Text(value.to_owned())))
                .into(),
            profiles: [(
                "staging".to_owned(),
                [("A".to_owned(), Scalar::Integer(2))].into(),
            )]
            .into(),
            env_remove: vec!["DEBUG".to_owned()],
            ..App::default()
        },
        inherited: [
            ("A", "caller"),
            ("B", "b"),
            ("DEBUG", "1"),
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("HERDER_ROLE", "worker"),
            ("NOTIFY_SOCKET", "x"),
            ("WATCHDOG_USEC", "1"),
            ("NODE_CHANNEL_FD", "3"),
            ("NODE_UNIQUE_ID", "1"),
            ("LISTEN_PID", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        profile: None,
        socket: "/s".into(),
        log_dir: "/l".into(),
        event_log: "/e".into(),
    };
    let as_text = |all: BTreeMap<String, String>| {
        let all: Vec<String> = all
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        all.join(" ")
    };
    assert_eq!(as_text(environment(&order)), "A=own B=b LC_ALL=C PATH=/bin");
    order.profile = Some("staging".to_owned());
    order.app.env_mode = EnvMode::Clean;
    assert_eq!(as_text(environment(&order)), "A=2 LC_ALL=C PATH=/bin");
}

#[test]
fn settings_are_laid_over_a_definition() {
    let app = App {
        name: "web".to_owned(),
        grace: Some(Period::secs(1)),
        env: [("A".to_owned(), Scalar::Integer(1))].into(),
        ..App::default()
    };
    let with = |json: &str| with_settings(&app, &serde_json::from_str(json).unwrap()).map_err(told);
    let changed =
        with(r#"{"workers": 3, "grace": null, "env": {"B": "b"}, "logs": {"keep": 2}}"#).unwrap();
    assert_eq!(
        (changed.workers, changed.grace, changed.logs.keep),
        (Workers::Count(3), None, 2)
    );
    assert_eq!(changed.env.len(), 2);
    let without = with(r#"{"env": {"A": null}}"#).unwrap();
    assert!(without.env.is_empty());
    let wrong = with(r#"{"wrokers": 3, "grace": "x"}"#).unwrap_err();
    assert_eq!(
        wrong[1],
        "wrokers: There is no setting \"wrokers\". Did you mean workers?"
    );
    assert!(
        wrong[0].starts_with("grace: grace: \"x\" is no duration"),
        "{wrong:?}"
    );
}
