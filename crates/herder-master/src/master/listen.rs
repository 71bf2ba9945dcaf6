//! Where the herd listens.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

use herder_core::spec::{DispatchMode, DispatchSpec, ListenAddress};
use herder_sys::fd;
use herder_sys::listener::{Address, BoundAddress, ListenError, ListenOptions, Listener};
use herder_wire::keeper::Key;

use super::gateway;
use super::nursery::{Opening, Openings};
use crate::config::{Config, Program};
use crate::dispatch::Berths;
use crate::estate::{Treasury, Vault};
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

/// Whether a herd still listens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Doors {
    /// It is about to end: where it does not listen any more it does not begin again.
    Closing,
    Open,
}

/// Listens everywhere but at the places `elsewhere`, on the sockets that are there already where they are the right ones. All are stored
/// for the next master.
pub(super) fn open(
    config: &Config,
    treasury: &mut Treasury,
    doors: Doors,
    vault: &Vault,
    elsewhere: &BTreeSet<u64>,
) -> Result<Vec<Listener>, ListenError> {
    let dispatch = &config.spec.dispatch;
    if dispatch.modes().all(DispatchMode::has_own_listeners) {
        return Ok(Vec::new());
    }
    let mut heirlooms = Heirlooms::take(treasury);
    let (mut listeners, mut reused) = (Vec::new(), BTreeSet::new());
    let is_elsewhere = |place: u32, address: &ListenAddress| {
        elsewhere.contains(&u64::from(place)) || dispatch.mode_at(address).has_own_listeners()
    };
    for (place, address) in (0..).zip(addresses(config)) {
        if is_elsewhere(place, address) {
            continue;
        }
        let key = Key::listener(place);
        let listener = match heirlooms.find(key, address) {
            Some((found, listener)) if found == key => listener,
            Some((_, listener)) => stored(key, listener, vault),
            None if doors == Doors::Closing => continue,
            None => stored(key, bind(config, address)?, vault),
        };
        listeners.push(listener);
        reused.insert(key);
    }
    for key in heirlooms.0.keys() {
        if !reused.contains(key) {
            vault.forget(key);
        }
    }
    Ok(listeners)
}

/// What cannot be stored is lost with this master.
fn stored(key: Key, listener: Listener, vault: &Vault) -> Listener {
    let _unstored = vault.store(&key, listener.as_fd(), 0);
    listener
}

/// Sockets that listen already: an earlier master's, or the service manager's.
struct Heirlooms(BTreeMap<Key, Listener>);

impl Heirlooms {
    fn take(treasury: &mut Treasury) -> Heirlooms {
        let keys: Vec<_> = treasury.keys().copied().collect();
        let mine = keys.into_iter().filter(|key| key.as_listener().is_some());
        let listener = |key: Key| Some((key, Listener::adopt(treasury.take(&key)?).ok()?));
        Heirlooms(mine.filter_map(listener).collect())
    }

    /// The one for this address: of two the one that was stored under this key.
    fn find(&mut self, key: Key, address: &ListenAddress) -> Option<(Key, Listener)> {
        let fits = |listener: &Listener| is_at(listener.local(), address);
        let own = self.0.get(&key).filter(|it| fits(it)).map(|_| key);
        // The kernel chose the port: only the place tells which is which.
        let is_any = matches!(address, ListenAddress::Tcp { port: 0, .. });
        let mut others = self.0.iter().filter(|(_, it)| !is_any && fits(it));
        let found = own.or_else(|| others.next().map(|(key, _)| *key));
        self.0.remove_entry(&found?)
    }
}

/// Whether this is what a listener on this address is called. (A host's name may stand for any address.)
fn is_at(local: &BoundAddress, address: &ListenAddress) -> bool {
    match (local, address) {
        (BoundAddress::Tcp(local), ListenAddress::Tcp { host, port }) => {
            let host = host.as_deref().map(|host| host.parse::<IpAddr>());
            let is_host = match host {
                None => local.ip().is_unspecified(),
                Some(Ok(ip)) => local.ip() == ip,
                Some(Err(_)) => true,
            };
            is_host && (*port == 0 || local.port() == *port)
        }
        (BoundAddress::Unix(local), ListenAddress::Unix(path)) => {
            std::path::absolute(path).is_ok_and(|path| *local == path)
        }
        (BoundAddress::Tcp(_), ListenAddress::Unix(_))
        | (BoundAddress::Unix(_), ListenAddress::Tcp { .. }) => false,
    }
}

