//! What a proxy is told once, by the master. Times are milliseconds, sizes bytes.

use std::path::PathBuf;

use herder_core::proxy::BalancerSpec;
pub use herder_core::proxy::Network;
use herder_core::proxy::retry::RetrySpec;
use serde::{Deserialize, Serialize};

/// Everything about the proxy of one app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxySettings {
    /// The app, for messages.
    pub app: String,
    /// How many gateways serve the app.
    #[serde(default = "defaults::gateways")]
    pub gateways: u16,
    /// Which of them this is, from 0. Each knows that by itself.
    #[serde(skip)]
    pub number: u16,
    /// Who gets the next request or connection, and who is left out.
    #[serde(default)]
    pub balancer: BalancerSpec,
    /// How often a request is given to another worker.
    #[serde(default)]
    pub retry: RetrySpec,
    /// The name of the cookie that brings a client to the same slot again, whatever the policy.
    #[serde(default)]
    pub cookie: Option<String>,
    /// What is spoken with the clients.
    #[serde(default)]
    pub kind: Kind,
    /// A connection to a worker is given up after so long.
    #[serde(default = "defaults::connect_timeout")]
    pub connect_timeout_millis: u32,
    /// A request or connection for which there is no worker waits at most so long for one.
    #[serde(default = "defaults::wait_timeout")]
    pub wait_timeout_millis: u32,
    /// Most requests or connections that wait for a worker at a time.
    #[serde(default = "defaults::max_waiting")]
    pub max_waiting: u32,
    /// Most clients at a time; more wait in the kernel's queue.
    #[serde(default = "defaults::max_clients")]
    pub max_clients: u32,
    /// Peers that may say for whom they speak: by the PROXY protocol, or by forwarded headers.
    #[serde(default)]
    pub trusted: Vec<Network>,
    /// Whether the PROXY protocol is read from the trusted peers.
    #[serde(default)]
    pub proxy_protocol: bool,
    /// Of the HTTP front.
    #[serde(default)]
    pub http: HttpSettings,
    /// Of the TCP front.
    #[serde(default)]
    pub tcp: TcpSettings,
    /// Certificates of the listeners that speak TLS.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
}

/// What is spoken with the clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// HTTP/1.1: a worker is chosen for each request.
    #[default]
    Http,
    /// Anything: a worker is chosen for each connection.
    Tcp,
}

/// The HTTP front.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// A client may take so long for a request's head, from its first byte (the first request of a
    /// connection: from its beginning).
    pub header_timeout_millis: u32,
    /// A client's connection without a request is closed after so long.
    pub idle_timeout_millis: u32,
    /// A body is cut off when nothing of it came, or could be written, for so long.
    pub body_timeout_millis: u32,
    /// Fewest bytes a second of a request's body of a known length, on the whole, counted from when
    /// a worker has had the request for `body_timeout_millis`. 0 = any.
    pub body_rate: u32,
    /// A worker may take so long for the head of its answer, from the end of the request.
    pub response_timeout_millis: u32,
    /// An upgraded connection is closed when nothing came either way for so long. 0 = never.
    pub tunnel_timeout_millis: u32,
    /// Longest head of a request or an answer.
    pub max_head: u32,
    /// Most header lines of a request or an answer.
    pub max_headers: u16,
    /// Longest body of a request. 0 = any.
    pub max_body: u64,
    /// Most requests of one client's connection. 0 = any.
    pub max_requests: u32,
    /// Most kept connections to each worker that wait for a request.
    pub keep: u32,
    /// A kept connection is used for so long after its last request; less than the time after which
    /// the worker itself closes it.
    pub keep_millis: u32,
    /// When clients should come again, in seconds, after an answer that no worker gave.
    pub retry_after_seconds: u16,
    /// Set `X-Forwarded-For`, `-Proto` and `-Host`.
    pub x_forwarded: bool,
    /// Set `Forwarded` (RFC 7239).
    pub forwarded: bool,
    /// Set `X-Request-Id`.
    pub request_id: bool,
    /// Refuse what came without TLS on a listener that redirects: the port of the `https` address.
    pub https_port: Option<u16>,
}

