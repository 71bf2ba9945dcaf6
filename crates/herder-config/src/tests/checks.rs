//! What can be known before anything is started.

use herder_api::App;

use super::{Scene, told};
use crate::{check, with_settings};

/// Everything wrong with a definition that is right but for these settings.
pub(super) fn wrong(scene: &Scene, settings: &str) -> Vec<String> {
    let base = App {
        name: "web".to_owned(),
        cwd: Some(scene.path().to_owned()),
        ..App::default()
    };
    let settings =
        serde_json::from_str(settings).unwrap_or_else(|error| panic!("{settings}: {error}"));
    let app = with_settings(&base, &settings).map_err(told);
    told(check(
        &app.unwrap_or_else(|wrong| panic!("{settings:?}: {wrong:?}")),
    ))
}

#[test]
fn r54_a_name_is_letters_digits_and_little_else() {
    let scene = Scene::new("names");
    let long = "x".repeat(65);
    let huge = "x".repeat(10 << 10);
    for name in [
        "../../etc/x",
        "a/b",
        ".",
        "..",
        "a\\u0000b",
        "a\\nb",
        &long,
        &huge,
        "-rf",
        "all",
        "12",
        "",
        "ü",
        "a b",
    ] {
        let found = wrong(
            &scene,
            &format!(r#"{{"name": "{name}", "command": "x y"}}"#),
        );
        assert!(
            found.len() == 1 && found[0].starts_with("name: "),
            "{name}: {found:?}"
        );
        let found = wrong(
            &scene,
            &format!(r#"{{"namespace": "{name}", "command": "x y"}}"#),
        );
        assert!(found[0].starts_with("namespace: "), "{name}: {found:?}");
    }
    for name in ["web", "web-2", "a.b_C", "2x"] {
        assert_eq!(
            wrong(
                &scene,
                &format!(r#"{{"name": "{name}", "command": "x y"}}"#)
            ),
            Vec::<String>::new()
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table: a case a line")]
fn what_contradicts_itself_is_named() {
    let scene = Scene::new("check");
    scene.write("app.js", "");
    scene.write("data", "");
    for (settings, setting, part) in [
        ("{}", "script", "say what is to run"),
        (
            r#""script": "app.js", "command": "x y""#,
            "command",
            "leave one",
        ),
        (r#""script": "gone.js""#, "script", "there is no"),
        (r#""command": "./data""#, "command", "chmod +x"),
        (
            r#""command": ["/no/such/program", "x"]"#,
            "command",
            "there is no",
        ),
        (r#""command": "/""#, "command", "is a directory"),
        (
            r#""command": "x y", "cwd": "/no/such""#,
            "cwd",
            "there is no",
        ),
        (
            r#""script": "app.js", "listen": "80""#,
            "listen",
            "send_handle",
        ),
        (
            r#""script": "app.js", "send_handle": "server""#,
            "send_handle",
            "listen",
        ),
        (
            r#""script": "app.js", "listen": "80", "send_handle": "s", "wait_ready": true"#,
            "wait_ready",
            "leave one",
        ),
        (
            r#""script": "app.js", "watchdog": 1"#,
            "watchdog",
            "heartbeat",
        ),
        (
            r#""script": "app.js", "policy": "least-connections""#,
            "policy",
            "round-robin",
        ),
        (
            r#""command": ["a"], "listen": "80", "weights": [3, 1]"#,
            "weights",
            "kernel",
        ),
        (
            r#""command": ["a"], "listen": "80", "dispatch": "kernel", "weights": [0]"#,
            "weights",
            "1 to 16",
        ),
        (
            r#""script": "app.js", "policy": "fair""#,
            "policy",
            "no policy",
        ),
        (
            r#""script": "app.js", "interpreter": "bun", "dispatch": "pass""#,
            "dispatch",
            "bun",
        ),
        (
            r#""script": "app.js", "interpreter": "deno", "dispatch": "shared""#,
            "dispatch",
            "deno",
        ),
        (
            r#""script": "app.js", "dispatch": "shared", "max_requests": 5"#,
            "max_requests",
            "max_lifetime",
        ),
        (
            r#""script": "app.js", "interpreter": "deno", "dispatch": "kernel""#,
            "dispatch",
            "deno",
        ),
        (
            r#""script": "app.js", "interpreter": "bun", "dispatch": "reuseport""#,
            "dispatch",
            "bun",
        ),
        (
            r#""script": "app.js", "listen": "80", "send_handle": "s", "dispatch": "kernel""#,
            "dispatch",
            "shared",
        ),
        (
            r#""script": "app.js", "dispatch": "kernel", "max_requests": 5"#,
            "max_requests",
            "max_lifetime",
        ),
        (
            r#""script": "app.js", "policy": "least-loaded", "max_requests": 5"#,
            "max_requests",
            "max_lifetime",
        ),
        (
            r#""script": "app.js", "dispatch": "kernel", "policy": "ip-hash""#,
            "policy",
            "in turns",
        ),
        (
            r#""script": "app.js", "dispatch": "pass", "policy": "least-loaded""#,
            "policy",
            "kernel",
        ),
        (
            r#""script": "app.js", "hang": "5s""#,
            "hang",
            "given to the others",
        ),
        (
            r#""script": "app.js", "node_args": ["-e"]"#,
            "node_args",
            "never run",
        ),
        (
            r#""script": "app.js", "listen_timeout": "2m""#,
            "listen_timeout",
            "boot_timeout",
        ),
        (
            r#""script": "app.js", "backlog": 5"#,
            "backlog",
            "listens by itself",
        ),
        (r#""command": "x y", "args": ["z"]"#, "args", "into command"),
        (
            r#""command": "x y", "wait_ready": true"#,
            "wait_ready",
            "READY=1",
        ),
        (
            r#""command": "x y", "dispatch": "pass""#,
            "dispatch",
            "no channel",
        ),
        (
            r#""command": "x y", "policy": "round-robin""#,
            "policy",
            "shared mode",
        ),
        (
            r#""command": "x y", "unix_mode": "600""#,
            "unix_mode",
            "listen opens",
        ),
        (
            r#""command": "x y", "listen": "80", "unix_mode": "999""#,
            "unix_mode",
            "octal",
        ),
        (
            r#""command": "x y", "listen": "nowhere""#,
            "listen",
            "nowhere",
        ),
        (
            r#""command": "x y", "ready": "notify", "ready_after": 2"#,
            "ready_after",
            "leave it out",
        ),
        (r#""command": "x y", "workers": 257"#, "workers", "256"),
        (r#""command": "x y", "surge": 0"#, "surge", "more than 0"),
        (
            r#""command": "x y", "boot_timeout": 0"#,
            "boot_timeout",
            "more than 0",
        ),
        (
            r#""command": "x y", "stop_exit_codes": [256]"#,
            "stop_exit_codes",
            "256",
        ),
        (
            r#""command": "x y", "stop_signal": "STOPIT""#,
            "stop_signal",
            "no signal",
        ),
        (
            r#""command": "x y", "restart_delay": {"first": "2s", "max": "1s"}"#,
            "restart_delay",
            "longer",
        ),
        (
            r#""command": "x y", "cron_restart": "0 3 * *""#,
            "cron_restart",
            "0 3 * *",
        ),
        (
            r#""command": "x y", "cron_restart": "0 3 * * * Nowhere/Land""#,
            "cron_restart",
            "Nowhere/Land",
        ),
        (r#""command": "x y", "health": {}"#, "health", "give one"),
        (
            r#""command": "x y", "health": {"http": "https://x"}"#,
            "health.http",
            "http://",
        ),
        (
            r#""command": "x y", "health": {"tcp": "80"}"#,
            "health.tcp",
            "HOST:PORT",
        ),
        (
            r#""command": "x y", "health": {"tcp": "a:80", "failures": 0}"#,
            "health.failures",
            "more than 0",
        ),
        (
            r#""command": "x y", "watch": {"paths": []}"#,
            "watch.paths",
            "leave watch out",
        ),
        (
            r#""command": "x y", "logs": {"time_format": "%H"}"#,
            "logs.time_format",
            "logs.format",
        ),
        (
            r#""command": "x y", "logs": {"total_size": "1M"}"#,
            "logs.rotate_size",
            "total_size",
        ),
        (
            r#""command": "x y", "state": {"a": "disk"}"#,
            "state.a",
            "memory",
        ),
        (
            r#""command": "x y", "state": {"a": "store"}"#,
            "state.a",
            "redis://",
        ),
        (
            r#""command": "x y", "store": "canary""#,
            "store",
            "redis://",
        ),
        (
            r#""command": "x y", "jobs": {"a": "now"}"#,
            "jobs.a",
            "every 10s",
        ),
        (
            r#""command": "x y", "libraries": {"Big": "x.js"}"#,
            "libraries.Big",
            "a-z",
        ),
        (
            r#""command": "x y", "depends_on": "web""#,
            "depends_on",
            "itself",
        ),
        (
            r#""command": "x y", "increment_var": "PORT""#,
            "increment_var",
            "PORT",
        ),
        (
            r#""command": "x y", "env": {"A=B": "1"}"#,
            "env.A=B",
            "name of a variable",
        ),
        (
            r#""command": "x y", "env": {"HERDER_ROLE": "1"}"#,
            "env.HERDER_ROLE",
            "herder alone",
        ),
        (
            r#""command": "x y", "env": {"A": "\u0000"}"#,
            "env.A",
            "NUL",
        ),
        (r#""command": "x y", "user": "no-such-user""#, "user", ""),
    ] {
        let settings = if settings == "{}" {
            settings.to_owned()
        } else {
            format!("{{{settings}}}")
        };
        let found = wrong(&scene, &settings);
        let told = found
            .iter()
            .find(|line| line.starts_with(&format!("{setting}: ")));
        assert!(
            told.is_some_and(|line| line.contains(part)),
            "{settings}: {found:?}"
        );
        assert!(found.len() == 1, "{settings}: {found:?}");
        assert!(!found[0].contains("canary"), "{found:?}");
    }
}

#[test]
fn what_is_right_is_right() {
    let scene = Scene::new("right");
    scene.write("app.js", "");
    for settings in [
        r#"{"script": "app.js", "workers": 256, "policy": "ip-hash", "max_requests": 10}"#,
        r#"{"script": "app.js", "listen": ["80", "unix:/x"], "send_handle": "server", "unix_mode": "660", "backlog": 1}"#,
        r#"{"command": ["sleep", "1"], "listen": "[::1]:80", "ready": "notify", "watchdog": "10s", "restart": "never"}"#,
        r#"{"command": "a; b", "cron_restart": "*/5 * * * * Europe/Berlin", "health": {"http": "http://[::1]:80/x?y"}}"#,
        r#"{"command": "a; b", "health": {"tcp": "unix:/x"}, "watch": {}, "stop_signal": "SIGQUIT", "user": null}"#,
        r#"{"command": "a; b", "env": {"PORT": "3000"}, "increment_var": "PORT", "soak": 0, "master_watchdog": 0}"#,
        r#"{"command": "a; b", "state": {"a": "memory", "b": "store"}, "store": "redis://h", "jobs": {"j": "every 1s"}}"#,
    ] {
        assert_eq!(wrong(&scene, settings), Vec::<String>::new(), "{settings}");
    }
}
