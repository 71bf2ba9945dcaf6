//! What differs from one generation of the herd's program to the next.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use herder_core::Generation;
use herder_sys::process::Executable;
use herder_wire::keeper::Key;
use serde::{Deserialize, Serialize};

use crate::config::{Command, Config, LibraryProgram, NodeProgram, OnReload, Program};
use crate::estate::{Treasury, Vault};
use crate::find::{self, FindError};
use crate::launch::Launchpad;
use crate::part::PartNumber;

/// The generations from which somebody lives, or is still to be started.
pub(in crate::master) struct Editions {
    sources: Sources,
    all: BTreeMap<Generation, Edition>,
    /// For what is the same in every generation.
    plain: Edition,
}

/// One generation.
#[derive(Default)]
pub(in crate::master) struct Edition {
    /// What the parts are started from that are the program itself. `None`: the master's own executable.
    launchpad: Option<Launchpad>,
    /// Where the programs of the other parts were found. What is not here is where it was at the start.
    found: BTreeMap<PartNumber, PathBuf>,
}

/// Where a new generation comes from.
#[derive(Clone, Debug)]
struct Sources {
    /// What the workers are.
    workers: Kind,
    /// What is looked up again.
    sought: Vec<(PartNumber, Command)>,
    /// The libraries that are replaced.
    libraries: Vec<u8>,
}

/// What something is started from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// The program that the master is, too.
    Itself,
    /// Some other one.
    Other,
}

/// What the next master has to know of the generations: where programs were found, by part.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(in crate::master) struct Record(BTreeMap<Generation, BTreeMap<u8, PathBuf>>);

/// Why there is no new generation.
#[derive(Debug, thiserror::Error)]
pub(in crate::master) enum NoEdition {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error("the program cannot be opened: {0}")]
    Open(#[from] io::Error),
}

impl Editions {
    /// The first generation: the program that runs now.
    pub(in crate::master) fn first(config: &Config, vault: &Vault) -> io::Result<Editions> {
        let sources = Sources::of(config);
        let mut edition = Edition::default();
        if sources.workers == Kind::Itself {
            edition.launchpad = Some(Launchpad::current()?);
        }
        let first = Generation::FIRST;
        edition.store(first, vault)?;
        Ok(Editions {
            sources,
            all: BTreeMap::from([(first, edition)]),
            plain: Edition::default(),
        })
    }

    /// What another master has left.
    pub(in crate::master) fn restored(
        config: &Config,
        record: Record,
        treasury: &mut Treasury,
    ) -> io::Result<Editions> {
        let (mut all, sources) = (BTreeMap::new(), Sources::of(config));
        let path = Executable::current()?.path().to_owned();
        for (generation, found) in record.0 {
            let launchpad = match sources.workers {
                Kind::Other => None,
                Kind::Itself => {
                    let lost = || io::Error::other(format!("generation {generation} is lost"));
                    let key = Key::generation(generation.0);
                    let file = treasury.take(&key).ok_or_else(lost)?;
                    Some(Launchpad::of(Executable::held(file, path.clone())))
                }
            };
            let found = found.into_iter();
            let found = found.map(|(part, path)| (PartNumber(part), path)).collect();
            all.insert(generation, Edition { launchpad, found });
        }
        Ok(Editions {
            sources,
            all,
            plain: Edition::default(),
        })
    }

    /// What the next master has to know.
    pub(in crate::master) fn record(&self) -> Record {
        let found = |edition: &Edition| {
            let paths = edition.found.iter();
            paths.map(|(part, path)| (part.0, path.clone())).collect()
        };
        let all = self.all.iter();
        Record(
            all.map(|(generation, it)| (*generation, found(it)))
                .collect(),
        )
    }

    /// The numbers of the libraries that a reload replaces.
    pub(in crate::master) fn replaceable(&self) -> impl Iterator<Item = u8> {
        self.sources.libraries.iter().copied()
    }

    /// A generation. (One that is not known is as the master is.)
    pub(in crate::master) fn get(&self, generation: Generation) -> &Edition {
        self.all.get(&generation).unwrap_or(&self.plain)
    }

    /// Makes a generation of what is in the file system now.
    pub(in crate::master) fn open(
        &mut self,
        generation: Generation,
        vault: &Vault,
    ) -> Result<(), NoEdition> {
        let mut edition = Edition::default();
        for (part, command) in &self.sources.sought {
            if let Some(name) = &command.sought {
                let path = find::look_up(name, command.directory.as_deref())?;
                edition.found.insert(*part, path);
            }
        }
        if self.sources.workers == Kind::Itself {
            edition.launchpad = Some(Launchpad::current()?.installed()?);
            edition.store(generation, vault)?;
        }
        self.all.insert(generation, edition);
        Ok(())
    }

    /// Nobody is started from this generation any more.
    pub(in crate::master) fn close(&mut self, generation: Generation, vault: &Vault) {
        let closed = self.all.remove(&generation);
        if closed.is_some_and(|it| it.launchpad.is_some()) {
            vault.forget(&Key::generation(generation.0));
        }
    }
}

impl Edition {
    /// What a part is started from that is the program itself.
    pub(in crate::master) fn launchpad(&self) -> Option<&Launchpad> {
        self.launchpad.as_ref()
    }

    /// The command of a part, as this generation has it.
    pub(in crate::master) fn command(&self, part: PartNumber, command: &Command) -> Command {
        let mut command = command.clone();
        if let Some(path) = self.found.get(&part) {
            command.path.clone_from(path);
        }
        command
    }

    fn store(&self, generation: Generation, vault: &Vault) -> io::Result<()> {
        match &self.launchpad {
            None => Ok(()),
            Some(launchpad) => {
                let file = launchpad.executable().as_fd();
                vault.store(&Key::generation(generation.0), file, 0)
            }
        }
    }
}

impl Sources {
    fn of(config: &Config) -> Sources {
        let mut sought = Vec::new();
        let workers = match &config.program {
            Program::Itself => Kind::Itself,
            Program::Command(command) | Program::Node(NodeProgram { command, .. }) => {
                sought.push((PartNumber::WORKERS, command.clone()));
                Kind::Other
            }
        };
        let mut libraries = Vec::new();
        let numbered = config.libraries.iter().zip(PartNumber::LIBRARIES..);
        for (library, number) in numbered.filter(|(it, _)| it.on_reload == OnReload::Replace) {
            libraries.push(number);
            match &library.program {
                LibraryProgram::Command(command) | LibraryProgram::Hosted(command, _) => {
                    sought.push((PartNumber(number), command.clone()));
                }
                LibraryProgram::Itself => {}
            }
        }
        Sources {
            workers,
            sought,
            libraries,
        }
    }
}
