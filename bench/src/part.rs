//! What the clients do.

use crate::answer::{self, SLOW_PATH};
use crate::messages;
use crate::variant::{Dispatch, League, Listeners, Variant};
use herder_e2e::client::Load;
use serde::Serialize;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// How many requests of a thousand are slow, where some are.
pub const SLOW_PER_MILLE: u64 = 10;
/// How many connections the part that counts them makes.
const COUNTED: u64 = 10_000;
/// Connections a second where the server has little to do.
const LIGHT_RATE: u32 = 1000;

/// What the clients do, and so what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// A connection for each request, 128 clients on two threads, each asking as fast as it is answered:
    /// what the machine can do.
    Saturated,
    /// 1000 connections a second on a schedule: the latency of a server that is mostly idle.
    Light,
    /// Connections on a schedule, half as many as the variant that all are measured by can do.
    Half,
    /// 64 clients that keep their connections, each asking as fast as it is answered.
    KeepAlive,
    /// 1000 connections a second on a schedule, of which one in a hundred costs 50 ms of processor time:
    /// how long the others wait.
    Skewed,
    /// 1000 connections a second on a schedule for 3 s, and one of the workers is stopped for the second
    /// of them: how long connections wait that were meant for it.
    Stopped,
    /// 10,000 connections, one after the other: how evenly idle workers get them.
    Even,
    /// 32 clients with lasting connections, each with 8 messages on their way: what the machine can do.
    MessagesSaturated,
    /// 4 clients with lasting connections, each with one message on its way: the latency of a message.
    MessagesCalm,
}

