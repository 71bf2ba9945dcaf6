//! PM2's files.

use std::path::Path;

use herder_api::app::{Delay, EnvMode, LogFiles, LogFormat, Max, Restart, Scalar, Workers};
use herder_api::units::{Period, Size};

use super::{Scene, told};
use crate::{Loaded, Options, import, load_text};

fn scene() -> Scene {
    let scene = Scene::new("ecosystem");
    for name in ["app.js", "job.py", "other.js"] {
        scene.write(name, "");
    }
    scene
}

fn read(scene: &Scene, text: &str) -> Result<Loaded, Vec<String>> {
    let name = Path::new("eco.json");
    load_text(text, name, scene.path(), &Options::default()).map_err(told)
}

#[test]
fn every_shape_is_read() {
    let scene = scene();
    for text in [
        "{apps: [{script: 'app.js'}]}",
        "{apps: {script: 'app.js'}}",
        "{pm2: [{script: 'app.js'}]}",
        "{pm2: {script: 'app.js'}}",
        "[{script: 'app.js'}]",
        "{script: 'app.js'}",
        "{exec: 'app.js', name: 'app'}",
        "{cmd: 'app.js'}",
        "{command: './app.js'}",
        "/* so */ {\"script\": \"app.js\",} // end",
    ] {
        let loaded = read(&scene, text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
        assert_eq!(loaded.apps.len(), 1, "{text}");
        assert_eq!(loaded.apps[0].name, "app", "{text}");
        let script = loaded.apps[0].script.as_ref().unwrap();
        assert_eq!(script, &scene.path().join("app.js"), "{text}");
    }
}

#[test]
fn every_key_is_taken_over() {
    let scene = scene();
    let text = r#"{apps: [{
        name: "web", namespace: "shop", script: "app.js", args: "--a 'b c'", node_args: ["--trace-warnings"],
        exec_interpreter: "node", instances: "max", exec_mode: "cluster", source_map_support: true,
        env: {PORT: 3000, DEBUG: false, LIST: [1, "x"], NONE: null, RATE: 1.5}, env_production: {PORT: 80},
        filter_env: ["SECRET"], instance_var: "INSTANCE", increment_var: "PORT",
        stop_exit_codes: [0, "3"], min_uptime: "5s", max_restarts: 7, exp_backoff_restart_delay: 100,
        kill_timeout: 3000, shutdown_with_message: true, wait_ready: true, listen_timeout: 5000,
        max_memory_restart: "300M", watch: ["src", "lib/**"], ignore_watch: ["*.tmp"], watch_delay: 1000,
        out_file: "logs/o.log", error_file: "/dev/stderr.log", merge_logs: true, log_date_format: "HH:mm",
        autostart: false, vizion: false, pmx: false, treekill: true, herder: {depends_on: ["job"], surge: 2},
    }, {
        script: "job.py", interpreter_args: "-u", autorestart: false, restart_delay: 4000, filter_env: true,
        instances: -1000, merge_logs: false, log_type: "json", cron: "0 3 * * *", log_file: "all.log", port: 8080,
    }]}"#;
    let loaded = read(&scene, text).unwrap();
    let [web, job] = &loaded.apps[..] else {
        panic!("{loaded:#?}");
    };
    assert_eq!(web.args, ["--a", "b c"]);
    assert_eq!(web.node_args, ["--trace-warnings", "--enable-source-maps"]);
    assert_eq!(
        (web.namespace.as_str(), web.workers),
        ("shop", Workers::Max(Max::Max))
    );
    assert_eq!(web.env["LIST"], Scalar::Text("[1,\"x\"]".to_owned()));
    assert_eq!(
        (web.env.len(), &web.env["RATE"]),
        (4, &Scalar::Text("1.5".to_owned()))
    );
    assert_eq!(web.profiles["production"]["PORT"], Scalar::Integer(80));
    assert_eq!(web.env_remove, ["SECRET"]);
    assert_eq!(
        (web.instance_var.as_deref(), web.increment_var.as_deref()),
        (Some("INSTANCE"), Some("PORT"))
    );
    assert_eq!(
        (&web.stop_exit_codes[..], web.max_restarts),
        (&[0, 3][..], Some(7))
    );
    assert_eq!(
        (web.min_uptime, web.grace),
        (Some(Period::secs(5)), Some(Period::secs(3)))
    );
    let growing = Delay::Growing {
        first: Period::millis(100),
        max: Period::secs(15),
    };
    assert_eq!(web.restart_delay, Some(growing));
    assert_eq!(
        (
            web.wait_ready,
            web.shutdown_with_message,
            web.listen_timeout
        ),
        (true, true, Some(Period::secs(5)))
    );
    assert_eq!(
        (web.max_memory, web.stop_signal.as_deref()),
        (Some(Size(300 << 20)), Some("INT"))
    );
    let watch = web.watch.as_ref().unwrap();
    assert_eq!(
        (&watch.paths[..], &watch.ignore[..], watch.delay),
        (
            &["src".to_owned(), "lib".to_owned()][..],
            &["*.tmp".to_owned()][..],
            Period::secs(1)
        )
    );
    assert_eq!(web.logs.out, Some(scene.path().join("logs/o.log")));
    assert_eq!(
        (web.logs.format, web.logs.time_format.as_deref()),
        (LogFormat::Time, Some("%H:%M"))
    );
    assert_eq!(
        (web.autostart, web.surge, &web.depends_on[..]),
        (false, Some(2), &["job".to_owned()][..])
    );

    assert_eq!(job.command, ["python3", "-u", "job.py"]);
    assert_eq!(
        (job.restart, job.restart_delay),
        (Restart::Never, Some(Delay::Fixed(Period::secs(4))))
    );
    assert_eq!(
        (job.env_mode, job.workers, job.logs.files),
        (EnvMode::Clean, Workers::Count(1), LogFiles::PerWorker)
    );
    assert_eq!(
        (job.logs.format, &job.logs.out),
        (LogFormat::Json, &job.logs.error)
    );
    assert!(
        job.cron_restart
            .as_deref()
            .unwrap()
            .starts_with("0 3 * * *")
    );
    assert_eq!(job.env["PORT"], Scalar::Integer(8080));
    let warnings = told(loaded.warnings);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("lib/**"), "{warnings:?}");
}

