//! Verbs and options of PM2 that herder does not have, and what it has instead.

/// What to do instead of a verb that PM2 has and herder has not.
pub(crate) fn instead_of(verb: &str) -> Option<&'static str> {
    Some(match verb {
        "deploy" => {
            "Deploy with what you have (git, rsync, CI), and then `herder reload APP` or `herder apply FILE`."
        }
        "serve" | "expose" => {
            "Start any static file server, as in: herder start 'npx serve -l 8080 public'"
        }
        "set" | "get" | "unset" | "conf" | "config" | "multiset" => {
            "Settings of apps stand in herder.toml: `herder init` writes one, `herder apply` makes it hold."
        }
        "install" | "uninstall" | "module:install" | "module:uninstall" | "package" | "publish" => {
            "herder has no modules: log rotation and the like are built in. Other programs are apps like any."
        }
        "logrotate" => {
            "Log files are rotated by herder itself: rotate_size, rotate_age and keep under [apps.NAME.logs]."
        }
        "link" | "unlink" | "plus" | "login" | "logout" | "register" | "monitor" | "unmonitor"
        | "open" | "install-otel" | "uninstall-otel" => {
            "herder has no service behind it. `herder events` and GET /metrics at its socket tell what happens."
        }
        "prettylist" => "`herder list --json` is all of it as JSON.",
        "slist" | "sysinfos" => {
            "herder looks at its apps alone; see the machine with top or vmstat."
        }
        "trigger" => {
            "herder passes a line to an app's stdin (`herder send`), or a signal (`herder send-signal`)."
        }
        "attach" => {
            "`herder logs APP` shows what an app prints, `herder send APP LINE` writes to its stdin."
        }
        "inspect" | "profile:cpu" | "profile:mem" | "profile" | "report" => {
            "Node's own inspector does this: herder start app.js --node-args=--inspect"
        }
        "pull" | "forward" | "backward" => {
            "Use git in the app's directory, and then `herder reload APP`."
        }
        "cleardump" => "`herder save` writes the list anew.",
        "autoinstall" | "imonit" => "`herder monit` shows everything.",
        "gracefulReload" => "Every reload is: `herder reload APP`.",
        _ => return None,
    })
}

/// What to do instead of an option that somebody may know from PM2, or from another verb.
pub(crate) fn instead_of_option(verb: &str, option: &str) -> Option<&'static str> {
    let option = option.split('=').next().unwrap_or(option);
    Some(match (verb, option) {
        ("run", "--kill-timeout" | "-k") => "Its name is --grace, and a number is seconds.",
        ("run", "--max-memory-restart") => "Its name is --max-memory.",
        ("run", "--update-env" | "-a") => {
            "What runs in the foreground has this shell's environment."
        }
        ("run", "--watch" | "--cron" | "--cron-restart" | "--health") => {
            "The daemon looks after that: herder start, or `herder run FILE` without it."
        }
        ("run", "--output" | "-o" | "--error" | "-e" | "--log" | "--time" | "--log-type") => {
            "What runs in the foreground prints there. `herder start` writes log files."
        }
        ("run", "--namespace" | "--force" | "-f") => {
            "There is no list in the foreground: herder start."
        }
        ("restart" | "reload", "--name" | "-n") => {
            "An app keeps its name. Start it under the other one, and then `herder delete` the first."
        }
        (
            "restart" | "reload",
            "--node-args" | "--interpreter" | "--interpreter-args" | "-x" | "--execute-command",
        ) => "This is of the program: herder start PROGRAM --name APP --force",
        ("startup" | "unstartup", "--hp") => {
            "The home is the user's; another one is told by HERDER_HOME, which is then recorded."
        }
        ("start", "--pid" | "-p") => {
            "`herder pid APP` prints the processes; there are no pid files."
        }
        ("start", "--ext") => "Say what does not count: --watch --ignore-watch '*.*,!*.js'",
        ("start", "--write" | "-w") => {
            "The list is written at every change; `herder save` keeps it for `resurrect`."
        }
        ("logs" | "log", "--format" | "--formatted") => "There are --raw, --timestamp and --json.",
        ("stop" | "delete" | "del", "--watch") => "An app that is stopped is not watched either.",
        ("save" | "dump", "--force") => {
            "An empty list is not saved. `herder delete all` empties the list itself."
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn nothing_that_there_is_has_something_instead() {
        let mut command = Cli::command();
        command.build();
        for verb in command.get_subcommands() {
            let names = verb.get_name_and_visible_aliases();
            for name in &names {
                assert_eq!(instead_of(name), None);
            }
            for arg in verb.get_arguments() {
                let long = arg.get_long_and_visible_aliases().unwrap_or_default();
                let short = arg.get_short_and_visible_aliases().unwrap_or_default();
                let all = long.iter().map(|it| format!("--{it}"));
                for option in all.chain(short.iter().map(|it| format!("-{it}"))) {
                    for name in &names {
                        assert_eq!(instead_of_option(name, &option), None, "{name}");
                    }
                }
            }
        }
    }
}
