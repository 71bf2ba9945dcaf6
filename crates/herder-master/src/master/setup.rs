//! From a configuration to a master that can run.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use herder_core::spec::DispatchMode;
use herder_core::supervisor::Supervisor;
use herder_sys::epoll::{Epoll, Interest};
use herder_sys::listener::{ListenError, Listener};
use herder_sys::signal::SignalFd;
use herder_sys::{limits, random, title, user};
use herder_wire::control::MAX_FRAME;
use herder_wire::keeper::ToKeeper;

use super::crew::{Crew, Crews};
use super::delivery::{Delivery, Dispatching};
use super::gateway::{self, MessageError};
use super::library::{self, Awaited, LibrariesError};
use super::listen::{self, AddressesError};
use super::memory::MemoryWatch;
use super::node;
use super::nursery::{Nursery, Recipe, WorkerRecipe};
use super::runtime::Runtime;
use super::token::Source;
use super::{Heir, Master, Stopping, millis, now};
use crate::config::{Config, NodeProgram, Program};
use crate::dispatch::Dispatch;
use crate::event::HerdEvent;
use crate::keeper;
use crate::operator;
use crate::output::Output;
use crate::part::Part;
use crate::role::Charge;
use crate::status;

/// How long the last lines of the workers and the log may take at the end.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why messages are dispatched by message, for who gives no reason.
const EACH_MESSAGE: &str = "each message is a job";

/// A master that is ready to live.
pub(super) struct Setup(Master);

/// Why a master cannot run.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetupError {
    #[error(transparent)]
    Addresses(#[from] AddressesError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("the master cannot start: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Libraries(#[from] LibrariesError),
    #[error(transparent)]
    Messages(#[from] MessageError),
}

impl SetupError {
    pub(super) fn status(&self) -> u8 {
        match self {
            SetupError::Listen(_) => status::CANNOT_LISTEN,
            SetupError::Io(_) => status::INTERNAL,
            SetupError::Addresses(_) | SetupError::Libraries(_) | SetupError::Messages(_) => {
                status::USAGE
            }
        }
    }
}

impl Setup {
    pub(super) fn into_master(self) -> Master {
        self.0
    }
}

/// Opens everything. Signals first: threads inherit the mask, and none may be lost.
pub(super) fn set_up(mut config: Config, charge: Charge) -> Result<Setup, SetupError> {
    let signals = SignalFd::block(&operator::SIGNALS)?;
    name_process(&config);
    listen::check(listen::addresses(&config))?;
    library::check(&config.libraries)?;
    let prepared = gateway::prepare(&config)?;
    let listeners = listen::bind(&config)?;
    let mut runtime = entrust(&config, &charge.keeper, &listeners)?;
    let libraries = library::found(&config, &mut runtime)?;
    let spec = config.spec.clone();
    let output = Output::start(&spec.name, config.format, config.observer.take())?;
    announce(&output, &listeners, &config);
    let nursery = Nursery::new(&spec.name)?;
    let shared = listen::shared(&listeners, spec.dispatch.mode, &config.program)?;
    let trade = node::trade(&config);
    // The workers keep the limit that they were born to, so that it is asked for before it is raised;
    // the master holds for all of them.
    let recipe = WorkerRecipe::new(
        &spec,
        config.program,
        config.titles.worker,
        shared,
        &libraries.environment,
    );
    limits::raise_open_files()?;
    let supervisor = Supervisor::new(spec.clone(), random::seed());
    let awaited = Awaited::new(&libraries.crews);
    let mut crews = libraries.crews;
    crews.push((
        Part::Workers,
        Crew::new(supervisor, Recipe::Workers(Box::new(recipe))),
    ));
    let delivery = match prepared {
        None => {
            let dispatch = Dispatch::start(&spec.dispatch, listeners, trade)?;
            Delivery::Thread(dispatch, Dispatching::Works)
        }
        Some(prepared) => {
            let (crew, reception) = prepared.found(&spec, listeners, &output)?;
            crews.push((Part::Gateway, crew));
            Delivery::Gateway(reception)
        }
    };
    let epoll = watch_all(&signals, &charge.keeper, &delivery)?;
    Ok(Setup(Master {
        epoll,
        signals,
        keeper: charge.keeper,
        output,
        delivery,
        crews: Crews::new(crews),
        awaited,
        room: vec![0; MAX_FRAME].into_boxed_slice(),
        nursery,
        runtime,
        memory: spec.recycle.max_memory.map(|_| MemoryWatch::new(now())),
        cautions: BTreeSet::new(),
        announced: BTreeSet::new(),
        stopping: Stopping::No,
        ended_by: None,
        heir: Heir::Keeper,
        spec,
    }))
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

/// Tells the keeper what it has to look after.
fn entrust(config: &Config, keeper: &OwnedFd, listeners: &[Listener]) -> io::Result<Runtime> {
    let mut runtime = Runtime::new(&config.spec.name, keeper)?;
    runtime.entrust(ToKeeper::Grace {
        millis: millis(config.spec.life.grace),
    })?;
    for listener in listeners {
        runtime.entrust_socket(listener)?;
    }
    Ok(runtime)
}

fn announce(output: &Output, listeners: &[Listener], config: &Config) {
    let (mode, given) = (config.spec.dispatch.mode, config.dispatch_reason.as_str());
    let reason = match mode {
        DispatchMode::Message if given.is_empty() => EACH_MESSAGE,
        DispatchMode::Message | DispatchMode::Pass | DispatchMode::Shared => given,
    };
    listen::tell(output, listeners, mode, reason);
    // They listen later, by asking; what was told with the listeners is told without.
    if let (Program::Node(_), []) = (&config.program, listeners) {
        let (mode, reason) = (mode.to_string(), reason.to_owned());
        output.tell(HerdEvent::DispatchChosen { mode, reason });
    }
    if let Program::Command(command) | Program::Node(NodeProgram { command, .. }) = &config.program
        && user::is_root()
        && command.identity.is_none()
    {
        let text = "the workers run as root; --user gives them fewer rights".to_owned();
        output.tell(HerdEvent::Warning { text });
    }
    for text in config.hints.iter().cloned() {
        output.tell(HerdEvent::Warning { text });
    }
}

fn watch_all(signals: &SignalFd, keeper: &OwnedFd, delivery: &Delivery) -> io::Result<Epoll> {
    let epoll = Epoll::new()?;
    epoll.add(signals.as_fd(), Source::Signal.token(), Interest::READABLE)?;
    epoll.add(keeper.as_fd(), Source::Keeper.token(), Interest::READABLE)?;
    delivery.watch(&epoll)?;
    Ok(epoll)
}
