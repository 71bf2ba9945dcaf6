//! What a herd is made from: an app, and how its settings are called.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use herder_api::App;
use herder_api::app::{Dispatch, Max, Proxy, Ready, Workers};
use herder_api::units::{Period, Size};
use herder_core::spec::{AppName, LibraryName, PickerKind};
use herder_master::config::Format;
use herder_sys::user::Identity;

use super::args::{DispatchArg, ReadyArg, RunArgs, WorkersArg};
use super::error::{ProgramError, RunError};
use super::units::OrNever;
use super::words::{Setting, Words};

/// An app to be run, and what is not the app's.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) app: App,
    /// What runs: the command, or what stands behind the script. As it was given; it need not be text.
    pub(crate) tail: Vec<OsString>,
    /// The libraries, in the order in which they were named.
    pub(crate) libraries: Vec<(LibraryName, PathBuf)>,
    pub(crate) words: Words,
    /// Whose rights the workers have, if that was found out before. Then the herd lives: what it was made
    /// from need not be there any more.
    pub(crate) identity: Option<Option<Identity>>,
    /// What should be known of it.
    pub(crate) hints: Vec<String>,
    /// The environment of the workers; `None` = this process's own.
    pub(crate) environment: Option<BTreeMap<String, String>>,
    pub(crate) format: Format,
    pub(crate) verdict_file: Option<PathBuf>,
    /// Where the herd's socket is to be.
    pub(crate) control: Option<PathBuf>,
    /// Where the herd's own events are written to.
    pub(crate) event_log: Option<PathBuf>,
    /// Where log files are that are named by nothing else.
    pub(crate) log_dir: Option<PathBuf>,
}

impl Description {
    /// An app of a file or an order.
    ///
    /// # Errors
    /// When a library's name is none.
    pub(crate) fn of_app(
        app: App,
        environment: BTreeMap<String, String>,
    ) -> Result<Description, RunError> {
        let words = Words::Fields;
        let library = |(name, file): (&String, &PathBuf)| match name.parse::<LibraryName>() {
            Ok(name) => Ok((name, file.clone())),
            Err(error) => Err(RunError::Wrong {
                setting: words.entry("libraries", name.as_str()),
                problem: error.to_string(),
            }),
        };
        let libraries = app
            .libraries
            .iter()
            .map(library)
            .collect::<Result<_, _>>()?;
        let own = app.command.iter().chain(&app.args);
        Ok(Description {
            tail: own.map(OsString::from).collect(),
            libraries,
            environment: Some(environment),
            ..Description::plain(app, words)
        })
    }

    /// What was asked for on the command line.
    ///
    /// # Errors
    /// When something is named twice.
    #[expect(clippy::too_many_lines, reason = "a list: a setting a line")]
    pub(crate) fn of_args(args: &RunArgs) -> Result<Description, RunError> {
        let libraries = args
            .library
            .iter()
            .map(|it| (it.name(), it.file().to_owned()));
        let (state, jobs) = args.services.named()?;
        let (node, reload) = (&args.node, &args.reload);
        let app = App {
            name: args.name.clone().unwrap_or_default(),
            script: args.script.clone(),
            interpreter: node.interpreter.as_ref().map(|it| lossy(it)),
            node_args: node.node_args.clone(),
            cwd: args.cwd.clone(),
            user: args.user.clone(),
            workers: args
                .workers
                .map_or(Workers::Max(Max::Max), WorkersArg::wanted),
            listen: args.listen.iter().map(ToString::to_string).collect(),
            backlog: args.backlog,
            unix_mode: args.unix_mode.map(|mode| format!("{:o}", mode.0)),
            dispatch: args.dispatch.map_or(Dispatch::Auto, DispatchArg::wanted),
            policy: args.policy.map(|policy| policy.to_string()),
            proxy: args.gateways.map(|count| Proxy {
                gateways: Some(count),
                ..Proxy::default()
            }),
            send_handle: node.send_handle.clone(),
            node_shim: !node.no_node_shim,
            ready: args.ready.map_or(Ready::Alive, ReadyArg::wanted),
            ready_after: args.ready_after.map(Into::into),
            wait_ready: node.wait_ready,
            listen_timeout: node.listen_timeout.map(Into::into),
            boot_timeout: args.boot_timeout.map(Into::into),
            grace: args.grace.map(Into::into),
            shutdown_with_message: node.shutdown_with_message,
            max_restarts: args.max_restarts,
            restart_window: args.restart_window.map(Into::into),
            max_requests: args.max_requests,
            max_lifetime: args.max_lifetime.map(Into::into),
            max_memory: args.max_memory.map(|size| Size(size.0)),
            watchdog: args.watchdog.map(Into::into),
            surge: reload.surge.map(Into::into),
            max_unavailable: reload.max_unavailable,
            soak: reload.soak.map(|time| Period(time.0)),
            reload_latch: reload.reload_latch.map(|time| Period(time.0)),
            max_generations: reload.max_generations.map(Into::into),
            hang: args.hang.map(or_zero),
            master_watchdog: reload.master_watchdog.map(or_zero),
            state,
            store: args.services.store.clone(),
            jobs,
            jobs_file: args.services.jobs_file.clone(),
            bus: args.services.bus,
            ..App::default()
        };
        Ok(Description {
            tail: args.program.clone(),
            libraries: libraries.collect(),
            format: args.format(),
            verdict_file: reload.verdict_file.clone(),
            ..Description::plain(app, Words::Options)
        })
    }

