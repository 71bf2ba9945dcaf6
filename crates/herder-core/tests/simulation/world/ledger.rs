use herder_core::{ConnId, Tick, WorkerId};

use super::violation::{Verdict, Violation, ensure};

/// Where a connection truly is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// The master holds its descriptor.
    Hand,
    /// It lies in this worker's channel.
    Channel(WorkerId),
    /// This worker received it.
    Received(WorkerId),
    Closed,
}

/// What the kernel knows: the truth about every connection, which the dispatcher can only infer.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By number.
    places: Vec<Place>,
    /// By number: how many workers died with it in their channels.
    deaths: Vec<u32>,
    /// By number: since when it has been in the master's hand, as far as it is.
    since: Vec<Tick>,
    in_hand: u64,
    in_channels: u64,
    received: u64,
    closed: u64,
}

impl Ledger {
    pub(crate) fn accept(&mut self, now: Tick) -> ConnId {
        self.places.push(Place::Hand);
        self.deaths.push(0);
        self.since.push(now);
        self.in_hand += 1;
        ConnId(self.places.len() as u64 - 1)
    }

    pub(crate) fn send(&mut self, conn: ConnId, to: WorkerId) -> Verdict {
        self.advance(
            conn,
            Place::Hand,
            Place::Channel(to),
            "2: only what is in the hand is sent",
        )?;
        self.in_hand -= 1;
        self.in_channels += 1;
        Ok(())
    }

    pub(crate) fn close(&mut self, conn: ConnId) -> Verdict {
        self.advance(
            conn,
            Place::Hand,
            Place::Closed,
            "2: only what is in the hand is closed",
        )?;
        self.in_hand -= 1;
        self.closed += 1;
        Ok(())
    }

    /// A worker that was not about to leave died while the connection lay in its channel.
    pub(crate) fn meet_death(&mut self, conn: ConnId) {
        self.deaths[index(conn)] += 1;
    }

    pub(crate) fn deaths(&self, conn: ConnId) -> u32 {
        self.deaths.get(index(conn)).copied().unwrap_or(0)
    }

    /// Since when it has been in the master's hand.
    pub(crate) fn since(&self, conn: ConnId) -> Tick {
        self.since.get(index(conn)).copied().unwrap_or_default()
    }

    pub(crate) fn take_back(&mut self, conn: ConnId, from: WorkerId, now: Tick) -> Verdict {
        let rule = "2: only what is in the channel is taken back";
        self.advance(conn, Place::Channel(from), Place::Hand, rule)?;
        self.since[index(conn)] = now;
        self.in_channels -= 1;
        self.in_hand += 1;
        Ok(())
    }

    /// The worker rejected it: its wait goes on.
    pub(crate) fn give_back(&mut self, conn: ConnId, from: WorkerId) -> Verdict {
        let rule = "2: only what is with a worker comes back";
        self.advance(conn, Place::Channel(from), Place::Hand, rule)?;
        self.in_channels -= 1;
        self.in_hand += 1;
        Ok(())
    }

    pub(crate) fn receive(&mut self, conn: ConnId, by: WorkerId) -> Verdict {
        let rule = "2: only what is in the channel is received";
        self.advance(conn, Place::Channel(by), Place::Received(by), rule)?;
        self.in_channels -= 1;
        self.received += 1;
        Ok(())
    }

    /// Nothing changes, but it must be in the hand.
    pub(crate) fn offer(&self, conn: ConnId) -> Verdict {
        let place = self.place(conn)?;
        ensure(
            place == Place::Hand,
            "2: only what is in the hand is sent",
            || format!("connection {} is {place:?}", conn.0),
        )
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.places.len() as u64
    }

    pub(crate) fn in_hand(&self) -> u64 {
        self.in_hand
    }

    pub(crate) fn in_channels(&self) -> u64 {
        self.in_channels
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    pub(crate) fn closed(&self) -> u64 {
        self.closed
    }

    fn advance(&mut self, conn: ConnId, from: Place, to: Place, rule: &'static str) -> Verdict {
        let place = self.place(conn)?;
        ensure(place == from, rule, || {
            format!("connection {} is {place:?}, not {from:?}", conn.0)
        })?;
        self.places[index(conn)] = to;
        Ok(())
    }

    fn place(&self, conn: ConnId) -> Result<Place, Violation> {
        let place = self.places.get(index(conn));
        place.copied().ok_or_else(|| Violation {
            rule: "2: only accepted connections exist",
            detail: format!("connection {} was never accepted", conn.0),
        })
    }
}

fn index(conn: ConnId) -> usize {
    usize::try_from(conn.0).expect("connections are numbered from 0")
}
