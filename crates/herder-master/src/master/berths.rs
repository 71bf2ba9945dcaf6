//! The listeners of `kernel` and `reuseport` mode: taken, or taken over.

use std::collections::BTreeMap;
use std::io;

use herder_core::WorkerId;
use herder_core::rotation::{Balance, Relief, RotationSpec, Steering};
use herder_core::spec::{DispatchMode, DispatchSpec, ListenAddress, PickerKind};
use herder_sys::bpf::{self, Refusal};
use herder_sys::fd::Blocking;
use herder_sys::listener::{self, Families, ListenError};
use herder_wire::keeper::Prefix;

use super::delivery::Delivery;
use super::listen::Doors;
use super::{Master, auto};
use crate::config::{Config, NodeReady, Program};
use crate::dispatch::{Berths, GroupSpec, Pieces};
use crate::estate::{Treasury, Vault};
use crate::part::Part;

/// Why workers cannot have listeners of their own.
#[derive(Debug, thiserror::Error)]
pub(super) enum BerthsError {
    #[error(
        "dispatch {0}: the one listener is sent to every worker, and there is none for each; use shared"
    )]
    Sent(DispatchMode),
    #[error(
        "dispatch {mode}: {address} is a Unix socket, which has one listener and not one for each worker; use \
         pass or shared"
    )]
    Unix {
        mode: DispatchMode,
        address: ListenAddress,
    },
    #[error(
        "dispatch kernel is not to be had: {0}; use another (pass, reuseport or shared), or auto"
    )]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("the listeners that the last master left cannot be taken over: {0}")]
    Lost(io::Error),
}

/// Finds what cannot be.
///
/// # Errors
/// When there can be no listener for each worker.
pub(super) fn check(config: &Config) -> Result<(), BerthsError> {
    let mode = config.spec.dispatch.mode;
    if !mode.has_own_listeners() {
        return Ok(());
    }
    if let Program::Node(program) = &config.program {
        return match program.ready {
            NodeReady::Handle(_) => Err(BerthsError::Sent(mode)),
            // It listens by itself: where, is not known yet.
            NodeReady::Listening | NodeReady::Message => Ok(()),
        };
    }
    let mut addresses = config.listen.iter();
    let own = |address: &ListenAddress| config.spec.dispatch.mode_at(address).has_own_listeners();
    match addresses.find(|address| own(address) && address.has_one_listener()) {
        None => Ok(()),
        Some(address) => Err(BerthsError::Unix {
            mode,
            address: address.clone(),
        }),
    }
}

/// Who had listeners before.
pub(super) enum Before<'a> {
    /// The workers of an earlier master: those who live.
    Living(&'a [WorkerId]),
    /// Nobody: the herd is new.
    Nobody,
}

/// What an earlier master has left of listeners, if there was one.
pub(super) struct Inherited<'a> {
    pub(super) treasury: &'a mut Treasury,
    pub(super) vault: &'a Vault,
    pub(super) before: Before<'a>,
    pub(super) doors: Doors,
}

/// What is done about an address of which nothing was left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Bind,
    Leave,
}

impl Inherited<'_> {
    /// Goes on with the groups of those who live, and forgets what is left of others.
    fn settle(
        &mut self,
        berths: &Berths,
        config: &Config,
        unknown: Unknown,
    ) -> Result<(), BerthsError> {
        let mut left = pieces(self.treasury);
        let addresses = (0..).zip(&config.listen);
        for (number, address) in addresses.filter(|_| self.doors == Doors::Open) {
            match (left.remove(&number), &self.before) {
                (Some(pieces), Before::Living(living)) => {
                    let adopted = berths.adopt(number, pieces, living);
                    adopted.map_err(BerthsError::Lost)?;
                }
                _ if unknown == Unknown::Bind => bind(berths, number, address)?,
                (_, Before::Living(_) | Before::Nobody) => {}
            }
        }
        for number in left.into_keys() {
            self.vault.forget_all(&Prefix::group(number));
        }
        Ok(())
    }
}

/// Takes the herd's addresses, if its workers are to have listeners of their own, or takes them over.
///
/// # Errors
/// When they are not to be had, or the kernel takes no program.
pub(super) fn open(
    config: &Config,
    mut inherited: Inherited<'_>,
) -> Result<Option<Berths>, BerthsError> {
    let mode = config.spec.dispatch.mode;
    if !mode.has_own_listeners() {
        return Ok(None);
    }
    if let (Before::Nobody, DispatchMode::Kernel) = (&inherited.before, mode) {
        bpf::probe()?;
    }
    // Its switchboard opens them, and takes them over.
    if let Program::Node(_) = config.program {
        return Ok(None);
    }
    let weights = &config.spec.dispatch.weights;
    let berths = Berths::new(spec(config), weights, relief(config), inherited.vault);
    inherited.settle(&berths, config, Unknown::Bind)?;
    Ok(Some(berths))
}

