//! The definition of an app: what `herder.toml` says under `[apps.NAME]`, what the daemon keeps, and
//! what a herd is run from. What is left out has its default, and is left out again when it is written.

mod checks;
mod choices;
mod logs;
mod proxy;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::units::{Period, Size};
use words::{is_default_namespace, one_or_many};

pub use checks::{Health, Watch};
pub use choices::{Delay, Dispatch, EnvMode, Max, Ready, Restart, Scalar, Stdin, Workers};
pub use logs::{LogFiles, LogFormat, Logs, Overflow};
pub use proxy::{Proxy, ProxyCertificate, ProxyHeader, ProxyKind, ProxyVia};
pub use words::DEFAULT_NAMESPACE;

/// An app. Either `script` or `command` is given. (What can be and what cannot, `herder-config` checks.)
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct App {
    /// How it is called: letters, digits, `.`, `_` and `-`, at most 64. In a file the table's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Apps of a namespace can be named together.
    #[serde(skip_serializing_if = "is_default_namespace")]
    pub namespace: String,

    /// A Node program (or one of an engine like it), which listens by itself as a worker of Node's cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<PathBuf>,
    /// Any other program and its arguments. One text with blanks in it is run by `sh -c`.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "words::OneOrMany"))]
    pub command: Vec<String>,
    /// The script's arguments.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "words::OneOrMany"))]
    pub args: Vec<String>,
    /// What runs the script: node, deno or bun, by its name or path. Default: by its extension or first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// Arguments for the interpreter.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "words::OneOrMany"))]
    pub node_args: Vec<String>,
    /// The working directory. Default: the file's, or the caller's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// Whose rights the workers have; only root can say so. Default: the daemon's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Their group. Default: the user's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,

    /// Variables of the environment, beside those of whoever starts the app.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Scalar>,
    /// More variables, which `--env NAME` chooses.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<String, BTreeMap<String, Scalar>>,
    /// What the workers have of the caller's environment.
    #[serde(skip_serializing_if = "is_default")]
    pub env_mode: EnvMode,
    /// Variables of the caller that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_remove: Vec<String>,
    /// A variable that tells each worker its slot, beside HERDER_SLOT and NODE_APP_INSTANCE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_var: Option<String>,
    /// A variable of `env` with a number, to which each worker's slot is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub increment_var: Option<String>,

    /// How many workers: a number, or "max" for one per CPU.
    #[serde(skip_serializing_if = "is_default")]
    pub workers: Workers,
    /// Where herder listens for a `command`: PORT, HOST:PORT, `[IPV6]:PORT` or unix:/path.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "words::OneOrMany"))]
    pub listen: Vec<String>,
    /// How many connections the kernel queues for each `listen`. Default: 4096.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backlog: Option<u32>,
    /// The permission bits of a Unix listener, in octal. Default: "600".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unix_mode: Option<String>,
    /// Who accepts connections.
    #[serde(skip_serializing_if = "is_default")]
    pub dispatch: Dispatch,
    /// Which worker gets a connection: round-robin, or in pass and proxy mode least-connections, two-choices, ip-hash, or in kernel mode least-loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// How the gateway forwards, with `dispatch = "proxy"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// In kernel mode: how often each worker gets a connection compared to the others, in the order of their slots: 1 to 16. Default: 1 each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<u8>,
    /// In kernel and reuseport mode a `command` that has accepted nobody for so long, while others keep up, is replaced; 0 = never. Default: 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hang: Option<Period>,
    /// Listen at `listen`, and send the listeners to each worker of a script with this message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_handle: Option<String>,
    /// Whether herder's module is loaded into Node workers: keep-alive connections end well.
    #[serde(skip_serializing_if = "is_true")]
    pub node_shim: bool,

    /// How a worker is known to be ready.
    #[serde(skip_serializing_if = "is_default")]
    pub ready: Ready,
    /// With `ready = "alive"`, a `command` counts as ready after this. Default: 1s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_after: Option<Period>,
    /// A script is ready when it sends the message 'ready', not when it listens.
    #[serde(skip_serializing_if = "is_false")]
    pub wait_ready: bool,
    /// A script that has not said that it is ready by then is taken for ready. Default: 3s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_timeout: Option<Period>,
    /// A worker that is not ready by then is killed and counts as failed. Default: 60s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_timeout: Option<Period>,

    /// How long a worker may take to finish what it has before it is killed. Default: 30s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<Period>,
    /// The signal that asks a worker to leave. Default: "TERM".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Send the message 'shutdown' to a worker of a script before it is disconnected.
    #[serde(skip_serializing_if = "is_false")]
    pub shutdown_with_message: bool,

    /// When a worker that ended by itself is started again.
    #[serde(skip_serializing_if = "is_default")]
    pub restart: Restart,
    /// Exit codes after which a worker is not started again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_exit_codes: Vec<i32>,
    /// More restarts of one slot than this within `restart_window` put it into quarantine; 0 = no limit. Default: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_restarts: Option<u32>,
    /// Over which time restarts are counted, and how long a quarantine lasts. Default: 60s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_window: Option<Period>,
    /// Ready for so long, a worker counts as healthy: it is replaced at once. Default: 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_uptime: Option<Period>,
    /// How long a failed worker's successor waits. Default: grows from 100ms to 30s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_delay: Option<Delay>,

    /// Replace a worker after so many requests (only where they are counted).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u64>,
    /// Replace a worker after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_lifetime: Option<Period>,
    /// Replace a worker whose resident memory exceeds this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory: Option<Size>,
    /// Replace all workers at these times, one after the other: `0 3 * * *`, with a time zone behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron_restart: Option<String>,

    /// Expect WATCHDOG=1 of a `command` at least this often; a silent worker is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<Period>,
    /// A worker that prints nothing for so long is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_silence: Option<Period>,
    /// Asks the app whether it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Reloads the app when files change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,

    /// How many replacements a reload starts at a time, beyond the workers there are. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surge: Option<u16>,
    /// How many more it may replace at a time, at the price of as many fewer that serve. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<u16>,
    /// How long new workers have to prove themselves before the old ones leave. Default: 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soak: Option<Period>,
    /// After a reload that was rolled back, planned replacements rest for so long. Default: 10m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reload_latch: Option<Period>,
    /// How many versions may be leaving at a time. Default: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_generations: Option<u16>,
    /// A master that stands still for so long is ended, and another one takes over; 0 = never. Default: 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_watchdog: Option<Period>,

    /// Processes that the workers share, by name: scripts that export objects, or programs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub libraries: BTreeMap<String, PathBuf>,
    /// Values that all workers share, by name: "memory", "file:PATH" or "store".
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub state: BTreeMap<String, String>,
    /// A Redis or Valkey: redis://HOST. What stands here is never shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// Jobs that one worker runs at its times, by name: "0 3 * * * Europe/Berlin", "every 10s".
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub jobs: BTreeMap<String, String>,
    /// Where jobs are kept that are changed while the app runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs_file: Option<PathBuf>,
    /// Messages between the workers.
    #[serde(skip_serializing_if = "is_false")]
    pub bus: bool,

    /// What the workers find as their stdin.
    #[serde(skip_serializing_if = "is_default")]
    pub stdin: Stdin,

    /// Apps that are ready before this one is started.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "words::OneOrMany"))]
    pub depends_on: Vec<String>,
    /// Whether it is started with the file and with the machine.
    #[serde(skip_serializing_if = "is_true")]
    pub autostart: bool,

    /// What becomes of what the workers print.
    #[serde(skip_serializing_if = "is_default")]
    pub logs: Logs,
}

