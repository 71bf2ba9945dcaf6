//! From a configuration to a master that can run.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use herder_core::spec::{DispatchMode, ListenAddress};
use herder_core::supervisor::Supervisor;
use herder_sys::epoll::{Epoll, Interest};
use herder_sys::listener::{Address, ListenError, ListenOptions, Listener};
use herder_sys::signal::SignalFd;
use herder_sys::{fd, limits, random, title, user};
use herder_wire::control::MAX_FRAME;
use herder_wire::keeper::ToKeeper;

use super::crew::{Crew, Crews};
use super::memory::MemoryWatch;
use super::nursery::{Nursery, Recipe, WorkerRecipe};
use super::runtime::Runtime;
use super::token::Source;
use super::{Dispatching, Heir, Master, Stopping, now};
use crate::config::{Config, Program};
use crate::dispatch::{self, Dispatch, Watch};
use crate::event::HerdEvent;
use crate::keeper;
use crate::operator;
use crate::output::Output;
use crate::part::Part;
use crate::role::MasterSeat;
use crate::status;

/// How long the last lines of the workers and the log may take at the end.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);

/// The most addresses of a herd. A worker gets its listeners with its plan in one message, which
/// holds 253 descriptors.
const MAX_ADDRESSES: usize = 240;

/// A master that is ready to live.
pub(super) struct Setup(Master);

/// Why a master cannot run.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetupError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("the master cannot start: {0}")]
    Io(#[from] io::Error),
    #[error("the address {0} is given twice; leave one out")]
    GivenTwice(ListenAddress),
    #[error("a herd listens on at most {MAX_ADDRESSES} addresses, not {0}")]
    TooManyAddresses(usize),
}

impl SetupError {
    pub(super) fn status(&self) -> u8 {
        match self {
            SetupError::Listen(_) => status::CANNOT_LISTEN,
            SetupError::Io(_) => status::INTERNAL,
            SetupError::GivenTwice(_) | SetupError::TooManyAddresses(_) => status::USAGE,
        }
    }
}

impl Setup {
    pub(super) fn into_master(self) -> Master {
        self.0
    }
}

/// Opens everything. Signals first: threads inherit the mask, and none may be lost.
pub(super) fn set_up(config: Config, seat: MasterSeat) -> Result<Setup, SetupError> {
    let signals = SignalFd::block(&operator::SIGNALS)?;
    let spec = &config.spec;
    name_process(&config);
    check_addresses(&config.listen)?;
    let listeners = bind(&config)?;
    let mut runtime = Runtime::new(&spec.name, &seat.keeper)?;
    let grace = u32::try_from(spec.life.grace.as_millis()).unwrap_or(u32::MAX);
    runtime.entrust(ToKeeper::Grace { millis: grace })?;
    for listener in &listeners {
        runtime.entrust_socket(listener)?;
    }
    let output = Output::start(&spec.name, config.format, config.observer)?;
    tell_addresses(
        &output,
        &listeners,
        &config.dispatch_reason,
        spec.dispatch.mode,
    );
    warn_of_root(&output, &config.program);
    let shared = shared_listeners(&listeners, spec.dispatch.mode, &config.program)?;
    let watch = match config.program {
        Program::Itself => Watch::WorkersNudged,
        Program::Command(_) => Watch::NudgeByConnection,
    };
    let recipe = WorkerRecipe::new(spec, config.program, config.titles.worker, shared);
    let nursery = Nursery::new(&spec.name)?;
    // The workers keep the limit that they were born to; the master holds for all of them.
    limits::raise_open_files()?;
    let dispatch = Dispatch::start(&spec.dispatch, listeners, watch)?;
    let epoll = Epoll::new()?;
    epoll.add(signals.as_fd(), Source::Signal.token(), Interest::READABLE)?;
    epoll.add(
        seat.keeper.as_fd(),
        Source::Keeper.token(),
        Interest::READABLE,
    )?;
    epoll.add(
        dispatch.news_fd(),
        Source::Dispatch.token(),
        Interest::READABLE,
    )?;
    Ok(Setup(Master {
        epoll,
        signals,
        keeper: seat.keeper,
        output,
        dispatch,
        crews: Crews::new([(
            Part::Workers,
            Crew::new(
                Supervisor::new(spec.clone(), random::seed()),
                Recipe::Workers(recipe),
            ),
        )]),
        room: vec![0; MAX_FRAME].into_boxed_slice(),
        nursery,
        runtime,
        memory: spec.recycle.max_memory.map(|_| MemoryWatch::new(now())),
        stopping: Stopping::No,
        dispatching: Dispatching::Works,
        ended_by: None,
        heir: Heir::Keeper,
        spec: config.spec,
    }))
}

/// What the kernel would refuse with a misleading reason, or only later.
fn check_addresses(addresses: &[ListenAddress]) -> Result<(), SetupError> {
    if addresses.len() > MAX_ADDRESSES {
        return Err(SetupError::TooManyAddresses(addresses.len()));
    }
    let is_fixed =
        |address: &&ListenAddress| !matches!(address, ListenAddress::Tcp { port: 0, .. });
    let mut seen = std::collections::BTreeSet::new();
    match addresses
        .iter()
        .filter(is_fixed)
        .find(|address| !seen.insert(address.to_string()))
    {
        Some(twice) => Err(SetupError::GivenTwice(twice.clone())),
        None => Ok(()),
    }
}

/// Says why there is no master. There is no output thread yet.
pub(super) fn complain(error: &SetupError) {
    keeper::complain(&error.to_string());
}

fn name_process(config: &Config) {
    let name = config.titles.master.clone();
    let title = name.unwrap_or_else(|| format!("herder: master {}", config.spec.name));
    // Without a title the herd still runs.
    let _untitled = title::set(&title);
}

fn bind(config: &Config) -> Result<Vec<Listener>, ListenError> {
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
    config.listen.iter().map(bind).collect()
}

fn tell_addresses(output: &Output, listeners: &[Listener], reason: &str, mode: DispatchMode) {
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

fn warn_of_root(output: &Output, program: &Program) {
    let Program::Command(command) = program else {
        return;
    };
    if user::is_root() && command.identity.is_none() {
        let text = "the workers run as root; --user gives them fewer rights".to_owned();
        output.tell(HerdEvent::Warning { text });
    }
}

/// What workers get that accept for themselves. A foreign program gets it as from systemd:
/// blocking.
fn shared_listeners(
    listeners: &[Listener],
    mode: DispatchMode,
    program: &Program,
) -> io::Result<Vec<(String, std::os::fd::OwnedFd)>> {
    if mode == DispatchMode::Pass {
        return Ok(Vec::new());
    }
    let names: Vec<String> = match program {
        Program::Itself => listeners.iter().map(|l| l.local().to_string()).collect(),
        Program::Command(_) => {
            for listener in listeners {
                fd::set_blocking(listener.as_fd(), fd::Blocking::Yes)?;
            }
            (0..listeners.len())
                .map(|place| format!("listener-{place}"))
                .collect()
        }
    };
    Ok(names
        .into_iter()
        .zip(dispatch::duplicates(listeners)?)
        .collect())
}