fn bind(berths: &Berths, number: u64, address: &ListenAddress) -> Result<(), ListenError> {
    let ListenAddress::Tcp { host, port } = address else {
        return Ok(());
    };
    listener::bind_first(host.as_deref(), *port, |address| {
        berths.bind(number, address).map(drop)
    })
}

/// What an earlier master has left of groups of sockets, by their numbers.
pub(super) fn pieces(treasury: &mut Treasury) -> BTreeMap<u64, Pieces> {
    let keys: Vec<_> = treasury.keys().copied().collect();
    let mut left: BTreeMap<u64, Pieces> = BTreeMap::new();
    for key in keys {
        if let Some((group, item)) = key.as_group()
            && let Some(fd) = treasury.take(&key)
        {
            left.entry(group).or_default().push((item, fd));
        }
    }
    left
}

/// Takes the herd's addresses where several gateways are to have listeners of their own, or takes them over.
/// Where the kernel takes no program, or listens already for whoever started this herd, they share one.
///
/// # Errors
/// When they are not to be had.
pub(super) fn open_for_gateways(
    config: &Config,
    mut inherited: Inherited<'_>,
) -> Result<Option<Berths>, BerthsError> {
    let Some(proxy) = &config.proxy else {
        return Ok(None);
    };
    let mut keys = inherited.treasury.keys();
    let is_passed = keys.any(|key| key.as_listener().is_some());
    drop(keys);
    let unknown = match inherited.before {
        Before::Nobody if proxy.gateways > 1 && !is_passed && auto::missing().is_none() => {
            Unknown::Bind
        }
        Before::Living(_) | Before::Nobody => Unknown::Leave,
    };
    let berths = Berths::new(
        spec_for_gateways(config),
        &[],
        Relief::Move,
        inherited.vault,
    );
    inherited.settle(&berths, config, unknown)?;
    Ok(Some(berths).filter(|berths| !berths.numbers().is_empty()))
}

/// A gateway beats: it is not for who waits at its listener to say that it hangs.
fn spec_for_gateways(config: &Config) -> GroupSpec {
    GroupSpec {
        rotation: RotationSpec {
            hang: None,
            ..RotationSpec::new(Balance::RoundRobin, Steering::Program)
        },
        families: Families::Both,
        backlog: config.backlog,
        blocking: Blocking::No,
    }
}

/// How sockets are made of which each worker has its own.
pub(super) fn spec(config: &Config) -> GroupSpec {
    GroupSpec {
        rotation: RotationSpec {
            boot: config.spec.life.boot_timeout,
            ..rotation(&config.spec.dispatch)
        },
        families: Families::Both,
        backlog: config.backlog,
        blocking: match config.program {
            Program::Command(_) => Blocking::Yes,
            Program::Itself | Program::Node(_) => Blocking::No,
        },
    }
}

fn rotation(dispatch: &DispatchSpec) -> RotationSpec {
    let balance = match dispatch.picker {
        PickerKind::LeastLoaded => Balance::LeastLoaded,
        PickerKind::IpHash
        | PickerKind::LeastConnections
        | PickerKind::RoundRobin
        | PickerKind::TwoChoices => Balance::RoundRobin,
    };
    let steering = match dispatch.mode {
        DispatchMode::Kernel => Steering::Program,
        DispatchMode::Message
        | DispatchMode::Pass
        | DispatchMode::Proxy
        | DispatchMode::Reuseport
        | DispatchMode::Shared => Steering::Hash,
    };
    // The times are those of the balance.
    let usual = RotationSpec::new(balance, steering);
    RotationSpec {
        rescue_after: dispatch
            .hang
            .map_or(usual.rescue_after, |hang| hang.min(usual.rescue_after)),
        hang: dispatch.hang,
        ..usual
    }
}

/// What is this executable has a heartbeat: it is not for who waits there to say that it hangs.
fn relief(config: &Config) -> Relief {
    match config.program {
        Program::Itself => Relief::Move,
        Program::Command(_) | Program::Node(_) => Relief::Kill,
    }
}

impl Master {
    /// The first worker, or gateway, has its listeners: from now on whoever connects is heard.
    pub(super) fn say_where_berths_are(&mut self, part: Part) {
        let listens = match &self.delivery {
            Delivery::Gateway(_) => Part::Gateway,
            Delivery::Thread(..) => Part::Workers,
        };
        if part != listens {
            return;
        }
        for local in self.delivery.berths() {
            self.say_where(local.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_balance_has_its_own_times() {
        for (picker, balance) in [
            (PickerKind::LeastLoaded, Balance::LeastLoaded),
            (PickerKind::RoundRobin, Balance::RoundRobin),
        ] {
            let dispatch = DispatchSpec {
                mode: DispatchMode::Kernel,
                picker,
                hang: None,
                ..DispatchSpec::default()
            };
            let expected = RotationSpec {
                hang: None,
                ..RotationSpec::new(balance, Steering::Program)
            };
            assert_eq!(rotation(&dispatch), expected);
        }
    }
}
