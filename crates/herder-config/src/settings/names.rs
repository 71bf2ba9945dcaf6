//! Names that are none of ours: whose they are, and which of ours was meant.

use crate::mistake::Mistake;
use crate::node::Entry;

/// Names by which others call what herder has, too: PM2, gunicorn and its like, supervisor, systemd.
/// All in small letters, with `_` in place of `-`.
const FOREIGN: [(&str, &str); 96] = [
    // PM2.
    ("append_env_to_name", "the table's name"),
    (
        "autorestart",
        "restart = \"always\", \"on_failure\" or \"never\"",
    ),
    ("cmd", "command"),
    ("combine_logs", "logs.files = \"merged\""),
    ("cron", "cron_restart"),
    ("disable_logs", "logs.enabled = false"),
    ("err_file", "logs.error"),
    ("err_log", "logs.error"),
    ("error", "logs.error"),
    ("error_file", "logs.error"),
    ("error_log", "logs.error"),
    ("exec", "script, or command"),
    ("exec_interpreter", "interpreter"),
    (
        "exec_mode",
        "script for a program of Node's cluster, command for any other",
    ),
    (
        "exp_backoff_restart_delay",
        "restart_delay = { first = \"100ms\", max = \"15s\" }",
    ),
    ("filter_env", "env_remove"),
    ("gid", "group"),
    ("ignore_watch", "watch.ignore"),
    ("instances", "workers"),
    ("interpreter_args", "node_args"),
    (
        "kill_retry_time",
        "nothing: the end of a process is noticed at once",
    ),
    ("kill_signal", "stop_signal"),
    (
        "kill_timeout",
        "grace, in seconds or with a unit: \"1600ms\"",
    ),
    ("log", "logs.out and logs.error"),
    (
        "log_date_format",
        "logs.format = \"time\" and logs.time_format",
    ),
    ("log_file", "logs.out and logs.error, both the same"),
    ("log_type", "logs.format"),
    ("max_memory_restart", "max_memory"),
    ("merge_logs", "logs.files = \"merged\""),
    ("node_arguments", "node_args"),
    ("out", "logs.out"),
    ("out_file", "logs.out"),
    ("out_log", "logs.out"),
    ("output", "logs.out"),
    ("pid_file", "nothing: `herder pid NAME` says it"),
    ("pidfile", "nothing: `herder pid NAME` says it"),
    ("pre_fork", "libraries"),
    ("time", "logs.format = \"time\""),
    (
        "treekill",
        "nothing: all of a worker's processes end with it",
    ),
    ("uid", "user"),
    ("watch_delay", "watch.delay"),
    ("watch_options", "watch"),
    // gunicorn, uvicorn, puma, unicorn, uWSGI.
    ("accesslog", "logs.out"),
    ("address", "listen"),
    ("bind", "listen"),
    ("chdir", "cwd"),
    ("concurrency", "workers"),
    (
        "daemon",
        "nothing: `herder start` is in the background, `herder run` is not",
    ),
    ("errorlog", "logs.error"),
    ("graceful_timeout", "grace"),
    ("harakiri", "max_silence, or health"),
    ("host", "listen"),
    ("limit_request", "max_requests"),
    (
        "max_requests_jitter",
        "nothing: replacements are spread by themselves",
    ),
    ("max_worker_lifetime", "max_lifetime"),
    ("port", "listen, or env.PORT"),
    ("preload_app", "libraries"),
    ("proc_name", "the table's name"),
    ("processes", "workers"),
    ("reload", "watch"),
    ("reload_on_rss", "max_memory"),
    ("socket", "listen"),
    ("timeout", "boot_timeout, grace, or health.timeout"),
    ("timeout_graceful_shutdown", "grace"),
    ("worker_boot_timeout", "boot_timeout"),
    ("worker_processes", "workers"),
    ("worker_shutdown_timeout", "grace"),
    ("worker_timeout", "max_silence, or health"),
    // supervisor.
    ("autostart", "autostart"),
    ("directory", "cwd"),
    ("environment", "env"),
    ("exitcodes", "stop_exit_codes"),
    ("numprocs", "workers"),
    ("priority", "depends_on"),
    ("process_name", "the table's name"),
    ("startretries", "max_restarts"),
    ("startsecs", "ready_after, or min_uptime"),
    ("stderr_logfile", "logs.error"),
    ("stdout_logfile", "logs.out"),
    ("stdout_logfile_backups", "logs.keep"),
    ("stdout_logfile_maxbytes", "logs.rotate_size"),
    ("stopsignal", "stop_signal"),
    ("stopwaitsecs", "grace"),
    // systemd.
    ("after", "depends_on"),
    ("execstart", "command"),
    ("killsignal", "stop_signal"),
    ("memorymax", "max_memory"),
    ("requires", "depends_on"),
    ("restartsec", "restart_delay"),
    ("startlimitburst", "max_restarts"),
    ("startlimitintervalsec", "restart_window"),
    ("successexitstatus", "stop_exit_codes"),
    ("timeoutstartsec", "boot_timeout"),
    ("timeoutstopsec", "grace"),
    ("watchdogsec", "watchdog"),
    ("workingdirectory", "cwd"),
];

