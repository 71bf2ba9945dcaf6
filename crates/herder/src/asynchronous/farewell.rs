//! The moment at which one long connection is to be closed.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::sleep_until;

use crate::worker::handle::WorkerHandle;
use crate::worker::link::Link;

/// Ends when one long connection of a worker that leaves is to be closed:
/// [`WorkerHandle::farewell`].
pub struct Farewell {
    waiting: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl WorkerHandle {
    /// Waits for the moment at which a long connection (a WebSocket, a stream of events) is to say
    /// good-bye, because the worker leaves.
    ///
    /// Each call has a moment of its own: after a second, those that wait when the end begins are spread
    /// evenly over what is left of three quarters of the [grace](crate::Cluster::grace), at most
    /// [`close_rate`](crate::Cluster::close_rate) in a second, so that their clients do not come
    /// back to the other workers all at once. Who is too many for the rate says good-bye when the
    /// three quarters are over. When the whole herd stops, or the worker got a signal, there is nobody to
    /// come back to, and it is everybody's moment at once.
    ///
    /// Call it when the connection begins: it counts from then on as one that waits.
    ///
    /// ```no_run
    /// # struct Socket;
    /// # impl Socket {
    /// #     async fn receive(&mut self) -> Option<String> { None }
    /// #     async fn send(&mut self, _: String) {}
    /// #     async fn close(&mut self, _code: u16) {}
    /// # }
    /// async fn echo(mut socket: Socket, worker: herder::WorkerHandle) {
    ///     let mut farewell = worker.farewell();
    ///     loop {
    ///         tokio::select! {
    ///             () = &mut farewell => return socket.close(1001).await,
    ///             message = socket.receive() => match message {
    ///                 Some(message) => socket.send(message).await,
    ///                 None => return,
    ///             },
    ///         }
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn farewell(&self) -> Farewell {
        let guest = Guest::new(self.link());
        Farewell {
            waiting: Box::pin(async move {
                let link = &guest.link;
                let ending = link.ending();
                ending.until(|| ending.has_begun()).await;
                sleep_until(link.farewell_moment().into()).await;
            }),
        }
    }
}

impl Future for Farewell {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.waiting.as_mut().poll(context)
    }
}

impl fmt::Debug for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Farewell").finish_non_exhaustive()
    }
}

/// Counts as one that waits.
struct Guest {
    link: Arc<Link>,
}

impl Guest {
    fn new(link: &Arc<Link>) -> Guest {
        link.farewells().join();
        Guest {
            link: Arc::clone(link),
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.link.farewells().leave();
    }
}