    /// A description of nothing, for tests.
    #[cfg(test)]
    pub(crate) fn bare(words: Words) -> Description {
        Description::plain(App::default(), words)
    }

    /// An app, and nothing besides.
    fn plain(app: App, words: Words) -> Description {
        Description {
            app,
            tail: Vec::new(),
            libraries: Vec::new(),
            words,
            identity: None,
            hints: Vec::new(),
            environment: None,
            format: Format::default(),
            verdict_file: None,
            control: None,
            event_log: None,
            log_dir: None,
        }
    }

    /// The setting of this field, for an error.
    pub(crate) fn setting(&self, field: &'static str) -> Setting {
        self.words.of(field)
    }

    /// The herd's name: the app's, or else this one.
    ///
    /// # Errors
    /// When what was given is no name.
    pub(crate) fn name_or(&self, default: impl FnOnce() -> AppName) -> Result<AppName, RunError> {
        match self.app.name.as_str() {
            "" => Ok(default()),
            name => self.parsed("name", name),
        }
    }

    /// The policy that was asked for, if one was.
    ///
    /// # Errors
    /// When there is none of that name.
    pub(crate) fn policy(&self) -> Result<Option<PickerKind>, RunError> {
        let policy = self.app.policy.as_deref();
        let policy = policy.map(|text| self.parsed("policy", text));
        policy.transpose()
    }

    /// A setting of listeners of the herd's own, where there are none.
    pub(crate) fn without_listener(&self) -> Option<Setting> {
        let app = &self.app;
        let given = [
            ("backlog", app.backlog.is_some()),
            ("unix_mode", app.unix_mode.is_some()),
        ];
        let mut given = given.into_iter().filter(|(_, given)| *given);
        let (field, _) = given.next()?;
        app.listen.is_empty().then(|| self.setting(field))
    }

