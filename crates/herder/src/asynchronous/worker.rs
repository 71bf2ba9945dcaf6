//! A worker on tokio.

use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use crate::asynchronous::keeping;
use crate::asynchronous::listener::Listener;
use crate::worker::acceptor::Acceptor;
use crate::worker::handle::WorkerHandle;

/// A worker, as [`Cluster::run_async`](crate::Cluster::run_async) gives it to the program.
///
/// Everything that a [`WorkerHandle`] offers, it offers too. A task of the runtime sends the
/// heartbeat: a worker whose runtime is stuck is silent, and one of its tasks that waits is not.
#[derive(Clone, Debug)]
pub struct AsyncWorker {
    handle: WorkerHandle,
    listener: Listener,
}

impl AsyncWorker {
    pub(crate) fn new(
        handle: WorkerHandle,
        acceptor: Arc<Mutex<Acceptor>>,
    ) -> io::Result<AsyncWorker> {
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let link = handle.link();
        let listener = Listener::new(Arc::clone(link), acceptor)?;
        runtime.spawn(keeping::keep(Arc::clone(link), keeping::watch(link)?));
        Ok(AsyncWorker { handle, listener })
    }

    /// Where the connections come from, and tells the master that the worker is
    /// [ready](WorkerHandle::ready) for them. Several are one: each connection goes to one of them.
    #[must_use]
    pub fn listener(&self) -> Listener {
        self.handle.ready();
        self.listener.clone()
    }

    /// The worker's identity and its word with the master, for other parts of the program.
    #[must_use]
    pub fn handle(&self) -> WorkerHandle {
        self.handle.clone()
    }
}

impl Deref for AsyncWorker {
    type Target = WorkerHandle;

    fn deref(&self) -> &WorkerHandle {
        &self.handle
    }
}
