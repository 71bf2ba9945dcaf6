use std::io;
use std::os::fd::AsFd;

use herder_sys::{apply, env, fd, process, signal};
use herder_wire::plan::Role;

use super::error::RoleError;
use super::seat::{GatewaySeat, LibrarySeat, MasterSeat, WorkerSeat};
use super::{launcher, plan, seat};
use crate::operator;

/// Names the role of a child: `ROLE@APP`.
pub(crate) const ROLE_VARIABLE: &str = "HERDER_ROLE";

/// What this process is.
pub enum Assumed {
    /// Somebody started it: it is to become the keeper.
    Entry,
    /// A master started it: it is to keep the clients' connections.
    Gateway(GatewaySeat),
    /// A master started it: it is to hold what the workers share.
    Library(LibrarySeat),
    /// A keeper started it, or a master became it: it is to be the master, or to say whether it could.
    Master(MasterSeat),
    /// A master started it: it is to do the business.
    Worker(WorkerSeat),
}

/// Finds out what this process is, and puts it in order for that.
///
/// Must be called before the process has a second thread. In the launcher's role it does not
/// return.
///
/// # Errors
/// When there is a plan that cannot be followed. The process should end.
pub fn assume() -> Result<Assumed, RoleError> {
    let Some(wanted) = std::env::var_os(ROLE_VARIABLE) else {
        return Ok(Assumed::Entry);
    };
    let threads = process::thread_count()?;
    if threads > 1 {
        return Err(RoleError::Threads(threads));
    }
    env::remove(ROLE_VARIABLE)?;
    let Some(header) = plan::header_on_stdin()? else {
        return Ok(Assumed::Entry);
    };
    // What the caller of the herd had open is none of its children's business.
    apply::close_all_except(&[])?;
    let (plan, descriptors) = plan::receive(&header)?;
    let expected = role_value(plan.role, &plan.app);
    if wanted != *expected.as_str() {
        return Err(RoleError::Mismatch(format!("the plan is for {expected}")));
    }
    let plan_socket = fd::duplicate(io::stdin().as_fd())?;
    apply::replace_stdin_with_null()?;
    match plan.role {
        // What the keeper passes on before the master listens waits for it: none is lost, and none
        // acts in the old, deadly way.
        Role::Master => signal::reset_all_but(&operator::SIGNALS)?,
        Role::Gateway | Role::Launcher | Role::Library | Role::Probe | Role::Worker => {
            signal::reset_all()?;
        }
    }
    // Executed through a descriptor, it would be called by the descriptor's number.
    process::restore_comm()?;
    match plan.role {
        Role::Master => seat::seat_master(&plan, descriptors).map(Assumed::Master),
        Role::Worker => seat::seat_worker(plan, descriptors).map(Assumed::Worker),
        Role::Launcher => launcher::follow(plan, descriptors, plan_socket),
        Role::Gateway => seat::seat_gateway(plan, descriptors).map(Assumed::Gateway),
        Role::Library => seat::seat_library(plan, descriptors).map(Assumed::Library),
        Role::Probe => seat::seat_probe(&plan, descriptors, plan_socket).map(Assumed::Master),
    }
}

/// The value of [`ROLE_VARIABLE`] for a child.
pub(crate) fn role_value(role: Role, app: &str) -> String {
    format!("{}@{app}", role.as_str())
}
