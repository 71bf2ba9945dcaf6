//! What clients there are.

use crate::client::Load;
use crate::load::answer::Answer;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// A kind of clients. Those on a schedule make a request when it is due, whatever became of those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// On a schedule, a new connection for each request, answered at once.
    Fresh,
    /// The same, with answers that take 50 ms.
    FreshSlow,
    /// Connections that are kept, used again after a moment.
    Kept,
    /// The same, with answers that take 50 ms, used again at once.
    KeptSlow,
    /// Connections that are kept and idle most of the time.
    KeptIdle,
    /// Answers that take a second.
    LongPoll,
    /// Bodies that come in pieces, in 200 ms.
    Upload,
    /// The same, over connections that are kept.
    UploadKept,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 8] = [
        Kind::Fresh,
        Kind::FreshSlow,
        Kind::Kept,
        Kind::KeptSlow,
        Kind::KeptIdle,
        Kind::LongPoll,
        Kind::Upload,
        Kind::UploadKept,
    ];

    /// The first of the numbers of its requests in mix number `mix`: far enough from the next kind's.
    pub(super) fn first_id(self, mix: u64) -> u64 {
        mix * MIX + self as u64 * KIND
    }

    /// The traffic, unless it is of uploads. `calm`, at least 1: how many times as long as usual the clients wait
    /// between their requests.
    pub(super) fn load(
        self,
        mix: u64,
        address: SocketAddr,
        patience: Duration,
        calm: u32,
    ) -> Option<Load> {
        let http = |path| Load::http(address, path).timeout(patience);
        let load = match self {
            Kind::Fresh => http("/").at_rate(120 / calm),
            Kind::FreshSlow => http("/slow/50").at_rate(40 / calm),
            Kind::Kept => http("/").keep_alive().clients(4).think(SOON * calm),
            Kind::KeptSlow => {
                let load = http("/slow/50").keep_alive().clients(4);
                load.think(SOON * (calm - 1))
            }
            Kind::KeptIdle => http("/").keep_alive().clients(16).think(PAUSE),
            Kind::LongPoll => http("/slow/1000").clients(4),
            Kind::Upload | Kind::UploadKept => return None,
        };
        let load = load.detailed().numbered_from(self.first_id(mix));
        Some(load.worker_from(|body| Answer::of_body(body).map(|answer| answer.pid)))
    }
}

/// Numbers of a kind, and of a mix.
const KIND: u64 = 100_000_000;
pub(super) const MIX: u64 = 100 * KIND;

/// The thought of a client that has a lot to ask.
const SOON: Duration = Duration::from_millis(15);
/// The thought of one that has not: it is idle when its worker leaves.
const PAUSE: Duration = Duration::from_millis(200);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Fresh => "per request, instant",
            Kind::FreshSlow => "per request, 50 ms",
            Kind::Kept => "kept, instant",
            Kind::KeptSlow => "kept, 50 ms",
            Kind::KeptIdle => "kept, mostly idle",
            Kind::LongPoll => "long poll, 1 s",
            Kind::Upload => "slow body, per request",
            Kind::UploadKept => "slow body, kept",
        })
    }
}
