//! What a master and a worker find when they take their place.

use std::os::fd::OwnedFd;

use herder_sys::{env, signal, title};
use herder_wire::plan::{DescriptorUse, LaunchPlan};

use super::error::RoleError;
use super::plan::{apply_limits, os_pair};

/// What a master gets from its keeper.
pub struct MasterSeat {
    pub(crate) keeper: OwnedFd,
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
    title::prepare()?;
    // Whoever reads the log may go; the herd stays.
    signal::ignore_sigpipe()?;
    let keeper = plan
        .descriptors
        .iter()
        .zip(descriptors)
        .find_map(|(usage, fd)| match usage {
            DescriptorUse::Keeper => Some(fd),
            DescriptorUse::Conns
            | DescriptorUse::Control
            | DescriptorUse::Listener { .. }
            | DescriptorUse::Page
            | DescriptorUse::Place { .. } => None,
        });
    let keeper = keeper.ok_or_else(|| RoleError::Mismatch("no keeper's channel".into()))?;
    Ok(MasterSeat { keeper })
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
            DescriptorUse::Keeper | DescriptorUse::Page | DescriptorUse::Place { .. } => {
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
