//! The libraries of a herd: each a part of its own, there before the workers and after them.
//!
//! The master binds one listener for each library, in the herd's private directory, and every life of
//! the library inherits it: who connects while a library is restarted waits, and finds its successor.
//! What is said over it is none of the master's business.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use herder_core::spec::{
    AppSpec, LibraryName, LifePolicy, Readiness, RecyclePolicy, StopSignal, WorkerCount,
};
use herder_core::supervisor::{Event, Outcome, Supervisor};
use herder_sys::listener::{Address, ListenError, ListenOptions, Listener};
use herder_sys::user::Identity;
use herder_sys::{fd, limits, random};
use herder_wire::keeper::Key;

use super::crew::Crew;
use super::environment::{self, Variable};
use super::gateway;
use super::nursery::{LibraryRecipe, Recipe};
use super::runtime::{MAX_SOCKET_PATH, Runtime, Visitor};
use super::{Master, Stopping, now};
use crate::config::{Config, Library, LibraryProgram, MAX_LIBRARIES, NodeProgram, Program};
use crate::estate::Treasury;
use crate::event::{HerdEvent, LibraryInfo};
use crate::part::Part;

/// Who may connect is whoever has the rights of the herd.
const OWNER_ONLY: u32 = 0o600;

/// What is wrong with the libraries.
#[derive(Debug, thiserror::Error)]
pub(super) enum LibrariesError {
    #[error("the library {0} is named twice; leave one out")]
    NamedTwice(LibraryName),
    #[error("a herd has at most {MAX_LIBRARIES} libraries, not {0}")]
    TooMany(usize),
}

/// The libraries, before they are started.
pub(super) struct Libraries {
    pub(super) crews: Vec<(Part, Crew)>,
    /// What every worker finds in its environment of them.
    pub(super) environment: Vec<Variable>,
}

/// Which libraries have not been ready yet.
pub(super) struct Awaited(BTreeSet<Part>);

/// Finds what cannot be.
pub(super) fn check(libraries: &[Library]) -> Result<(), LibrariesError> {
    if libraries.len() > MAX_LIBRARIES {
        return Err(LibrariesError::TooMany(libraries.len()));
    }
    let mut seen = BTreeSet::new();
    match libraries.iter().find(|library| !seen.insert(library.name)) {
        Some(twice) => Err(LibrariesError::NamedTwice(twice.name)),
        None => Ok(()),
    }
}

/// Listens for each library, unless an earlier master does already. `found_by_then`: what that one wrote
/// into everybody's environment.
pub(super) fn found(
    config: &Config,
    runtime: &mut Runtime,
    treasury: &mut Treasury,
    found_by_then: Option<Vec<Variable>>,
) -> Result<Libraries, ListenError> {
    if config.libraries.is_empty() {
        return Ok(Libraries {
            crews: Vec::new(),
            environment: Vec::new(),
        });
    }
    let identity = workers_identity(&config.program);
    let places = config.libraries.iter().zip(0..);
    let bound = places.map(|(library, place)| {
        let name = library.name;
        let info = LibraryInfo { place, name };
        let key = Key::library(place.into());
        let (path, listener) = match (treasury.take(&key), &found_by_then) {
            (Some(heirloom), _) => (PathBuf::new(), Some(heirloom)),
            // No life of it is to come.
            (None, Some(_)) => (PathBuf::new(), None),
            (None, None) => {
                let (path, listener) = bind(info, identity, config, runtime)?;
                // What cannot be stored is lost with this master.
                let _unstored = runtime.vault().store(&key, listener.as_fd(), 0);
                (path, Some(listener))
            }
        };
        Ok((library, info, path, listener))
    });
    let bound: Vec<_> = bound.collect::<Result<_, ListenError>>()?;
    let paths = bound.iter().map(|(_, info, path, _)| (info.name, &**path));
    let environment = found_by_then.unwrap_or_else(|| found_by(paths));
    let crews = bound
        .into_iter()
        .map(|(library, info, _, listener)| {
            let mut recipe = recipe(&config.spec, library);
            recipe.listener = listener;
            recipe.identity = identity.cloned();
            let supervisor = Supervisor::new(library_spec(&config.spec, library), random::seed());
            let crew = Crew::new(supervisor, Recipe::Library(Box::new(recipe)));
            (Part::Library(info), crew)
        })
        .collect();
    Ok(Libraries { crews, environment })
}

