//! [`Cluster::library`].

use std::fmt::Display;
use std::sync::Arc;

use herder_core::spec::LibraryName;
use herder_master::config::{self, LibraryProgram, MAX_LIBRARIES, OnReload};
use herder_rpc::server::Library;

use crate::cluster::builder::Cluster;
use crate::cluster::error::ClusterError;
use crate::cluster::settings::{Settings, wrong};
use crate::library::setup::{Build, LibrarySetup, Planned, build_by};

/// A library as it was given.
pub(crate) struct Given {
    pub(super) name: String,
    pub(super) build: Build,
    pub(super) on_reload: OnReload,
}

impl Cluster {
    /// Adds a library: a process of the herd for what only one process can hold, whose objects every
    /// worker calls directly.
    ///
    /// The function runs in that process only, on a runtime of its own. It builds the objects, opens
    /// what they need, and returns the [`Library`]; then the library is ready. The workers are started
    /// when every library is. If the function fails at the first start, again and again, the herd ends
    /// with the status 3 and with what the library printed last. Later a library that ends is started
    /// anew, by the same rules as a worker, and the workers stay: their calls fail, or wait for the
    /// next life, as they say. A reload replaces the libraries first, and then the workers. Libraries end
    /// after the workers.
    ///
    /// The program can be a library of other herds, too: under `herder run --library NAME=PROGRAM` its
    /// library of that name is all that is used of it.
    ///
    /// A name is 1 to 32 of `a-z 0-9 -`, and no two libraries have the same.
    ///
    /// ```no_run
    /// use std::process::ExitCode;
    /// use herder::rpc::CallError;
    /// use herder::{AsyncWorker, Cluster, ClusterError, Library, LibrarySetup};
    ///
    /// #[herder::object(name = "greeter")]
    /// trait Greeter {
    ///     async fn greet(&self, name: String) -> String;
    /// }
    ///
    /// struct Polite;
    ///
    /// impl Greeter for Polite {
    ///     async fn greet(&self, name: String) -> String {
    ///         format!("hello, {name}")
    ///     }
    /// }
    ///
    /// fn main() -> Result<ExitCode, ClusterError> {
    ///     herder::init();
    ///     Cluster::new().listen(8080).library("core", core).run_async(serve)
    /// }
    ///
    /// async fn core(setup: LibrarySetup) -> Result<Library, std::io::Error> {
    ///     Ok(setup.library().object(GreeterObject::new(Polite)))
    /// }
    ///
    /// async fn serve(worker: AsyncWorker) -> Result<(), CallError> {
    ///     let greeter: GreeterClient = worker.agent().object().await?;
    ///     println!("{}", greeter.greet("you".to_owned()).await?);
    ///     Ok(())
    /// }
    /// ```
    pub fn library<F, Fut, E>(mut self, name: impl Into<String>, setup: F) -> Cluster
    where
        F: Fn(LibrarySetup) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Library, E>> + 'static,
        E: Display,
    {
        let (name, build) = (name.into(), build_by(setup));
        self.libraries.push(Given {
            name,
            build,
            on_reload: OnReload::Replace,
        });
        self
    }

    /// The libraries, under names that can be.
    pub(super) fn planned_libraries(&self) -> Result<Vec<Planned>, ClusterError> {
        let mut planned: Vec<Planned> = Vec::new();
        #[cfg(feature = "services")]
        let built_in = self.built_in()?;
        #[cfg(not(feature = "services"))]
        let built_in: Option<Given> = None;
        for given in built_in.iter().chain(&self.libraries) {
            let Given { name, build, .. } = given;
            let name: LibraryName = name.parse().map_err(|error| wrong("library", error))?;
            if planned.iter().any(|known| known.name == name) {
                return Err(wrong("library", format!("{name:?} is given twice")));
            }
            let build = Arc::clone(build);
            planned.push(Planned {
                name,
                build,
                on_reload: given.on_reload,
            });
        }
        if planned.len() > MAX_LIBRARIES {
            let problem = format!("a herd has at most {MAX_LIBRARIES} of them");
            return Err(wrong("library", problem));
        }
        Ok(planned)
    }
}

/// The libraries, for the master.
pub(super) fn for_master(planned: &[Planned], settings: &Settings) -> Vec<config::Library> {
    let library = |planned: &Planned| config::Library {
        name: planned.name,
        program: LibraryProgram::Itself,
        boot_timeout: settings.life.boot_timeout,
        hang: settings.life.hang,
        on_reload: planned.on_reload,
    };
    planned.iter().map(library).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn nothing(setup: LibrarySetup) -> Result<Library, String> {
        Ok(setup.library())
    }

    #[test]
    fn a_library_has_a_name_of_its_own() {
        let names = |names: &[&str]| {
            let cluster = names.iter().fold(Cluster::new(), |cluster, name| {
                cluster.library(*name, nothing)
            });
            cluster.planned_libraries().map(|planned| planned.len())
        };
        assert_eq!(names(&["core", "b-2"]).expect("right"), 2);
        for (given, expected) in [
            (
                &["Core"][..],
                "Cluster::library: \"Core\" is not the name of a library",
            ),
            (&["a", "a"], "Cluster::library: \"a\" is given twice"),
        ] {
            let said = names(given).expect_err("wrong").to_string();
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
