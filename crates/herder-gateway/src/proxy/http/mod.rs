//! The front that speaks HTTP/1.1.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::proxy::backends::Backends;
use crate::proxy::settings::ProxySettings;
use crate::proxy::{House, Visitor};

/// What all connections of the front share.
pub(crate) struct Front {
    pub(crate) settings: Rc<ProxySettings>,
    pub(crate) backends: Backends,
    /// Says when to close, and counts the connections.
    pub(crate) house: House,
}

/// Serves one listener until the house closes, and then until the last of its clients has gone.
///
/// # Errors
///
/// When the listener is none.
pub(crate) async fn serve(_name: String, _listener: OwnedFd, _front: Rc<Front>) -> io::Result<()> {
    Ok(())
}

/// Serves one client, however it came.
pub(crate) async fn converse<S>(_stream: S, _visitor: Visitor, _front: Rc<Front>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
}
