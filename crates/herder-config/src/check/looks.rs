//! How an app is looked after: times, health, watching, logs.

use herder_api::App;
use herder_api::app::{Dispatch, Health, LogFormat};
use herder_core::spec::ListenAddress;
use herder_services::jobs::Timing;

use super::{Found, Wrong};

pub(super) fn check(found: &mut Found<'_>) {
    let app = found.app;
    if let Some(text) = &app.cron_restart
        && let Err(error) = text.parse::<Timing>()
    {
        found.say("cron_restart", error.to_string());
    }
    if let Some(health) = &app.health {
        of_health(found, app, health);
    }
    if let Some(watch) = &app.watch {
        found.say_if(
            Wrong(watch.paths.is_empty()),
            "watch.paths",
            "say what is to be watched, or leave watch out",
        );
        let empty = watch.paths.iter().any(|path| path.is_empty());
        found.say_if(Wrong(empty), "watch.paths", "a path is empty");
    }
    let logs = &app.logs;
    let wrong = Wrong(logs.time_format.is_some() && logs.format != LogFormat::Time);
    found.say_if(
        wrong,
        "logs.time_format",
        "it holds with logs.format = \"time\" only",
    );
    for (setting, path) in [("logs.out", &logs.out), ("logs.error", &logs.error)] {
        let wrong = Wrong(path.as_ref().is_some_and(|path| path.file_name().is_none()));
        found.say_if(wrong, setting, "it names no file");
    }
}

fn of_health(found: &mut Found<'_>, app: &App, health: &Health) {
    let place = of_workers(found, app, health);
    let given = [
        health.http.is_some(),
        health.tcp.is_some(),
        !health.exec.is_empty(),
    ];
    let wrong = Wrong(given.iter().filter(|given| **given).count() != 1);
    found.say_if(wrong, "health", "give one of http, tcp and exec");
    if place == Place::Workers {
        return;
    }
    if let Some(url) = &health.http {
        let wrong = Wrong(!is_http(url));
        found.say_if(
            wrong,
            "health.http",
            format!("{url:?} is no URL such as http://127.0.0.1:3000/health"),
        );
    }
    if let Some(address) = &health.tcp {
        let good = match address.parse() {
            Ok(ListenAddress::Tcp { host, port }) => host.is_some() && port != 0,
            Ok(ListenAddress::Unix(_)) => true,
            Err(_) => false,
        };
        found.say_if(
            Wrong(!good),
            "health.tcp",
            format!("{address:?} is neither HOST:PORT nor unix:/path"),
        );
    }
}

/// Where is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Where it is said.
    Said,
    /// Where each worker listens.
    Workers,
}

/// What is asked of each worker behind a proxy, where it listens.
fn of_workers(found: &mut Found<'_>, app: &App, health: &Health) -> Place {
    let path = health.http.as_deref().filter(|url| url.starts_with('/'));
    let is_worker = health.tcp.as_deref() == Some("worker");
    let setting = match (path, is_worker) {
        (Some(_), _) => "health.http",
        (None, true) => "health.tcp",
        (None, false) => return Place::Said,
    };
    let wrong = Wrong(app.dispatch != Dispatch::Proxy);
    let message =
        "only with dispatch = \"proxy\" each worker listens by itself; say HOST:PORT, too";
    found.say_if(wrong, setting, message);
    let is_plain = |path: &str| {
        path.bytes()
            .all(|byte| byte.is_ascii_graphic() || byte >= 0x80)
    };
    let wrong = Wrong(path.is_some_and(|path| !is_plain(path)));
    found.say_if(wrong, setting, "a path has no blanks in it");
    Place::Workers
}

/// http://HOST[:PORT][/PATH], without a name and password.
fn is_http(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let with_port = match host.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => host.to_owned(),
        _ => format!("{host}:80"),
    };
    let is_address = matches!(with_port.parse(), Ok(ListenAddress::Tcp { host: Some(host), port: 1.. }) if !host.is_empty());
    is_address && url.chars().all(|c| !c.is_whitespace() && !c.is_control())
}
