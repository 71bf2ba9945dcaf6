//! The front that speaks HTTP/1.1, and HTTP/2 with the feature of that name: a worker is chosen for each
//! request.
//!
//! | module | what it is |
//! |---|---|
//! | `talk` | one client's connection, request by request |
//! | `attempts` | one request, at one worker after the other if need be |
//! | `exchange` | one attempt: both directions at the same time |
//! | `pipe`, `inbox` | one direction: a head, and a body that passes by |
//! | `request`, `answer` | heads: what they mean, and what the other side gets to read |
//! | `scan`, `target`, `field`, `chunks`, `extension` | what is refused, and what is not passed on |
//! | `forwarded`, `id` | what workers are told of the client |
//! | `http2` | clients that speak HTTP/2: each request is a conversation in HTTP/1.1 |
//! | `bad` | what is wrong with a request, and the pages that say so |
//!
//! Heads are checked and copied, never rebuilt: what is passed on has the order and the letters that
//! it came with.

mod answer;
mod attempts;
mod bad;
mod chunks;
mod clock;
mod exchange;
mod extension;
mod field;
mod forwarded;
#[cfg(feature = "http2")]
mod http2;
mod id;
mod inbox;
mod pipe;
mod request;
mod scan;
mod talk;
mod target;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

use herder_core::proxy::SlotCookie;

use crate::proxy::backends::Backends;
use crate::proxy::entrance::{self, Client};
use crate::proxy::http::exchange::Habits;
use crate::proxy::http::id::Ids;
use crate::proxy::http::request::MOST_LINES;
use crate::proxy::http::scan::Limits;
use crate::proxy::settings::ProxySettings;
use crate::proxy::tcp::Tools;
use crate::proxy::{House, Visitor};

#[cfg(feature = "http2")]
pub(crate) use http2::Strand;

/// What all connections of the front share.
pub(crate) struct Front {
    settings: Rc<ProxySettings>,
    backends: Backends,
    /// Says when to close.
    house: House,
    cookie: Option<SlotCookie>,
    ids: Ids,
    limits: Limits,
    habits: Habits,
    tools: Tools,
    /// Requests within HTTP/2 that are open.
    #[cfg(feature = "http2")]
    strands: std::cell::Cell<u32>,
}

impl Front {
    /// A front for these workers, in this house.
    pub(crate) fn new(settings: Rc<ProxySettings>, backends: Backends, house: House) -> Front {
        let http = &settings.http;
        let limits = Limits {
            bytes: usize::try_from(http.max_head).unwrap_or(usize::MAX),
            lines: usize::from(http.max_headers).min(MOST_LINES),
        };
        let habits = Habits {
            answer: limits,
            body_timeout: millis(http.body_timeout_millis),
            response_timeout: millis(http.response_timeout_millis),
            body_rate: http.body_rate,
        };
        let cookie = settings.cookie.as_deref().map(SlotCookie::new);
        Front {
            backends,
            house,
            cookie,
            ids: Ids::new(),
            limits,
            habits,
            tools: Tools::default(),
            #[cfg(feature = "http2")]
            strands: std::cell::Cell::default(),
            settings,
        }
    }
}

impl entrance::Front for Front {
    fn backends(&self) -> &Backends {
        &self.backends
    }

    #[cfg(not(feature = "http2"))]
    async fn converse(self: Rc<Self>, client: Client, visitor: Visitor) {
        talk::Talk::new(client, &visitor, self).run().await;
    }

    /// Serves one client, which may turn out to speak HTTP/2.
    #[cfg(feature = "http2")]
    async fn converse(self: Rc<Self>, client: Client, visitor: Visitor) {
        let (client, ahead) = if client.agreed_on_http2() {
            (client, bytes::BytesMut::new())
        } else {
            let talk = talk::Talk::new(client, &visitor, Rc::clone(&self));
            match talk.run().await {
                Some(handover) => (handover.client, handover.ahead),
                None => return,
            }
        };
        // Those who speak HTTP/1.1 have no room for it.
        Box::pin(http2::serve(client, ahead, visitor, self)).await;
    }
}

fn millis(number: u32) -> Duration {
    Duration::from_millis(number.into())
}