impl Default for App {
    #[expect(clippy::too_many_lines, reason = "a list: a setting a line")]
    fn default() -> App {
        App {
            name: String::new(),
            namespace: DEFAULT_NAMESPACE.to_owned(),
            script: None,
            command: Vec::new(),
            args: Vec::new(),
            interpreter: None,
            node_args: Vec::new(),
            cwd: None,
            user: None,
            group: None,
            env: BTreeMap::new(),
            profiles: BTreeMap::new(),
            env_mode: EnvMode::default(),
            env_remove: Vec::new(),
            instance_var: None,
            increment_var: None,
            workers: Workers::default(),
            listen: Vec::new(),
            backlog: None,
            unix_mode: None,
            dispatch: Dispatch::default(),
            policy: None,
            proxy: None,
            weights: Vec::new(),
            send_handle: None,
            node_shim: true,
            ready: Ready::default(),
            ready_after: None,
            wait_ready: false,
            listen_timeout: None,
            boot_timeout: None,
            grace: None,
            stop_signal: None,
            shutdown_with_message: false,
            restart: Restart::default(),
            stop_exit_codes: Vec::new(),
            max_restarts: None,
            restart_window: None,
            min_uptime: None,
            restart_delay: None,
            max_requests: None,
            max_lifetime: None,
            max_memory: None,
            cron_restart: None,
            watchdog: None,
            max_silence: None,
            health: None,
            watch: None,
            surge: None,
            max_unavailable: None,
            soak: None,
            reload_latch: None,
            max_generations: None,
            hang: None,
            master_watchdog: None,
            libraries: BTreeMap::new(),
            state: BTreeMap::new(),
            store: None,
            jobs: BTreeMap::new(),
            jobs_file: None,
            bus: false,
            stdin: Stdin::default(),
            depends_on: Vec::new(),
            autostart: true,
            logs: Logs::default(),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde lends a field")]
fn is_true(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde lends a field")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_left_out_again() {
        let text = r#"{"name":"web","script":"server.js","env":{"PORT":3000},"workers":"max"}"#;
        let app: App = serde_json::from_str(text).expect("an app");
        assert_eq!(app.workers, Workers::Max(Max::Max));
        assert!(app.node_shim && app.autostart && app.logs.enabled);
        assert_eq!(serde_json::to_string(&app).expect("JSON"), text);
    }

    #[test]
    fn a_command_is_a_text_or_a_list() {
        for (text, expected) in [
            (r#"{"command":"npm start"}"#, vec!["npm start"]),
            (
                r#"{"command":["python3","app.py"]}"#,
                vec!["python3", "app.py"],
            ),
        ] {
            let app: App = serde_json::from_str(text).expect("an app");
            assert_eq!(app.command, expected);
        }
    }

    #[test]
    fn unknown_names_are_no_silence() {
        let error = serde_json::from_str::<App>(r#"{"instances":4}"#).expect_err("unknown");
        assert!(error.to_string().contains("instances"), "{error}");
    }
}
