//! One life of a library, from its setup to its end.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use herder_core::spec::LibraryName;
use herder_rpc::server::LibraryIdentity;
use tokio::runtime::{Builder, Runtime};

use super::setup::{Build, LibrarySetup};
use crate::asynchronous::keeping;
use crate::worker::ending::Reason;
use crate::worker::finish::{self, Outcome};
use crate::worker::link::Link;

/// How many threads a library's runtime has: a method that does not wait must not keep the others,
/// nor the heartbeat.
const THREADS: usize = 4;

/// How long a library ends at most, once it was told to. The master kills it soon afterwards.
const FAREWELL: Duration = Duration::from_secs(6);

/// How long tasks that block may keep a library that has ended otherwise.
const BLOCKED: Duration = Duration::from_millis(500);

/// What a life is made of.
pub(super) struct Life {
    pub(super) name: LibraryName,
    pub(super) herd: String,
    pub(super) link: Arc<Link>,
    pub(super) listener: OwnedFd,
    pub(super) build: Build,
}

impl Life {
    /// Lives it, and returns how it went.
    pub(super) fn live(self) -> Outcome {
        let runtime = match Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("herder-library")
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => return Outcome::Failed(format!("no runtime: {error}")),
        };
        let outcome = finish::guarded(|| self.on(&runtime));
        // What the objects hold is let go before the process ends.
        runtime.shutdown_timeout(BLOCKED);
        outcome
    }

    fn on(self, runtime: &Runtime) -> Result<(), String> {
        let io = |error: io::Error| format!("cannot serve: {error}");
        let entered = runtime.enter();
        let link = Arc::clone(&self.link);
        let house = keeping::watch(&link).map_err(io)?;
        runtime.spawn(keeping::keep(Arc::clone(&link), house));
        let listener = UnixListener::from(self.listener);
        listener.set_nonblocking(true).map_err(io)?;
        let listener = tokio::net::UnixListener::from_std(listener).map_err(io)?;
        drop(entered);
        let identity = LibraryIdentity {
            name: self.name.to_string(),
            epoch: link.identity().id,
            app: link.identity().app.clone(),
            herd: self.herd.clone(),
        };
        let setup = LibrarySetup {
            name: self.name,
            herd: self.herd,
            link: Arc::clone(&link),
        };
        runtime.block_on(async {
            let library = tokio::select! {
                built = (self.build)(setup) => built?,
                () = end_of(&link) => return Ok(()),
            };
            // It is polled when the library is about to accept: not before, as its objects may be
            // wrong.
            let shutdown = async {
                link.ready();
                end_of(&link).await;
            };
            let served = library.serve_on(listener, identity, shutdown);
            tokio::select! {
                served = served => served.map_err(|error| error.to_string()),
                () = async {
                    end_of(&link).await;
                    tokio::time::sleep(FAREWELL).await;
                } => Ok(()),
            }
        })
    }
}

/// Waits until the library is to end. Workers whose master is gone finish what they have, and call it
/// meanwhile.
async fn end_of(link: &Link) {
    let ending = link.ending();
    ending.until(|| ending.has_begun()).await;
    if ending.reason() == Some(Reason::MasterGone) {
        tokio::time::sleep(link.timing().grace / 2).await;
    }
}
