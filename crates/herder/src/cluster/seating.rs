//! How a process takes its place as a worker.

use std::io;
use std::sync::Arc;

use herder_core::spec::ListenAddress;
use herder_master::role::WorkerSeat;
use herder_sys::process;
use herder_sys::signal::SignalFd;

use crate::cluster::settings::Checked;
use crate::worker::acceptor::Acceptor;
use crate::worker::blocking::Worker;
use crate::worker::link::{Identity, Link};
use crate::worker::outlet::Outlet;
use crate::worker::sources::Places;

/// The worker of a process that is one.
pub(super) fn sit_down(
    seat: WorkerSeat,
    signals: SignalFd,
    checked: Checked,
) -> io::Result<Worker> {
    let (own, sockets): (Vec<_>, Vec<_>) = seat.listeners.into_iter().unzip();
    let listeners = match (&seat.conns, own.is_empty()) {
        (None, _) => Listeners::accepted(own),
        (Some(_), true) => Listeners::passed(&checked.listen),
        (Some(_), false) => Listeners::of_both(&checked.listen, own),
    };
    let identity = Identity {
        app: seat.app,
        slot: seat.slot,
        id: seat.incarnation,
        master_pid: process::parent_pid(),
        listeners: listeners.names,
    };
    let outlet = Outlet::channel(seat.control);
    let link = Arc::new(Link::new(identity, checked.timing, outlet, Some(signals))?);
    let acceptor = match (seat.conns, sockets.is_empty()) {
        (None, _) => Acceptor::listening(&link, sockets)?,
        (Some(conns), true) => Acceptor::passed(&link, conns)?,
        (Some(conns), false) => Acceptor::both(&link, conns, sockets, listeners.places)?,
    };
    Ok(Worker::new(link, acceptor))
}

/// The listeners of a worker: how they are called, in the order of the addresses, and which are whose.
struct Listeners {
    names: Vec<String>,
    places: Places,
}

impl Listeners {
    /// All are the worker's, or shared.
    fn accepted(own: Vec<String>) -> Listeners {
        Listeners {
            names: own,
            places: Places::default(),
        }
    }

    /// Connections name their listener by its place among those that were asked for.
    fn passed(listen: &[ListenAddress]) -> Listeners {
        Listeners::accepted(listen.iter().map(ToString::to_string).collect())
    }

    /// Connections are passed of those that have one listener, and of each of the others the worker has its own,
    /// with the port that the kernel chose in its name.
    fn of_both(listen: &[ListenAddress], own: Vec<String>) -> Listeners {
        let Listeners { mut names, .. } = Listeners::passed(listen);
        let mut places = Places::default();
        let mut own = own.into_iter();
        for ((place, address), name) in (0..).zip(listen).zip(&mut names) {
            if address.has_one_listener() {
                places.passed.push(place);
            } else {
                places.own.push(place);
                own.next().into_iter().for_each(|own| *name = own);
            }
        }
        Listeners { names, places }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<ListenAddress> {
        let parsed = texts.iter().map(|it| it.parse().expect("an address"));
        parsed.collect()
    }

    #[test]
    fn listeners_keep_the_places_of_their_addresses_whoever_accepts() {
        let listen = addresses(&["unix:/a", "127.0.0.1:0", "unix:/b", "81"]);
        let own = vec!["127.0.0.1:4711".to_owned(), "[::]:81".to_owned()];
        let Listeners { names, places } = Listeners::of_both(&listen, own);
        assert_eq!(names, ["unix:/a", "127.0.0.1:4711", "unix:/b", "[::]:81"]);
        assert_eq!((places.passed, places.own), (vec![0, 2], vec![1, 3]));
    }
}
