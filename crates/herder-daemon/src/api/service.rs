//! Answers requests.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use herder_api::Problem;
use herder_api::problem::ProblemKind;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::{Method, Request, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::answer::{Answer, Refusal, json, lines, text, warn};
use super::guest::Rights;
use super::metrics::{self, Tally};
use super::query::Query;
use super::routes::{Route, find};
use super::{history, logs, stream};
use crate::Desk;

/// How many connections may be streams without an end: others find a place beside them.
const FOLLOWERS: usize = 12;

/// What all guests share.
#[derive(Debug)]
pub(super) struct House {
    desk: Desk,
    tally: Arc<Mutex<Tally>>,
    followers: Arc<Semaphore>,
    open: watch::Sender<bool>,
}

/// Somebody who was let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guest {
    pub(super) rights: Rights,
    /// When its request has to be whole.
    pub(super) until: Instant,
}

impl House {
    /// The house, and who counts in it what happens.
    pub(super) fn new(desk: Desk) -> (House, AbortHandle) {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let counting = metrics::count(desk.events(), Arc::clone(&tally));
        let house = House {
            desk,
            tally,
            followers: Arc::new(Semaphore::new(FOLLOWERS)),
            open: watch::Sender::new(true),
        };
        (house, tokio::spawn(counting).abort_handle())
    }

    /// Ends the streams that have no end of their own.
    pub(super) fn close(&self) {
        self.open.send_replace(false);
    }

    pub(super) async fn answer(
        &self,
        guest: Guest,
        request: Request<Incoming>,
    ) -> Result<Answer, Infallible> {
        let answer = self.find(guest, request).await;
        let mut answer = answer.unwrap_or_else(Refusal::into_answer);
        warn(&mut answer, &self.desk.warnings().standing());
        Ok(answer)
    }

    async fn find(&self, guest: Guest, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let (route, name) = find(request.method(), request.uri().path())?;
        if guest.rights == Rights::Look && request.method() != Method::GET {
            let message = "Members of this group may look, and nothing else.";
            return Err(Problem::new(ProblemKind::Forbidden, message).into());
        }
        let (head, body) = request.into_parts();
        let query = Query::parse(head.uri.query(), parameters(route))?;
        let body = read(body, route, guest.until).await?;
        match head.method {
            Method::GET => self.tell(route, &name, &query).await,
            _ => self.act(route, &body).await,
        }
    }

    async fn tell(&self, route: Route, name: &str, query: &Query) -> Result<Answer, Refusal> {
        let desk = &self.desk;
        Ok(match route {
            Route::App => json(&desk.detail(name).await?),
            Route::Apps => json(&desk.list(&query.all("target")).await?),
            Route::Environment => json(&desk.environment(name).await?),
            Route::Events => {
                let place = self.follow()?;
                // Heard first, read then: nothing is between the two.
                let heard = desk.events();
                let before = match query.time("since")? {
                    Some(time) => history::since(desk.log_files(&[]).await?, time).await?,
                    None => Vec::new(),
                };
                let open = self.open.subscribe();
                lines(stream::events(heard, before, open, place))
            }
            Route::History => {
                let most = query.number("lines", history::DEFAULT, history::MOST)?;
                let files = desk.history_files(name).await?;
                json(&history::read(files, most).await?)
            }
            Route::Logs => {
                let wanted = logs::Wanted::parse(query)?;
                let place = match wanted.follow {
                    true => Some(self.follow()?),
                    false => None,
                };
                lines(logs::stream(desk, wanted, self.open.subscribe(), place).await?)
            }
            Route::Metrics => {
                let (daemon, apps) = (desk.daemon().await?, desk.list(&[]).await?);
                let tally = self.tally.lock().expect("no counter panics");
                text(metrics::TYPE, metrics::render(&daemon, &apps, &tally))
            }
            Route::OpenApi => text("application/json", OPENAPI),
            Route::Act
            | Route::Apply
            | Route::Daemon
            | Route::Plan
            | Route::Resurrect
            | Route::Save
            | Route::Start
            | Route::Stop => json(&desk.daemon().await?),
        })
    }

    async fn act(&self, route: Route, body: &Bytes) -> Result<Answer, Refusal> {
        let desk = &self.desk;
        let course = match route {
            Route::Act => desk.act(parse(body)?).await?,
            Route::Apply => desk.apply(parse(body)?).await?,
            Route::Plan => return Ok(json(&desk.plan(parse(body)?).await?)),
            Route::Resurrect => desk.resurrect().await?,
            Route::Save => desk.save().await?,
            Route::Start => desk.start(parse(body)?).await?,
            Route::Stop if body.is_empty() => desk.stop(<_>::default()).await?,
            Route::Stop => desk.stop(parse(body)?).await?,
            Route::App
            | Route::Apps
            | Route::Daemon
            | Route::Environment
            | Route::Events
            | Route::History
            | Route::Logs
            | Route::Metrics
            | Route::OpenApi => return Err(Refusal::invalid("This is asked for by GET.")),
        };
        Ok(lines(stream::course(course)))
    }

    fn follow(&self) -> Result<stream::Place, Refusal> {
        let place = Arc::clone(&self.followers).try_acquire_owned();
        place.map_err(|_full| {
            let message = format!("Too many follow events and logs: at most {FOLLOWERS} may.");
            Problem::new(ProblemKind::Busy, message).into()
        })
    }
}

/// The document that describes all this. A test keeps it true.
pub(super) const OPENAPI: &str = include_str!("../../../../docs/openapi.json");

/// The parameters that may stand behind a path.
pub(super) fn parameters(route: Route) -> &'static [&'static str] {
    match route {
        Route::Apps => &["target"],
        Route::Events => &["since"],
        Route::History => &["lines"],
        Route::Logs => &[
            "target", "lines", "follow", "stream", "slot", "contains", "marks", "from",
        ],
        Route::Act
        | Route::App
        | Route::Apply
        | Route::Daemon
        | Route::Environment
        | Route::Metrics
        | Route::OpenApi
        | Route::Plan
        | Route::Resurrect
        | Route::Save
        | Route::Start
        | Route::Stop => &[],
    }
}

/// All of a request's body, if it is not too large and comes in time.
async fn read(body: Incoming, route: Route, until: Instant) -> Result<Bytes, Refusal> {
    let most = route.body_limit();
    let too_large = || {
        let message = format!("The body is too large: at most {most} bytes are read here.");
        Refusal::invalid(message).status(StatusCode::PAYLOAD_TOO_LARGE)
    };
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    match timeout_at(until, Limited::new(body, most).collect()).await {
        Ok(Ok(all)) => Ok(all.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Refusal::invalid(format!("The body ends early: {error}."))),
        Err(_late) => {
            let message = "The request was not whole after 5 s.";
            let late = Refusal::from(Problem::new(ProblemKind::Busy, message));
            Err(late.status(StatusCode::REQUEST_TIMEOUT))
        }
    }
}

/// What a body says. (What is nested deeper than 128 times is refused by the parser.)
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::invalid(format!("The body is not what it should be: {error}.")))
}