#[test]
fn what_is_not_taken_over_is_named_with_its_line() {
    let scene = scene();
    let text = "{\n apps: [{\n  script: 'app.js',\n  instnaces: 2,\n  pmx: true,\n  pid_file: 'x.pid',\n  exec_mode: 'fork',\n  grace: '5s',\n  zzz: 1 }],\n deploy: {production: {}}\n}";
    let loaded = read(&scene, text).unwrap();
    let warnings = told(loaded.warnings);
    for (place, part) in [
        ("eco.json:10:2", "deploy"),
        ("eco.json:7:3", "command = [\"node\", \"app.js\"]"),
        ("eco.json:4:3", "Did you mean instances?"),
        ("eco.json:5:3", "/metrics"),
        ("eco.json:6:3", "herder pid NAME"),
        ("eco.json:8:3", "herder: { grace: … }"),
        ("eco.json:9:3", "PM2 ignores it, too"),
    ] {
        let found = warnings
            .iter()
            .any(|line| line.starts_with(place) && line.contains(part));
        assert!(found, "{place} {part}: {warnings:#?}");
    }
    assert_eq!(warnings.len(), 7, "{warnings:#?}");
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let scene = scene();
    for (text, place, part) in [
        ("{apps: [\n{script: 'gone.js'}]}", "eco.json:2:2", "gone.js"),
        (
            "{apps: [\n{name: 'x'}]}",
            "eco.json:2:1",
            "script is missing",
        ),
        (
            "{script: 'app.js',\n instances: 'many'}",
            "eco.json:2:13",
            "whole number",
        ),
        (
            "{script: 'app.js',\n instances: 999}",
            "eco.json:2:2",
            "1 to 256",
        ),
        (
            "{script: 'app.js',\n max_memory_restart: 'lots'}",
            "eco.json:2:22",
            "300M",
        ),
        (
            "{script: 'app.js',\n cron: 'sometimes'}",
            "eco.json:2:2",
            "sometimes",
        ),
        ("{script: 'app.js',\n env: [1]}", "eco.json:2:7", "object"),
        (
            "{script: 'app.js',\n herder: {grase: 1}}",
            "eco.json:2:11",
            "Did you mean grace?",
        ),
        ("[1]", "eco.json:1:2", "an app should be"),
        ("[]", "eco.json:1:1", "no app"),
        ("{deploy: {}}", "eco.json:1:1", "apps is missing"),
        ("{script: 'app.js'", "eco.json:1:18", "the text ends"),
        ("'x'", "eco.json:1:1", "where apps should be"),
        ("{script: app.js}", "eco.json:1:10", "quotes"),
    ] {
        let wrong = read(&scene, text).unwrap_err();
        let line = wrong[0].to_lowercase();
        assert!(
            line.starts_with(&format!("{place}: ")) && line.contains(&part.to_lowercase()),
            "{text}: {wrong:?}"
        );
    }
}

