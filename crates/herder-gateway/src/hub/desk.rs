//! What the edge asks of the hub.

use std::rc::Rc;

use tokio::sync::watch;

use crate::hub::feed::Workers;
use crate::hub::seat::{Message, Seat};
use crate::hub::{ClientId, Protocol};

/// The hub as the edge knows it. Clones are the same hub.
#[derive(Clone)]
pub(crate) struct Hub {
    desk: Rc<dyn Desk>,
}

/// What stands behind a [`Hub`]. Nothing here waits, and nothing calls back into the edge other
/// than through the [`Place`](crate::hub::Place) of a client.
pub(crate) trait Desk {
    /// A client came; see [`Hub::join`].
    fn join(self: Rc<Self>, protocol: Protocol) -> Option<Seat>;

    /// A client said something. It is one job, and comes to its end by
    /// [`Place::over`](crate::hub::Place::over).
    fn submit(&self, client: ClientId, message: Message);

    /// A client is gone: its connection ended, whatever is outstanding.
    fn left(&self, client: ClientId);

    /// See [`Hub::watch`].
    fn watch(&self) -> watch::Receiver<Workers>;
}

impl Hub {
    pub(crate) fn new(desk: Rc<dyn Desk>) -> Hub {
        Hub { desk }
    }

    /// A seat for a new client; `None` = no more clients (there are too many, or the herd stops).
    pub(crate) fn join(&self, protocol: Protocol) -> Option<Seat> {
        Rc::clone(&self.desk).join(protocol)
    }

    /// The states of all workers, and notice of each change. It ends with the hub.
    pub(crate) fn watch(&self) -> watch::Receiver<Workers> {
        self.desk.watch()
    }
}
