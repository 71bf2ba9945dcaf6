//! How connections are spread over sockets of which each has one worker.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whose turn it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Balance {
    /// Strictly in turns. Who does not keep up for some moments is left out until it caught up.
    #[default]
    RoundRobin,
    /// In turns among those that have least to do: who falls behind others is left out at once.
    LeastLoaded,
}

/// Who decides to which socket a connection goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Steering {
    /// A program of ours in the kernel: exact turns, and whoever waits at a socket that is shut
    /// down goes to others.
    Program,
    /// The kernel's hash over all sockets that listen: nobody can be left out, and whoever waits
    /// at a socket that is shut down is lost.
    Hash,
}

/// How a group of sockets is looked after.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RotationSpec {
    /// Whose turn it is.
    pub balance: Balance,
    /// Who decides.
    pub steering: Steering,
    /// How often the queues are looked at while connections come.
    pub tick: Duration,
    /// When nobody came for this long, and nobody waits, the looking ends.
    pub idle_after: Duration,
    /// Who is in the rotation again stays in it at least for this long.
    pub hysteresis: Duration,
    /// A queue that stood for this long without one accept is given to others, where that is possible.
    pub rescue_after: Duration,
    /// A worker whose queue stood for this long without one accept, and to which no other help
    /// applies, is killed as hung; `None` = never.
    pub hang: Option<Duration>,
    /// A worker that is ready by a guess, and was never seen to accept anybody, may be loading still, for so long
    /// since its start: it is not killed, and who waits there is moved. (With a program alone.)
    pub boot: Duration,
    /// A withdrawn worker has at most this long to accept who waits in its queue.
    pub drain: Duration,
}

impl RotationSpec {
    /// With the times that suit the balance.
    #[must_use]
    pub fn new(balance: Balance, steering: Steering) -> RotationSpec {
        // By load, each look is paid for by those who would wait meanwhile at a worker that is busy.
        let (tick, hysteresis) = match balance {
            Balance::RoundRobin => (Duration::from_millis(5), Duration::from_millis(50)),
            Balance::LeastLoaded => (Duration::from_millis(1), Duration::from_millis(2)),
        };
        RotationSpec {
            balance,
            steering,
            tick,
            idle_after: Duration::from_secs(1),
            hysteresis,
            rescue_after: Duration::from_millis(500),
            hang: Some(Duration::from_secs(10)),
            boot: Duration::from_secs(60),
            drain: Duration::from_millis(500),
        }
    }
}

impl RotationSpec {
    /// How long a worker that was rescued has no turns, the first time.
    pub(super) fn first_trial(&self) -> Duration {
        match self.balance {
            Balance::RoundRobin => Duration::from_secs(1),
            // It was perhaps busy for a moment. If it has a voice, it is believed before.
            Balance::LeastLoaded => Duration::from_millis(50),
        }
    }

    /// A withdrawn worker's queue that was seen empty so often in a row is empty: who was shaking hands
    /// when it was withdrawn has come.
    pub(super) fn drained(&self) -> u8 {
        match self.balance {
            Balance::RoundRobin => 2,
            Balance::LeastLoaded => 10,
        }
    }
}

impl Default for RotationSpec {
    fn default() -> RotationSpec {
        RotationSpec::new(Balance::RoundRobin, Steering::Program)
    }
}

impl std::fmt::Display for Balance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Balance::RoundRobin => "round-robin",
            Balance::LeastLoaded => "least-loaded",
        })
    }
}
