//! What a master, a worker, a gateway and a library find when they take their place.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use herder_sys::{apply, env, signal, title};
use herder_wire::plan::{DescriptorUse, LaunchPlan};

use super::error::RoleError;
use super::plan::{apply_limits, os_pair, sys_identity};

/// What a master gets from its keeper, or from the master whose place it takes.
pub struct MasterSeat(pub(crate) Post);

/// What a process that runs a herd's program is to do with it.
pub(crate) enum Post {
    /// Be the master.
    Charge(Charge),
    /// Say whether it could be.
    Probe(Probe),
}

/// What a master has from the beginning.
pub(crate) struct Charge {
    /// Frames to and from the keeper.
    pub(crate) keeper: OwnedFd,
    /// After an upgrade: what the master held before, in sockets. `None`: the keeper started this process,
    /// and says without being asked what it has.
    pub(crate) parcels: Option<Vec<OwnedFd>>,
}

/// What a probe gets from the living master.
pub(crate) struct Probe {
    /// Where the answer goes.
    pub(crate) answer: OwnedFd,
    /// The state of the herd, as sealed memory.
    pub(crate) state: OwnedFd,
}

/// What a gateway gets from its master.
pub struct GatewaySeat {
    /// The app's name.
    pub app: String,
    /// Which of the app's gateways it is, from 0.
    pub number: u16,
    /// The gateway's life, from 1.
    pub incarnation: u64,
    /// Control frames, both ways.
    pub control: OwnedFd,
    /// Listeners with their addresses, which every life of the gateway shares with the master.
    pub listeners: Vec<(String, OwnedFd)>,
    /// The directory of the app's own page.
    pub page: Option<OwnedFd>,
}

/// What a native library gets from its master.
pub struct LibrarySeat {
    /// The app's name.
    pub app: String,
    /// The library's name.
    pub name: String,
    /// The library's life, from 1.
    pub epoch: u64,
    /// Control frames, both ways.
    pub control: OwnedFd,
    /// Where agents come in: a listener that every life of the library shares with the master.
    pub listener: OwnedFd,
}

/// What a native worker gets from its master.
pub struct WorkerSeat {
    /// The app's name.
    pub app: String,
    /// The worker's place, from 0.
    pub slot: u16,
    /// The worker's life, from 1.
    pub incarnation: u64,
    /// Control frames, both ways.
    pub control: OwnedFd,
    /// Connections from the master, in `pass` mode.
    pub conns: Option<OwnedFd>,
    /// Listeners with their addresses, in `shared` mode.
    pub listeners: Vec<(String, OwnedFd)>,
}

/// Seats a master.
pub(super) fn seat_master(
    plan: &LaunchPlan,
    descriptors: Vec<OwnedFd>,
) -> Result<MasterSeat, RoleError> {
    apply_limits(plan)?;
    title::prepare()?;
    // Whoever reads the log may go; the herd stays.
    signal::ignore_sigpipe()?;
    let (mut keeper, mut parcels) = (None, Vec::new());
    for (usage, fd) in plan.descriptors.iter().zip(descriptors) {
        match usage {
            DescriptorUse::Keeper => keeper = Some(fd),
            DescriptorUse::Estate => parcels.push(fd),
            DescriptorUse::Conns
            | DescriptorUse::Control
            | DescriptorUse::Listener { .. }
            | DescriptorUse::Page
            | DescriptorUse::Place { .. } => {}
        }
    }
    let keeper = keeper.ok_or_else(|| RoleError::Mismatch("no keeper's channel".into()))?;
    let parcels = (plan.incarnation > 0).then_some(parcels);
    Ok(MasterSeat(Post::Charge(Charge { keeper, parcels })))
}

/// Seats a probe: as a master, so that the program goes the same way.
pub(super) fn seat_probe(
    plan: &LaunchPlan,
    descriptors: Vec<OwnedFd>,
    answer: OwnedFd,
) -> Result<MasterSeat, RoleError> {
    signal::ignore_sigpipe()?;
    let mut given = plan.descriptors.iter().zip(descriptors);
    let state = given.find(|(usage, _)| **usage == DescriptorUse::Estate);
    let (_, state) = state.ok_or_else(|| RoleError::Mismatch("no state to look at".into()))?;
    Ok(MasterSeat(Post::Probe(Probe { answer, state })))
}

