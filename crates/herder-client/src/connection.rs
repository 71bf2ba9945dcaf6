//! A request and its answer, on a connection of their own.

use std::time::Duration;

use bytes::Bytes;
use herder_api::Problem;
use herder_api::problem::ProblemKind;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::error::Error;
use crate::patient::Patient;
use crate::place::{Place, RETURN, STEP};
use crate::warnings::Warnings;

/// How long the beginning of an answer may take. (Streams begin at once, and last as long as they do.)
const ANSWER: Duration = Duration::from_secs(30);

/// The largest answer that is no stream, in bytes.
const MAX_ANSWER: usize = 64 << 20;

pub(crate) struct Request {
    method: Method,
    path: String,
    body: Bytes,
}

impl Request {
    pub(crate) fn new(method: Method, path: String, body: Bytes) -> Request {
        Request { method, path, body }
    }

    /// For messages.
    fn what(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }

    /// Whether asking twice is the same as asking once.
    fn repeatable(&self) -> bool {
        self.method == Method::GET
    }

    fn http(&self) -> hyper::Request<Full<Bytes>> {
        let mut request = hyper::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.parse().expect("the path is escaped");
        let headers = request.headers_mut();
        let known = hyper::header::HeaderValue::from_static;
        headers.insert(HOST, known("localhost"));
        headers.insert(ACCEPT, known("application/json"));
        if !self.body.is_empty() {
            headers.insert(CONTENT_TYPE, known("application/json"));
        }
        request
    }
}

/// What came back. Dropped, it closes the connection.
pub(crate) struct Answer {
    what: String,
    body: Incoming,
    connection: AbortHandle,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Asks. A daemon that has no time, or is just ending (another one may follow), has done nothing: it is
/// asked again for a while. What it says besides its answer goes to `warnings`.
pub(crate) async fn ask(
    place: &Place,
    request: &Request,
    warnings: &Warnings,
) -> Result<Answer, Error> {
    let end = Instant::now() + RETURN;
    loop {
        match ask_now(place, request, warnings).await {
            Err(Error::Problem(problem))
                if problem.kind == ProblemKind::Busy && Instant::now() < end =>
            {
                sleep(STEP).await;
            }
            answer => return answer,
        }
    }
}

/// Asks, and asks again once if the daemon went away meanwhile and nothing can be done twice.
async fn ask_now(place: &Place, request: &Request, warnings: &Warnings) -> Result<Answer, Error> {
    let stream = place.reach().await?;
    match attempt(stream, request, warnings).await {
        Err(Error::Unreachable(_)) if request.repeatable() => {
            attempt(place.reach_again().await?, request, warnings).await
        }
        answer => answer,
    }
}

async fn attempt(
    stream: UnixStream,
    request: &Request,
    warnings: &Warnings,
) -> Result<Answer, Error> {
    let what = request.what();
    let gone = |_| Error::lost(&what, "went away");
    let (mut sender, connection) = http1::handshake(TokioIo::new(Patient::new(stream)))
        .await
        .map_err(gone)?;
    // How it ends, the answer or its absence says.
    let connection = tokio::spawn(async move { drop(connection.await) }).abort_handle();
    let response = match timeout(ANSWER, sender.send_request(request.http())).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            connection.abort();
            return Err(gone(error));
        }
        Err(_late) => {
            connection.abort();
            return Err(Error::lost(&what, "said nothing for 30 s"));
        }
    };
    if let Some(said) = response.headers().get("herder-warnings") {
        warnings.hear(said.as_bytes());
    }
    let status = response.status();
    let answer = Answer::new(what, response, connection);
    if status == StatusCode::OK {
        return Ok(answer);
    }
    Err(answer.problem(status).await)
}

impl Answer {
    fn new(what: String, response: Response<Incoming>, connection: AbortHandle) -> Answer {
        Answer {
            what,
            body: response.into_body(),
            connection,
        }
    }

    /// What it answers, for messages.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// The next piece of it.
    pub(crate) async fn chunk(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            let frame = match self.body.frame().await? {
                Ok(frame) => frame,
                Err(_broken) => return Some(Err(Error::cut(&self.what))),
            };
            if let Ok(data) = frame.into_data() {
                return Some(Ok(data));
            }
        }
    }

    async fn bytes(&mut self) -> Result<Bytes, Error> {
        match Limited::new(&mut self.body, MAX_ANSWER).collect().await {
            Ok(all) => Ok(all.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(Error::strange(&self.what, &"it is larger than 64 MiB"))
            }
            Err(_broken) => Err(Error::cut(&self.what)),
        }
    }

    /// All of it, as JSON.
    pub(crate) async fn whole<T: DeserializeOwned>(mut self) -> Result<T, Error> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::strange(&self.what, &error))
    }

    /// All of it, as a text.
    pub(crate) async fn text(mut self) -> Result<String, Error> {
        let bytes = self.bytes().await?;
        String::from_utf8(bytes.into()).map_err(|error| Error::strange(&self.what, &error))
    }

    /// What an answer that is none says.
    async fn problem(mut self, status: StatusCode) -> Error {
        let bytes = match self.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return error,
        };
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => Error::Problem(problem),
            Err(_) if status == StatusCode::NOT_FOUND => {
                let message = format!("The daemon does not know {}.", self.what);
                let problem = Problem::new(ProblemKind::NotFound, message);
                Error::Problem(problem.hint("It may be an older herder."))
            }
            Err(error) => Error::strange(&self.what, &error),
        }
    }
}