#[test]
fn names_become_names() {
    let scene = scene();
    let loaded = read(&scene, "[{script: 'app.js', name: 'My App'}, {script: 'app.js', name: 'My App'}, {script: 'other.js'}]").unwrap();
    let names: Vec<&str> = loaded.apps.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["My-App", "My-App-2", "other"]);
    assert_eq!(loaded.warnings.len(), 3);
    let options = Options {
        profile: Some("staging".to_owned()),
        ..Options::default()
    };
    let text =
        "{script: 'app.js', name_prefix: 'x-', append_env_to_name: true, env_staging: {A: 1}}";
    let loaded = load_text(text, Path::new("a.json"), scene.path(), &options).unwrap();
    assert_eq!(loaded.apps[0].name, "x-app-staging");
}

#[test]
fn yaml_is_read_with_anchors_and_merges() {
    let scene = scene();
    let text = "
common: &common
  instances: 2
  env: &env
    A: 1
    B: yes
apps:
  - <<: *common
    script: app.js
    env:
      <<: *env
      A: 0x10
  - script: other.js
    <<: [*common, {instances: 9, max_restarts: 3}]
    args: [--x, !!str 1]
";
    let loaded = load_text(
        text,
        Path::new("eco.yml"),
        scene.path(),
        &Options::default(),
    )
    .unwrap();
    let [app, other] = &loaded.apps[..] else {
        panic!("{loaded:#?}");
    };
    assert_eq!(
        (app.workers, &app.env["A"]),
        (Workers::Count(2), &Scalar::Integer(16))
    );
    assert_eq!(app.env["B"], Scalar::Text("yes".to_owned()));
    assert_eq!(
        (other.workers, other.max_restarts),
        (Workers::Count(2), Some(3))
    );
    assert_eq!(other.args, ["--x", "1"]);
    assert_eq!(
        told(loaded.warnings),
        ["eco.yml:2:1: \"common\" is not taken over: there is no such key at the top of a file."]
    );
}

#[test]
fn what_is_imported_is_the_same() {
    let scene = scene();
    let text = r#"[{name: "web", script: "app.js", instances: 2, kill_timeout: 1500, pmx: true, args: ["it's \"so\" \\ ü"],
        env: {"A B": "x\ny", PORT: 80}, env_production: {"ODD.NAME": ""}, watch: true, out_file: "o.log", foo: "bar\nbaz",
        exp_backoff_restart_delay: 50, herder: {health: {http: "http://localhost:80/", interval: 5}, jobs: {a: "every 10s"}}},
        {name: "sh", script: "echo 'a b'; sleep 9", cwd: "/", error_file: "/tmp/x.log", deploy: 1},
        {name: "job", script: "job.py", cwd: "."}]"#;
    let first = read(&scene, text).unwrap();
    let first = Loaded {
        source: scene.path().join("eco.json"),
        ..first
    };
    let toml = import(&first);
    let second = load_text(
        &toml,
        Path::new("herder.toml"),
        scene.path(),
        &Options::default(),
    );
    let second = second.unwrap_or_else(|wrong| panic!("{toml}\n{:#?}", told(wrong)));
    assert_eq!(second.apps, first.apps, "{toml}");
    assert!(toml.contains("script = \"app.js\""), "{toml}");
    assert!(toml.contains("# pmx is not taken over"), "{toml}");
    assert!(
        !toml.contains(&scene.path().display().to_string()),
        "{toml}"
    );
}
