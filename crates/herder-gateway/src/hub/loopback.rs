//! A desk that answers each message with the message: the edge can be tested without workers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::watch;

use crate::hub::desk::{Desk, Hub};
use crate::hub::feed::{Board, Workers};
use crate::hub::seat::{Message, Place, Seat};
use crate::hub::{ClientId, Protocol};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answering {
    /// It is answered at once.
    AtOnce,
    /// It is kept until [`Loopback::answer`].
    #[cfg(test)]
    OnRequest,
}

/// A hub without workers.
pub(crate) struct Loopback {
    answering: Answering,
    joined: Cell<u64>,
    places: RefCell<BTreeMap<ClientId, Place>>,
    #[cfg(test)]
    kept: RefCell<Vec<(ClientId, Message)>>,
    pub(crate) board: Board,
}

impl Loopback {
    pub(crate) fn new(answering: Answering) -> Rc<Loopback> {
        Rc::new(Loopback {
            answering,
            joined: Cell::new(0),
            places: RefCell::default(),
            #[cfg(test)]
            kept: RefCell::default(),
            board: Board::new(),
        })
    }
}

impl Loopback {
    /// The hub that it is.
    pub(crate) fn hub(self: &Rc<Self>) -> Hub {
        Hub::new(Rc::clone(self) as Rc<dyn Desk>)
    }

    fn echo(&self, client: ClientId, message: Message) {
        let place = self.places.borrow().get(&client).cloned();
        if let Some(place) = place {
            place.send(message);
            place.over();
        }
    }
}

#[cfg(test)]
impl Loopback {
    /// What was kept and not answered, in order of arrival.
    pub(crate) fn kept(&self) -> Vec<Message> {
        let kept = self.kept.borrow();
        kept.iter().map(|(_, message)| message.clone()).collect()
    }

    /// Answers everything kept with itself.
    pub(crate) fn answer(&self) {
        for (client, message) in self.kept.take() {
            self.echo(client, message);
        }
    }

    /// The hub's side of each client that is there, in order of arrival.
    pub(crate) fn places(&self) -> Vec<Place> {
        self.places.borrow().values().cloned().collect()
    }
}

impl Desk for Loopback {
    fn join(self: Rc<Self>, _: Protocol) -> Option<Seat> {
        let client = ClientId(self.joined.get() + 1);
        self.joined.set(client.0);
        let (seat, place) = Seat::new(client, Rc::clone(&self) as Rc<dyn Desk>);
        self.places.borrow_mut().insert(client, place);
        Some(seat)
    }

    fn submit(&self, client: ClientId, message: Message) {
        match self.answering {
            Answering::AtOnce => self.echo(client, message),
            #[cfg(test)]
            Answering::OnRequest => self.kept.borrow_mut().push((client, message)),
        }
    }

    fn left(&self, client: ClientId) {
        self.places.borrow_mut().remove(&client);
    }

    fn watch(&self) -> watch::Receiver<Workers> {
        self.board.watch()
    }
}
