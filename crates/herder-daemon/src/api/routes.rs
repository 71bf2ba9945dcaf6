//! All that can be asked for. There is nothing else.

use hyper::{Method, StatusCode};

use super::answer::Refusal;
use super::query::decode;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Route {
    Act,
    App,
    Apply,
    Apps,
    Daemon,
    Environment,
    Events,
    History,
    Logs,
    Metrics,
    OpenApi,
    Plan,
    Resurrect,
    Save,
    Start,
    Stop,
}

/// Methods and paths. `{name}` stands for one part of a path.
pub(super) const ROUTES: &[(Method, &str, Route)] = &[
    (Method::GET, "/v1/daemon", Route::Daemon),
    (Method::POST, "/v1/daemon/stop", Route::Stop),
    (Method::GET, "/v1/apps", Route::Apps),
    (Method::POST, "/v1/apps", Route::Start),
    (Method::GET, "/v1/apps/{name}", Route::App),
    (
        Method::GET,
        "/v1/apps/{name}/environment",
        Route::Environment,
    ),
    (Method::GET, "/v1/apps/{name}/history", Route::History),
    (Method::POST, "/v1/actions", Route::Act),
    (Method::POST, "/v1/plan", Route::Plan),
    (Method::POST, "/v1/apply", Route::Apply),
    (Method::POST, "/v1/save", Route::Save),
    (Method::POST, "/v1/resurrect", Route::Resurrect),
    (Method::GET, "/v1/events", Route::Events),
    (Method::GET, "/v1/logs", Route::Logs),
    (Method::GET, "/metrics", Route::Metrics),
    (Method::GET, "/openapi.json", Route::OpenApi),
];

impl Route {
    /// How large the body of a request may be, in bytes.
    pub(super) fn body_limit(self) -> usize {
        match self {
            // Definitions of many apps, and an environment.
            Route::Apply | Route::Plan | Route::Start => 1 << 20,
            Route::Act
            | Route::App
            | Route::Apps
            | Route::Daemon
            | Route::Environment
            | Route::Events
            | Route::History
            | Route::Logs
            | Route::Metrics
            | Route::OpenApi
            | Route::Resurrect
            | Route::Save
            | Route::Stop => 64 << 10,
        }
    }
}

/// What a request asks for, and the `{name}` in its path, if there is one.
pub(super) fn find(method: &Method, path: &str) -> Result<(Route, String), Refusal> {
    let mut allowed = Vec::new();
    for (this, pattern, route) in ROUTES {
        let Some(name) = matches(pattern, path) else {
            continue;
        };
        if this == method {
            return Ok((*route, decode(name)?));
        }
        allowed.push(this.as_str());
    }
    if allowed.is_empty() {
        let refusal = Refusal::invalid(format!(
            "There is no {path:?} here; GET /openapi.json says what there is."
        ));
        return Err(refusal.status(StatusCode::NOT_FOUND));
    }
    let allowed = allowed.join(", ");
    let refusal = Refusal::invalid(format!("{method} {path} is not possible: use {allowed}."));
    Err(refusal
        .status(StatusCode::METHOD_NOT_ALLOWED)
        .allow(allowed))
}

/// Whether a path is of this pattern; what stands for `{name}` in it, or nothing.
fn matches<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, after)) = pattern.split_once("{name}") else {
        return (pattern == path).then_some("");
    };
    let name = path.strip_prefix(before)?.strip_suffix(after)?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found() {
        for (method, path, expected) in [
            (Method::GET, "/v1/apps", (Route::Apps, "")),
            (Method::POST, "/v1/apps", (Route::Start, "")),
            (Method::GET, "/v1/apps/web", (Route::App, "web")),
            (Method::GET, "/v1/apps/a%2Fb", (Route::App, "a/b")),
            (Method::GET, "/v1/apps/web/history", (Route::History, "web")),
        ] {
            let (route, name) = find(&method, path).unwrap();
            assert_eq!((route, name.as_str()), expected, "{path}");
        }
    }

    #[test]
    fn nothing_else_is_there() {
        for (method, path, status) in [
            (Method::GET, "/", 404),
            (Method::GET, "/v1/apps/", 404),
            (Method::GET, "/v1/apps//history", 404),
            (Method::GET, "/v1/apps/x/y", 404),
            (Method::GET, "/v1/apps/../daemon", 404),
            (Method::GET, "/v1/daemon/", 404),
            (Method::DELETE, "/v1/apps", 405),
            (Method::HEAD, "/v1/apps", 405),
            (Method::GET, "/v1/daemon/stop", 405),
            (Method::GET, "/v1/apps/%ff", 400),
        ] {
            let answer = find(&method, path).unwrap_err().into_answer();
            assert_eq!(answer.status(), status, "{method} {path}");
        }
    }
}
