//! The client, and what it can be asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use herder_api::Problem;
use herder_api::control::{Action, Apply, DaemonEvent, Incident, LogLine, Plan, Progress};
use herder_api::control::{Start, StopDaemon};
use herder_api::status::{AppDetail, AppStatus, DaemonStatus};
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connection::{Answer, Request, ask};
use crate::error::Error;
use crate::lines::Lines;
use crate::place::Place;
use crate::query::{LogQuery, Query, part};
use crate::warnings::Warnings;

/// Asks a daemon.
#[derive(Clone)]
pub struct Client {
    place: Place,
    warnings: Warnings,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Client");
        shown
            .field("socket", &self.place.socket)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Of the daemon that listens at this path.
    pub fn new(socket: impl Into<PathBuf>) -> Client {
        Client {
            place: Place {
                socket: socket.into(),
                starter: None,
            },
            warnings: Warnings::default(),
        }
    }

    /// Of the daemon that lives in this directory.
    #[must_use]
    pub fn of_home(home: &Path) -> Client {
        Client::new(home.join("herder.sock"))
    }

    /// Starts the daemon with `starter` when a request finds none. It is to return when the daemon
    /// accepts connections, or when it has found that another one is just being started; it may block.
    #[must_use]
    pub fn starting(
        mut self,
        starter: impl Fn() -> Result<(), Problem> + Send + Sync + 'static,
    ) -> Client {
        self.place.starter = Some(Arc::new(starter));
        self
    }

    /// What the daemon says besides its answers goes there: that its list is not what it was, say.
    #[must_use]
    pub fn warning(mut self, warnings: &Warnings) -> Client {
        self.warnings = warnings.clone();
        self
    }

    /// Where the daemon listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.place.socket
    }

    /// Who the daemon is.
    ///
    /// # Errors
    ///
    /// Here and below: it is not reached, or says why not.
    pub async fn daemon(&self) -> Result<DaemonStatus, Error> {
        self.get("/v1/daemon".to_owned()).await
    }

    /// The apps of these targets, in the order of their numbers. None = all apps.
    pub async fn apps(&self, targets: &[String]) -> Result<Vec<AppStatus>, Error> {
        let mut query = Query::new("/v1/apps");
        for target in targets {
            query.push("target", target);
        }
        self.get(query.path).await
    }

    /// All that is known of one app.
    pub async fn app(&self, name: &str) -> Result<AppDetail, Error> {
        self.get(format!("/v1/apps/{}", part(name))).await
    }

    /// The variables that its workers find. What looks like a secret is `***`.
    pub async fn environment(&self, name: &str) -> Result<BTreeMap<String, String>, Error> {
        self.get(format!("/v1/apps/{}/environment", part(name)))
            .await
    }

    /// The last so many things that ended or changed workers of an app, the newest last.
    pub async fn history(&self, name: &str, lines: u32) -> Result<Vec<Incident>, Error> {
        let mut query = Query::new(&format!("/v1/apps/{}/history", part(name)));
        query.push("lines", &lines.to_string());
        self.get(query.path).await
    }

    /// Starts apps.
    pub async fn start(&self, start: &Start) -> Result<Lines<Progress>, Error> {
        self.post("/v1/apps", start).await
    }

    /// Does something with apps.
    pub async fn act(&self, action: &Action) -> Result<Lines<Progress>, Error> {
        self.post("/v1/actions", action).await
    }

    /// What would be done to make definitions hold.
    pub async fn plan(&self, apply: &Apply) -> Result<Plan, Error> {
        let request = Request::new(Method::POST, "/v1/plan".to_owned(), json(apply)?);
        self.ask(request).await?.whole().await
    }

    /// Makes definitions hold.
    pub async fn apply(&self, apply: &Apply) -> Result<Lines<Progress>, Error> {
        self.post("/v1/apply", apply).await
    }

    /// Keeps the list for `resurrect`.
    pub async fn save(&self) -> Result<Lines<Progress>, Error> {
        self.stream(Method::POST, "/v1/save".to_owned(), Bytes::new())
            .await
    }

    /// Starts what was saved and does not run.
    pub async fn resurrect(&self) -> Result<Lines<Progress>, Error> {
        self.stream(Method::POST, "/v1/resurrect".to_owned(), Bytes::new())
            .await
    }

    /// Ends the daemon. (It is not started for that.)
    pub async fn stop_daemon(&self, how: StopDaemon) -> Result<Lines<Progress>, Error> {
        let there = Client::new(&self.place.socket);
        there.post("/v1/daemon/stop", &how).await
    }

    /// What happens from now on, until the stream is dropped or the daemon ends.
    pub async fn events(&self) -> Result<Lines<DaemonEvent>, Error> {
        self.stream(Method::GET, "/v1/events".to_owned(), Bytes::new())
            .await
    }

    /// What has happened since that time (RFC 3339), as far as it was written down, and what happens from now
    /// on, each once.
    pub async fn events_since(&self, time: &str) -> Result<Lines<DaemonEvent>, Error> {
        let mut query = Query::new("/v1/events");
        query.push("since", time);
        self.stream(Method::GET, query.path, Bytes::new()).await
    }

    /// Lines of log files.
    pub async fn logs(&self, query: &LogQuery) -> Result<Lines<LogLine>, Error> {
        self.stream(Method::GET, query.path(), Bytes::new()).await
    }

    /// The metrics, in Prometheus' text format.
    pub async fn metrics(&self) -> Result<String, Error> {
        self.text("/metrics").await
    }

    /// The daemon's OpenAPI document.
    pub async fn openapi(&self) -> Result<String, Error> {
        self.text("/openapi.json").await
    }

    async fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, Error> {
        let request = Request::new(Method::GET, path, Bytes::new());
        self.ask(request).await?.whole().await
    }

    async fn text(&self, path: &str) -> Result<String, Error> {
        let request = Request::new(Method::GET, path.to_owned(), Bytes::new());
        let answer = self.ask(request).await?;
        answer.text().await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Lines<T>, Error> {
        self.stream(Method::POST, path.to_owned(), json(body)?)
            .await
    }

    async fn stream<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        body: Bytes,
    ) -> Result<Lines<T>, Error> {
        let answer = self.ask(Request::new(method, path, body)).await?;
        Ok(Lines::new(answer))
    }

    async fn ask(&self, request: Request) -> Result<Answer, Error> {
        ask(&self.place, &request, &self.warnings).await
    }
}

fn json(body: &impl Serialize) -> Result<Bytes, Error> {
    match serde_json::to_vec(body) {
        Ok(text) => Ok(text.into()),
        Err(error) => Err(Error::strange("a request", &error)),
    }
}