impl Awaited {
    pub(super) fn new(libraries: &[(Part, Crew)]) -> Awaited {
        Awaited(libraries.iter().map(|(part, _)| *part).collect())
    }

    /// Those of the libraries whose numbers these are.
    pub(super) fn of_numbers(libraries: &[(Part, Crew)], numbers: &[u8]) -> Awaited {
        let parts = libraries.iter().map(|(part, _)| *part);
        Awaited(
            parts
                .filter(|it| numbers.contains(&it.number().0))
                .collect(),
        )
    }

    /// Their numbers.
    pub(super) fn numbers(&self) -> Vec<u8> {
        self.0.iter().map(|part| part.number().0).collect()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Master {
    /// Starts the libraries, and everybody else if there is none.
    pub(super) fn start(&mut self) {
        for part in self.libraries() {
            self.feed(part, Event::Start);
        }
        if self.awaited.is_empty() {
            self.start_others();
        }
    }

    /// A library is ready: the last of them is what the others waited for.
    pub(super) fn library_is_ready(&mut self, part: Part) {
        if self.awaited.0.remove(&part) && self.awaited.is_empty() {
            self.start_others();
        }
    }

    /// Whether the workers wait for a library before their first start.
    pub(super) fn awaits_libraries(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// Nobody is left who would call a library.
    pub(super) fn stop_libraries(&mut self) {
        for part in self.libraries() {
            self.close_listeners(part);
            self.feed(part, Event::Stop);
        }
    }

    /// Without one of its libraries there is no herd, if that was never ready.
    pub(super) fn library_ended(&mut self, part: Part, outcome: Outcome) {
        match outcome {
            Outcome::Completed { .. } | Outcome::Stopped => {}
            Outcome::BootFailed => {
                let last_lines = self.last_lines_before(part, outcome);
                let finished = HerdEvent::Finished {
                    outcome,
                    last_lines,
                };
                self.tell_of(part, finished);
                if self.stopping == Stopping::No {
                    self.stop(None);
                }
            }
        }
    }

    fn start_others(&mut self) {
        // The time that it may take counts from now.
        let boot_timeout = self.spec.life.boot_timeout;
        self.delivery.opens_by(now().after(boot_timeout));
        for part in [Part::Gateway, Part::Workers] {
            self.feed(part, Event::Start);
        }
    }

    fn libraries(&self) -> Vec<Part> {
        let is_library = |part: &Part| matches!(part, Part::Library(_));
        self.crews.parts().into_iter().filter(is_library).collect()
    }
}

/// Binds the listener of a library, for who has the rights of the workers.
fn bind(
    library: LibraryInfo,
    identity: Option<&Identity>,
    config: &Config,
    runtime: &mut Runtime,
) -> Result<(PathBuf, OwnedFd), ListenError> {
    let visitor = match identity {
        Some(_) => Visitor::Another,
        None => gateway::visitor(config),
    };
    let here = Path::new("the herd's private directory");
    let directory = runtime.directory(visitor).map_err(|e| failed(here, e))?;
    let path = socket_path(directory, library);
    let options = ListenOptions {
        backlog: config.backlog,
        unix_mode: OWNER_ONLY,
    };
    let listener = Listener::bind(Address::Unix(&path), &options)?.into_fd();
    let prepared = match identity {
        None => Ok(()),
        Some(owner) => std::os::unix::fs::chown(&path, Some(owner.uid), Some(owner.gid)),
    };
    let blocking = match config.libraries[usize::from(library.place)].program {
        LibraryProgram::Itself => fd::Blocking::No,
        // As from systemd.
        LibraryProgram::Command(_) | LibraryProgram::Hosted(..) => fd::Blocking::Yes,
    };
    prepared
        .and_then(|()| fd::set_blocking(listener.as_fd(), blocking))
        .map_err(|error| failed(&path, error))?;
    Ok((path, listener))
}

/// Named like the library, where the whole path is not too long for a socket then. (No library has a
/// name with an underscore in it.)
fn socket_path(directory: &Path, library: LibraryInfo) -> PathBuf {
    let path = directory.join(format!("{}.sock", library.name));
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        path
    } else {
        directory.join(format!("_{}.sock", library.place))
    }
}

fn failed(path: &Path, source: io::Error) -> ListenError {
    ListenError::System {
        address: path.display().to_string(),
        source,
    }
}

fn workers_identity(program: &Program) -> Option<&Identity> {
    match program {
        Program::Itself => None,
        Program::Command(command) | Program::Node(NodeProgram { command, .. }) => {
            command.identity.as_ref()
        }
    }
}

/// How libraries are found, and the herd's own number, which agents say and libraries compare: who
/// has kept a path longer than its herd has lived does not find another's library there.
fn found_by<'a>(libraries: impl Iterator<Item = (LibraryName, &'a Path)>) -> Vec<Variable> {
    let mut list = OsString::new();
    for (name, path) in libraries {
        if !list.is_empty() {
            list.push(":");
        }
        list.push(format!("{name}="));
        list.push(path);
    }
    let herd = format!("{:016x}{:016x}", random::seed(), random::seed());
    let mut environment = Vec::new();
    environment::set(&mut environment, "HERDER_LIBRARIES", list);
    environment::set(&mut environment, "HERDER_HERD", herd);
    environment
}

