//! From one of PM2's apps to one of ours.

use std::path::{Path, PathBuf};

use herder_api::App;
use herder_api::app::{Delay, Max, Restart, Watch, Workers};
use herder_api::units::Period;

use super::reader::Reader;
use super::{environment, logs, values};
use crate::node::{Node, Value};
use crate::program::{self, Program, name_from};
use crate::resolve::resolve;
use crate::{Options, native, settings};

/// What PM2 tells workers to leave with: their handlers are for that.
const STOP_SIGNAL: &str = "INT";

/// Where PM2's growing delay stops.
const LONGEST_DELAY: Period = Period::secs(15);

const PROGRAM: [&str; 4] = ["script", "exec", "cmd", "command"];

/// The app, unless it is none. (What was wrong with it, the reader knows.)
pub(super) fn app(reader: &mut Reader<'_>, directory: &Path, options: &Options) -> Option<App> {
    let named = reader.take(&["name"], values::text);
    reader.label = named.clone().unwrap_or_else(|| "without a name".to_owned());
    let mut app = App {
        stop_signal: Some(STOP_SIGNAL.to_owned()),
        ..App::default()
    };
    app.cwd = reader
        .take(&["cwd", "path"], values::text)
        .map(|cwd| PathBuf::from(values::at_home(cwd)));
    run(reader, &mut app, directory)?;
    name(reader, &mut app, named, options);
    reader.label.clone_from(&app.name);
    if let Some(namespace) = reader.take(&["namespace"], values::text) {
        app.namespace = name_from(&namespace);
        if app.namespace != namespace {
            let message = format!(
                "namespace {namespace:?} cannot be one; it is {:?}",
                app.namespace
            );
            reader.note(&["namespace"], message);
        }
    }
    workers(reader, &mut app);
    environment::environment(reader, &mut app);
    restarts(reader, &mut app);
    ends(reader, &mut app);
    watch(reader, &mut app);
    logs::logs(reader, &mut app);
    app.user = reader.take(&["uid", "user"], values::text);
    app.group = reader.take(&["gid", "group"], values::text);
    app.autostart = reader.take(&["autostart"], values::truth).unwrap_or(true);
    own(reader, &mut app);
    reader.rest();
    resolve(&mut app, directory);
    Some(app)
}

/// What runs, and by what.
fn run(reader: &mut Reader<'_>, app: &mut App, directory: &Path) -> Option<()> {
    let Some(program) = reader.take(&PROGRAM, values::text) else {
        reader.wrong(reader.at, "script is missing: it says what is to run");
        return None;
    };
    let mut interpreter = reader.take(&["interpreter", "exec_interpreter"], values::text);
    if interpreter
        .as_deref()
        .is_some_and(|name| name.starts_with("node@"))
    {
        let message = "interpreter: herder does not look for versions of Node; name the path of the one you mean";
        reader.note(&["interpreter", "exec_interpreter"], message);
        interpreter = None;
    }
    let asked = Program {
        program: values::at_home(program),
        interpreter: interpreter.map(values::at_home),
        interpreter_args: reader
            .take(
                &["node_args", "interpreter_args", "nodeArgs"],
                values::arguments,
            )
            .unwrap_or_default(),
        args: reader
            .take(&["args"], values::arguments)
            .unwrap_or_default(),
    };
    if let Err(problem) = program::set_program(app, &asked, directory) {
        let at = reader.place(&PROGRAM);
        reader.wrong(at, problem.message);
        return None;
    }
    if reader.is_set(&["source_map_support"]) && app.script.is_some() {
        app.node_args.push("--enable-source-maps".to_owned());
    }
    Some(())
}

fn name(reader: &mut Reader<'_>, app: &mut App, named: Option<String>, options: &Options) {
    let mut name = named.unwrap_or_else(|| app.name.clone());
    if let Some(prefix) = reader.take(&["name_prefix"], values::text) {
        name = format!("{prefix}{name}");
    }
    if let (true, Some(profile)) = (reader.is_set(&["append_env_to_name"]), &options.profile) {
        name = format!("{name}-{profile}");
    }
    app.name = name_from(&name);
    if app.name != name {
        let message = format!(
            "{name:?} cannot be a name here: use A-Z a-z 0-9 . _ -. It is called {}",
            app.name
        );
        reader.note(&["name", "script"], message);
    }
}

