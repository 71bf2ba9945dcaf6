//! Which certificate a client gets.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificates that serve now.
#[derive(Debug, Default)]
pub(super) struct Names {
    keys: RwLock<Arc<[Arc<CertifiedKey>]>>,
}

impl Names {
    /// Has these serve from now on. Connections that are there keep theirs.
    pub(super) fn replace(&self, keys: Vec<Arc<CertifiedKey>>) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.into();
    }

    /// The first that is for this name, or the first of all.
    pub(super) fn pick(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let named = name.and_then(|name| keys.iter().find(|key| is_for(key, &name)));
        named.or_else(|| keys.first()).cloned()
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.pick(hello.server_name())
    }
}

fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = key.end_entity_cert().and_then(ParsedCertificate::try_from);
    certificate.is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
}