fn bind(config: &Config, address: &ListenAddress) -> Result<Listener, ListenError> {
    let options = ListenOptions {
        backlog: config.backlog,
        unix_mode: config.unix_mode,
    };
    match address {
        ListenAddress::Tcp { host, port } => {
            let (host, port) = (host.as_deref(), *port);
            Listener::bind(Address::Tcp { host, port }, &options)
        }
        ListenAddress::Unix(path) => Listener::bind(Address::Unix(path), &options),
    }
}

/// Tells where the herd listens, and who gets what comes.
pub(super) fn tell(output: &Output, listeners: &[Listener], mode: &str, reason: &str) {
    for listener in listeners {
        output.tell(HerdEvent::Listening {
            address: listener.local().to_string(),
        });
    }
    if !listeners.is_empty() {
        let (mode, reason) = (mode.to_owned(), reason.to_owned());
        output.tell(HerdEvent::DispatchChosen { mode, reason });
    }
}

/// Who accepts, in words: one mode, or each with its addresses.
pub(super) fn modes(
    listeners: &[Listener],
    berths: Option<&Berths>,
    dispatch: &DispatchSpec,
) -> String {
    let Some(beside) = dispatch.beside else {
        return dispatch.mode.to_string();
    };
    let own = berths.map(Berths::locals).unwrap_or_default();
    let own: Vec<_> = own.iter().map(ToString::to_string).collect();
    let rest = listeners.iter().map(|it| it.local().to_string());
    let rest: Vec<_> = rest.collect();
    let (own, rest) = (own.join(" and "), rest.join(" and "));
    format!("{} for {own}, {beside} for {rest}", dispatch.mode)
}

/// A foreign program gets its listeners as from systemd: blocking. Only before there are workers: theirs is
/// the same socket, and one that has made it non-blocking would wait in `accept` for ever.
pub(super) fn prepare(
    listeners: &[Listener],
    dispatch: &DispatchSpec,
    program: &Program,
) -> io::Result<()> {
    match program {
        Program::Command(_) if dispatch.has(DispatchMode::Shared) => listeners
            .iter()
            .try_for_each(|listener| fd::set_blocking(listener.as_fd(), fd::Blocking::Yes)),
        Program::Command(_) | Program::Itself | Program::Node(_) => Ok(()),
    }
}

/// What workers get that accept for themselves.
pub(super) fn openings(
    listeners: &[Listener],
    berths: Option<Berths>,
    config: &Config,
) -> io::Result<Openings> {
    if let Some(proxy) = &config.proxy {
        let (via, gateway) = (proxy.via, gateway::group());
        return Ok(Openings::Lodged { via, gateway });
    }
    let shared = shared(listeners, config)?;
    Ok(if berths.is_none() && shared.is_empty() {
        Openings::None
    } else {
        Openings::Given {
            own: berths,
            shared,
        }
    })
}

/// What all of them accept from.
fn shared(listeners: &[Listener], config: &Config) -> io::Result<Vec<Opening>> {
    let (dispatch, program) = (&config.spec.dispatch, &config.program);
    let is_shared = |address: &ListenAddress| dispatch.mode_at(address) == DispatchMode::Shared;
    let name = |place: u64, listener: &Listener| match program {
        Program::Itself => listener.local().to_string(),
        Program::Command(_) | Program::Node(_) => format!("listener-{place}"),
    };
    let addresses = match program {
        Program::Command(_) | Program::Itself => addresses(config),
        // By its channel.
        Program::Node(_) => &[],
    };
    let places = (0..).zip(addresses).filter(|(_, it)| is_shared(it));
    let opening = |((place, _), listener): ((u64, &ListenAddress), &Listener)| {
        Ok(Opening {
            place,
            name: name(place, listener),
            socket: fd::duplicate(listener.as_fd())?,
        })
    };
    places.zip(listeners).map(opening).collect()
}
