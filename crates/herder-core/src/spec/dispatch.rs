use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ListenAddress;
use crate::rotation::Weight;

/// Who accepts a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DispatchMode {
    /// Each worker accepts from a listener of its own, which a program in the kernel has picked.
    Kernel,
    /// A gateway accepts and keeps the connection, and passes each message of it to a worker.
    Message,
    /// The master accepts and passes the connection to a worker.
    Pass,
    /// A gateway accepts, and forwards each request or connection to a worker's own port.
    Proxy,
    /// Each worker accepts from a listener of its own, which the kernel picks by lot.
    Reuseport,
    /// The workers accept from one listener that they share.
    Shared,
}

impl DispatchMode {
    /// Whether several workers may accept from the same listener: all of them, or those of one slot.
    #[must_use]
    pub fn shares_listeners(self) -> bool {
        match self {
            DispatchMode::Reuseport | DispatchMode::Shared => true,
            DispatchMode::Kernel
            | DispatchMode::Message
            | DispatchMode::Pass
            | DispatchMode::Proxy => false,
        }
    }

    /// Whether each slot has a listener of its own.
    #[must_use]
    pub fn has_own_listeners(self) -> bool {
        match self {
            DispatchMode::Kernel | DispatchMode::Reuseport => true,
            DispatchMode::Message
            | DispatchMode::Pass
            | DispatchMode::Proxy
            | DispatchMode::Shared => false,
        }
    }
}

/// Which worker gets the next connection in `pass` and `kernel` mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PickerKind {
    /// Strict rotation over the workers that have credit.
    RoundRobin,
    /// The worker with the fewest open and un-received connections. (`pass` only.)
    LeastConnections,
    /// In turns among those that have least to do: who falls behind others is left out at once.
    /// (`kernel` only.)
    LeastLoaded,
    /// Of two workers, drawn by lot, the one with the fewer open and un-received connections. What
    /// is known of the others is always a little old: with two drawn at random they do not all rush
    /// to the one that was idle a moment ago.
    TwoChoices,
    /// The same slot for the same [`Origin`](crate::Origin), as long as its worker takes
    /// connections. A replacement inherits its slot's origins; those of a slot without a worker are
    /// spread over the others until there is one again, and all others stay where they are. A
    /// connection without an origin goes to the next in rotation.
    IpHash,
}

/// How what was sent to a worker comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Recall {
    /// The master reads the worker's channel itself: what lies there un-received is counted and
    /// taken back from outside.
    #[default]
    Channel,
    /// The worker says of each connection whether it takes it. Until then the master keeps a
    /// duplicate, but what was sent cannot be taken back while the worker lives.
    Verdict,
}

/// How connections are dispatched.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DispatchSpec {
    /// Who accepts.
    pub mode: DispatchMode,
    /// Who accepts at [addresses that have one listener](ListenAddress::has_one_listener), where they cannot have
    /// the mode; `None` = all have it.
    #[serde(default)]
    pub beside: Option<DispatchMode>,
    /// Who is picked, in `pass` mode.
    pub picker: PickerKind,
    /// How what was sent comes back.
    pub recall: Recall,
    /// How many connections a worker may hold un-received (undecided).
    pub window: NonZeroU32,
    /// With [`Recall::Verdict`]: how many it may hold until it has shown that it decides promptly, and
    /// again as soon as it does not. From the [window](DispatchSpec::window) on it changes nothing.
    pub cautious_window: NonZeroU32,
    /// With [`Recall::Channel`]: a connection un-received for this long is taken back when another
    /// worker has credit. With both: a channel that took nothing is tried again after this.
    pub steal_after: Duration,
    /// With [`Recall::Verdict`]: a worker that has decided nothing for this long, though it could,
    /// gets no new connection until it does.
    pub stall_after: Duration,
    /// With [`PickerKind::IpHash`]: a connection waits this long for room at its own slot's worker
    /// before the next best gets it, and un-received at least this long before it is taken back.
    pub sticky_wait: Duration,
    /// A connection that met this many deaths while queued is closed.
    pub poison_deaths: NonZeroU32,
    /// A connection in the master's own hand is closed when nobody could take it for this long.
    pub pending_timeout: Duration,
    /// In `kernel` and `reuseport` mode: a worker is killed as hung that has accepted nobody for this
    /// long, while connections wait at its listener and others keep up; `None` = never.
    #[serde(default)]
    pub hang: Option<Duration>,
    /// In `kernel` mode: how often each slot's turn comes, in the order of the slots. Whose is missing
    /// has one turn in each round.
    #[serde(default)]
    pub weights: Vec<Weight>,
}

impl DispatchSpec {
    /// The kernel dispatches wherever each worker can have a listener of its own. Elsewhere the mode stays what it
    /// was.
    pub fn by_kernel(&mut self, listen: &[ListenAddress]) {
        let rest = std::mem::replace(&mut self.mode, DispatchMode::Kernel);
        let has_rest = listen.iter().any(ListenAddress::has_one_listener);
        self.beside = has_rest.then_some(rest);
    }

    /// Who accepts at this address.
    #[must_use]
    pub fn mode_at(&self, address: &ListenAddress) -> DispatchMode {
        match self.beside {
            Some(mode) if address.has_one_listener() => mode,
            Some(_) | None => self.mode,
        }
    }

