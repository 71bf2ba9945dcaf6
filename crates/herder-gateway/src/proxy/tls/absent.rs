//! What takes the place of TLS in a build without it.

use std::convert::Infallible;

use super::{OpenFiles, TlsError, Warning};
use crate::edge::stream::Stream;
use crate::proxy::entrance::Client;
use crate::proxy::settings::{Kind, TlsSettings};

/// When the first certificate of a PEM file ends to be valid. Nobody here can tell.
pub fn ends(_: &[u8]) -> Option<u64> {
    None
}

/// Would speak TLS with clients. There is none.
#[derive(Clone, Debug)]
pub struct Acceptor(Infallible);

impl Acceptor {
    /// Refuses.
    ///
    /// # Errors
    ///
    /// Always [`TlsError::Absent`].
    pub fn new(
        _: &TlsSettings,
        _: Kind,
        _: &[OpenFiles],
    ) -> Result<(Acceptor, Vec<Warning>), TlsError> {
        Err(TlsError::Absent)
    }

    /// Reads other files.
    ///
    /// # Errors
    ///
    /// None: there is nobody to ask.
    pub fn renew(&self, _: &[OpenFiles]) -> Result<Vec<Warning>, TlsError> {
        match self.0 {}
    }

    #[expect(clippy::unused_async, reason = "the other one waits")]
    pub(crate) async fn is_http(&self, _: &Stream) -> bool {
        match self.0 {}
    }

    #[expect(clippy::unused_async, reason = "the other one waits")]
    pub(crate) async fn accept(&self, _: Stream) -> Option<Client> {
        match self.0 {}
    }
}
