//! Settings of an app as options, with PM2's names beside herder's own. What comes of them is what a file
//! would say: a table of settings.

mod life;
mod logs;
mod program;
mod reload;
mod shared;
mod units;
mod watch;
mod workers;

use herder_api::App;
use herder_api::Problem;
use herder_config::STDIN;
use serde::Serialize;
use serde_json::{Map, Value};

pub(crate) use program::Program;

/// Every setting that an option has.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Settings {
    #[command(flatten)]
    workers: workers::Workers,
    #[command(flatten)]
    life: life::Life,
    #[command(flatten)]
    reload: reload::Reload,
    #[command(flatten)]
    watch: watch::Watch,
    #[command(flatten)]
    logs: logs::Logs,
    #[command(flatten)]
    shared: shared::Shared,
}

impl Settings {
    /// As a definition has them; `null` = the default again.
    pub(crate) fn table(&self) -> Result<Map<String, Value>, Problem> {
        let mut table = Table::default();
        self.workers.fill(&mut table);
        self.life.fill(&mut table);
        self.reload.fill(&mut table);
        self.watch.fill(&mut table);
        self.logs.fill(&mut table)?;
        self.shared.fill(&mut table)?;
        Ok(table.0)
    }
}

/// Settings, as they come.
#[derive(Debug, Default)]
struct Table(Map<String, Value>);

impl Table {
    /// A setting that an option has, if it was given.
    fn put(&mut self, name: &str, value: Option<impl Serialize>) {
        if let Some(value) = value {
            let value = serde_json::to_value(value).expect("texts, numbers and lists are JSON");
            match name.split_once('.') {
                None => self.0.insert(name.to_owned(), value),
                Some((table, field)) => self.table(table).insert(field.to_owned(), value),
            };
        }
    }

    /// One that is given or not.
    fn put_if(&mut self, given: bool, name: &str, value: impl Serialize) {
        self.put(name, given.then_some(value));
    }

    /// A list, if anything stands in it.
    fn put_list<T: Serialize>(&mut self, name: &str, values: &[T]) {
        self.put(name, (!values.is_empty()).then_some(values));
    }

    /// Back to the default.
    fn forget(&mut self, name: &str) {
        self.0.insert(name.to_owned(), Value::Null);
    }

    /// The table of that name.
    fn table(&mut self, name: &str) -> &mut Map<String, Value> {
        let table = self
            .0
            .entry(name)
            .or_insert_with(|| Value::Object(Map::new()));
        if !table.is_object() {
            *table = Value::Object(Map::new());
        }
        table.as_object_mut().expect("it was made one")
    }
}

/// A definition, changed by options. What is wrong is told of the options, not of the settings.
pub(crate) fn changed(app: &App, settings: &Map<String, Value>) -> Result<App, Vec<Problem>> {
    if settings.is_empty() {
        return Ok(app.clone());
    }
    let told = |problems: Vec<Problem>| problems.into_iter().map(by_option).collect();
    herder_config::with_settings(app, settings).map_err(told)
}

/// Names the option in place of the setting that it sets.
pub(crate) fn by_option(mut problem: Problem) -> Problem {
    if let Some(place) = &problem.place {
        let is_setting = !place.contains([':', '/', ' ']) && place != STDIN;
        if is_setting {
            // The message may begin with the setting's name.
            let rest = problem.message.strip_prefix(place.as_str());
            if let Some(rest) = rest.and_then(|rest| rest.strip_prefix(": ")) {
                problem.message = rest.to_owned();
            }
            problem.place = Some(option_of(place));
        }
    }
    problem
}

