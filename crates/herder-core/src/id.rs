use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::random;

/// A place for a worker in an app, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Slot(pub u16);

/// One life of one process: 1, 2, 3 … per app, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

/// A deployed version of an app: 1, 2, 3 …, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Generation(pub u32);

/// Who a worker is. Never a pid: pids are reused, incarnations are not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct WorkerId {
    /// Its place.
    pub slot: Slot,
    /// Its life.
    pub incarnation: Incarnation,
}

/// One accepted connection, numbered by the shell in order of acceptance, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ConnId(pub u64);

/// Where a connection comes from: equal for equal clients, and else a number like any other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Origin(pub u64);

/// One message of a client, numbered by the shell in order of arrival, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct JobId(pub u64);

/// One client of a gateway: a connection that outlives workers. Never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ClientId(pub u64);

impl Generation {
    /// What an app is started with.
    pub const FIRST: Generation = Generation(1);
}

impl Origin {
    /// How much this origin prefers the slot: the highest is the first choice. It depends on these
    /// two alone (rendezvous hashing), so that other slots may come and go.
    pub(crate) fn rank(self, slot: Slot) -> u64 {
        random::mix(self.0 ^ random::mix(slot.0.into()))
    }
}

/// The whole address and nothing else: the same in every process and on every machine.
impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Origin {
        // An IPv4 client looks different at a dual-stack listener, and is the same.
        let octets = match address.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        let halves = octets.as_chunks::<8>().0.iter();
        Origin(halves.fold(0, |hash, half| {
            random::mix(hash ^ u64::from_be_bytes(*half))
        }))
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `slot#incarnation`, as in `0#3`.
impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.slot, self.incarnation)
    }
}
