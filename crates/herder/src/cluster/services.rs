//! [`Cluster::state`], [`Cluster::bus`], [`Cluster::job`]: the built-in library.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use herder_master::config::OnReload;
use herder_services::library::{
    Backend, JobsSettings, NAME, NamespaceSettings, Settings, StoreSettings, open,
};

use crate::cluster::builder::Cluster;
use crate::cluster::error::ClusterError;
use crate::cluster::libraries::Given;
use crate::cluster::settings::wrong;
use crate::jobs::Schedule;
use crate::library::setup::{Build, LibrarySetup};

/// A shorter one would end while the store is asked to prolong it.
const SHORTEST_CLAIM: Duration = Duration::from_secs(1);

/// What the built-in library is to hold, as it was given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Services {
    state: Vec<NamespaceSettings>,
    store: Option<String>,
    claim: Option<Duration>,
    jobs: Vec<(String, Schedule)>,
    jobs_file: Option<PathBuf>,
}

impl Cluster {
    /// Adds a namespace of values that all workers share: [`WorkerHandle::state`].
    ///
    /// They are where the backend says: in a process of the herd, which outlives the workers; in a file
    /// of this machine, and then they outlive the herd (feature `redb`); in the [store](Cluster::store)
    /// that several machines share (feature `redis`). The program stays the same. A name is 1 to 64 of
    /// `a-z 0-9 - _ .`.
    ///
    /// ```no_run
    /// use std::process::ExitCode;
    /// use herder::state::{Backend, StateError};
    /// use herder::{AsyncWorker, Cluster, ClusterError};
    ///
    /// fn main() -> Result<ExitCode, ClusterError> {
    ///     herder::init();
    ///     Cluster::new()
    ///         .listen(8080)
    ///         .state("counters", Backend::Memory)
    ///         .run_async(serve)
    /// }
    ///
    /// async fn serve(worker: AsyncWorker) -> Result<(), StateError> {
    ///     let lives = worker.state("counters").increment("lives", 1).await?;
    ///     println!("{lives} workers so far");
    ///     Ok(())
    /// }
    /// ```
    ///
    /// [`WorkerHandle::state`]: crate::WorkerHandle::state
    pub fn state(mut self, name: impl Into<String>, backend: Backend) -> Cluster {
        let namespace = NamespaceSettings::new(name, backend);
        self.services_mut().state.push(namespace);
        self
    }

    /// The Redis or Valkey that this machine shares with others (feature `redis`):
    /// `redis://[user:password@]host[:port][/database]`, or `redis+unix:///path`. It holds the
    /// namespaces whose backend is [`Backend::Store`], carries messages to
    /// [`To::Everywhere`](crate::bus::To::Everywhere), and has jobs of the
    /// [cluster](crate::jobs::Target::Cluster) run once. Apps of different [names](Cluster::name) do not
    /// meet in it.
    pub fn store(mut self, url: impl Into<String>) -> Cluster {
        self.services_mut().store = Some(url.into());
        self
    }

    /// How long the right to a tick of a job of the [cluster](crate::jobs::Target::Cluster) stands when
    /// nothing is heard of the machine that has it (default 30 s, at least 1 s): another one has the tick
    /// then, with a greater [token](crate::jobs::Run::token). While a run goes on, its machine prolongs
    /// the right, so a run may take longer than this.
    pub fn claim(mut self, time: Duration) -> Cluster {
        self.services_mut().claim = Some(time);
        self
    }

    /// Adds a job that is due at its times, and run by whoever [offers to](crate::jobs::Jobs::run).
    ///
    /// ```no_run
    /// use std::process::ExitCode;
    /// use std::time::Duration;
    /// use herder::jobs::{Schedule, Target};
    /// use herder::{AsyncWorker, Cluster, ClusterError};
    ///
    /// fn main() -> Result<ExitCode, ClusterError> {
    ///     herder::init();
    ///     Cluster::new()
    ///         .listen(8080)
    ///         .job("nightly", "0 3 * * * Europe/Berlin")
    ///         .job("refresh", Schedule::new("every 10s").target(Target::All))
    ///         .run_async(serve)
    /// }
    ///
    /// async fn serve(worker: AsyncWorker) -> std::io::Result<()> {
    ///     let jobs = worker.jobs();
    ///     tokio::spawn(async move {
    ///         jobs.run("nightly", async |run| {
    ///             println!("the night's work, try {}", run.attempt());
    ///             std::io::Result::Ok(())
    ///         })
    ///         .await
    ///     });
    ///     // …
    /// #   Ok(())
    /// }
    /// ```
    pub fn job(mut self, name: impl Into<String>, schedule: impl Into<Schedule>) -> Cluster {
        let job = (name.into(), schedule.into());
        self.services_mut().jobs.push(job);
        self
    }

