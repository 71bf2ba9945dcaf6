//! Which part of the herd this process is.

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

use herder_master::role::{self, Assumed, MasterSeat, RoleError, WorkerSeat};
use herder_sys::process;
use herder_sys::signal::{Signal, SignalFd};

use crate::worker::lock;

/// The exit status of [`init`] when it cannot do its work (`EX_SOFTWARE` of `sysexits.h`).
const CANNOT_START: i32 = 70;

/// The signals that tell a worker to come to its end.
pub(crate) const ENDING_SIGNALS: [Signal; 3] = [Signal::Interrupt, Signal::Quit, Signal::Terminate];

/// Finds out which part of the herd this process is to play. Must be the first statement of `main`.
///
/// The herd is one executable: the process that was started becomes the keeper, and starts itself
/// again as the master and as each worker. In those roles this call takes over what the parent
/// passed on; in others it does not return at all.
///
/// When that is impossible it prints one sentence and ends the process with status 70: nothing
/// sensible can follow. [`try_init`] leaves that to you.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// fn main() -> Result<ExitCode, herder::ClusterError> {
///     herder::init();
///     // The rest of main runs in every process of the herd.
///     herder::Cluster::new().listen(8080).run(|worker| {
///         while let Some(connection) = worker.accept()? {
///             drop(connection);
///         }
///         Ok::<(), std::io::Error>(())
///     })
/// }
/// ```
pub fn init() {
    if let Err(error) = try_init() {
        let _closed = writeln!(io::stderr(), "herder: {error}");
        std::process::exit(CANNOT_START);
    }
}

/// As [`init`], but returns what is wrong. After an error the process should end.
///
/// # Errors
/// Above all [`InitError::Threads`]: the call came too late. A runtime such as that of
/// `#[tokio::main]` has threads before `main` begins:
///
/// ```
/// std::thread::spawn(|| {
///     let error = herder::try_init().unwrap_err();
///     assert!(error.to_string().contains("#[tokio::main]"));
/// })
/// .join()
/// .unwrap();
/// ```
pub fn try_init() -> Result<(), InitError> {
    let mut seat = lock(&SEAT);
    if !matches!(*seat, Seat::NotAsked) {
        return Ok(());
    }
    let threads = process::thread_count()?;
    if threads > 1 {
        return Err(InitError::Threads(threads));
    }
    let (taken, role) = match role::assume()? {
        #[cfg(feature = "library")]
        Assumed::Entry => match crate::library::foreign::seat()? {
            Some(seat) => (seat_library(seat)?, Role::None),
            None => (Seat::Entry, Role::None),
        },
        #[cfg(not(feature = "library"))]
        Assumed::Entry => (Seat::Entry, Role::None),
        #[cfg(feature = "message")]
        Assumed::Gateway(seat) => std::process::exit(live_as_gateway(seat)),
        #[cfg(not(feature = "message"))]
        Assumed::Gateway(_) => return Err(InitError::NoGateway),
        #[cfg(feature = "library")]
        Assumed::Library(seat) => (seat_library(seat.into())?, Role::None),
        #[cfg(not(feature = "library"))]
        Assumed::Library(_) => return Err(InitError::NoLibrary),
        Assumed::Master(seat) => (Seat::Master(seat), Role::Master),
        // Before there are threads, which would otherwise receive them in the old, deadly way.
        Assumed::Worker(seat) => (
            Seat::Worker(seat, SignalFd::block(&ENDING_SIGNALS)?),
            Role::Worker,
        ),
    };
    *seat = taken;
    role.assign();
    Ok(())
}

#[cfg(feature = "library")]
fn seat_library(seat: crate::library::process::Seat) -> io::Result<Seat> {
    // As for a worker.
    let signals = SignalFd::block(&ENDING_SIGNALS)?;
    Ok(Seat::Library(Box::new(seat), signals))
}

/// Lives as a gateway, and returns its exit status.
#[cfg(feature = "message")]
fn live_as_gateway(seat: herder_master::role::GatewaySeat) -> i32 {
    let gateway = herder_gateway::Gateway {
        app: seat.app,
        number: seat.number,
        incarnation: seat.incarnation,
        control: seat.control,
        listeners: seat.listeners,
        page: seat.page,
    };
    gateway.run().into()
}

/// Why a process cannot play its part in a herd.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// A system call failed.
    #[error("cannot find out this process' part in the herd: {0}")]
    Io(#[from] io::Error),
    /// This process is to be a gateway, of which it has nothing.
    #[error("this program was built without the feature `message`, which a gateway is made of")]
    NoGateway,
    /// This process is to be a library, of which it has nothing.
    #[error("this program was built without the feature `library`, which a library is made of")]
    NoLibrary,
    /// The parent process of the herd and this one do not understand each other.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// There are threads already.
    #[error(
        "the process has {0} threads: herder::init() must be the first statement of main, before \
         any thread or runtime is started (instead of #[tokio::main] write `fn main()` and call \
         Cluster::run_async(), which builds the runtime in each worker)"
    )]
    Threads(usize),
}

/// Whether this process is the master of a herd: the one that listens, and in which the hooks run.
///
/// Exactly one process of a herd is. The process that was started is not: it is the keeper, which
/// only looks after the master. [In one process](crate::Cluster::in_process) the thread is meant
/// that stands for it.
#[must_use]
pub fn is_master() -> bool {
    ROLE.load(Ordering::Acquire) == Role::Master as u8 || IS_MASTER.get()
}

/// Whether this process (or, [in one process](crate::Cluster::in_process), this thread) is a
/// worker of a herd.
#[must_use]
pub fn is_worker() -> bool {
    ROLE.load(Ordering::Acquire) == Role::Worker as u8 || crate::panic::is_worker_thread()
}

/// What [`init`] found, until [`Cluster::run`](crate::Cluster::run) takes it.
pub(crate) enum Seat {
    NotAsked,
    Entry,
    #[cfg(feature = "library")]
    Library(Box<crate::library::process::Seat>, SignalFd),
    Master(MasterSeat),
    Worker(WorkerSeat, SignalFd),
    Taken,
}

/// Takes the seat of this process.
pub(crate) fn take_seat() -> Seat {
    let mut seat = lock(&SEAT);
    match *seat {
        Seat::NotAsked => Seat::NotAsked,
        #[cfg(feature = "library")]
        Seat::Library(..) => std::mem::replace(&mut *seat, Seat::Taken),
        Seat::Entry | Seat::Master(_) | Seat::Worker(..) | Seat::Taken => {
            std::mem::replace(&mut *seat, Seat::Taken)
        }
    }
}

/// From now on this thread is the master of a herd in one process.
pub(crate) fn become_master_thread() {
    IS_MASTER.set(true);
}

/// The role of this process.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    None = 0,
    Master = 1,
    Worker = 2,
}

impl Role {
    pub(crate) fn assign(self) {
        ROLE.store(self as u8, Ordering::Release);
    }
}

thread_local! {
    static IS_MASTER: Cell<bool> = const { Cell::new(false) };
}

static SEAT: Mutex<Seat> = Mutex::new(Seat::NotAsked);
static ROLE: AtomicU8 = AtomicU8::new(Role::None as u8);
