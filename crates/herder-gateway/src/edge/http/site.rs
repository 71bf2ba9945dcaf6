//! One request.

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
        page: Option<std::os::fd::OwnedFd>,
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
        if let Err(response) = self.check(request) {
            return Outcome::Response(response);
        }
        if wants_websocket(request) {
            return match self.upgrade(request) {
                Ok((response, seat)) => Outcome::Upgraded(response, seat),
                Err(response) => Outcome::Response(response),
            };
        }
        Outcome::Response(self.show(request).await)
    }

    fn check<B>(&self, request: &Request<B>) -> Result<(), Response<Body>> {
        let mut hosts = request.headers().get_all(HOST).iter();
        let named = match (hosts.next(), hosts.next()) {
            (None, _) => request.version() < Version::HTTP_11,
            (Some(_), other) => other.is_none(),
        };
        if named {
            return Ok(());
        }
        let sentence = "A request names one host.\n";
        Err(say(StatusCode::BAD_REQUEST, sentence))
    }

    fn upgrade<B>(&self, request: &Request<B>) -> Result<(Response<Body>, Seat), Response<Body>> {
        let headers = request.headers();
        if headers
            .get(SEC_WEBSOCKET_VERSION)
            .is_none_or(|version| version != "13")
        {
            let sentence = "This speaks version 13 of WebSocket.\n";
            let mut response = say(StatusCode::UPGRADE_REQUIRED, sentence);
            offer(&mut response);
            return Err(response);
        }
        let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
        if !key.is_some_and(is_key) {
            let sentence = "The key of this WebSocket request is none.\n";
            return Err(say(StatusCode::BAD_REQUEST, sentence));
        }
        self.admit(request)?;
        let response = create_response_with_body(request, Body::empty).map_err(|_| {
            let sentence = "This is no WebSocket request.\n";
            say(StatusCode::BAD_REQUEST, sentence)
        })?;
        let seat = self.hub.join(Protocol::WebSocket).ok_or_else(full)?;
        Ok((response, seat))
    }

    fn admit<B>(&self, request: &Request<B>) -> Result<(), Response<Body>> {
        match judge(&self.settings.origins, request.headers()) {
            Verdict::Allowed => Ok(()),
            Verdict::Refused => {
                let sentence = "Pages from elsewhere may not connect.\n";
                Err(say(StatusCode::FORBIDDEN, sentence))
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
            return match self.admit(request) {
                Ok(()) => feed(self.hub.watch(), self.house.clone()),
                Err(response) => response,
            };
        }
        if let Some(page) = &self.page {
            return page.answer(request.uri(), request.headers()).await;
        }
        let sentence = "This is a WebSocket; connect to it as such.\n";
        let mut response = say(StatusCode::UPGRADE_REQUIRED, sentence);
        offer(&mut response);
        response
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

fn offer(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    // "A sender of Upgrade must also send a Connection header", says RFC 9110.
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    let version = HeaderValue::from_static("13");
    headers.insert(SEC_WEBSOCKET_VERSION, version);
}

fn full() -> Response<Body> {
    let sentence = "No more clients now; try again.\n";
    let mut response = say(StatusCode::SERVICE_UNAVAILABLE, sentence);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
