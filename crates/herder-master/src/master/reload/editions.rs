//! What differs from one generation of the herd's program to the next.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::rc::Rc;

use herder_core::Generation;
use herder_sys::process::Executable;
use herder_wire::keeper::Key;
use serde::{Deserialize, Serialize};

use super::fixed::Fixed;
use super::kit::Kit;
use super::reading::Lectern;
use crate::config::{Command, Config, LibraryProgram, NodeProgram, OnReload, Program};
use crate::estate::{Treasury, Vault};
use crate::find::{self, FindError};
use crate::launch::Launchpad;
use crate::master::environment::Variable;
use crate::part::PartNumber;

/// The generations from which somebody lives, or is still to be started.
pub(in crate::master) struct Editions {
    sources: Sources,
    origin: Origin,
    fixed: Fixed,
    all: BTreeMap<Generation, Edition>,
    /// Those whose executables the keeper still has, because what was written down last may name them.
    closed: BTreeSet<Generation>,
    /// Whose policies hold.
    holds: Generation,
    /// For what is the same in every generation.
    plain: Edition,
}

/// Where the configurations of new generations come from.
pub(in crate::master) struct Origin {
    /// `None`: the one that there is stands.
    pub(in crate::master) lectern: Option<Lectern>,
    /// How everybody finds the libraries.
    pub(in crate::master) found_by: Vec<Variable>,
}

/// What another master has left of its generations.
pub(in crate::master) struct LeftEditions<'a> {
    pub(in crate::master) record: Record,
    /// What they are made from, where a source is.
    pub(in crate::master) definitions: &'a BTreeMap<Generation, Cow<'a, str>>,
    /// Whose policies hold; `None` = those of the first.
    pub(in crate::master) holds: Option<Generation>,
}

