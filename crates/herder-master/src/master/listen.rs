//! Where the herd listens.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use herder_core::spec::{DispatchMode, ListenAddress};
use herder_sys::fd;
use herder_sys::listener::{Address, ListenError, ListenOptions, Listener};

use crate::config::{Config, Program};
use crate::event::HerdEvent;
use crate::output::Output;

/// The most addresses of a herd. Who accepts gets all listeners with its plan in one message, which
/// holds 253 descriptors.
const MAX_ADDRESSES: usize = 240;

/// What is wrong with the addresses.
#[derive(Debug, thiserror::Error)]
pub(super) enum AddressesError {
    #[error("the address {0} is given twice; leave one out")]
    GivenTwice(ListenAddress),
    #[error("a herd listens on at most {MAX_ADDRESSES} addresses, not {0}")]
    TooMany(usize),
}

/// Where the herd, or its gateway, is to listen.
pub(super) fn addresses(config: &Config) -> &[ListenAddress] {
    match &config.messages {
        Some(messages) => &messages.listen,
        None => &config.listen,
    }
}

/// Finds what the kernel would refuse with a misleading reason, or only later.
pub(super) fn check(addresses: &[ListenAddress]) -> Result<(), AddressesError> {
    if addresses.len() > MAX_ADDRESSES {
        return Err(AddressesError::TooMany(addresses.len()));
    }
    let is_fixed =
        |address: &&ListenAddress| !matches!(address, ListenAddress::Tcp { port: 0, .. });
    let mut seen = std::collections::BTreeSet::new();
    match addresses
        .iter()
        .filter(is_fixed)
        .find(|address| !seen.insert(address.to_string()))
    {
        Some(twice) => Err(AddressesError::GivenTwice(twice.clone())),
        None => Ok(()),
    }
}

/// Listens everywhere.
pub(super) fn bind(config: &Config) -> Result<Vec<Listener>, ListenError> {
    let options = ListenOptions {
        backlog: config.backlog,
        unix_mode: config.unix_mode,
    };
    let bind = |address: &ListenAddress| match address {
        ListenAddress::Tcp { host, port } => Listener::bind(
            Address::Tcp {
                host: host.as_deref(),
                port: *port,
            },
            &options,
        ),
        ListenAddress::Unix(path) => Listener::bind(Address::Unix(path), &options),
    };
    addresses(config).iter().map(bind).collect()
}

/// Tells where the herd listens, and who gets what comes.
pub(super) fn tell(output: &Output, listeners: &[Listener], mode: DispatchMode, reason: &str) {
    for listener in listeners {
        output.tell(HerdEvent::Listening {
            address: listener.local().to_string(),
        });
    }
    if !listeners.is_empty() {
        let (mode, reason) = (mode.to_string(), reason.to_owned());
        output.tell(HerdEvent::DispatchChosen { mode, reason });
    }
}

/// What workers get that accept for themselves. A foreign program gets it as from systemd:
/// blocking.
pub(super) fn shared(
    listeners: &[Listener],
    mode: DispatchMode,
    program: &Program,
) -> io::Result<Vec<(String, OwnedFd)>> {
    match mode {
        DispatchMode::Message | DispatchMode::Pass => return Ok(Vec::new()),
        DispatchMode::Shared => {}
    }
    if let Program::Node(_) = program {
        // Over its channel.
        return Ok(Vec::new());
    }
    let name = |(place, listener): (usize, &Listener)| match program {
        Program::Itself => listener.local().to_string(),
        Program::Command(_) | Program::Node(_) => format!("listener-{place}"),
    };
    if let Program::Command(_) = program {
        for listener in listeners {
            fd::set_blocking(listener.as_fd(), fd::Blocking::Yes)?;
        }
    }
    listeners
        .iter()
        .enumerate()
        .map(|(place, listener)| {
            let duplicate = fd::duplicate(listener.as_fd())?;
            Ok((name((place, listener)), duplicate))
        })
        .collect()
}
