//! What the built-in library is to hold.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::services::OpenError;
use crate::jobs::JobDefinition;
use crate::state::Durability;

/// Everything that the built-in library is made from.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The namespaces of the state.
    #[serde(default)]
    pub state: Vec<NamespaceSettings>,
    /// What several machines share.
    #[serde(default)]
    pub store: Option<StoreSettings>,
    /// The jobs.
    #[serde(default)]
    pub jobs: JobsSettings,
}

/// A namespace of the state.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceSettings {
    /// Its name: 1 to 64 of `a-z 0-9 - _ .`.
    pub name: String,
    /// Where its values are.
    #[serde(default)]
    pub backend: Backend,
    /// How much it may hold, in bytes; not with a store.
    #[serde(default = "quarter_gigabyte")]
    pub max_bytes: usize,
}

/// Where values are.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// In a file of this machine: they outlive every restart.
    File {
        /// The file; several namespaces may share it.
        path: PathBuf,
        /// When a change is answered.
        #[serde(default)]
        durability: Durability,
    },
    /// In the library: they outlive the workers, not the library.
    #[default]
    Memory,
    /// In the store: they outlive everything here, and other machines have them, too.
    Store,
}

/// A Redis or Valkey.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// `redis://[user:password@]host[:port][/database]`, or `redis+unix:///path`.
    pub url: String,
    /// What every key begins with: apps of different names do not meet.
    pub prefix: String,
    /// How long the right to a job's tick stands if its holder says nothing, in milliseconds.
    #[serde(default = "half_a_minute")]
    pub claim_ms: u64,
}

/// The jobs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct JobsSettings {
    /// Where what is defined while the herd runs is kept.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// Jobs that are there from the start, by their names.
    #[serde(default)]
    pub defined: Vec<(String, JobDefinition)>,
}

impl Settings {
    /// Whether all this can be, as far as that is known before anything is opened.
    ///
    /// # Errors
    /// The first [`OpenError`].
    pub fn check(&self) -> Result<(), OpenError> {
        for (index, space) in self.state.iter().enumerate() {
            let is_new = self.state[..index]
                .iter()
                .all(|other| other.name != space.name);
            space.check()?;
            if !is_new {
                let name = space.name.clone();
                return Err(OpenError::Name { name });
            }
            if space.backend == Backend::Store && self.store.is_none() {
                let name = space.name.clone();
                return Err(OpenError::NoStore { name });
            }
        }
        self.store.as_ref().map_or(Ok(()), StoreSettings::check)
    }
}

impl Backend {
    /// A file whose changes are answered when they are on the disk.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Backend {
        Backend::File {
            path: path.into(),
            durability: Durability::default(),
        }
    }
}

impl NamespaceSettings {
    /// A namespace of this name.
    #[must_use]
    pub fn new(name: impl Into<String>, backend: Backend) -> NamespaceSettings {
        NamespaceSettings {
            name: name.into(),
            backend,
            max_bytes: quarter_gigabyte(),
        }
    }

    /// Whether its name is one.
    ///
    /// # Errors
    /// [`OpenError::Name`] when it is none.
    pub fn check(&self) -> Result<(), OpenError> {
        if is_name(&self.name) {
            return Ok(());
        }
        let name = self.name.clone();
        Err(OpenError::Name { name })
    }
}

impl StoreSettings {
    /// A store at this address, for the app of this name.
    #[must_use]
    pub fn new(url: impl Into<String>, app: &str) -> StoreSettings {
        StoreSettings {
            url: url.into(),
            prefix: format!("herder:{app}"),
            claim_ms: half_a_minute(),
        }
    }

    /// Whether the address is one; nobody is asked.
    ///
    /// # Errors
    /// [`OpenError::Store`] when it is none, [`OpenError::NotBuilt`] without the feature `redis`.
    pub fn check(&self) -> Result<(), OpenError> {
        #[cfg(feature = "redis")]
        return Ok(crate::redis::Link::check(&self.url)?);
        #[cfg(not(feature = "redis"))]
        Err(OpenError::NotBuilt {
            what: "a store".to_owned(),
            feature: "redis",
        })
    }

    /// How long the right to a job's tick stands.
    #[must_use]
    pub fn claim(&self) -> Duration {
        Duration::from_millis(self.claim_ms)
    }
}

/// As text: `memory`, `file:PATH`, or `store`.
impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Backend, String> {
        match text {
            "memory" => Ok(Backend::Memory),
            "store" => Ok(Backend::Store),
            _ => match text.strip_prefix("file:") {
                Some(path) if !path.is_empty() => Ok(Backend::file(path)),
                Some(_) | None => Err(format!("{text:?} is none of memory, file:PATH and store")),
            },
        }
    }
}

/// Whether this is the name of a namespace.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    (1..=64).contains(&name.len())
        && name.chars().all(allowed)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn quarter_gigabyte() -> usize {
    256 * 1024 * 1024
}

fn half_a_minute() -> u64 {
    30_000
}
