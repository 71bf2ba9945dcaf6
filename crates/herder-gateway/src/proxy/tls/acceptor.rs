//! The handshake with a client, by certificates that can be replaced while it serves.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use herder_wire::proxy_protocol::Tls;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::files::load;
use super::names::Names;
use super::{OpenFiles, TlsError, Warning};
use crate::edge::stream::Stream;
use crate::proxy::entrance::Client;
use crate::proxy::protocol::first_byte;
use crate::proxy::settings::{HTTP_ALPN, Kind, TlsSettings};

/// A client's connection within TLS.
pub(crate) type TlsStream = tokio_rustls::server::TlsStream<Stream>;

/// Speaks TLS with clients. Clones are the same.
#[derive(Clone)]
pub struct Acceptor {
    shared: Rc<Shared>,
}

struct Shared {
    settings: TlsSettings,
    acceptor: TlsAcceptor,
    provider: Arc<CryptoProvider>,
    names: Arc<Names>,
    handshake_timeout: Duration,
    /// How many handshakes failed.
    failed: Cell<u64>,
}

impl Acceptor {
    /// Reads all certificates from their files, which stand parallel to those of the settings. The front
    /// of this kind says what is spoken within, where the settings do not.
    ///
    /// # Errors
    ///
    /// What is wrong with the first file that cannot be used.
    pub fn new(
        settings: &TlsSettings,
        kind: Kind,
        open: &[OpenFiles],
    ) -> Result<(Acceptor, Vec<Warning>), TlsError> {
        let provider = Arc::new(ring::default_provider());
        let names = Arc::new(Names::default());
        let versions = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider has what the default versions need");
        let mut config = versions
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&names) as Arc<_>);
        config.alpn_protocols = protocols(settings, kind);
        let acceptor = Acceptor {
            shared: Rc::new(Shared {
                settings: settings.clone(),
                acceptor: TlsAcceptor::from(Arc::new(config)),
                provider,
                names,
                handshake_timeout: Duration::from_millis(settings.handshake_timeout_millis.into()),
                failed: Cell::new(0),
            }),
        };
        let warnings = acceptor.renew(open)?;
        Ok((acceptor, warnings))
    }

    /// Reads these files. Who comes from now on gets what they hold; who is there notices nothing.
    ///
    /// # Errors
    ///
    /// What is wrong with the first file that cannot be used. Then everything stays as it was.
    pub fn renew(&self, open: &[OpenFiles]) -> Result<Vec<Warning>, TlsError> {
        let shared = &self.shared;
        let mut warnings = Vec::new();
        let files = shared.settings.certificates.iter().zip(open);
        let keys = files
            .map(|(files, open)| load(files, open, &shared.provider, &mut warnings).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(TlsError::Nothing);
        }
        shared.names.replace(keys);
        Ok(warnings)
    }

    /// How many handshakes have failed: clients that do not speak TLS, or agree to nothing that is safe.
    pub fn failed(&self) -> u64 {
        self.shared.failed.get()
    }

    /// Makes the handshake. `None` = it failed; the client was told why, and is closed.
    pub(crate) async fn accept(&self, stream: Stream) -> Option<Client> {
        let shared = &self.shared;
        let handshake = shared.acceptor.accept_with(stream, |connection| {
            connection.set_buffer_limit(Some(HELD));
        });
        if let Ok(Ok(stream)) = timeout(shared.handshake_timeout, handshake).await {
            return Some(Client::Tls(Box::new(stream)));
        }
        shared.failed.set(shared.failed.get() + 1);
        None
    }

    /// Whether a client that was just accepted speaks HTTP without TLS.
    pub(crate) async fn is_http(&self, stream: &Stream) -> bool {
        let first = timeout(self.shared.handshake_timeout, first_byte(stream)).await;
        // A method's name; a handshake begins with the number of its kind of records, 22.
        matches!(first, Ok(Ok(byte)) if byte.is_ascii_alphabetic())
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Acceptor")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

/// What was agreed with a client.
pub(crate) fn agreed(stream: &TlsStream) -> Tls {
    let (_, connection) = stream.get_ref();
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => Some("TLSv1.2"),
        Some(rustls::ProtocolVersion::TLSv1_3) => Some("TLSv1.3"),
        _ => None,
    };
    Tls {
        version: version.map(str::to_owned),
        alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
        authority: connection.server_name().map(str::to_owned),
    }
}

fn protocols(settings: &TlsSettings, kind: Kind) -> Vec<Vec<u8>> {
    if !settings.alpn.is_empty() {
        let named = settings.alpn.iter();
        return named.map(|name| name.as_bytes().to_vec()).collect();
    }
    match kind {
        Kind::Http => HTTP_ALPN.iter().map(|it| it.as_bytes().to_vec()).collect(),
        Kind::Tcp => Vec::new(),
    }
}

/// How much is held at most for a client that does not read, in bytes: one record. How much of it a
/// slow client took cannot be seen, so that it must take all of it in the time of one step.
const HELD: usize = 16 * 1024;