/// One generation.
pub(in crate::master) struct Edition {
    /// What the parts are started from that are the program itself. `None`: the master's own executable.
    launchpad: Option<Launchpad>,
    /// Where the programs of the other parts were found. What is not here is where it was at the start.
    found: BTreeMap<PartNumber, PathBuf>,
    kit: Rc<Kit>,
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
    #[error("{} cannot be changed by a reload: put it back, or restart the app", list(.0))]
    Fixed(Vec<&'static str>),
    #[error("the program cannot be opened: {0}")]
    Open(#[from] io::Error),
}

impl Editions {
    /// The first generation: the program that runs now.
    pub(in crate::master) fn first(
        config: &Config,
        origin: Origin,
        vault: &Vault,
    ) -> io::Result<Editions> {
        let mut editions = Editions::empty(config, origin);
        let mut edition = editions.plain.bare();
        if editions.sources.workers == Kind::Itself {
            edition.launchpad = Some(Launchpad::current()?);
        }
        edition.store(Generation::FIRST, vault)?;
        editions.all.insert(Generation::FIRST, edition);
        Ok(editions)
    }

    /// What another master has left.
    pub(in crate::master) fn restored(
        config: &Config,
        origin: Origin,
        left: LeftEditions<'_>,
        treasury: &mut Treasury,
    ) -> io::Result<Editions> {
        let mut editions = Editions::empty(config, origin);
        editions.holds = left.holds.unwrap_or(Generation::FIRST);
        let path = Executable::current()?.path().to_owned();
        for (generation, found) in left.record.0 {
            let mut edition = editions.plain.bare();
            if editions.sources.workers == Kind::Itself {
                let lost = || io::Error::other(format!("generation {generation} is lost"));
                let key = Key::generation(generation.0);
                let file = treasury.take(&key).ok_or_else(lost)?;
                edition.launchpad = Some(Launchpad::of(Executable::held(file, path.clone())));
            }
            let found = found.into_iter();
            edition.found = found.map(|(part, path)| (PartNumber(part), path)).collect();
            if let Some(definition) = left.definitions.get(&generation) {
                edition.kit = editions.recall(definition).map_err(io::Error::other)?;
            }
            editions.all.insert(generation, edition);
        }
        Ok(editions)
    }

    fn empty(config: &Config, origin: Origin) -> Editions {
        Editions {
            sources: Sources::of(config),
            fixed: Fixed::of(config),
            all: BTreeMap::new(),
            closed: BTreeSet::new(),
            holds: Generation::FIRST,
            plain: Edition {
                launchpad: None,
                found: BTreeMap::new(),
                kit: Rc::new(Kit::new(config, &origin.found_by)),
            },
            origin,
        }
    }

    /// What a generation is made from that an earlier master has opened.
    fn recall(&self, definition: &str) -> Result<Rc<Kit>, String> {
        let plain = &self.plain.kit;
        match &self.origin.lectern {
            Some(lectern) if plain.definition != definition => {
                let config = lectern.recall(definition)?;
                Ok(Rc::new(Kit::new(&config, &self.origin.found_by)))
            }
            Some(_) | None => Ok(Rc::clone(plain)),
        }
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

    /// What the generations are made from, where a source is.
    pub(in crate::master) fn definitions(&self) -> BTreeMap<Generation, Cow<'_, str>> {
        let all = self.all.iter().filter(|_| self.origin.lectern.is_some());
        all.map(|(generation, it)| (*generation, Cow::Borrowed(&*it.kit.definition)))
            .collect()
    }

    /// The generation whose policies hold.
    pub(in crate::master) fn holds(&self) -> Generation {
        self.holds
    }

    /// From now on the policies of this generation hold.
    pub(super) fn hold_to(&mut self, generation: Generation) -> Rc<Kit> {
        self.holds = generation;
        Rc::clone(&self.get(generation).kit)
    }

    /// The numbers of the libraries that a reload replaces.
    pub(in crate::master) fn replaceable(&self) -> impl Iterator<Item = u8> {
        self.sources.libraries.iter().copied()
    }

    /// A generation. (One that is not known is as the master is.)
    pub(in crate::master) fn get(&self, generation: Generation) -> &Edition {
        self.all.get(&generation).unwrap_or(&self.plain)
    }

    /// Where the definitions of new generations are read, if they are.
    pub(super) fn lectern(&self) -> Option<Lectern> {
        self.origin.lectern.clone()
    }

    /// Makes a generation of what is there now: of this configuration, where that is read again, and of what is
    /// in the file system. Returns what should be known of it.
    pub(in crate::master) fn open(
        &mut self,
        generation: Generation,
        config: Option<Config>,
        vault: &Vault,
    ) -> Result<Vec<String>, NoEdition> {
        let (mut edition, mut hints) = (self.plain.bare(), Vec::new());
        if let Some(config) = config {
            let changed = self.fixed.differing(&Fixed::of(&config));
            if !changed.is_empty() {
                return Err(NoEdition::Fixed(changed));
            }
            edition.kit = Rc::new(Kit::new(&config, &self.origin.found_by));
            edition.found = Sources::of(&config).as_found();
            hints = config.hints;
        } else {
            edition.found = self.sources.find()?;
        }
        // What it is to the master, a reload does not change.
        if self.sources.workers == Kind::Itself {
            edition.launchpad = Some(Launchpad::current()?.installed()?);
            edition.store(generation, vault)?;
        }
        self.all.insert(generation, edition);
        Ok(hints)
    }

    /// Nobody is started from this generation any more.
    pub(in crate::master) fn close(&mut self, generation: Generation) {
        let closed = self.all.remove(&generation);
        if closed.is_some_and(|it| it.launchpad.is_some()) {
            self.closed.insert(generation);
        }
    }

    /// What is written down now names no generation that was closed: the keeper need not have it any more. (A
    /// master that misses one cannot take over.)
    pub(in crate::master) fn forget_closed(&mut self, vault: &Vault) {
        for generation in std::mem::take(&mut self.closed) {
            // A number is given again when there was no such generation after all.
            if !self.all.contains_key(&generation) {
                vault.forget(&Key::generation(generation.0));
            }
        }
    }
}

impl Edition {
    /// Another one like it, as far as it is the same in every generation.
    fn bare(&self) -> Edition {
        Edition {
            launchpad: None,
            found: BTreeMap::new(),
            kit: Rc::clone(&self.kit),
        }
    }

    /// What its configuration says.
    pub(in crate::master) fn kit(&self) -> &Kit {
        &self.kit
    }

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
    /// Where the programs are now.
    fn find(&self) -> Result<BTreeMap<PartNumber, PathBuf>, FindError> {
        let mut found = BTreeMap::new();
        for (part, command) in &self.sought {
            if let Some(name) = &command.sought {
                let path = find::look_up(name, command.directory.as_deref())?;
                found.insert(*part, path);
            }
        }
        Ok(found)
    }

    /// Where they were found, by whoever made the configuration.
    fn as_found(&self) -> BTreeMap<PartNumber, PathBuf> {
        let found = self.sought.iter();
        found
            .map(|(part, command)| (*part, command.path.clone()))
            .collect()
    }

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

/// Names in a sentence.
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
