//! What workers are told of the client.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;

use crate::proxy::http::field::{Field, Told};
use crate::proxy::http::id::Ids;
use crate::proxy::settings::HttpSettings;
use crate::proxy::{Scheme, Trust, Visitor};

/// What is said of one client's connection.
pub(super) struct Forwarding {
    trust: Trust,
    x_forwarded: bool,
    forwarded: bool,
    ids: Option<Ids>,
    scheme: &'static str,
    client: Option<String>,
    /// As a node of `Forwarded`, where that is written.
    node: String,
    local: Option<SocketAddr>,
}

impl Forwarding {
    pub(super) fn new(visitor: &Visitor, settings: &HttpSettings, ids: &Ids) -> Forwarding {
        let client = visitor.client.map(|client| client.ip().to_canonical());
        let node = match client {
            _ if !settings.forwarded => String::new(),
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => format!("\"[{address}]\""),
            None => "unknown".to_owned(),
        };
        Forwarding {
            trust: visitor.trust,
            x_forwarded: settings.x_forwarded,
            forwarded: settings.forwarded,
            ids: settings.request_id.then(|| ids.clone()),
            scheme: match visitor.scheme {
                Scheme::Http => "http",
                Scheme::Https => "https",
            },
            client: client.map(|client| client.to_string()),
            node,
            local: visitor.local,
        }
    }

    /// Writes what a request of HTTP/1.0 without a host is for.
    pub(super) fn write_authority(&self, out: &mut BytesMut) {
        match self.local {
            Some(local) => {
                let _fits = write!(out, "{local}");
            }
            None => out.extend_from_slice(b"localhost"),
        }
    }

    /// Whether a line is passed on as it stands.
    pub(super) fn passes(&self, field: Field) -> bool {
        let trusted = self.trust == Trust::Yes;
        match field {
            Field::Plain | Field::Accept | Field::Cookie | Field::ContentLength => true,
            Field::RequestId => trusted || self.ids.is_none(),
            Field::Told(told) => {
                trusted
                    && match told {
                        Told::Host | Told::Proto | Told::Other => true,
                        Told::For => !self.x_forwarded,
                        Told::Forwarded => !self.forwarded,
                    }
            }
            // Written anew, if at all.
            Field::Connection
            | Field::Dropped
            | Field::Expect
            | Field::Host
            | Field::KeepAlive
            | Field::Te
            | Field::TransferEncoding
            | Field::Upgrade => false,
        }
    }

    /// Adds what is said of the client to what a trusted one said.
    pub(super) fn write(
        &self,
        lines: &[httparse::Header<'_>],
        fields: &[Field],
        host: Option<&[u8]>,
        out: &mut BytesMut,
    ) {
        let trusted = |field: Field| {
            let lines = lines.iter().zip(fields);
            lines
                .filter(move |(_, of)| **of == field && self.trust == Trust::Yes)
                .map(|(line, _)| line.value)
        };
        if self.x_forwarded {
            if let Some(client) = &self.client {
                out.extend_from_slice(b"X-Forwarded-For: ");
                list(trusted(Field::Told(Told::For)), out);
                out.extend_from_slice(client.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            if trusted(Field::Told(Told::Proto)).next().is_none() {
                line(out, b"X-Forwarded-Proto: ", self.scheme.as_bytes());
            }
            if let (Some(host), None) = (host, trusted(Field::Told(Told::Host)).next()) {
                line(out, b"X-Forwarded-Host: ", host);
            }
        }
        if self.forwarded {
            out.extend_from_slice(b"Forwarded: ");
            list(trusted(Field::Told(Told::Forwarded)), out);
            let _fits = write!(out, "for={};proto={}", self.node, self.scheme);
            if let Some(host) = host {
                out.extend_from_slice(b";host=\"");
                out.extend_from_slice(host);
                out.extend_from_slice(b"\"");
            }
            out.extend_from_slice(b"\r\n");
        }
        if let Some(ids) = &self.ids
            && trusted(Field::RequestId).next().is_none()
        {
            line(out, b"X-Request-Id: ", &ids.next());
        }
    }
}

fn line(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn list<'a>(values: impl Iterator<Item = &'a [u8]>, out: &mut BytesMut) {
    for value in values.filter(|value| !value.is_empty()) {
        out.extend_from_slice(value);
        out.extend_from_slice(b", ");
    }
}