    /// Keeps in this file what is done to jobs while the herd runs, and which ticks are dealt with
    /// (feature `redb`). It may be that of a namespace. Default: such things end with the library.
    pub fn jobs_file(mut self, path: impl Into<PathBuf>) -> Cluster {
        self.services_mut().jobs_file = Some(path.into());
        self
    }

    /// Lets the processes of the herd send messages to each other: [`WorkerHandle::bus`]. With
    /// [`state`](Cluster::state) or [`job`](Cluster::job) they can anyway.
    ///
    /// [`WorkerHandle::bus`]: crate::WorkerHandle::bus
    pub fn bus(mut self) -> Cluster {
        self.services_mut();
        self
    }

    fn services_mut(&mut self) -> &mut Services {
        self.services.get_or_insert_default()
    }

    /// The built-in library, if it is asked for.
    pub(super) fn built_in(&self) -> Result<Option<Given>, ClusterError> {
        let Some(services) = &self.services else {
            return Ok(None);
        };
        // Of what the herd is called, only the library knows.
        let settings = services.settings("app")?;
        settings.check().map_err(|error| wrong("state", error))?;
        let services = services.clone();
        let build: Build = Arc::new(move |setup: LibrarySetup| {
            let settings = services.settings(setup.app());
            Box::pin(async move {
                let settings = settings.map_err(|error| error.to_string())?;
                let opened = open(settings, &setup.herd, setup.epoch()).await;
                opened.map_err(|error| error.to_string())
            })
        });
        Ok(Some(Given {
            name: NAME.to_owned(),
            build,
            on_reload: self.fate(),
        }))
    }

    /// Values in memory would not survive a replacement; all others do.
    fn fate(&self) -> OnReload {
        let mut spaces = self.services.iter().flat_map(|services| &services.state);
        if spaces.any(|space| space.backend == Backend::Memory) {
            OnReload::Keep
        } else {
            OnReload::Replace
        }
    }
}

impl Services {
    fn settings(&self, app: &str) -> Result<Settings, ClusterError> {
        let mut defined = Vec::new();
        for (name, schedule) in &self.jobs {
            let definition = schedule.definition();
            let definition =
                definition.map_err(|error| wrong("job", format!("{name}: {error}")))?;
            defined.push((name.clone(), definition));
        }
        let store = self.store.as_ref().map(|url| {
            let mut store = StoreSettings::new(url, app);
            if let Some(time) = self.claim {
                store.claim_ms = millis(time.max(SHORTEST_CLAIM));
            }
            store
        });
        Ok(Settings {
            state: self.state.clone(),
            store,
            jobs: JobsSettings {
                file: self.jobs_file.clone(),
                defined,
            },
        })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(cluster: &Cluster) -> Result<Vec<String>, String> {
        let planned = cluster.planned_libraries();
        let planned = planned.map_err(|error| error.to_string())?;
        Ok(planned.iter().map(|one| one.name.to_string()).collect())
    }

    #[test]
    fn the_built_in_library_is_there_when_it_is_asked_for_and_once() {
        assert!(names(&Cluster::new()).expect("right").is_empty());
        let cluster = Cluster::new()
            .bus()
            .state("a", Backend::Memory)
            .state("b", Backend::Memory)
            .job("tick", "every 10s");
        assert_eq!(names(&cluster).expect("right"), ["herder"]);
    }

    #[test]
    fn what_cannot_be_is_told_before_the_herd_starts() {
        for (cluster, expected) in [
            (
                Cluster::new().job("tick", "every day"),
                "Cluster::job: tick: \"every day\" is no timing",
            ),
            (
                Cluster::new().state("Sessions", Backend::Memory),
                "Cluster::state: \"Sessions\" is not the name of a namespace",
            ),
            (
                Cluster::new()
                    .state("a", Backend::Memory)
                    .state("a", Backend::Memory),
                "Cluster::state: \"a\" is not the name of a namespace",
            ),
            (
                Cluster::new().state("a", Backend::Store),
                "Cluster::state: namespace a is to be in the store, and no store is named",
            ),
            (
                Cluster::new()
                    .bus()
                    .library("herder", async |setup: LibrarySetup| {
                        Ok::<_, String>(setup.library())
                    }),
                "Cluster::library: \"herder\" is given twice",
            ),
        ] {
            let said = names(&cluster).expect_err("wrong");
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
