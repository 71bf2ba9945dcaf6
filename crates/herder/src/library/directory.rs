//! Where the libraries of a herd are, and who calls them.

use std::path::PathBuf;
use std::sync::Arc;

use herder_rpc::Part;
use herder_rpc::client::{Agents, Endpoint, Identity, endpoints_from_environment};

use crate::library::blocking::BlockingAgents;
use crate::worker::handle::WorkerHandle;
use crate::worker::link::Link;

/// The libraries of a herd in one process. (In processes, the master writes the same into everybody's
/// environment.)
#[derive(Debug)]
pub(crate) struct Directory {
    /// The herd's number, which agents say and libraries compare.
    pub(crate) herd: String,
    /// Names and sockets.
    pub(crate) places: Vec<(String, PathBuf)>,
}

/// Where a part of a herd in one process finds libraries, and what it is itself.
#[derive(Debug)]
pub(crate) struct Finder {
    pub(crate) directory: Arc<Directory>,
    pub(crate) part: Part,
}

impl Finder {
    fn endpoints(&self, link: &Link) -> Vec<Endpoint> {
        let identity = Identity {
            app: link.identity().app.clone(),
            part: self.part.clone(),
            slot: link.identity().slot.into(),
            worker: link.identity().id,
            pid: std::process::id(),
        };
        let endpoint = |(library, path): &(String, PathBuf)| Endpoint {
            library: library.clone(),
            path: path.clone(),
            herd: self.directory.herd.clone(),
            identity: identity.clone(),
        };
        self.directory.places.iter().map(endpoint).collect()
    }
}

impl Link {
    /// The agents of who has these ties.
    pub(crate) fn agents(&self) -> Agents {
        let found = || Agents::new(self.endpoints());
        self.agents.get_or_init(found).clone()
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        match self.finder.get() {
            Some(finder) => finder.endpoints(self),
            // The master wrote it. Without libraries it writes nothing.
            None => endpoints_from_environment().unwrap_or_default(),
        }
    }
}

impl WorkerHandle {
    /// Calls the objects of the herd's [libraries](crate::Cluster::library). All that are asked for
    /// are the same; they are connected with the first call, on the runtime that makes it.
    ///
    /// Without a library every call says that there is no such object.
    ///
    /// ```no_run
    /// # async fn serve(worker: herder::AsyncWorker) -> Result<(), herder::rpc::CallError> {
    /// let agent = worker.agent();
    /// let value = agent.call("kv", "get", ["a"].into_iter().collect()).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn agent(&self) -> Agents {
        self.link().agents()
    }

    /// As [`agent`](WorkerHandle::agent), for a worker that blocks: each call returns when it is
    /// answered, or has failed. The connections belong to a thread of their own.
    ///
    /// # Errors
    /// When that thread cannot be started.
    pub fn blocking_agent(&self) -> std::io::Result<BlockingAgents> {
        BlockingAgents::new(Agents::new(self.link().endpoints()))
    }
}