impl Part {
    /// All of them, in the order of the report.
    pub const ALL: [Part; 9] = [
        Part::Saturated,
        Part::Light,
        Part::Half,
        Part::KeepAlive,
        Part::Skewed,
        Part::Stopped,
        Part::Even,
        Part::MessagesSaturated,
        Part::MessagesCalm,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Part::Even => "even",
            Part::Half => "half",
            Part::KeepAlive => "keep-alive",
            Part::Light => "light",
            Part::MessagesCalm => "messages-calm",
            Part::MessagesSaturated => "messages-saturated",
            Part::Saturated => "saturated",
            Part::Skewed => "skewed",
            Part::Stopped => "stopped",
        }
    }

    /// A line that says what it is.
    pub fn title(self) -> &'static str {
        match self {
            Part::Even => "even: 10,000 connections one after the other, two idle workers",
            Part::Half => {
                "half load: open loop, a connection for each request, at half of the base's \
                 saturated rate"
            }
            Part::KeepAlive => "keep-alive: closed loop, 64 connections that stay",
            Part::Light => "light: open loop, 1000 connections/s",
            Part::MessagesCalm => {
                "messages, calm: 4 clients on 1 thread, each with 1 message of 64 bytes on its way"
            }
            Part::MessagesSaturated => {
                "messages, saturated: 32 clients on 1 thread, each with 8 messages of 64 bytes on \
                 their way"
            }
            Part::Saturated => {
                "saturated: closed loop, a connection for each request, 128 clients on 2 threads"
            }
            Part::Skewed => {
                "skewed: open loop, 1000 connections/s, 1 % cost 50 ms of processor time; latencies \
                 are those of the others"
            }
            Part::Stopped => {
                "stopped: open loop, 1000 connections/s for 3 s, one of two workers stopped for 1 s"
            }
        }
    }

    /// Whether a variant can take part.
    pub fn suits(self, variant: Variant) -> bool {
        let can_be_slow = matches!(
            variant,
            Variant::BareShared | Variant::BarePass | Variant::HerderNative(_)
        );
        let of_connections = variant.league() != League::Messages;
        match self {
            Part::MessagesCalm | Part::MessagesSaturated => !of_connections,
            Part::Saturated | Part::Half => of_connections,
            Part::KeepAlive => of_connections && variant != Variant::GunicornSync,
            Part::Light => variant.league() == League::Native,
            // The bare loop that passes connections takes none back: what a stopped worker was given waits
            // until the client gives up.
            Part::Stopped => variant.league() == League::Native && variant != Variant::BarePass,
            Part::Skewed => can_be_slow && variant != Variant::BarePass,
            Part::Even => can_be_slow && variant != Variant::HerderNative(Dispatch::LeastLoaded),
        }
    }

    /// Whether the short form has the variant, too: who stands in a goal, and who shows what it is about.
    pub fn is_essential(self, variant: Variant) -> bool {
        let is_native = variant.league() == League::Native;
        let herd = variant.dispatch().filter(|_| is_native);
        let in_goals = matches!(
            variant,
            Variant::BareShared | Variant::Nginx(Listeners::One)
        ) || matches!(herd, Some(Dispatch::Kernel | Dispatch::Pass));
        let is_own_listener = herd == Some(Dispatch::Reuseport);
        let is_least = herd == Some(Dispatch::LeastLoaded);
        match (self, variant.league()) {
            (_, League::Messages) | (Part::MessagesCalm | Part::MessagesSaturated, _) => false,
            (Part::Saturated, League::Scripts) => variant != Variant::GunicornThreads,
            (Part::Saturated, League::Native) => !is_least,
            (Part::Saturated, League::Node) => {
                !matches!(variant, Variant::HerderNode(_, Dispatch::Shared))
            }
            (Part::Half | Part::KeepAlive | Part::Light, _) => in_goals,
            (Part::Even | Part::Stopped, _) => in_goals || is_own_listener,
            (Part::Skewed, _) => in_goals || is_own_listener || is_least,
        }
    }

    /// How long it lasts, when what is asked for is `time`: three seconds where a worker is stopped for one of them
    /// (less only for who asks for less than one), and longer where only each hundredth request tells something.
    pub fn lasting(self, time: Duration) -> Duration {
        match self {
            Part::Stopped => time.min(Duration::from_secs(1)) * 3,
            Part::Skewed => time * 10,
            Part::Even
            | Part::Half
            | Part::KeepAlive
            | Part::Light
            | Part::MessagesCalm
            | Part::MessagesSaturated
            | Part::Saturated => time,
        }
    }

    /// The load on `address`; `rate` is that of [`Part::Half`].
    pub(crate) fn load(self, address: SocketAddr, time: Duration, rate: u32) -> Load {
        let load = Load::http(address, "/").worker_from(answer::worker);
        let lasting = load.clone().lasting(self.lasting(time));
        match self {
            Part::Saturated => lasting.clients(128).threads(2),
            Part::KeepAlive => lasting.clients(64).threads(2).keep_alive(),
            Part::Half => lasting.at_rate(rate),
            Part::Skewed => lasting
                .at_rate(LIGHT_RATE)
                .rarely(SLOW_PER_MILLE, SLOW_PATH),
            Part::Even => load.count(COUNTED),
            Part::Light | Part::Stopped | Part::MessagesCalm | Part::MessagesSaturated => {
                lasting.at_rate(LIGHT_RATE)
            }
        }
    }

    /// The clients that send messages, in a part that has some.
    pub(crate) fn messages(self) -> Option<messages::Load> {
        let (clients, outstanding) = match self {
            Part::MessagesCalm => (4, 1),
            Part::MessagesSaturated => (32, 8),
            Part::Even
            | Part::Half
            | Part::KeepAlive
            | Part::Light
            | Part::Saturated
            | Part::Skewed
            | Part::Stopped => return None,
        };
        Some(messages::Load {
            clients,
            outstanding,
        })
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(name: &str) -> Result<Part, String> {
        let named = Part::ALL.into_iter().find(|part| part.name() == name);
        named.ok_or_else(|| {
            let names = Part::ALL.map(Part::name);
            format!("there are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_base_and_the_short_form_no_more_than_the_long_one() {
        for part in Part::ALL {
            assert_eq!(part.name().parse(), Ok(part));
            let taking: Vec<_> = Variant::all().filter(|one| part.suits(*one)).collect();
            assert!(taking.len() > 1, "{part:?}");
            for variant in taking {
                assert!(part.suits(variant.base()), "{part:?} {variant}");
                if part.is_essential(variant) {
                    assert!(part.is_essential(variant.base()), "{part:?} {variant}");
                }
            }
        }
        assert!("quick".parse::<Part>().is_err());
    }

    #[test]
    fn a_worker_is_stopped_for_a_second_of_three_however_long_the_rest_lasts() {
        let millis = |part: Part, time| part.lasting(Duration::from_millis(time)).as_millis();
        assert_eq!(millis(Part::Stopped, 5000), 3000);
        assert_eq!(millis(Part::Stopped, 100), 300);
        assert_eq!(millis(Part::Saturated, 5000), 5000);
    }
}
