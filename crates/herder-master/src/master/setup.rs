//! From a configuration to a master that can run.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use herder_core::spec::{AppSpec, DispatchMode};
use herder_core::supervisor::Supervisor;
use herder_logs::{Desk, LogError, Writer};
use herder_sys::epoll::{Epoll, Interest};
use herder_sys::listener::ListenError;
use herder_sys::signal::SignalFd;
use herder_sys::{limits, random, title, user};
use herder_wire::control::MAX_FRAME;

use super::attendance::Attendance;
use super::auto;
use super::berths::{self, BerthsError};
use super::crew::{Crew, Crews};
use super::delivery::Delivery;
use super::environment::Variable;
use super::gateway::{self, Doors, MessageError, Prepared};
use super::legacy::{Book, Estate, LegacyError, Restored};
use super::library::{self, Awaited, Libraries, LibrariesError};
use super::listen::{self, AddressesError};
use super::memory::MemoryWatch;
use super::node;
use super::nursery::{Nursery, Openings, Recipe, WorkerRecipe};
use super::reload::{Editions, Lectern, Origin, Reloads};
use super::runtime::Runtime;
use super::signals::Ending;
use super::silence::SilenceWatch;
use super::socket::{HerdSocket, SocketError};
use super::token::Source as Token;
use super::{Heir, Master, Stopping, now};
use crate::commission::Commission;
use crate::config::{Config, NodeProgram, Program};
use crate::dispatch::Berths;
use crate::estate::Marks;
use crate::event::HerdEvent;
use crate::keeper;
use crate::operator;
use crate::output::{Output, Places};
use crate::part::Part;
use crate::role::Charge;
use crate::status;

/// How long after its begin a master is taken to mostly wait.
const BEGINNING: Duration = Duration::from_secs(2);

/// How long the last lines of the workers and the log may take at the end.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why messages are dispatched by message, for who gives no reason.
const EACH_MESSAGE: &str = "each message is a job";

/// Why a proxy forwards, for who gives no reason.
const OWN_PORTS: &str = "each worker listens by itself";

/// A master that is ready to live.
pub(super) struct Setup {
    master: Master,
    /// What another master has left to this one.
    legacy: Option<Legacy>,
}

struct Legacy {
    restored: Restored,
    /// How many connections died with that master.
    cut: Option<u64>,
    /// When this one began.
    since: Instant,
}