    /// The modes of the herd's listeners.
    pub fn modes(&self) -> impl Iterator<Item = DispatchMode> {
        [self.mode].into_iter().chain(self.beside)
    }

    /// Whether any listener has this mode.
    #[must_use]
    pub fn has(&self, mode: DispatchMode) -> bool {
        self.modes().any(|it| it == mode)
    }

    /// Whether several workers may accept from the same listener.
    #[must_use]
    pub fn shares_listeners(&self) -> bool {
        self.modes().any(DispatchMode::shares_listeners)
    }
}

impl PickerKind {
    /// Whether it asks how many connections a worker holds open.
    #[must_use]
    pub fn compares_loads(self) -> bool {
        match self {
            PickerKind::LeastConnections | PickerKind::LeastLoaded | PickerKind::TwoChoices => true,
            PickerKind::RoundRobin | PickerKind::IpHash => false,
        }
    }

    /// Whether it asks where a connection comes from.
    #[must_use]
    pub fn asks_for_origin(self) -> bool {
        self == PickerKind::IpHash
    }
}

impl fmt::Display for DispatchMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DispatchMode::Kernel => "kernel",
            DispatchMode::Message => "message",
            DispatchMode::Pass => "pass",
            DispatchMode::Proxy => "proxy",
            DispatchMode::Reuseport => "reuseport",
            DispatchMode::Shared => "shared",
        })
    }
}

impl fmt::Display for PickerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PickerKind::RoundRobin => "round-robin",
            PickerKind::LeastConnections => "least-connections",
            PickerKind::LeastLoaded => "least-loaded",
            PickerKind::TwoChoices => "two-choices",
            PickerKind::IpHash => "ip-hash",
        })
    }
}

impl FromStr for PickerKind {
    type Err = String;

    fn from_str(text: &str) -> Result<PickerKind, String> {
        match text {
            "round-robin" | "rr" => Ok(PickerKind::RoundRobin),
            "least-connections" => Ok(PickerKind::LeastConnections),
            "least-loaded" => Ok(PickerKind::LeastLoaded),
            "two-choices" => Ok(PickerKind::TwoChoices),
            "ip-hash" => Ok(PickerKind::IpHash),
            _ => Err(format!(
                "{text:?} is no policy: use round-robin, least-connections, least-loaded, two-choices or \
                 ip-hash"
            )),
        }
    }
}

impl Default for DispatchSpec {
    fn default() -> DispatchSpec {
        DispatchSpec {
            mode: DispatchMode::Pass,
            beside: None,
            picker: PickerKind::RoundRobin,
            recall: Recall::Channel,
            window: NonZeroU32::new(8).expect("8 is not zero"),
            cautious_window: NonZeroU32::new(8).expect("8 is not zero"),
            steal_after: Duration::from_millis(10),
            stall_after: Duration::from_secs(1),
            sticky_wait: Duration::from_millis(100),
            poison_deaths: NonZeroU32::new(3).expect("3 is not zero"),
            pending_timeout: Duration::from_secs(10),
            hang: None,
            weights: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> ListenAddress {
        text.parse().expect("an address")
    }

    #[test]
    fn the_kernel_dispatches_where_it_can_and_else_whoever_was_to() {
        for rest in [DispatchMode::Pass, DispatchMode::Shared] {
            let mut spec = DispatchSpec {
                mode: rest,
                ..DispatchSpec::default()
            };
            let listen = [address("80"), address("unix:/x"), address("[::1]:81")];
            spec.by_kernel(&listen);
            let modes = listen.each_ref().map(|it| spec.mode_at(it));
            assert_eq!(modes, [DispatchMode::Kernel, rest, DispatchMode::Kernel]);
            assert_eq!(spec.modes().count(), 2);
            assert!(spec.has(DispatchMode::Kernel) && spec.has(rest));
            assert_eq!(spec.shares_listeners(), rest == DispatchMode::Shared);
        }
    }

    #[test]
    fn where_each_worker_can_have_a_listener_there_is_one_mode() {
        for listen in [&[address("80"), address("*:81")][..], &[]] {
            let mut spec = DispatchSpec::default();
            spec.by_kernel(listen);
            assert_eq!(spec.beside, None);
            assert!(!spec.has(DispatchMode::Pass));
        }
    }

    #[test]
    fn a_mode_that_was_asked_for_holds_everywhere() {
        let spec = DispatchSpec {
            mode: DispatchMode::Shared,
            ..DispatchSpec::default()
        };
        for text in ["80", "unix:/x"] {
            assert_eq!(spec.mode_at(&address(text)), DispatchMode::Shared);
        }
    }

    #[test]
    fn a_policy_is_read_as_it_is_shown() {
        for kind in [
            PickerKind::RoundRobin,
            PickerKind::LeastConnections,
            PickerKind::LeastLoaded,
            PickerKind::TwoChoices,
            PickerKind::IpHash,
        ] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let problem = "random".parse::<PickerKind>().unwrap_err();
        assert!(problem.contains("two-choices or ip-hash"), "{problem}");
    }
}