/// The TCP front.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TcpSettings {
    /// A connection is closed when nothing came either way for so long. 0 = never.
    pub idle_timeout_millis: u32,
    /// Once so many bytes of one direction waited at a time, what follows is moved within the kernel,
    /// until it comes in small pieces again. 0 = never.
    pub splice_above: u64,
    /// Whether workers are told by the PROXY protocol who the client is.
    pub proxy_protocol: Option<ProxyVersion>,
}

/// Versions of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyVersion {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// Certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// By name; the first one is for clients that ask for a name that none has, or for no name.
    pub certificates: Vec<Certificate>,
    /// What is spoken within, in the order of preference, as in `h2`. Nothing said = what the front
    /// speaks.
    #[serde(default)]
    pub alpn: Vec<String>,
    /// A client may take so long for its handshake.
    #[serde(default = "defaults::handshake_timeout")]
    pub handshake_timeout_millis: u32,
}

/// What the HTTP front speaks within TLS, in the order of preference.
pub const HTTP_ALPN: &[&str] = if cfg!(feature = "http2") {
    &["h2", "http/1.1"]
} else {
    &["http/1.1"]
};

impl TlsSettings {
    /// These certificates, and the default of everything else.
    pub fn new(certificates: Vec<Certificate>) -> TlsSettings {
        TlsSettings {
            certificates,
            alpn: Vec::new(),
            handshake_timeout_millis: defaults::handshake_timeout(),
        }
    }
}

/// A certificate with its key: the paths of the files, which the master opens and the gateway reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// PEM: the chain, its own certificate first.
    pub certificate: PathBuf,
    /// PEM: the private key.
    pub key: PathBuf,
}

impl Default for HttpSettings {
    fn default() -> HttpSettings {
        HttpSettings {
            header_timeout_millis: 10_000,
            idle_timeout_millis: 60_000,
            body_timeout_millis: 30_000,
            // Less than any line that somebody waits at.
            body_rate: 64,
            response_timeout_millis: 60_000,
            tunnel_timeout_millis: 0,
            max_head: 32 * 1024,
            max_headers: 100,
            max_body: 0,
            max_requests: 0,
            keep: 64,
            // Node's servers close after 5 s.
            keep_millis: 4_000,
            retry_after_seconds: 1,
            x_forwarded: true,
            forwarded: false,
            request_id: true,
            https_port: None,
        }
    }
}

impl Default for TcpSettings {
    fn default() -> TcpSettings {
        TcpSettings {
            idle_timeout_millis: 0,
            splice_above: 16 * 1024,
            proxy_protocol: None,
        }
    }
}

mod defaults {
    pub(super) fn gateways() -> u16 {
        1
    }

    pub(super) fn connect_timeout() -> u32 {
        5_000
    }

    pub(super) fn wait_timeout() -> u32 {
        5_000
    }

    pub(super) fn max_waiting() -> u32 {
        1_024
    }

    pub(super) fn max_clients() -> u32 {
        16_384
    }

    pub(super) fn handshake_timeout() -> u32 {
        10_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_a_default() {
        let settings: ProxySettings = serde_json::from_str(r#"{"app": "shop"}"#).unwrap();
        assert_eq!(settings.http, HttpSettings::default());
        // Whoever sends next to nothing does not hold a worker for ever.
        assert_ne!(settings.http.body_rate, 0);
        assert_eq!(settings.kind, Kind::Http);
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(
            serde_json::from_str::<ProxySettings>(&text).unwrap(),
            settings
        );
        let unknown = r#"{"app": "shop", "htttp": {}}"#;
        assert!(serde_json::from_str::<ProxySettings>(unknown).is_err());
    }
}
