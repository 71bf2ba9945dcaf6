//! What is written down of a herd.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use herder_core::spec::{DispatchMode, WorkerCount};
use herder_core::supervisor::{Outcome, Supervisor};
use herder_core::{Generation, Tick, WorkerId};
use serde::{Deserialize, Serialize};

use crate::master::Stopping;
use crate::master::environment::Variable;
use crate::master::gateway::{FormerState, Roster, SettingsState};
use crate::master::member::Exhaustion;
use crate::master::node::NodeLife;
use crate::master::reload::{Record, Reloads};
use crate::master::runtime::Ports;
use crate::master::socket::SocketState;

/// Version of everything below. Who reads it knows this one and the one before: a new field has a default.
pub(in crate::master) const FORMAT: u16 = 1;

/// A herd, without its descriptors.
#[derive(Serialize, Deserialize)]
pub(in crate::master) struct State<'a> {
    /// Its name: another app's state is not taken over.
    pub(in crate::master) app: Cow<'a, str>,
    pub(in crate::master) mode: DispatchMode,
    /// How many workers it shall have: the operator may have changed it.
    pub(in crate::master) workers: WorkerCount,
    pub(in crate::master) stopping: Stopping,
    pub(in crate::master) parts: Vec<PartState<'a>>,
    /// By number: which libraries have never been ready.
    pub(in crate::master) awaited: Vec<u8>,
    pub(in crate::master) reception: Option<ReceptionState<'a>>,
    pub(in crate::master) editions: Record,
    /// What the generations are made from, where a reload reads it again.
    #[serde(default)]
    pub(in crate::master) definitions: BTreeMap<Generation, Cow<'a, str>>,
    /// The generation whose policies hold.
    #[serde(default)]
    pub(in crate::master) holds: Option<Generation>,
    pub(in crate::master) reloads: Cow<'a, Reloads>,
    pub(in crate::master) places: PlacesState<'a>,
    /// What every process finds in its environment of the libraries.
    pub(in crate::master) libraries: Cow<'a, [Variable]>,
    pub(in crate::master) cautions: Cow<'a, BTreeSet<String>>,
    pub(in crate::master) announced: Cow<'a, BTreeSet<String>>,
    /// What the build that wrote this calls itself.
    #[serde(default)]
    pub(in crate::master) version: Cow<'a, str>,
    /// The upgrade that goes on.
    #[serde(default)]
    pub(in crate::master) upgrade: Option<UpgradeState<'a>>,
    /// Signals of the operator that were heard, and are to be obeyed: signal N is bit N−1.
    #[serde(default)]
    pub(in crate::master) unobeyed: u64,
    /// When this was written: the master lived then.
    #[serde(default)]
    pub(in crate::master) written: Option<Tick>,
    /// Who is connected with the herd's socket while the master becomes another build.
    #[serde(default)]
    pub(in crate::master) socket: Option<SocketState>,
}

impl State<'_> {
    /// The definition that holds.
    pub(in crate::master) fn definition(&self) -> Option<&str> {
        let holds = self.holds.as_ref()?;
        self.definitions.get(holds).map(|it| &**it)
    }
}

/// An upgrade of the master, from its beginning until the next image has told of it.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::master) struct UpgradeState<'a> {
    pub(in crate::master) began: Tick,
    /// Why the new build could not be executed: then this one goes on.
    pub(in crate::master) failure: Option<Cow<'a, str>>,
    /// What the build before called itself, once the new one is in charge.
    #[serde(default)]
    pub(in crate::master) done_from: Option<Cow<'a, str>>,
}

/// A part of it.
#[derive(Serialize, Deserialize)]
pub(in crate::master) struct PartState<'a> {
    pub(in crate::master) number: u8,
    /// What it is, for people.
    pub(in crate::master) name: Cow<'a, str>,
    pub(in crate::master) supervisor: Cow<'a, Supervisor>,
    pub(in crate::master) members: Vec<MemberState<'a>>,
    pub(in crate::master) outcome: Option<Outcome>,
    pub(in crate::master) last_ended: Option<u64>,
}

/// A process.
#[derive(Serialize, Deserialize)]
pub(in crate::master) struct MemberState<'a> {
    pub(in crate::master) worker: WorkerId,
    pub(in crate::master) pid: i32,
    pub(in crate::master) cgroup: Option<PathState<'a>>,
    /// Where its notify socket is, if that has a path.
    pub(in crate::master) notify: Option<PathState<'a>>,
    pub(in crate::master) progress: Progress,
    pub(in crate::master) retire_reason: Option<Cow<'a, str>>,
    pub(in crate::master) exhaustion: Exhaustion,
    pub(in crate::master) problem: Option<Cow<'a, str>>,
    pub(in crate::master) node: Option<Cow<'a, NodeLife>>,
    #[serde(default)]
    pub(in crate::master) guessed: bool,
}

/// How far a process has come, as far as that is the master's doing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(in crate::master) enum Progress {
    /// It waits for its plan, or got it in the very moment of the master's death.
    Launched,
    /// It has its plan.
    Planned,
    /// It has greeted.
    Greeted,
    /// It was told to leave in a way that is not to be repeated.
    ToldToLeave,
}

/// What the master knows for the gateway.
#[derive(Serialize, Deserialize)]
pub(in crate::master) struct ReceptionState<'a> {
    pub(in crate::master) roster: Cow<'a, Roster>,
    pub(in crate::master) open_by: Tick,
    /// By what gateways work that are started from now on.
    #[serde(default)]
    pub(in crate::master) settings: Option<SettingsState<'a>>,
    /// By what those work that serve, until others have taken their place: what holds again if they cannot.
    #[serde(default)]
    pub(in crate::master) former: Option<FormerState<'a>>,
    /// Gateways that work by other settings than those that hold.
    #[serde(default)]
    pub(in crate::master) outdated: Cow<'a, BTreeSet<WorkerId>>,
}

/// The places of a herd.
#[derive(Default, Serialize, Deserialize)]
pub(in crate::master) struct PlacesState<'a> {
    pub(in crate::master) cgroup: Option<PathState<'a>>,
    pub(in crate::master) directory: Option<PathState<'a>>,
    #[serde(default)]
    pub(in crate::master) ports: Ports,
}

/// A path, which need not be text.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(in crate::master) struct PathState<'a>(Cow<'a, [u8]>);

impl<'a> From<&'a Path> for PathState<'a> {
    fn from(path: &'a Path) -> PathState<'a> {
        PathState(path.as_os_str().as_bytes().into())
    }
}

impl From<PathState<'_>> for PathBuf {
    fn from(path: PathState<'_>) -> PathBuf {
        OsStr::from_bytes(&path.0).into()
    }
}
