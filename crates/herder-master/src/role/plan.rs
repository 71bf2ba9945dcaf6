//! The plan that waits on a child's stdin.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use herder_sys::limits::Limit;
use herder_sys::socket::{self, Wait};
use herder_sys::{apply, memory};
use herder_wire::plan::{Identity, LaunchPlan, LimitKind, MAX_PLAN, PlanError, PlanHeader};

use super::error::RoleError;

/// The most descriptors one plan carries, the body's included: what one message can hold.
const MAX_PLAN_DESCRIPTORS: usize = socket::MAX_FDS_PER_MESSAGE;

/// The header of the plan that waits on stdin, if there is one; blocks until the parent has sent
/// it.
///
/// A parent that dies before is an end of file, and an error: its child must not take itself for
/// the beginning of a herd of its own.
pub(super) fn header_on_stdin() -> Result<Option<PlanHeader>, RoleError> {
    let stdin = io::stdin();
    if !socket::is_socket(stdin.as_fd()) {
        return Ok(None);
    }
    let mut bytes = [0; PlanHeader::SIZE];
    let len = match socket::peek(stdin.as_fd(), &mut bytes, Wait::Block) {
        Ok(0) => return Err(RoleError::NoPlan),
        Ok(len) => len,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            return Err(RoleError::NoPlan);
        }
        Err(error) => return Err(error.into()),
    };
    match PlanHeader::decode(&bytes[..len]) {
        Ok(header) => Ok(Some(header)),
        Err(PlanError::BadMagic) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Receives the plan and its descriptors.
pub(super) fn receive(header: &PlanHeader) -> Result<(LaunchPlan, Vec<OwnedFd>), RoleError> {
    let mut bytes = [0; PlanHeader::SIZE];
    let mut descriptors = Vec::new();
    let stdin = io::stdin();
    let received = socket::receive(
        stdin.as_fd(),
        &mut bytes,
        &mut descriptors,
        MAX_PLAN_DESCRIPTORS,
        Wait::Block,
    )?;
    let announced = usize::from(header.descriptors) + 1;
    if received.descriptors_lost || descriptors.len() != announced {
        let text = format!("{} of {announced} descriptors arrived", descriptors.len());
        return Err(RoleError::Mismatch(text));
    }
    let body = memory::read_sealed(descriptors.remove(0).as_fd(), MAX_PLAN)?;
    let plan = LaunchPlan::decode(header, &body)?;
    Ok((plan, descriptors))
}

/// A variable as the system has it.
pub(super) fn os_pair((name, value): (Vec<u8>, Vec<u8>)) -> (OsString, OsString) {
    (OsString::from_vec(name), OsString::from_vec(value))
}

/// A user as the system has it.
pub(super) fn sys_identity(identity: &Identity) -> herder_sys::user::Identity {
    herder_sys::user::Identity {
        uid: identity.uid,
        gid: identity.gid,
        groups: identity.groups.clone(),
    }
}

/// Sets the limits that the plan names.
pub(super) fn apply_limits(plan: &LaunchPlan) -> io::Result<()> {
    plan.limits
        .iter()
        .try_for_each(|limit| apply::set_limit(sys_limit(limit.kind), limit.soft, limit.hard))
}

fn sys_limit(kind: LimitKind) -> Limit {
    match kind {
        LimitKind::AddressSpace => Limit::AddressSpace,
        LimitKind::Core => Limit::Core,
        LimitKind::Cpu => Limit::CpuSeconds,
        LimitKind::Data => Limit::Data,
        LimitKind::FileSize => Limit::FileSize,
        LimitKind::LockedMemory => Limit::LockedMemory,
        LimitKind::OpenFiles => Limit::OpenFiles,
        LimitKind::Processes => Limit::Processes,
        LimitKind::Stack => Limit::Stack,
    }
}
