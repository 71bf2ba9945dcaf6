//! What outlives a master, and how the next one goes on with it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use herder_core::rotation::{Relief, Rotation, SocketId, Steering as Manner, Survivor, Weight};
use herder_core::{Slot, Tick, WorkerId};
use herder_sys::bpf::{Part, Steering};
use herder_sys::listener;

use super::berth::Berth;
use super::{Group, GroupSpec, Piece, Pieces};

impl Group {
    /// Goes on with what an earlier master's group was made of. `workers`: who lives. Who has turns
    /// keeps them until other news of it comes.
    ///
    /// # Errors
    ///
    /// When something is missing that cannot be made anew, above all the anchor.
    pub(crate) fn adopt(
        spec: &GroupSpec,
        pieces: Pieces,
        workers: &[(WorkerId, Weight, Relief)],
        now: Tick,
    ) -> io::Result<Group> {
        let mut left = Left::sort(pieces);
        let anchor = left
            .anchor
            .take()
            .ok_or_else(|| io::Error::other("the socket that keeps the address is missing"))?;
        let (steering, is_new) = match (spec.rotation.steering, left.program()?) {
            (Manner::Program, Some(steering)) => (Some(steering), false),
            // The mode was another one, or the store has lost a part of it.
            (Manner::Program, None) => (Some(Steering::load()?), true),
            (Manner::Hash, _) => (None, false),
        };
        let (mut places, mut turns) = (Vec::new(), Vec::new());
        for (id, socket) in &left.sockets {
            let is_entered = match &steering {
                Some(steering) => {
                    let cookie = listener::cookie(socket.as_fd())?;
                    steering.at(id.slot.0.into())? == Some(cookie)
                }
                None => false,
            };
            places.push((*id, is_entered));
        }
        if let Some(steering) = &steering {
            let written = steering.turns()?.into_iter();
            turns.extend(written.filter_map(|place| Some(Slot(u16::try_from(place).ok()?))));
        }
        let survivor = |(worker, weight, relief): &(WorkerId, Weight, Relief)| Survivor {
            worker: *worker,
            weight: *weight,
            relief: *relief,
        };
        let survivors: Vec<Survivor> = workers.iter().map(survivor).collect();
        let rotation = Rotation::restored(&spec.rotation, &places, &turns, &survivors);
        let mut group = Group::around(spec, anchor, steering, rotation)?;
        for (id, socket) in left.sockets {
            if is_new && let Some(steering) = &group.steering {
                steering.attach(socket.as_fd())?;
            }
            // Whether it is to be barred is found out anew.
            listener::unbar(socket.as_fd(), spec.backlog)?;
            let berth = Berth::new(socket, &group.epoll)?;
            group.berths.insert(id, berth);
        }
        group.act(now)?;
        Ok(group)
    }

    /// Everything that the next master needs. Store these and forget the others whenever the
    /// [edition](Group::edition) has changed.
    pub(crate) fn pieces(&self) -> Vec<(Piece, BorrowedFd<'_>)> {
        let mut pieces = vec![(Piece::Anchor, self.anchor.as_fd())];
        if let Some(steering) = &self.steering {
            let piece = |(part, fd)| {
                let piece = match part {
                    Part::Program => Piece::Program,
                    Part::Sockets => Piece::Sockets,
                    Part::Turns => Piece::Turns,
                    Part::Counters => Piece::Counters,
                };
                (piece, fd)
            };
            pieces.extend(steering.parts().map(piece));
        }
        let socket = |(id, berth): (&SocketId, _)| {
            let (slot, number) = (id.slot.0, id.number);
            let berth: &Berth = berth;
            (Piece::Socket { slot, number }, berth.as_fd())
        };
        // By name, so that a group with hundreds of sockets is stored in order.
        let sockets: BTreeMap<_, _> = self.berths.iter().map(socket).collect();
        pieces.extend(sockets);
        pieces
    }

    /// A number that changes whenever [`pieces`](Group::pieces) does.
    pub(crate) fn edition(&self) -> u64 {
        self.edition
    }
}

/// What was stored, by what it is.
#[derive(Default)]
struct Left {
    anchor: Option<OwnedFd>,
    program: Option<OwnedFd>,
    places: Option<OwnedFd>,
    turns: Option<OwnedFd>,
    counters: Option<OwnedFd>,
    sockets: Vec<(SocketId, OwnedFd)>,
}

impl Left {
    fn sort(pieces: Pieces) -> Left {
        let mut left = Left::default();
        for (piece, fd) in pieces {
            match piece {
                Piece::Anchor => left.anchor = Some(fd),
                Piece::Program => left.program = Some(fd),
                Piece::Sockets => left.places = Some(fd),
                Piece::Turns => left.turns = Some(fd),
                Piece::Counters => left.counters = Some(fd),
                Piece::Socket { slot, number } => {
                    let slot = Slot(slot);
                    left.sockets.push((SocketId { slot, number }, fd));
                }
            }
        }
        left
    }

    /// The program, when all of it is there.
    fn program(&mut self) -> io::Result<Option<Steering>> {
        let parts = (
            self.program.take(),
            self.places.take(),
            self.turns.take(),
            self.counters.take(),
        );
        match parts {
            (Some(program), Some(places), Some(turns), Some(counters)) => {
                let steering = Steering::adopt([program, places, turns, counters])?;
                Ok(Some(steering))
            }
            _ => Ok(None),
        }
    }
}
