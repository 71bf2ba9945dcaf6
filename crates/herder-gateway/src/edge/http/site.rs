//! One request.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use hyper::header::{
    ALLOW, CONNECTION, HOST, HeaderName, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Method, Request, Response, StatusCode, Version};
use tungstenite::handshake::server::create_response_with_body;

use crate::edge::closing::House;
use crate::edge::http::body::{Body, say};
use crate::edge::http::feed::feed;
use crate::edge::http::origin::{Verdict, judge};
use crate::edge::http::page::Page;
use crate::edge::settings::Settings;
use crate::hub::{Hub, Protocol, Seat};

/// What is to be had by HTTP.
pub(in crate::edge) struct Site {
    pub(in crate::edge) hub: Hub,
    pub(in crate::edge) settings: Rc<Settings>,
    pub(in crate::edge) house: House,
    page: Option<Page>,
}

/// What becomes of a request.
pub(super) enum Outcome {
    Response(Response<Body>),
    /// After the response, the connection is a WebSocket.
    Upgraded(Response<Body>, Seat),
}

impl Site {
    /// `page` is an open directory.
    pub(in crate::edge) fn new(
        hub: Hub,
        settings: Rc<Settings>,
        house: House,
        page: Option<OwnedFd>,
    ) -> Site {
        Site {
            hub,
            settings,
            house,
            page: page.map(Page::new),
        }
    }

    /// Answers one request. Its body, should it have one, is of no interest.
    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Outcome {
        if !names_one_host(request) {
            let sentence = "A request names one host.\n";
            Outcome::Response(say(StatusCode::BAD_REQUEST, sentence))
        } else if wants_websocket(request) {
            self.upgrade(request)
        } else {
            Outcome::Response(self.show(request).await)
        }
    }

    fn upgrade<B>(&self, request: &Request<B>) -> Outcome {
        let headers = request.headers();
        let version = headers.get(SEC_WEBSOCKET_VERSION);
        if version.is_none_or(|version| version != "13") {
            let sentence = "This speaks version 13 of WebSocket.\n";
            return Outcome::Response(upgrade_required(sentence));
        }
        let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
        if !key.is_some_and(is_key) {
            let sentence = "The key of this WebSocket request is none.\n";
            return Outcome::Response(say(StatusCode::BAD_REQUEST, sentence));
        }
        if let Some(refusal) = self.refusal(request) {
            return Outcome::Response(refusal);
        }
        let Ok(response) = create_response_with_body(request, Body::empty) else {
            let sentence = "This is no WebSocket request.\n";
            return Outcome::Response(say(StatusCode::BAD_REQUEST, sentence));
        };
        match self.hub.join(Protocol::WebSocket) {
            Some(seat) => Outcome::Upgraded(response, seat),
            None => Outcome::Response(full()),
        }
    }

    /// What a page from elsewhere is answered.
    fn refusal<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        match judge(&self.settings.origins, request.headers()) {
            Verdict::Allowed => None,
            Verdict::Refused => {
                let sentence = "Pages from elsewhere may not connect.\n";
                Some(say(StatusCode::FORBIDDEN, sentence))
            }
        }
    }

    async fn show<B>(&self, request: &Request<B>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let sentence = "This is for reading only.\n";
            let mut response = say(StatusCode::METHOD_NOT_ALLOWED, sentence);
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            return response;
        }
        if self.settings.feed.as_deref() == Some(request.uri().path()) {
            let refusal = self.refusal(request);
            return refusal.unwrap_or_else(|| feed(self.hub.watch(), self.house.clone()));
        }
        if let Some(page) = &self.page {
            return page.answer(request.uri(), request.headers()).await;
        }
        upgrade_required("This is a WebSocket; connect to it as such.\n")
    }
}

/// As HTTP/1.1 demands it.
fn names_one_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() < Version::HTTP_11,
        (Some(_), other) => other.is_none(),
    }
}

fn wants_websocket<B>(request: &Request<B>) -> bool {
    let has = |name: HeaderName, word: &str| {
        let values = request.headers().get_all(name).iter();
        let mut words = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        words.any(|found| found.trim().eq_ignore_ascii_case(word))
    };
    has(UPGRADE, "websocket") && has(CONNECTION, "upgrade")
}

/// Sixteen bytes in base 64.
fn is_key(key: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(digit)
}

fn upgrade_required(sentence: &'static str) -> Response<Body> {
    let mut response = say(StatusCode::UPGRADE_REQUIRED, sentence);
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    // RFC 9110 has it that whoever sends Upgrade names it in Connection.
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    let version = HeaderValue::from_static("13");
    headers.insert(SEC_WEBSOCKET_VERSION, version);
    response
}

fn full() -> Response<Body> {
    let sentence = "No more clients now; try again.\n";
    let mut response = say(StatusCode::SERVICE_UNAVAILABLE, sentence);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