fn workers(reader: &mut Reader<'_>, app: &mut App) {
    if let Some((key, node)) = reader.node(&["instances"]) {
        match count(node) {
            Ok(workers) => app.workers = workers,
            Err(why) => reader.wrong(node.at, format!("{key}: {why}")),
        }
    }
    let mode = reader.take(&["exec_mode"], values::text);
    let is_fork = mode.is_some_and(|mode| mode.starts_with("fork"));
    if is_fork && let Some(script) = &app.script {
        let message = "exec_mode: it runs as a worker of Node's cluster all the same, so that it can be reloaded without loss";
        let hint = format!(
            "If it has to be a process of its own, say so in herder.toml: command = [\"node\", \"{}\"].",
            script.display()
        );
        reader.note(&["exec_mode"], message).hint = Some(hint);
    }
    app.wait_ready = reader.is_set(&["wait_ready"]);
    app.shutdown_with_message = reader.is_set(&["shutdown_with_message"]);
    app.listen_timeout = reader
        .take(&["listen_timeout"], values::period)
        .filter(|time| !time.0.is_zero());
    if app.script.is_none() {
        let given = [
            ("wait_ready", app.wait_ready),
            ("shutdown_with_message", app.shutdown_with_message),
            ("listen_timeout", app.listen_timeout.is_some()),
        ];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            reader.note(
                &[key],
                format!("{key} is not taken over: only a Node program can be told so"),
            );
        }
        (
            app.wait_ready,
            app.shutdown_with_message,
            app.listen_timeout,
        ) = (false, false, None);
    } else if app
        .listen_timeout
        .is_some_and(|time| time >= Period::secs(60))
    {
        // A guess has to come before the end of the time that there is for it.
        app.boot_timeout = app.listen_timeout.map(|time| Period(time.0 * 2));
    }
}

/// A number, `max` or 0 for one per CPU, or less than 0: so many fewer.
fn count(node: &Node) -> Result<Workers, String> {
    let max = Value::Text("max".to_owned());
    if node.value == max {
        return Ok(Workers::Max(Max::Max));
    }
    match values::integer(node)? {
        0 => Ok(Workers::Max(Max::Max)),
        less @ ..0 => {
            let cpus = std::thread::available_parallelism().map_or(1, usize::from);
            let cpus = i64::try_from(cpus).unwrap_or(1);
            let left = cpus.saturating_add(less).max(1);
            Ok(Workers::Count(u16::try_from(left).unwrap_or(1)))
        }
        many => u16::try_from(many)
            .map(Workers::Count)
            .map_err(|_| "an app has at most 256 workers".to_owned()),
    }
}

fn restarts(reader: &mut Reader<'_>, app: &mut App) {
    if reader.take(&["autorestart"], values::truth) == Some(false) {
        app.restart = Restart::Never;
    }
    let codes = |node: &Node| {
        if let Some(items) = node.list() {
            return items.iter().map(values::integer).collect();
        }
        let wrong = || format!("here is {}, where exit codes should be", node.kind());
        let text = values::text(node).map_err(|_| wrong())?;
        let codes = text.split(',').map(|code| code.trim().parse());
        codes.collect::<Result<Vec<i64>, _>>().map_err(|_| wrong())
    };
    let codes = reader.take(&["stop_exit_codes"], codes).unwrap_or_default();
    app.stop_exit_codes = codes
        .into_iter()
        .map(|code| i32::try_from(code).unwrap_or(-1))
        .collect();
    let whole = |node: &Node| {
        let number = values::integer(node)?;
        u32::try_from(number).map_err(|_| "it has to be 0 or more".to_owned())
    };
    app.max_restarts = reader.take(&["max_restarts"], whole);
    app.min_uptime = reader.take(&["min_uptime"], values::period);
    let fixed = reader.take(&["restart_delay"], values::period);
    let fixed = fixed.filter(|delay| !delay.0.is_zero()).map(Delay::Fixed);
    let first = reader.take(&["exp_backoff_restart_delay"], values::period);
    let growing = first
        .filter(|first| !first.0.is_zero())
        .map(|first| Delay::Growing {
            first,
            max: LONGEST_DELAY.max(first),
        });
    app.restart_delay = growing.or(fixed);
    app.max_memory = reader
        .take(&["max_memory_restart"], values::size)
        .filter(|size| size.0 > 0);
    if let Some((key, node)) = reader.node(&["cron_restart", "cron"])
        && !values::is_off(node)
    {
        match values::text(node) {
            Ok(times) => app.cron_restart = Some(in_zone(&times, local_zone())),
            Err(why) => reader.wrong(node.at, format!("{key}: {why}")),
        }
    }
}

