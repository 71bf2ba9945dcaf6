//! What clients can ask for.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use herder::WorkerHandle;
use herder::bus::BusError;
use herder::jobs::JobsError;
use herder::state::StateError;
use tokio::sync::broadcast::error::RecvError;

use crate::count;
use crate::live::{Live, News};
use crate::sessions::Sessions;

/// What a request needs.
#[derive(Clone)]
pub(crate) struct Desk {
    /// `pid:P worker:N`, with which each answer begins.
    pub(crate) name: String,
    pub(crate) sessions: Sessions,
    pub(crate) live: Live,
    pub(crate) worker: WorkerHandle,
}

/// Why a request is not answered as it should be.
enum Failure {
    /// Who asks has no session.
    NoSession,
    /// The name is none.
    BadName,
    /// It may go better soon.
    Away(String),
    /// Something is wrong.
    Wrong(String),
}

type Answer = Result<String, Failure>;

pub(crate) fn router(desk: Desk) -> Router {
    Router::new()
        .route("/login", post(login))
        .route("/whoami", get(whoami))
        .route("/logout", post(logout))
        .route("/logout-everywhere", post(logout_everywhere))
        .route("/wait", get(wait))
        .route("/active", get(active))
        .route("/count", post(count_now))
        .with_state(desk)
}

/// The body is the user's name; a real server would want a password, too.
async fn login(State(desk): State<Desk>, user: String) -> Result<Response, Failure> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !(1..=32).contains(&user.len()) || !user.chars().all(allowed) {
        return Err(Failure::BadName);
    }
    let ticket = desk.sessions.begin(&user).await?;
    let cookie = format!("session={ticket}; Path=/; HttpOnly; SameSite=Lax");
    let said = format!("{} welcome, {user}\n", desk.name);
    Ok(([(header::SET_COOKIE, cookie)], said).into_response())
}

async fn whoami(State(desk): State<Desk>, headers: HeaderMap) -> Answer {
    let visit = desk.sessions.visit(ticket(&headers)?).await?;
    let (session, visits) = visit.ok_or(Failure::NoSession)?;
    Ok(format!("{} {} visit:{visits}\n", desk.name, session.user))
}

async fn logout(State(desk): State<Desk>, headers: HeaderMap) -> Answer {
    desk.sessions.end(ticket(&headers)?).await?;
    Ok(format!("{} goodbye\n", desk.name))
}

/// Ends all sessions of the user, and has all workers tell those of its clients that wait.
async fn logout_everywhere(State(desk): State<Desk>, headers: HeaderMap) -> Answer {
    let session = desk.sessions.get(ticket(&headers)?).await?;
    let user = session.ok_or(Failure::NoSession)?.user;
    let ended = desk.sessions.end_all(&user).await?;
    desk.live.logged_out(&user).await?;
    Ok(format!("{} {user} had {ended} sessions\n", desk.name))
}

/// Is answered when the client has no session any more.
async fn wait(State(desk): State<Desk>, headers: HeaderMap) -> Answer {
    // What happens after this is heard.
    let mut news = desk.live.news();
    let ticket = ticket(&headers)?;
    let draining = desk.worker.draining();
    loop {
        let session = desk.sessions.get(ticket).await?;
        let Some(session) = session else {
            return Ok(format!("{} you were logged out\n", desk.name));
        };
        let concerns_it = loop {
            let new = tokio::select! {
                new = news.recv() => new,
                () = draining.clone().wait() => return Err(Failure::Away("ask again".to_owned())),
            };
            match new {
                Ok(News::LoggedOut(user)) if user != session.user => {}
                Ok(_) | Err(RecvError::Lagged(_)) => break true,
                Err(RecvError::Closed) => break false,
            }
        };
        if !concerns_it {
            return Err(Failure::Away("no news any more".to_owned()));
        }
    }
}

async fn active(State(desk): State<Desk>) -> Answer {
    Ok(format!(
        "{} active:{}\n",
        desk.name,
        desk.sessions.active().await?
    ))
}

async fn count_now(State(desk): State<Desk>) -> Answer {
    desk.worker.jobs().run_now(count::JOB).await?;
    Ok(format!("{} somebody will count\n", desk.name))
}

/// What the client shows.
fn ticket(headers: &HeaderMap) -> Result<&str, Failure> {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    let cookies = cookies.filter_map(|header| header.to_str().ok());
    let mut pairs = cookies.flat_map(|header| header.split("; "));
    let shown = pairs.find_map(|pair| pair.strip_prefix("session="));
    let is_one =
        |ticket: &&str| ticket.len() == 32 && ticket.bytes().all(|c| c.is_ascii_hexdigit());
    shown.filter(is_one).ok_or(Failure::NoSession)
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Failure::NoSession => (StatusCode::UNAUTHORIZED, "log in first\n").into_response(),
            Failure::BadName => {
                (StatusCode::BAD_REQUEST, "a name is of a-z 0-9 -\n").into_response()
            }
            Failure::Away(why) => {
                let soon = [(header::RETRY_AFTER, "1")];
                (StatusCode::SERVICE_UNAVAILABLE, soon, format!("{why}\n")).into_response()
            }
            Failure::Wrong(why) => {
                (StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")).into_response()
            }
        }
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Failure {
        match error.is_temporary() {
            true => Failure::Away(error.to_string()),
            false => Failure::Wrong(error.to_string()),
        }
    }
}

impl From<BusError> for Failure {
    fn from(error: BusError) -> Failure {
        Failure::Away(error.to_string())
    }
}

impl From<JobsError> for Failure {
    fn from(error: JobsError) -> Failure {
        Failure::Away(error.to_string())
    }
}
