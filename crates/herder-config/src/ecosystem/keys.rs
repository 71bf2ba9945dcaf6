//! What PM2's keys are about that have no counterpart, and which there are.

/// What to know of a key that is not taken over.
pub(super) struct Advice {
    pub(super) key: &'static str,
    /// What it is, and what is there instead.
    pub(super) instead: &'static str,
}

const fn advice(key: &'static str, instead: &'static str) -> Advice {
    Advice { key, instead }
}

/// Keys of PM2 that are not offered.
pub(super) const NOT_OFFERED: [Advice; 20] = [
    advice(
        "automation",
        "it belongs to PM2's agent; `herder list` and /metrics have the figures",
    ),
    advice(
        "deep_monitoring",
        "it belongs to PM2's agent; `herder list` and /metrics have the figures",
    ),
    advice("disable_trace", "it belongs to PM2's agent"),
    advice(
        "disable_source_map_support",
        "source maps are on with --enable-source-maps in node_args only",
    ),
    advice("io", "it belongs to PM2's agent; /metrics has the figures"),
    advice(
        "km_link",
        "it belongs to PM2's dashboard; `herder monit` shows what runs",
    ),
    advice(
        "monitoring",
        "it belongs to PM2's agent; `herder list` and /metrics have the figures",
    ),
    advice(
        "pid",
        "herder keeps no pid files; `herder pid NAME` says it",
    ),
    advice(
        "pid_file",
        "herder keeps no pid files; `herder pid NAME` says it",
    ),
    advice(
        "pm_pid_path",
        "herder keeps no pid files; `herder pid NAME` says it",
    ),
    advice("pmx", "it belongs to PM2's agent; /metrics has the figures"),
    advice(
        "post_update",
        "herder fetches no code; run such commands before `herder reload`",
    ),
    advice("ref", "herder fetches no code; it belongs to a deployment"),
    advice("repo", "herder fetches no code; it belongs to a deployment"),
    advice("rolling", "a reload replaces workers one by one anyway"),
    advice("trace", "it belongs to PM2's agent"),
    advice("tracing", "it belongs to PM2's agent"),
    advice("versioning", "herder does not look into repositories"),
    advice("vizion", "herder does not look into repositories"),
    advice(
        "watch_options",
        "they are those of PM2's watcher; watch.ignore and watch.delay are there",
    ),
];

/// Keys that say what is so anyway, or is nobody's business here.
pub(super) const NEEDLESS: [&str; 9] = [
    "env",
    "force",
    "kill_retry_time",
    "max_listen_timeout",
    "minUptime",
    "username",
    "windowsHide",
    "windows_hide",
    "$schema",
];

/// All keys that are taken over, and their aliases: for close matches.
pub(super) const KNOWN: [&str; 74] = [
    "append_env_to_name",
    "args",
    "autorestart",
    "autostart",
    "cmd",
    "combine_logs",
    "command",
    "cron",
    "cron_restart",
    "cwd",
    "disable_logs",
    "env",
    "err",
    "err_file",
    "err_log",
    "error",
    "error_file",
    "error_log",
    "exec",
    "exec_interpreter",
    "exec_mode",
    "exp_backoff_restart_delay",
    "filter_env",
    "force",
    "gid",
    "group",
    "herder",
    "ignore_watch",
    "increment_var",
    "instance_var",
    "instances",
    "interpreter",
    "interpreter_args",
    "kill_signal",
    "kill_timeout",
    "listen_timeout",
    "log",
    "log_date_format",
    "log_file",
    "log_type",
    "max_memory_restart",
    "max_restarts",
    "merge_logs",
    "min_uptime",
    "name",
    "name_prefix",
    "namespace",
    "node_args",
    "nodeArgs",
    "out",
    "out_file",
    "out_log",
    "output",
    "path",
    "pid_file",
    "port",
    "post_update",
    "restart_delay",
    "script",
    "shutdown_with_message",
    "source_map_support",
    "stop_exit_codes",
    "time",
    "treekill",
    "uid",
    "user",
    "vizion",
    "wait_ready",
    "watch",
    "watch_delay",
    "watch_options",
    "windowsHide",
    "logDateFormat",
    "env_production",
];

/// The key of PM2 by which somebody set what is wrong with a setting of ours.
pub(super) fn keys_of(setting: &str) -> &'static [&'static str] {
    let top = setting.split_once('.').map_or(setting, |(top, _)| top);
    match top {
        "script" | "command" => &["script", "exec", "cmd", "command"],
        "workers" => &["instances"],
        "user" => &["uid", "user"],
        "group" => &["gid", "group"],
        "node_args" => &["node_args", "interpreter_args", "nodeArgs"],
        "interpreter" => &["interpreter", "exec_interpreter"],
        "max_memory" => &["max_memory_restart"],
        "cron_restart" => &["cron_restart", "cron"],
        "grace" => &["kill_timeout"],
        "restart_delay" => &["restart_delay", "exp_backoff_restart_delay"],
        "logs" => &[
            "out_file",
            "output",
            "out",
            "error_file",
            "error",
            "log_file",
            "log",
        ],
        "cwd" => &["cwd", "path"],
        "args" => &["args"],
        "listen_timeout" => &["listen_timeout"],
        "stop_exit_codes" => &["stop_exit_codes"],
        "increment_var" => &["increment_var"],
        "instance_var" => &["instance_var"],
        "namespace" => &["namespace"],
        "name" => &["name"],
        "env" => &["env"],
        _ => &["herder"],
    }
}