/// PM2's times are those of the machine's clock; ours are of UTC, if they do not say which.
fn in_zone(times: &str, zone: Option<String>) -> String {
    match zone {
        Some(zone) => format!("{} {zone}", times.trim()),
        None => times.trim().to_owned(),
    }
}

/// The machine's time zone, unless it is UTC.
fn local_zone() -> Option<String> {
    let said = std::env::var("TZ").ok().filter(|zone| !zone.is_empty());
    let zone = match said {
        Some(zone) => zone.trim_start_matches(':').to_owned(),
        None => {
            let link = std::fs::read_link("/etc/localtime").ok()?;
            link.to_str()?.split_once("zoneinfo/")?.1.to_owned()
        }
    };
    (zone.contains('/') && !zone.starts_with("Etc/") && !zone.starts_with('/')).then_some(zone)
}

fn ends(reader: &mut Reader<'_>, app: &mut App) {
    app.grace = reader
        .take(&["kill_timeout"], values::period)
        .filter(|time| !time.0.is_zero());
    if let Some(signal) = reader.take(&["kill_signal"], values::text) {
        app.stop_signal = Some(signal);
    }
    if reader.take(&["treekill"], values::truth) == Some(false) {
        reader.note(
            &["treekill"],
            "treekill is not taken over: all of a worker's processes end with it",
        );
    }
}

fn watch(reader: &mut Reader<'_>, app: &mut App) {
    let wanted = reader.node(&["watch"]);
    let ignored = reader.take(&["ignore_watch"], values::texts);
    let delay = reader.take(&["watch_delay"], values::period);
    let Some((_, node)) = wanted.filter(|(_, node)| !values::is_off(node)) else {
        return;
    };
    let mut watch = Watch::default();
    if values::truth(node).is_err() {
        match values::texts(node) {
            Ok(paths) => {
                let paths = paths.into_iter().map(|path| plain_path(reader, path));
                watch.paths = paths.collect();
            }
            Err(_) => reader.wrong(
                node.at,
                "watch: it has to be true, a path, or a list of paths",
            ),
        }
    }
    watch.paths.dedup();
    watch.ignore = ignored.unwrap_or_default();
    watch.delay = delay.unwrap_or(watch.delay);
    app.watch = Some(watch);
}

/// What is watched is a file or a directory: of a pattern, the directory before it.
fn plain_path(reader: &mut Reader<'_>, path: String) -> String {
    let is_pattern = |part: &str| part.contains(['*', '?', '{', '[', '!', '(']);
    if !is_pattern(&path) {
        return path;
    }
    let parts: Vec<&str> = path
        .split('/')
        .take_while(|part| !is_pattern(part))
        .collect();
    let plain = match parts.join("/") {
        empty if empty.is_empty() => ".".to_owned(),
        plain => plain,
    };
    let message = format!("watch: {path:?} is a pattern; all of {plain:?} is watched");
    reader.note(&["watch"], message).hint =
        Some("What does not count can be said with ignore_watch.".to_owned());
    plain
}

/// `herder: {…}`: settings that PM2 does not have. PM2 passes over them.
fn own(reader: &mut Reader<'_>, app: &mut App) {
    let Some((_, node)) = reader.node(&["herder"]) else {
        return;
    };
    let Some(table) = node.table() else {
        reader.wrong(node.at, "herder: it has to be an object of settings");
        return;
    };
    let wrong = settings::mistakes(table);
    if !wrong.is_empty() {
        reader.mistakes.extend(wrong);
        return;
    }
    let mut all = native::to_json(app).expect("a definition is a table");
    settings::lay_over(&mut all, settings::given(table));
    match native::of_json(all) {
        Ok(changed) => *app = changed,
        Err(error) => reader.wrong(node.at, format!("herder: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_clock_on_the_wall() {
        assert_eq!(in_zone("0 3 * * *", None), "0 3 * * *");
        let zoned = in_zone(" 0 3 * * * ", Some("Europe/Berlin".to_owned()));
        assert_eq!(zoned, "0 3 * * * Europe/Berlin");
    }
}