/// The option that sets a setting.
pub(crate) fn option_of(setting: &str) -> String {
    let name = match setting {
        "script" | "command" => return "PROGRAM".to_owned(),
        "workers" => "instances",
        "node_shim" => "no-node-shim",
        "grace" => "kill-timeout",
        "max_memory" => "max-memory-restart",
        "cron_restart" => "cron-restart",
        "watch.paths" => "watch",
        "watch.ignore" => "ignore-watch",
        "watch.delay" => "watch-delay",
        "logs.out" => "output",
        "logs.error" => "error",
        "logs.format" => "log-type",
        "logs.time_format" => "log-date-format",
        "logs.files" => "log-files",
        "logs.enabled" => "disable-logs",
        "env_remove" => "filter-env",
        "proxy" | "proxy.gateways" => "gateways",
        "health.http" | "health.tcp" | "health.exec" => "health",
        "libraries" => "library",
        "jobs" => "job",
        "autostart" => "no-autostart",
        _ => {
            let name = setting.replace("logs.", "log.");
            return format!("--{}", name.replace(['_', '.'], "-"));
        }
    };
    format!("--{name}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        settings: Settings,
    }

    /// What options come to.
    pub(super) fn table(words: &str) -> Value {
        let words = std::iter::once("x").chain(words.split_whitespace());
        let alone = Alone::try_parse_from(words).expect("options");
        Value::Object(alone.settings.table().expect("settings"))
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table: a case a line")]
    fn options_are_settings() {
        for (words, expected) in [
            ("", json!({})),
            ("-i 4", json!({"workers": 4})),
            ("--instances max", json!({"workers": "max"})),
            ("--workers 0", json!({"workers": "max"})),
            (
                "--listen 80 --listen unix:/s",
                json!({"listen": ["80", "unix:/s"]}),
            ),
            (
                "--backlog 7 --unix-mode 660",
                json!({"backlog": 7, "unix_mode": "660"}),
            ),
            (
                "--dispatch shared --policy ip-hash",
                json!({"dispatch": "shared", "policy": "ip-hash"}),
            ),
            (
                "--dispatch proxy --gateways 2",
                json!({"dispatch": "proxy", "proxy": {"gateways": 2}}),
            ),
            ("--send-handle server", json!({"send_handle": "server"})),
            ("--no-node-shim", json!({"node_shim": false})),
            (
                "--wait-ready --ready notify",
                json!({"wait_ready": true, "ready": "notify"}),
            ),
            (
                "--ready-after 2 --boot-timeout 1m",
                json!({"ready_after": "2s", "boot_timeout": "1m"}),
            ),
            ("--listen-timeout 500", json!({"listen_timeout": "500ms"})),
            ("-k 3000", json!({"grace": "3s"})),
            ("--kill-timeout 5s", json!({"grace": "5s"})),
            ("--grace 5", json!({"grace": "5s"})),
            ("--stop-signal INT", json!({"stop_signal": "INT"})),
            (
                "--shutdown-with-message",
                json!({"shutdown_with_message": true}),
            ),
            ("--no-autorestart", json!({"restart": "never"})),
            ("--restart on-failure", json!({"restart": "on_failure"})),
            ("--stop-exit-codes 0,3", json!({"stop_exit_codes": [0, 3]})),
            (
                "--max-restarts 3 --restart-window 10s",
                json!({"max_restarts": 3, "restart_window": "10s"}),
            ),
            ("--min-uptime 2000", json!({"min_uptime": "2s"})),
            ("--restart-delay 250", json!({"restart_delay": "250ms"})),
            (
                "--exp-backoff-restart-delay 100",
                json!({"restart_delay": {"first": "100ms", "max": "15s"}}),
            ),
            ("--max-memory-restart 300M", json!({"max_memory": "300M"})),
            ("--max-memory 1G", json!({"max_memory": "1G"})),
            (
                "--max-requests 5 --max-lifetime 1h",
                json!({"max_requests": 5, "max_lifetime": "1h"}),
            ),
            ("--cron-restart 0", json!({"cron_restart": null})),
            ("--cron @daily", json!({"cron_restart": "@daily"})),
            (
                "--dispatch kernel --hang 500ms",
                json!({"dispatch": "kernel", "hang": "500ms"}),
            ),
            ("--hang never", json!({"hang": "0s"})),
            ("--master-watchdog never", json!({"master_watchdog": "0s"})),
            ("--master-watchdog 5s", json!({"master_watchdog": "5s"})),
            (
                "--health-timeout 2 --health-failures 5 --health-start-period 1m",
                json!({"health": {"timeout": "2s", "failures": 5, "start_period": "1m"}}),
            ),
            (
                "--output a.log --error b.log --log-total-size 2G",
                json!({"logs": {"out": "a.log", "error": "b.log", "total_size": "2G"}}),
            ),
            (
                "--log a.log",
                json!({"logs": {"out": "a.log", "error": "a.log"}}),
            ),
            (
                "--store redis://h --job n=x",
                json!({"store": "redis://h", "jobs": {"n": "x"}}),
            ),
            (
                "--watchdog 2s --max-silence 1m",
                json!({"watchdog": "2s", "max_silence": "1m"}),
            ),
            (
                "--surge 2 --max-unavailable 1",
                json!({"surge": 2, "max_unavailable": 1}),
            ),
            (
                "--soak 0 --reload-latch 1m",
                json!({"soak": "0s", "reload_latch": "1m"}),
            ),
            ("--max-generations 2", json!({"max_generations": 2})),
            ("--watch", json!({"watch": {"paths": ["."]}})),
            (
                "--watch=src,lib --ignore-watch dist",
                json!({"watch": {"paths": ["src", "lib"], "ignore": ["dist"]}}),
            ),
            ("--no-watch", json!({"watch": null})),
            (
                "--watch --watch-delay 500",
                json!({"watch": {"paths": ["."], "delay": "500ms"}}),
            ),
            (
                "--health http://127.0.0.1:1/",
                json!({"health": {"http": "http://127.0.0.1:1/"}}),
            ),
            (
                "--health 127.0.0.1:1 --health-interval 5",
                json!({"health": {"tcp": "127.0.0.1:1", "interval": "5s"}}),
            ),
            (
                "-o a.log -e b.log",
                json!({"logs": {"out": "a.log", "error": "b.log"}}),
            ),
            (
                "-l c.log",
                json!({"logs": {"out": "c.log", "error": "c.log"}}),
            ),
            ("--disable-logs", json!({"logs": {"enabled": false}})),
            ("-o /dev/null -e NULL", json!({"logs": {"enabled": false}})),
            ("--time", json!({"logs": {"format": "time"}})),
            ("--log-type json", json!({"logs": {"format": "json"}})),
            ("--merge-logs", json!({"logs": {"files": "merged"}})),
            (
                "--log-files per-worker",
                json!({"logs": {"files": "per_worker"}}),
            ),
            (
                "--log-date-format YYYY-MM-DD",
                json!({"logs": {"format": "time", "time_format": "%Y-%m-%d"}}),
            ),
            (
                "--log-rotate-size 1M --log-rotate-age 1d",
                json!({"logs": {"rotate_size": "1M", "rotate_age": "1d"}}),
            ),
            (
                "--log-keep 3 --log-overflow drop",
                json!({"logs": {"keep": 3, "overflow": "drop"}}),
            ),
            (
                "--bus --jobs-file j.json",
                json!({"bus": true, "jobs_file": "j.json"}),
            ),
            (
                "--state a=memory --library kv=k.js",
                json!({"state": {"a": "memory"}, "libraries": {"kv": "k.js"}}),
            ),
            (
                "--depends-on db,mail",
                json!({"depends_on": ["db", "mail"]}),
            ),
            ("--no-autostart", json!({"autostart": false})),
            (
                "--instance-var N --increment-var PORT",
                json!({"instance_var": "N", "increment_var": "PORT"}),
            ),
            ("--filter-env A,B", json!({"env_remove": ["A", "B"]})),
            ("--user www --gid 33", json!({"user": "www", "group": "33"})),
            (
                "--cwd /srv --namespace shop",
                json!({"cwd": "/srv", "namespace": "shop"}),
            ),
        ] {
            assert_eq!(table(words), expected, "{words}");
        }
    }

    #[test]
    fn what_options_come_to_is_a_definition() {
        let words = "-i 2 -k 3000 --restart on-failure --exp-backoff-restart-delay 100 --watch=a \
                     --health 127.0.0.1:1 --log-type json --log-files per-worker --log-keep 3 \
                     --state a=memory --library kv=k.js --job n=x --depends-on db \
                     --stop-exit-codes 3 --dispatch pass --ready notify --soak 0 --bus";
        let app: App = serde_json::from_value(table(words)).expect("a definition");
        assert_eq!(app.stop_exit_codes, [3]);
        assert_eq!(app.logs.keep, 3);
    }

    #[test]
    fn bad_values_are_refused_at_once() {
        for words in [
            "-i none",
            "-i 257",
            "-i -1",
            "--kill-timeout soon",
            "--max-memory-restart big",
            "--restart sometimes",
            "--stop-exit-codes x",
            "--state a",
            "--watch --no-watch",
            "--grace 1 -k 2",
        ] {
            let words: Vec<&str> = std::iter::once("x").chain(words.split(' ')).collect();
            assert!(Alone::try_parse_from(&words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn settings_are_told_as_options() {
        assert_eq!(option_of("workers"), "--instances");
        assert_eq!(option_of("stop_signal"), "--stop-signal");
        assert_eq!(option_of("logs.keep"), "--log-keep");
        assert_eq!(option_of("script"), "PROGRAM");
    }
}
