//! From settings to a library.

use std::collections::BTreeMap;
use std::path::Path;
#[cfg(feature = "redb")]
use std::path::PathBuf;
use std::sync::Arc;

use herder_rpc::server::Library;

use super::bus_object::{self, BusApiObject};
use super::jobs_object::{self, JobsApiObject};
use super::settings::{Backend, NamespaceSettings, Settings};
use super::spaces::{Source, Space, observer};
use super::state_object::{self, StateApiObject};
use crate::bus::Bus;
use crate::clock::Clock;
use crate::jobs::{JobError, Jobs, Keeping};
use crate::state::Local;

/// How much the definitions of jobs may take, in bytes.
const JOBS: usize = 16 * 1024 * 1024;

/// Why the built-in library cannot be.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A name is none, or is given twice.
    #[error("{name:?} is not the name of a namespace: 1 to 64 of a-z 0-9 - _ ., each once")]
    Name {
        /// The name.
        name: String,
    },
    /// A namespace is to be in a store, and there is none.
    #[error("namespace {name} is to be in the store, and no store is named")]
    NoStore {
        /// The namespace.
        name: String,
    },
    /// The program was built without what a setting needs.
    #[error("{what} needs the feature {feature}, which this program was built without")]
    NotBuilt {
        /// The setting.
        what: String,
        /// The feature.
        feature: &'static str,
    },
    /// A file cannot be used.
    #[cfg(feature = "redb")]
    #[error(transparent)]
    File(#[from] crate::state::JournalError),
    /// The address of the store is none.
    #[cfg(feature = "redis")]
    #[error(transparent)]
    Store(#[from] crate::redis::LinkError),
    /// A job cannot be.
    #[error("job {name}: {error}")]
    Job {
        /// The job.
        name: String,
        /// What is wrong.
        #[source]
        error: JobError,
    },
}

/// Opens everything, and returns the library, whose objects are then ready. `herd` names this herd
/// among all that share the store, and this start of it; `epoch` is the life of the library. To be
/// called on a runtime, on which it goes on.
///
/// # Errors
/// Any [`OpenError`]; nothing is left open.
pub async fn open(settings: Settings, herd: &str, epoch: u64) -> Result<Library, OpenError> {
    settings.check()?;
    let mut opening = Opening {
        clock: Clock::new(),
        #[cfg(feature = "redb")]
        files: BTreeMap::new(),
        #[cfg(feature = "redis")]
        store: None,
    };
    let bus = Arc::new(Bus::new(seed(herd), epoch));
    #[cfg(feature = "redis")]
    let audience = Arc::new(super::store::Audience::default());
    #[cfg(feature = "redis")]
    if let Some(store) = &settings.store {
        let shared = settings
            .state
            .iter()
            .filter(|space| space.backend == Backend::Store);
        let names: Vec<String> = shared.map(|space| space.name.clone()).collect();
        let opened = super::store::Store::open(store, &names, herd, &audience)?;
        opening.store = Some(opened);
    }
    let mut spaces = BTreeMap::new();
    for space in &settings.state {
        spaces.insert(space.name.clone(), Arc::new(opening.space(space)?));
    }
    #[cfg(feature = "redis")]
    {
        let followed = spaces.values().filter_map(|space| match &**space {
            Space::Store(followed) => Some(followed.following()),
            Space::Local(..) => None,
        });
        audience.complete(followed.collect(), Arc::clone(&bus));
    }
    let jobs = opening.jobs(&settings, seed(herd), epoch).await?;
    let state = state_object::Desk {
        spaces,
        herd: herd.to_owned(),
    };
    let bus = bus_object::Desk {
        bus,
        #[cfg(feature = "redis")]
        store: opening.store,
    };
    Ok(Library::new(super::NAME)
        .object(BusApiObject::new(bus))
        .object(StateApiObject::new(state))
        .object(JobsApiObject::new(jobs_object::Desk(jobs))))
}

/// What is open so far.
struct Opening {
    clock: Clock,
    #[cfg(feature = "redb")]
    files: BTreeMap<PathBuf, crate::state::Journal>,
    #[cfg(feature = "redis")]
    store: Option<super::store::Store>,
}

impl Opening {
    fn space(&mut self, settings: &NamespaceSettings) -> Result<Space, OpenError> {
        match &settings.backend {
            Backend::File { path, durability } => {
                let source = Source::new();
                let local = self.local(settings.max_bytes, &source);
                let local = self.kept(local, path, (&settings.name, *durability))?;
                // What it held was restored without a word.
                for (key, versioned) in local.scan_all() {
                    source.set(key, versioned.into());
                }
                Ok(Space::Local(timed(local), source))
            }
            Backend::Memory => {
                let source = Source::new();
                let local = self.local(settings.max_bytes, &source);
                Ok(Space::Local(timed(local), source))
            }
            Backend::Store => self.shared(settings),
        }
    }

    fn local(&self, max_bytes: usize, source: &Source) -> Local {
        let observer = observer(source.clone(), self.clock);
        Local::in_memory(max_bytes, self.clock, observer).after_other_lives()
    }

    #[cfg(feature = "redb")]
    fn kept(
        &mut self,
        local: Local,
        path: &Path,
        (name, durability): (&str, crate::state::Durability),
    ) -> Result<Local, OpenError> {
        let journal = match self.files.get(path) {
            Some(journal) => journal.clone(),
            None => {
                let journal = crate::state::Journal::open(path)?;
                self.files.insert(path.to_owned(), journal.clone());
                journal
            }
        };
        Ok(local.kept_in(&journal, name, durability)?)
    }

    #[cfg(not(feature = "redb"))]
    fn kept(
        &mut self,
        _local: Local,
        path: &Path,
        _how: (&str, crate::state::Durability),
    ) -> Result<Local, OpenError> {
        let what = format!("the file {}", path.display());
        Err(OpenError::NotBuilt {
            what,
            feature: "redb",
        })
    }

    #[cfg(feature = "redis")]
    fn shared(&self, settings: &NamespaceSettings) -> Result<Space, OpenError> {
        let name = &settings.name;
        match &self.store {
            Some(store) => Ok(Space::Store(store.space(name, self.clock))),
            None => Err(OpenError::NoStore { name: name.clone() }),
        }
    }

    #[cfg(not(feature = "redis"))]
    fn shared(&self, settings: &NamespaceSettings) -> Result<Space, OpenError> {
        let what = format!("namespace {}", settings.name);
        Err(OpenError::NotBuilt {
            what,
            feature: "redis",
        })
    }

    async fn jobs(
        &mut self,
        settings: &Settings,
        seed: u64,
        epoch: u64,
    ) -> Result<Arc<Jobs>, OpenError> {
        let keeping = match &settings.jobs.file {
            None => Keeping::Memory,
            Some(path) => {
                let local = self.local(JOBS, &Source::new());
                let how = (".jobs", crate::state::Durability::Immediate);
                Keeping::Namespace(Arc::new(self.kept(local, path, how)?))
            }
        };
        let jobs = Jobs::new(self.clock, seed, epoch, keeping);
        #[cfg(feature = "redis")]
        let jobs = match &self.store {
            Some(store) => jobs.with_claims(store.claims()),
            None => jobs,
        };
        let jobs = Arc::new(jobs);
        for problem in jobs.restore() {
            warn(&problem);
        }
        let founded = jobs.found(&settings.jobs.defined).await;
        founded.map_err(|(name, error)| OpenError::Job { name, error })?;
        let driven = Arc::clone(&jobs);
        tokio::spawn(async move { driven.drive().await });
        Ok(jobs)
    }
}

/// Has things expire in it from now on.
fn timed(local: Local) -> Arc<Local> {
    let local = Arc::new(local);
    let timed = Arc::clone(&local);
    tokio::spawn(async move { timed.keep_time().await });
    local
}

/// Differs from herd to herd.
fn seed(herd: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    herd.hash(&mut hasher);
    hasher.finish()
}

/// A library has no other voice than its own standard error.
pub(super) fn warn(text: &str) {
    use std::io::Write;
    let _unheard = writeln!(std::io::stderr(), "herder: {text}");
}