impl Legacy {
    fn new(restored: Restored, cut: Option<u64>, since: Instant) -> Legacy {
        Legacy {
            restored,
            cut,
            since,
        }
    }
}

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
    Legacy(#[from] LegacyError),
    #[error(transparent)]
    Berths(#[from] BerthsError),
    #[error(transparent)]
    Libraries(#[from] LibrariesError),
    #[error(transparent)]
    Logs(#[from] LogError),
    #[error(transparent)]
    Messages(#[from] MessageError),
    #[error("{0}")]
    Source(String),
    #[error(transparent)]
    Socket(#[from] SocketError),
}

impl SetupError {
    pub(super) fn status(&self) -> u8 {
        match self {
            SetupError::Berths(BerthsError::Listen(_))
            | SetupError::Listen(_)
            | SetupError::Socket(_) => status::CANNOT_LISTEN,
            SetupError::Io(_) | SetupError::Legacy(_) => status::INTERNAL,
            SetupError::Addresses(_)
            | SetupError::Berths(_)
            | SetupError::Libraries(_)
            | SetupError::Logs(_)
            | SetupError::Messages(_)
            | SetupError::Source(_) => status::USAGE,
        }
    }
}

impl Setup {
    /// A master that is in charge, and has begun its work.
    pub(super) fn begin(self) -> Master {
        let Setup { mut master, legacy } = self;
        if let Some(Legacy {
            restored,
            cut: None,
            ..
        }) = &legacy
        {
            master.note_upgrade(&restored.state.version);
        }
        if let Some(Legacy { restored, .. }) = &legacy {
            master.make_up_for_absence(restored.state.written);
        }
        master.take_charge();
        match legacy {
            None => master.start(),
            Some(legacy) => {
                let after = legacy.since.elapsed();
                master.resume(legacy.restored, legacy.cut, after);
                master.obey_for_the_dead();
            }
        }
        master
    }
}

/// What a herd is to be, and what of it is there: known before anything is opened.
struct Ground {
    signals: SignalFd,
    estate: Estate,
    config: Config,
    /// Where the configuration is read again.
    lectern: Option<Lectern>,
    /// The gateway that it is to have, if it is to have one.
    prepared: Option<Prepared>,
}

impl Ground {
    /// Signals first: threads inherit the mask, and none may be lost.
    fn survey(commission: Commission, charge: Charge) -> Result<Ground, SetupError> {
        let signals = SignalFd::block(&operator::SIGNALS)?;
        // The master holds for all of its workers. (They keep the limit that it was started with.)
        limits::raise_open_files()?;
        let estate = Estate::open(charge)?;
        let accepted = commission.accept(estate.definition());
        let (mut config, source) = accepted.map_err(SetupError::Source)?;
        auto::resolve(&mut config, estate.mode(), estate.given());
        estate.check(&config)?;
        name_process(&config);
        check(&config)?;
        let prepared = gateway::prepare(&config)?;
        if estate.restored.is_none() {
            prepared.as_ref().map_or(Ok(()), Prepared::check)?;
        }
        Ok(Ground {
            signals,
            estate,
            config,
            lectern: source.map(Lectern::new),
            prepared,
        })
    }
}

/// Where a herd can be reached, and what it shares.
struct Premises {
    doors: Doors,
    /// Where each worker listens for itself.
    berths: Option<Berths>,
    runtime: Runtime,
    socket: Option<HerdSocket>,
    libraries: Libraries,
}

impl Premises {
    fn open(estate: &mut Estate, config: &Config) -> Result<Premises, SetupError> {
        let of_gateways = estate.berths_of_gateways(config)?;
        let listeners = estate.listen(config, of_gateways.as_ref())?;
        let mut runtime = estate.places(config, &listeners)?;
        let socket = estate.socket(config, &listeners, &mut runtime)?;
        let libraries = estate.libraries(config, &mut runtime)?;
        let berths = estate.berths(config)?;
        let doors = Doors {
            listeners,
            berths: of_gateways,
        };
        Ok(Premises {
            doors,
            berths,
            runtime,
            socket,
            libraries,
        })
    }
}

/// Opens everything.
pub(super) fn set_up(commission: Commission, charge: Charge) -> Result<Setup, SetupError> {
    let since = Instant::now();
    let ground = Ground::survey(commission, charge)?;
    let (mut estate, mut config) = (ground.estate, ground.config);
    let premises = Premises::open(&mut estate, &config)?;
    let spec = estate.spec(&config);
    let marks = estate.marks()?;
    let places = places(&mut config, &estate, &marks)?;
    let output = Output::start(&spec.name, config.format, config.observer.take(), places)?;
    if !marks.is_announced() {
        announce(&output, &premises, &config);
    }
    if estate.restored.is_none() {
        let (dispatch, program) = (&config.spec.dispatch, &config.program);
        listen::prepare(&premises.doors.listeners, dispatch, program)?;
    }
    let nursery = Nursery::new(&spec.name)?;
    let libraries = premises.libraries;
    let origin = Origin {
        lectern: ground.lectern,
        found_by: libraries.environment.clone(),
    };
    let (editions, reloads) = estate.generations(&config, origin)?;
    let trade = node::trade(&config, premises.berths.as_ref());
    let (watchdog, version) = (config.watchdog, config.version.clone());
    let doors = premises.doors;
    let openings = listen::openings(&doors.listeners, premises.berths, &config)?;
    let workers = workers(config, &spec, openings);
    let awaited = estate.awaited(&libraries.crews);
    let mut crews = libraries.crews;
    crews.push((Part::Workers, workers));
    let (delivery, cut) = match ground.prepared {
        None => estate.dispatch(&spec, doors.listeners, trade, &mut crews)?,
        Some(prepared) => {
            let left = estate.left_for_gateways();
            let (crew, reception) = prepared.found(&spec, doors, &output, left)?;
            crews.push((Part::Gateway, crew));
            estate.receive(reception, &mut crews)?
        }
    };
    let (book, restored) = estate.close(watchdog);
    let pieces = Pieces {
        signals: ground.signals,
        output,
        delivery,
        crews,
        marks,
        awaited,
        nursery,
        editions,
        reloads,
        runtime: premises.runtime,
        found_by: libraries.environment,
        version,
        book,
        spec,
        socket: premises.socket,
    };
    let master = pieces.assemble(restored.as_ref())?;
    let legacy = restored.map(|it| Legacy::new(it, cut, since));
    Ok(Setup { master, legacy })
}

/// The files that are written to. The first master sees whether they can be: one that follows has workers
/// to look after, whatever became of the disk.
fn places(config: &mut Config, estate: &Estate, marks: &Marks) -> Result<Places, SetupError> {
    // The settings stay: a reload compares them with those that it reads.
    let (logs, events) = (config.logs.clone(), config.event_log.take());
    if estate.restored.is_none() {
        logs.as_ref().map_or(Ok(()), Desk::check)?;
        events.as_deref().map_or(Ok(()), Writer::check)?;
    }
    let verdicts = config.verdict_file.take();
    Ok(Places {
        verdicts,
        logs,
        events,
        marks: marks.clone(),
        vault: estate.vault().clone(),
    })
}

/// What a master is put together from.
struct Pieces {
    signals: SignalFd,
    output: Output,
    delivery: Delivery,
    crews: Vec<(Part, Crew)>,
    marks: Marks,
    awaited: Awaited,
    nursery: Nursery,
    editions: Editions,
    reloads: Reloads,
    runtime: Runtime,
    found_by: Vec<Variable>,
    version: String,
    book: Book,
    spec: AppSpec,
    socket: Option<HerdSocket>,
}

impl Pieces {
    fn assemble(mut self, restored: Option<&Restored>) -> io::Result<Master> {
        let epoll = Epoll::new()?;
        watch_all(&epoll, &self.signals, &self.book, &self.delivery)?;
        for (_, crew) in &mut self.crews {
            crew.watch(&epoll)?;
        }
        if let Some(socket) = &self.socket {
            socket.watch(&epoll)?;
            if socket.has_clients() {
                self.output.listen_in(socket.bell());
            }
        }
        let known = restored.map(|it| &it.state);
        let stopping = known.map_or(Stopping::No, |known| known.stopping);
        let max_memory = self.spec.recycle.max_memory;
        Ok(Master {
            epoll,
            signals: self.signals,
            output: self.output,
            delivery: self.delivery,
            crews: Crews::new(self.crews),
            attendance: Attendance::new(self.marks.clone(), now()),
            marks: self.marks,
            awaited: self.awaited,
            room: vec![0; MAX_FRAME].into_boxed_slice(),
            nursery: self.nursery,
            editions: self.editions,
            reloads: self.reloads,
            runtime: self.runtime,
            found_by: self.found_by,
            silence: SilenceWatch::default(),
            memory: max_memory.map(|_| MemoryWatch::new(now())),
            cautions: known.map_or_else(BTreeSet::new, |it| it.cautions.clone().into_owned()),
            announced: known.map_or_else(BTreeSet::new, |it| it.announced.clone().into_owned()),
            stopping,
            ended_by: (stopping != Stopping::No).then(|| Ending::before(now())),
            unobeyed: known.map_or(0, |it| it.unobeyed),
            heir: Heir::Keeper,
            version: self.version,
            inquiry: None,
            reading: None,
            next_build: None,
            upgrade: known.and_then(|it| it.upgrade.clone()),
            book: self.book,
            spec: self.spec,
            socket: self.socket,
            rest_at: Some(now().after(BEGINNING)),
        })
    }
}

/// The workers, before they are started.
fn workers(config: Config, spec: &AppSpec, openings: Openings) -> Crew {
    let recipe = WorkerRecipe::new(spec, config.titles.worker, openings);
    let supervisor = Supervisor::new(spec.clone(), random::seed());
    Crew::new(supervisor, Recipe::Workers(Box::new(recipe)))
}

/// Finds what cannot be.
///
/// # Errors
/// When a setting is wrong.
pub(super) fn check(config: &Config) -> Result<(), SetupError> {
    listen::check(listen::addresses(config))?;
    berths::check(config)?;
    library::check(&config.libraries)?;
    Ok(())
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

/// Where gateways listen, if there are any.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gateways {
    /// Each has its own listeners, which are told of when it has.
    HaveTheirOwn,
    Share,
}

impl Gateways {
    fn of(berths: Option<&Berths>) -> Gateways {
        match berths {
            Some(_) => Gateways::HaveTheirOwn,
            None => Gateways::Share,
        }
    }

    /// The reason, and how clients come to so many.
    fn with(self, count: u16, reason: &str) -> String {
        match self {
            Gateways::HaveTheirOwn => {
                format!("{reason}; the kernel spreads clients over {count} gateways")
            }
            Gateways::Share => {
                let why = auto::missing().map(|why| format!(": {why}"));
                let why = why.unwrap_or_default();
                format!("{reason}; {count} gateways share the listeners{why}")
            }
        }
    }
}

fn announce(output: &Output, premises: &Premises, config: &Config) {
    let listeners = premises.doors.listeners.as_slice();
    let gateways = Gateways::of(premises.doors.berths.as_ref());
    let modes = listen::modes(listeners, premises.berths.as_ref(), &config.spec.dispatch);
    let (mode, given) = (config.spec.dispatch.mode, config.dispatch_reason.as_str());
    let reason = match mode {
        DispatchMode::Message if given.is_empty() => EACH_MESSAGE,
        DispatchMode::Proxy if given.is_empty() => OWN_PORTS,
        DispatchMode::Kernel
        | DispatchMode::Message
        | DispatchMode::Pass
        | DispatchMode::Proxy
        | DispatchMode::Reuseport
        | DispatchMode::Shared => given,
    };
    let reason = &*match &config.proxy {
        Some(proxy) if proxy.gateways > 1 => gateways.with(proxy.gateways, reason),
        Some(_) | None => reason.to_owned(),
    };
    listen::tell(output, listeners, &modes, reason);
    // They listen later, by asking, or with the first worker; what was told with the listeners is told
    // without.
    let listens_later = matches!(config.program, Program::Node(_))
        || mode.has_own_listeners()
        || gateways == Gateways::HaveTheirOwn;
    if listeners.is_empty() && listens_later {
        let (mode, reason) = (modes, reason.to_owned());
        output.tell(HerdEvent::DispatchChosen { mode, reason });
    }
    if let Program::Command(command) | Program::Node(NodeProgram { command, .. }) = &config.program
        && user::is_root()
        && command.identity.is_none()
    {
        let text =
            "the workers run as root; another user (--user, or user in a file) has fewer rights"
                .to_owned();
        output.tell(HerdEvent::Warning { text });
    }
    for text in config.hints.iter().cloned() {
        output.tell(HerdEvent::Warning { text });
    }
}

fn watch_all(
    epoll: &Epoll,
    signals: &SignalFd,
    book: &Book,
    delivery: &Delivery,
) -> io::Result<()> {
    epoll.add(signals.as_fd(), Token::Signal.token(), Interest::READABLE)?;
    book.watch(epoll)?;
    delivery.watch(epoll)
}
