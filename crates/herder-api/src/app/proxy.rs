//! How a gateway forwards requests and connections to workers that listen by themselves.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::words::one_or_many;
use super::{is_false, is_true};
use crate::units::{Period, Size};

/// How the gateway forwards, with `dispatch = "proxy"`. What is left out has the gateway's own default.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Proxy {
    /// What is spoken with the clients.
    #[serde(skip_serializing_if = "super::is_default")]
    pub kind: ProxyKind,
    /// Where the workers listen.
    #[serde(skip_serializing_if = "super::is_default")]
    pub via: ProxyVia,
    /// A client stays with the slot that this cookie names, which the gateway sets; `policy` is for its first request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// For so long a new worker gets less than its share. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<Period>,
    /// How long a connection to a worker may take. Default: 5s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Period>,
    /// How long a request waits when no worker can take it. Default: 5s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_timeout: Option<Period>,
    /// How many requests wait so at most. Default: 1024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_waiting: Option<u32>,
    /// How many clients may be connected; more wait in the kernel's queue. Default: 16384.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_clients: Option<u32>,
    /// Addresses or networks (`10.0.0.0/8`) of proxies in front, which may say for whom they speak.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "super::words::OneOrMany"))]
    pub trusted: Vec<String>,
    /// The `trusted` peers begin with the PROXY protocol.
    #[serde(skip_serializing_if = "is_false")]
    pub proxy_protocol: bool,
    /// With `kind = "tcp"`: tell workers by the PROXY protocol who the client is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_proxy: Option<ProxyHeader>,
    /// A client may take so long for a request's head. Default: 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_timeout: Option<Period>,
    /// A client's connection without a request (in tcp: without a byte) is closed after this; in tcp 0 = never. Default: 60s, in tcp 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Period>,
    /// A body of which nothing comes for so long is cut off. Default: 30s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_timeout: Option<Period>,
    /// A worker may take so long until its answer begins. Default: 60s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<Period>,
    /// An upgraded connection (a WebSocket) without a byte is closed after this; 0 = never. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel_timeout: Option<Period>,
    /// The longest head of a request. Default: 32K.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_head: Option<Size>,
    /// The longest body of a request. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body: Option<Size>,
    /// How many idle connections are kept to each worker. Default: 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<u32>,
    /// How long an idle connection to a worker is used; make it shorter than the worker's own limit. Default: 4s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_time: Option<Period>,
    /// How often a request that was not taken is given to another worker. Default: 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u8>,
    /// Whether workers get X-Forwarded-For, -Proto and -Host.
    #[serde(skip_serializing_if = "is_true")]
    pub x_forwarded: bool,
    /// Whether workers get Forwarded (RFC 7239).
    #[serde(skip_serializing_if = "is_false")]
    pub forwarded: bool,
    /// Whether each request has an X-Request-Id.
    #[serde(skip_serializing_if = "is_true")]
    pub request_id: bool,
    /// The certificate, with its chain, as PEM: the gateway speaks TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// What a proxy speaks with the clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ProxyKind {
    /// HTTP: a worker is chosen for each request.
    #[default]
    Http,
    /// Anything over TCP: a worker is chosen for each connection.
    Tcp,
}

/// Where the workers behind a proxy listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ProxyVia {
    /// On the port of this machine that each finds as PORT.
    #[default]
    Port,
    /// On the Unix socket whose path each finds as HERDER_UNIX.
    Unix,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ProxyHeader {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

impl Default for Proxy {
    fn default() -> Proxy {
        Proxy {
            kind: ProxyKind::default(),
            via: ProxyVia::default(),
            cookie: None,
            slow_start: None,
            connect_timeout: None,
            wait_timeout: None,
            max_waiting: None,
            max_clients: None,
            trusted: Vec::new(),
            proxy_protocol: false,
            send_proxy: None,
            header_timeout: None,
            idle_timeout: None,
            body_timeout: None,
            response_timeout: None,
            tunnel_timeout: None,
            max_head: None,
            max_body: None,
            keep: None,
            keep_time: None,
            retries: None,
            x_forwarded: true,
            forwarded: false,
            request_id: true,
            certificate: None,
            key: None,
        }
    }
}
