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
    /// How many processes the gateway is: each has its own clients, and all limits here are for each of them. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateways: Option<u16>,
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
    /// The body of a request that comes by fewer bytes a second than this is given up; 0 = any. Default: 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_rate: Option<Size>,
    /// A worker may take so long until its answer begins. Default: 60s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<Period>,
    /// An upgraded connection (a WebSocket) without a byte is closed after this; 0 = never. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel_timeout: Option<Period>,
    /// The longest head of a request. Default: 32K.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_head: Option<Size>,
    /// How many lines the head of a request or an answer may have, 8 to 256. Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_headers: Option<u16>,
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
    /// A worker is left out after so many failures in a row; 0 = none ever is. Default: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eject_after: Option<u32>,
    /// How long it is left out the first time; the second time twice as long, and so on, up to five minutes. Default: 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eject_time: Option<Period>,
    /// How many of a hundred workers are left out at most; the last one never is. Default: 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eject_at_most: Option<u8>,
    /// With `kind = "tcp"`: where so many bytes come at a time, they are moved within the kernel; 0 = never. Default: 16K.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub splice_above: Option<Size>,
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
    /// More certificates: each client gets the one for the name that it asks for. The first of all is for who asks for another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<ProxyCertificate>,
    /// What is spoken within TLS, in the order of preference, as in `http/1.1`. Default: what the gateway speaks.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "super::words::OneOrMany"))]
    pub alpn: Vec<String>,
    /// To which port who speaks HTTP without TLS is sent. Default: 443, if that is one of `listen`, else the first one there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https_port: Option<u16>,
}

/// A certificate with its key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProxyCertificate {
    /// The certificate, with its chain, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
}

impl Proxy {
    /// Every certificate with its key, the one for who asks for no known name first. (One without the other is none.)
    #[must_use]
    pub fn certificates(&self) -> Vec<ProxyCertificate> {
        let simple = self.certificate.clone().zip(self.key.clone());
        let simple = simple.map(|(certificate, key)| ProxyCertificate { certificate, key });
        simple
            .into_iter()
            .chain(self.certificates.iter().cloned())
            .collect()
    }
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
            gateways: None,
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
            body_rate: None,
            response_timeout: None,
            tunnel_timeout: None,
            max_head: None,
            max_headers: None,
            max_body: None,
            keep: None,
            keep_time: None,
            retries: None,
            eject_after: None,
            eject_time: None,
            eject_at_most: None,
            splice_above: None,
            x_forwarded: true,
            forwarded: false,
            request_id: true,
            certificate: None,
            key: None,
            certificates: Vec::new(),
            alpn: Vec::new(),
            https_port: None,
        }
    }
}
