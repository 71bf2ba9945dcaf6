//! The function that builds a library.

use std::fmt::{self, Display};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use herder_core::spec::LibraryName;
use herder_master::config::OnReload;
use herder_rpc::client::Agents;
use herder_rpc::server::Library;

use crate::worker::handle::Draining;
use crate::worker::link::Link;

/// A setup under way.
pub(crate) type Building = Pin<Box<dyn Future<Output = Result<Library, String>>>>;

/// The program's function, with its error as a text.
pub(crate) type Build = Arc<dyn Fn(LibrarySetup) -> Building + Send + Sync>;

/// The function `setup` as one of a common form.
pub(crate) fn build_by<F, Fut, E>(setup: F) -> Build
where
    F: Fn(LibrarySetup) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Library, E>> + 'static,
    E: Display,
{
    Arc::new(move |given| {
        let building = setup(given);
        Box::pin(async move { building.await.map_err(|error| format!("{error:#}")) })
    })
}

/// A library by its name, as the program describes it.
#[derive(Clone)]
pub(crate) struct Planned {
    pub(crate) name: LibraryName,
    pub(crate) build: Build,
    pub(crate) on_reload: OnReload,
}

/// What the function gets that builds a library: who it is, and its word with the master.
#[derive(Clone)]
pub struct LibrarySetup {
    pub(super) name: LibraryName,
    #[cfg_attr(
        not(feature = "services"),
        expect(dead_code, reason = "the built-in library wants to know it")
    )]
    pub(crate) herd: String,
    pub(crate) link: Arc<Link>,
}

impl LibrarySetup {
    /// The library's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// A library of this name without objects, to which they are added.
    #[must_use]
    pub fn library(&self) -> Library {
        Library::new(self.name())
    }

    /// The name of the app.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.link.identity().app
    }

    /// Which life of the library this is: 1, 2, 3 …, never reused.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.link.identity().id
    }

    /// Asks for more time to get ready than [`Cluster::boot_timeout`](crate::Cluster::boot_timeout)
    /// grants, counted from now.
    pub fn extend_boot(&self, by: Duration) {
        self.link.extend_boot(by);
    }

    /// Calls the objects of the herd's other libraries. They are started at the same time.
    #[must_use]
    pub fn agent(&self) -> Agents {
        self.link.agents()
    }

    /// Whether the library comes to its end. It does after the workers.
    #[must_use]
    pub fn draining(&self) -> Draining {
        Draining::of(&self.link)
    }
}

impl fmt::Debug for LibrarySetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LibrarySetup")
            .field("name", &self.name)
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}
