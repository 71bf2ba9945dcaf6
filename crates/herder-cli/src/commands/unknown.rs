//! Verbs of PM2 that herder does not have, and what it has instead.

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