/// What is wrong with a name that there is not, and what was meant.
pub(crate) fn unknown(entry: &Entry, within: &str, known: &[&'static str]) -> Mistake {
    let name = &entry.name;
    let full = match within {
        "" => name.clone(),
        _ => format!("{within}.{name}"),
    };
    let mistake = Mistake::new(entry.at, format!("there is no setting {full:?}"));
    match meant(name, within, known) {
        Some(hint) => mistake.hint(hint),
        None => mistake.hint("`herder init` writes a file with all settings and what they mean."),
    }
}

/// What a name that there is not will have meant.
pub(crate) fn meant(name: &str, within: &str, known: &[&'static str]) -> Option<String> {
    let plain = plain(name);
    let with = |name: &str| match within {
        "" => name.to_owned(),
        _ => format!("{within}.{name}"),
    };
    if let Some(known) = known.iter().find(|known| **known == plain) {
        return Some(format!("It is called {}.", with(known)));
    }
    if within.is_empty() {
        if let Some((_, ours)) = FOREIGN.iter().find(|(foreign, _)| *foreign == plain) {
            return Some(format!("herder's word for it: {ours}."));
        }
        if let Some(profile) = plain
            .strip_prefix("env_")
            .filter(|profile| !profile.is_empty())
        {
            return Some(format!(
                "Variables that --env {profile} chooses stand in profiles.{profile}."
            ));
        }
        if let Some(table) = ["logs", "watch", "health"]
            .into_iter()
            .find(|table| is_in(table, &plain))
        {
            return Some(format!("It stands in a table: {table}.{plain}."));
        }
    }
    nearest(&plain, known).map(|known| format!("Did you mean {}?", with(known)))
}

fn is_in(table: &str, name: &str) -> bool {
    matches!(super::shape(table), super::Shape::Fields(fields) if fields.contains(&name))
}

/// Small letters, and `_` between words.
fn plain(name: &str) -> String {
    name.to_lowercase().replace(['-', ' '], "_")
}

/// The known name that is most like this one, if one is much like it.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let close = |known: &&&str| distance(name, known) <= (known.len() / 3).clamp(1, 3);
    let close = known.iter().filter(close);
    close.min_by_key(|known| distance(name, known)).copied()
}

/// How many letters have to be changed, added, left out, or exchanged with their neighbours.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    // A long name is like none; what it costs to say so is bounded.
    let one: Vec<char> = one.chars().take(64).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let changed = last[j] + usize::from(a != b);
            let mut least = changed.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::all;

    #[test]
    fn what_others_call_so_is_answered_with_our_word() {
        for (name, part) in [
            ("instances", "workers"),
            ("bind", "listen"),
            ("kill_timeout", "grace"),
            ("max_memory_restart", "max_memory"),
            ("autorestart", "restart"),
            ("TimeoutStopSec", "grace"),
            ("ExecStart", "command"),
            ("env_production", "profiles.production"),
            ("max-restarts", "max_restarts"),
            ("wrokers", "workers"),
            ("rotate_size", "logs.rotate_size"),
            ("Name", "name"),
        ] {
            let hint = meant(name, "", all()).unwrap_or_default();
            assert!(hint.contains(part), "{name}: {hint}");
        }
        assert_eq!(meant("xyzzy_plugh", "", all()), None);
        assert_eq!(
            meant("intervall", "health", &["interval", "timeout"]).as_deref(),
            Some("Did you mean health.interval?")
        );
    }

    #[test]
    fn every_answer_names_settings_that_there_are() {
        for (foreign, ours) in FOREIGN {
            assert!(
                !all().contains(&foreign) || foreign == ours,
                "{foreign} is ours"
            );
            let starts = ["nothing: ", "the table's name"];
            if starts.iter().any(|start| ours.starts_with(start)) {
                continue;
            }
            let first = ours.split([',', ' ', '.']).next().unwrap_or_default();
            assert!(all().contains(&first), "{foreign}: {first}");
        }
    }
}