    /// Where it runs; `None` = where the master does.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.app.cwd.as_deref()
    }

    /// Whether it is of a herd that lives.
    pub(crate) fn is_recalled(&self) -> bool {
        self.identity.is_some()
    }

    /// A variable of the workers' environment.
    pub(crate) fn variable(&self, name: &str) -> Option<OsString> {
        match &self.environment {
            Some(environment) => environment.get(name).map(OsString::from),
            None => std::env::var_os(name),
        }
    }

    /// Finds a program as a worker would.
    pub(crate) fn look_up(&self, name: &OsStr) -> Result<PathBuf, ProgramError> {
        let path = self.variable("PATH");
        let found = herder_master::find::look_up_along(name, self.directory(), path.as_deref());
        match found {
            // Who is started from it will say so.
            Err(_) if self.is_recalled() => {
                let path = herder_master::find::within(self.directory(), Path::new(name));
                Ok(std::path::absolute(&path).unwrap_or(path))
            }
            found => found.map_err(Into::into),
        }
    }

    /// A duration that was given, or the usual one. It is more than 0.
    pub(crate) fn duration(
        &self,
        field: &'static str,
        given: Option<Period>,
        usual: Duration,
    ) -> Result<Duration, RunError> {
        match given {
            Some(Period(Duration::ZERO)) => Err(RunError::Wrong {
                setting: self.setting(field),
                problem: "it must be more than 0".to_owned(),
            }),
            Some(Period(time)) => Ok(time),
            None => Ok(usual),
        }
    }

    /// A duration that need not be there, but is more than 0 if it is.
    pub(crate) fn limit(
        &self,
        field: &'static str,
        given: Option<Period>,
    ) -> Result<Option<Duration>, RunError> {
        let given = given.map(|time| self.duration(field, Some(time), Duration::ZERO));
        given.transpose()
    }

    /// A text that is parsed.
    pub(crate) fn parsed<T: std::str::FromStr<Err: ToString>>(
        &self,
        field: &'static str,
        text: &str,
    ) -> Result<T, RunError> {
        text.parse().map_err(|error: T::Err| RunError::Wrong {
            setting: self.setting(field),
            problem: error.to_string(),
        })
    }
}

/// Never is written as no time.
fn or_zero(time: OrNever) -> Period {
    match time {
        OrNever::Never => Period::secs(0),
        OrNever::After(time) => time.into(),
    }
}

fn lossy(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        args: RunArgs,
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table: a case a line")]
    fn options_of_run_are_settings() {
        for (words, expected) in [
            (
                "-l 80 --listen unix:/s",
                json!({"listen": ["*:80", "unix:/s"]}),
            ),
            ("-i 4 -n web", json!({"workers": 4, "name": "web"})),
            ("--workers max", json!({"workers": "max"})),
            (
                "--dispatch shared --policy ip-hash",
                json!({"dispatch": "shared", "policy": "ip-hash"}),
            ),
            (
                "--ready notify --boot-timeout 5",
                json!({"ready": "notify", "boot_timeout": "5s"}),
            ),
            (
                "--ready-after 2 --grace 1m",
                json!({"ready_after": "2s", "grace": "1m"}),
            ),
            (
                "--watchdog 2s --max-restarts 3",
                json!({"watchdog": "2s", "max_restarts": 3}),
            ),
            (
                "--restart-window 9 --max-requests 5",
                json!({"restart_window": "9s", "max_requests": 5}),
            ),
            (
                "--max-lifetime 1h --max-memory 300M",
                json!({"max_lifetime": "1h", "max_memory": "300M"}),
            ),
            (
                "--user www --cwd /srv",
                json!({"user": "www", "cwd": "/srv"}),
            ),
            (
                "--backlog 7 --unix-mode 660",
                json!({"backlog": 7, "unix_mode": "660"}),
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
            ("--master-watchdog never", json!({"master_watchdog": "0s"})),
            (
                "--store redis://h --jobs-file j",
                json!({"store": "redis://h", "jobs_file": "j"}),
            ),
            ("--bus", json!({"bus": true})),
            (
                "--interpreter deno --wait-ready",
                json!({"interpreter": "deno", "wait_ready": true}),
            ),
            (
                "--listen-timeout 2 --node-args -x",
                json!({"listen_timeout": "2s", "node_args": ["-x"]}),
            ),
            (
                "--send-handle s --no-node-shim",
                json!({"send_handle": "s", "node_shim": false}),
            ),
            (
                "--shutdown-with-message",
                json!({"shutdown_with_message": true}),
            ),
        ] {
            let words: Vec<&str> = std::iter::once("x")
                .chain(words.split_whitespace())
                .collect();
            let alone = Alone::try_parse_from(&words).expect("options");
            let description = Description::of_args(&alone.args).expect("a description");
            let found = serde_json::to_value(&description.app).expect("JSON");
            for (setting, value) in expected.as_object().expect("settings") {
                assert_eq!(found.get(setting), Some(value), "{words:?}");
            }
        }
    }
}
