//! Which part this process plays.
//!
//! A child learns its role from `HERDER_ROLE` (`worker@web`) *and* from the launch plan on its
//! standard input. The variable alone means nothing: a program that inherits it by accident has no
//! plan on its stdin and is an entry process like any other.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use herder_sys::socket::{self, Wait};
use herder_sys::{apply, env, fd, memory, process, signal, title};
use herder_wire::plan::{DescriptorUse, LaunchPlan, MAX_PLAN, PlanError, PlanHeader, Role};

use crate::launcher;

/// Names the role of a child: `ROLE@APP`.
pub(crate) const ROLE_VARIABLE: &str = "HERDER_ROLE";

/// The most descriptors one plan carries, the body's included: what one message can hold.
const MAX_PLAN_DESCRIPTORS: usize = socket::MAX_FDS_PER_MESSAGE;

/// What this process is.
pub enum Assumed {
    /// Somebody started it: it is to become the keeper.
    Entry,
    /// A keeper started it: it is to become the master.
    Master(MasterSeat),
    /// A master started it: it is to do the business.
    Worker(WorkerSeat),
}

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

/// Why a process cannot play its part.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// Descriptors and environment can be put in place only before there are threads.
    #[error(
        "the process already has {0} threads: herder::init() must be the first statement of main, \
         before any thread or runtime is started. With #[tokio::main], write a plain `fn main()` \
         that calls herder::init() and Cluster::run_async(), which builds the runtime itself"
    )]
    Threads(usize),
    /// The plan is not one that this executable understands.
    #[error("cannot follow the launch plan: {0}")]
    Plan(#[from] PlanError),
    /// The plan is another app's, or lacks something that its role needs.
    #[error("cannot follow the launch plan: {0}")]
    Mismatch(String),
    /// A system call failed.
    #[error("cannot follow the launch plan: {0}")]
    Io(#[from] io::Error),
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
    let Some(header) = plan_header_on_stdin()? else {
        return Ok(Assumed::Entry);
    };
    // What the caller of the herd had open is none of its children's business.
    apply::close_all_except(&[])?;
    let (plan, descriptors) = receive_plan(&header)?;
    let expected = role_value(plan.role, &plan.app);
    if wanted != *expected.as_str() {
        return Err(RoleError::Mismatch(format!("the plan is for {expected}")));
    }
    let plan_socket = fd::duplicate(io::stdin().as_fd())?;
    apply::replace_stdin_with_null()?;
    signal::reset_all()?;
    // Executed through a descriptor, it would be called by the descriptor's number.
    process::restore_comm()?;
    match plan.role {
        Role::Master => seat_master(&plan, descriptors),
        Role::Worker => seat_worker(plan, descriptors),
        Role::Launcher | Role::Gateway => launcher::follow(plan, descriptors, plan_socket),
    }
}

/// The value of [`ROLE_VARIABLE`] for a child.
pub(crate) fn role_value(role: Role, app: &str) -> String {
    format!("{}@{app}", role.as_str())
}

/// The header of the plan that waits on stdin, if there is one; blocks until the parent has sent
/// it. A parent that dies before is an end of file, and so is no plan.
fn plan_header_on_stdin() -> Result<Option<PlanHeader>, RoleError> {
    let stdin = io::stdin();
    if !socket::is_socket(stdin.as_fd()) {
        return Ok(None);
    }
    let mut bytes = [0; PlanHeader::SIZE];
    let len = socket::peek(stdin.as_fd(), &mut bytes, Wait::Block)?;
    match PlanHeader::decode(&bytes[..len]) {
        Ok(header) => Ok(Some(header)),
        Err(PlanError::BadMagic) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn receive_plan(header: &PlanHeader) -> Result<(LaunchPlan, Vec<OwnedFd>), RoleError> {
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

fn seat_master(plan: &LaunchPlan, descriptors: Vec<OwnedFd>) -> Result<Assumed, RoleError> {
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
            | DescriptorUse::Place { .. } => None,
        });
    let keeper = keeper.ok_or_else(|| RoleError::Mismatch("no keeper's channel".into()))?;
    Ok(Assumed::Master(MasterSeat { keeper }))
}

fn seat_worker(plan: LaunchPlan, descriptors: Vec<OwnedFd>) -> Result<Assumed, RoleError> {
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
            DescriptorUse::Keeper | DescriptorUse::Place { .. } => {
                return Err(RoleError::Mismatch(format!(
                    "a worker has no use for {usage:?}"
                )));
            }
        }
    }
    let control = control.ok_or_else(|| RoleError::Mismatch("no control channel".into()))?;
    Ok(Assumed::Worker(WorkerSeat {
        app: plan.app,
        slot: plan.slot,
        incarnation: plan.incarnation,
        control,
        conns,
        listeners,
    }))
}

pub(crate) fn os_pair((name, value): (Vec<u8>, Vec<u8>)) -> (OsString, OsString) {
    (OsString::from_vec(name), OsString::from_vec(value))
}