fn recipe(spec: &AppSpec, library: &Library) -> LibraryRecipe {
    LibraryRecipe {
        app: spec.name.clone(),
        library: library.clone(),
        listener: None,
        identity: None,
        open_files: limits::inherited_open_files(),
    }
}

/// A library is supervised as a worker is, and has a restart budget of its own.
pub(super) fn library_spec(spec: &AppSpec, library: &Library) -> AppSpec {
    AppSpec {
        name: spec.name.clone(),
        workers: WorkerCount::new(1).expect("one is a count of workers"),
        restart: spec.restart.clone().without_end(),
        recycle: RecyclePolicy::default(),
        reload: spec.reload.clone(),
        life: LifePolicy {
            readiness: Readiness::Message,
            boot_timeout: library.boot_timeout,
            hang: library.hang,
            grace: gateway::grace(&spec.life),
            stop_signal: StopSignal::default(),
            max_silence: None,
            ..spec.life.clone()
        },
        dispatch: spec.dispatch.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::OnReload;

    fn library(name: &str) -> Library {
        Library {
            name: name.parse().expect("a name"),
            program: LibraryProgram::Itself,
            boot_timeout: Duration::from_secs(60),
            hang: None,
            on_reload: OnReload::Replace,
        }
    }

    #[test]
    fn no_two_libraries_have_one_name() {
        assert!(check(&[library("a"), library("b")]).is_ok());
        let twice = check(&[library("a"), library("b"), library("a")]);
        let said = twice.expect_err("a is there twice").to_string();
        assert_eq!(said, "the library a is named twice; leave one out");
        let many: Vec<_> = (0..=MAX_LIBRARIES)
            .map(|n| library(&n.to_string()))
            .collect();
        let said = check(&many).expect_err("one too many").to_string();
        assert_eq!(said, "a herd has at most 32 libraries, not 33");
    }

    #[test]
    fn a_socket_is_named_like_its_library_unless_that_is_too_long() {
        let named = |directory: &str, name: &str| {
            let name = name.parse().expect("a name");
            socket_path(Path::new(directory), LibraryInfo { place: 7, name })
        };
        assert_eq!(named("/run/h", "core"), Path::new("/run/h/core.sock"));
        let directory = format!("/{}", "d".repeat(80));
        let short = named(&directory, &"x".repeat(32));
        assert_eq!(short, Path::new(&directory).join("_7.sock"));
    }

    #[test]
    fn agents_find_libraries_by_two_variables() {
        let name = |name: &str| name.parse().expect("a name");
        let paths = [
            (name("core"), Path::new("/r/core.sock")),
            (name("b"), Path::new("/r/b")),
        ];
        let found = found_by(paths.into_iter());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("plain");
        assert_eq!(text(&found[0].0), "HERDER_LIBRARIES");
        assert_eq!(text(&found[0].1), "core=/r/core.sock:b=/r/b");
        assert_eq!(text(&found[1].0), "HERDER_HERD");
        assert!(found[1].1.len() == 32 && found[1].1.iter().all(u8::is_ascii_hexdigit));
    }
}
