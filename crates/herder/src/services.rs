//! The clients of the built-in library, one of each for a worker or library.

use std::sync::{Arc, Mutex};

use herder_rpc::client::{Agent, Agents};
use herder_rpc::{CallError, ErrorKind, Executed};
use herder_services::library::{BusApiClient, JobsApiClient, NAME, StateApiClient};

use crate::bus::Bus;
use crate::jobs::Jobs;
use crate::library::setup::LibrarySetup;
use crate::state::State;
use crate::state::lease::Held;
use crate::worker::handle::{Draining, WorkerHandle};
use crate::worker::link::Link;

/// What the built-in library is called by.
#[derive(Debug)]
pub(crate) struct Clients {
    remote: Option<Remote>,
    /// The leases of this worker.
    pub(crate) held: Mutex<Held>,
}

/// The clients, where there is something to call.
#[derive(Debug)]
struct Remote {
    bus: BusApiClient,
    jobs: JobsApiClient,
    state: StateApiClient,
}

impl Clients {
    fn new(agents: &Agents) -> Clients {
        let remote = |agent: &Agent| Remote {
            bus: agent.client(),
            jobs: agent.client(),
            state: agent.client(),
        };
        Clients {
            remote: agents.library(NAME).map(remote),
            held: Mutex::default(),
        }
    }

    pub(crate) fn bus(&self) -> Result<&BusApiClient, CallError> {
        self.remote().map(|remote| &remote.bus)
    }

    pub(crate) fn jobs(&self) -> Result<&JobsApiClient, CallError> {
        self.remote().map(|remote| &remote.jobs)
    }

    pub(crate) fn state(&self) -> Result<&StateApiClient, CallError> {
        self.remote().map(|remote| &remote.state)
    }

    fn remote(&self) -> Result<&Remote, CallError> {
        let nobody = || {
            let message = "this herd has no library `herder`: Cluster::state, Cluster::bus or \
                           Cluster::job adds it";
            CallError::new(ErrorKind::NoObject, Executed::No, message)
        };
        self.remote.as_ref().ok_or_else(nobody)
    }
}

impl Link {
    fn clients(&self) -> Arc<Clients> {
        let made = || Arc::new(Clients::new(&self.agents()));
        Arc::clone(self.clients.get_or_init(made))
    }
}

impl WorkerHandle {
    /// The values of a namespace that the herd [shares](crate::Cluster::state).
    ///
    /// Nothing is connected before the first call, so a namespace that is not there is told by it.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn serve(worker: herder::AsyncWorker) -> Result<(), herder::state::StateError> {
    /// let sessions = worker.state("sessions");
    /// sessions.set("ab12", "alice").ttl(Duration::from_secs(3600)).await?;
    /// let entry = sessions.get("ab12").await?.expect("it is there");
    /// assert_eq!(entry.text(), Some("alice"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn state(&self, namespace: &str) -> State {
        State::new(self.link().clients(), namespace)
    }

    /// Messages between the processes of the [herd](crate::Cluster::bus).
    #[must_use]
    pub fn bus(&self) -> Bus {
        Bus::new(self.link().clients())
    }

    /// The herd's [jobs](crate::Cluster::job): to run them, and to change them.
    #[must_use]
    pub fn jobs(&self) -> Jobs {
        Jobs::new(self.link().clients(), self.draining())
    }
}

impl LibrarySetup {
    /// As [`WorkerHandle::state`], for a library. It is connected with the first call, and the built-in
    /// library is started at the same time as this one.
    #[must_use]
    pub fn state(&self, namespace: &str) -> State {
        State::new(self.link.clients(), namespace)
    }

    /// As [`WorkerHandle::bus`], for a library.
    #[must_use]
    pub fn bus(&self) -> Bus {
        Bus::new(self.link.clients())
    }

    /// As [`WorkerHandle::jobs`], for a library: it runs the jobs for
    /// [`Target::Library`](crate::jobs::Target::Library).
    #[must_use]
    pub fn jobs(&self) -> Jobs {
        Jobs::new(self.link.clients(), Draining::of(&self.link))
    }
}

/// The code of an error that the library returned.
pub(crate) fn code(error: &CallError) -> Option<&str> {
    let is_app = error.kind == ErrorKind::App;
    error.code.as_deref().filter(|_| is_app)
}

/// Whether a call may go better soon.
pub(crate) fn is_temporary(error: &CallError) -> bool {
    match error.kind {
        ErrorKind::Deadline | ErrorKind::Overloaded | ErrorKind::Unavailable => true,
        ErrorKind::App
        | ErrorKind::BadArguments
        | ErrorKind::Cancelled
        | ErrorKind::Codec
        | ErrorKind::NoObject
        | ErrorKind::NoMethod
        | ErrorKind::Panicked
        | ErrorKind::Refused
        | ErrorKind::TooLarge
        | ErrorKind::Unknown => false,
    }
}