/// Seats a worker, in the environment and under the title of its plan.
pub(super) fn seat_worker(
    plan: LaunchPlan,
    descriptors: Vec<OwnedFd>,
) -> Result<WorkerSeat, RoleError> {
    apply_limits(&plan)?;
    env::replace_environment(plan.environment.into_iter().map(os_pair))?;
    title::prepare()?;
    title::set(&plan.title)?;
    signal::ignore_sigpipe()?;
    let (mut control, mut conns, mut listeners) = (None, None, Vec::new());
    for (usage, fd) in plan.descriptors.into_iter().zip(descriptors) {
        match usage {
            DescriptorUse::Conns => conns = Some(fd),
            DescriptorUse::Control => control = Some(fd),
            DescriptorUse::Listener { name } => listeners.push((name, fd)),
            DescriptorUse::Estate
            | DescriptorUse::Keeper
            | DescriptorUse::Page
            | DescriptorUse::Place { .. } => {
                return Err(RoleError::Mismatch(format!(
                    "a worker has no use for {usage:?}"
                )));
            }
        }
    }
    let control = control.ok_or_else(|| RoleError::Mismatch("no control channel".into()))?;
    Ok(WorkerSeat {
        app: plan.app,
        slot: plan.slot,
        incarnation: plan.incarnation,
        control,
        conns,
        listeners,
    })
}

/// Seats a library, in the environment and under the title of its plan, and with its rights: those of
/// the workers, whose calls it takes.
pub(super) fn seat_library(
    plan: LaunchPlan,
    descriptors: Vec<OwnedFd>,
) -> Result<LibrarySeat, RoleError> {
    // While it still may: a limit cannot be raised afterwards.
    apply_limits(&plan)?;
    if let Some(identity) = &plan.identity {
        apply::become_user(&sys_identity(identity))?;
    }
    env::replace_environment(plan.environment.into_iter().map(os_pair))?;
    title::prepare()?;
    title::set(&plan.title)?;
    signal::ignore_sigpipe()?;
    let (mut control, mut listener) = (None, None);
    for (usage, fd) in plan.descriptors.into_iter().zip(descriptors) {
        match usage {
            DescriptorUse::Control => control = Some(fd),
            DescriptorUse::Listener { name } => listener = Some((name, fd)),
            DescriptorUse::Conns
            | DescriptorUse::Estate
            | DescriptorUse::Keeper
            | DescriptorUse::Page
            | DescriptorUse::Place { .. } => {
                return Err(RoleError::Mismatch(format!(
                    "a library has no use for {usage:?}"
                )));
            }
        }
    }
    let control = control.ok_or_else(|| RoleError::Mismatch("no control channel".into()))?;
    let (name, listener) = listener.ok_or_else(|| RoleError::Mismatch("no listener".into()))?;
    Ok(LibrarySeat {
        app: plan.app,
        name,
        epoch: plan.incarnation,
        control,
        listener,
    })
}

/// Seats a gateway, in the environment and under the title of its plan, and takes the rights away
/// from it that its plan does not leave it: what strangers send is parsed by it.
pub(super) fn seat_gateway(
    plan: LaunchPlan,
    descriptors: Vec<OwnedFd>,
) -> Result<GatewaySeat, RoleError> {
    // While it still may: a limit cannot be raised afterwards.
    apply_limits(&plan)?;
    if let Some(directory) = &plan.directory {
        apply::change_directory(Path::new(OsStr::from_bytes(directory)))?;
    }
    if let Some(identity) = &plan.identity {
        apply::become_user(&sys_identity(identity))?;
    }
    apply::no_new_privileges()?;
    env::replace_environment(plan.environment.into_iter().map(os_pair))?;
    title::prepare()?;
    title::set(&plan.title)?;
    signal::ignore_sigpipe()?;
    let (mut control, mut listeners, mut page) = (None, Vec::new(), None);
    for (usage, fd) in plan.descriptors.into_iter().zip(descriptors) {
        match usage {
            DescriptorUse::Control => control = Some(fd),
            DescriptorUse::Listener { name } => listeners.push((name, fd)),
            DescriptorUse::Page => page = Some(fd),
            DescriptorUse::Conns
            | DescriptorUse::Estate
            | DescriptorUse::Keeper
            | DescriptorUse::Place { .. } => {
                return Err(RoleError::Mismatch(format!(
                    "a gateway has no use for {usage:?}"
                )));
            }
        }
    }
    let control = control.ok_or_else(|| RoleError::Mismatch("no control channel".into()))?;
    Ok(GatewaySeat {
        app: plan.app,
        number: plan.slot,
        incarnation: plan.incarnation,
        control,
        listeners,
        page,
    })
}
