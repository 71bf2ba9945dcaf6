//! The process between the master and a foreign program: it follows its plan, then *becomes* the
//! program by `execve`.
//!
//! All of this happens in a process of one thread that shares nothing with the master, so that
//! none of it needs the care that code between `fork` and `exec` needs.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use herder_sys::{apply, fd, process, socket};
use herder_wire::plan::{DescriptorUse, LaunchPlan, ListenFds, Orphaned, Program};
use herder_wire::report::{LaunchFailure, LaunchStep};

use super::error::RoleError;
use super::plan::{apply_limits, os_pair, sys_identity};

/// What a shell returns for a command that cannot be executed.
const CANNOT_EXECUTE: i32 = 126;

/// Where listeners start, after the standard streams.
const FIRST_LISTENER: i32 = 3;

/// A step that failed.
type Failed = (LaunchStep, io::Error);

/// Follows the plan. Never returns: it becomes the program, or says over the plan's socket why it
/// could not, and ends.
///
/// # Errors
/// When the plan names no program.
pub(super) fn follow<T>(
    plan: LaunchPlan,
    descriptors: Vec<OwnedFd>,
    plan_socket: OwnedFd,
) -> Result<T, RoleError> {
    let Some(program) = plan.program.clone() else {
        return Err(RoleError::Mismatch("the plan names no program".into()));
    };
    // Out of the way of the numbers that the plan is going to use. It is close-on-exec, so that
    // its end tells the master of success, and stays open until then to tell of a failure.
    let plan_socket = fd::duplicate_above(plan_socket.as_fd(), first_free(&plan))?;
    let (step, error) = become_program(plan, &program, descriptors);
    let failure = LaunchFailure {
        step,
        errno: error.raw_os_error().unwrap_or(0),
        detail: String::from_utf8_lossy(&program.path).into_owned(),
    };
    // A master that no longer listens has no use for the reason either.
    let _unheard = socket::send(plan_socket.as_fd(), &failure.encode(), &[]);
    std::process::exit(CANNOT_EXECUTE)
}

/// Returns only when it failed.
fn become_program(plan: LaunchPlan, program: &Program, descriptors: Vec<OwnedFd>) -> Failed {
    let environment = own_environment(&plan, program);
    match prepare(plan, descriptors) {
        Err(failed) => failed,
        Ok(()) => {
            let argv: Vec<OsString> = program
                .argv
                .iter()
                .map(|arg| OsString::from_vec(arg.clone()))
                .collect();
            let path = Path::new(OsStr::from_bytes(&program.path));
            (
                LaunchStep::Execute,
                apply::execute(path, &argv, &environment),
            )
        }
    }
}

fn prepare(plan: LaunchPlan, descriptors: Vec<OwnedFd>) -> Result<(), Failed> {
    let at = |step: LaunchStep| move |error: io::Error| (step, error);
    apply::reset_scheduling().map_err(at(LaunchStep::Limits))?;
    apply_limits(&plan).map_err(at(LaunchStep::Limits))?;
    if let Some(umask) = plan.umask {
        apply::set_umask(umask);
    }
    apply::no_new_privileges().map_err(at(LaunchStep::Identity))?;
    if let Some(identity) = &plan.identity {
        apply::become_user(&sys_identity(identity)).map_err(at(LaunchStep::Identity))?;
    }
    if let Some(Orphaned::Terminated) = plan.program.as_ref().map(|it| it.orphaned) {
        apply::end_with_parent().map_err(at(LaunchStep::Identity))?;
    }
    if let Some(directory) = &plan.directory {
        let directory = Path::new(OsStr::from_bytes(directory));
        apply::change_directory(directory).map_err(at(LaunchStep::Directory))?;
    }
    place(&plan, descriptors).map_err(at(LaunchStep::Descriptors))
}

/// Puts the descriptors at their numbers and marks every later one close-on-exec: what the plan
/// does not name, the program does not get.
fn place(plan: &LaunchPlan, descriptors: Vec<OwnedFd>) -> io::Result<()> {
    apply::place(descriptors.into_iter().zip(targets(plan)?).collect())?;
    apply::cloexec_from(first_free(plan))
}

/// The number of each descriptor: its own, or, for listeners, the next one from 3 on, which is
/// where `LISTEN_FDS` says they are.
fn targets(plan: &LaunchPlan) -> io::Result<Vec<i32>> {
    let mut next = FIRST_LISTENER;
    let target = |usage: &DescriptorUse| match usage {
        DescriptorUse::Place { target } => Ok(i32::from(*target)),
        DescriptorUse::Listener { .. } => {
            next += 1;
            Ok(next - 1)
        }
        DescriptorUse::Conns
        | DescriptorUse::Control
        | DescriptorUse::Estate
        | DescriptorUse::Keeper
        | DescriptorUse::Page => Err(io::Error::other(format!(
            "a program has no use for {usage:?}"
        ))),
    };
    plan.descriptors.iter().map(target).collect()
}

/// The first number above those that the plan names. (They leave no hole.)
fn first_free(plan: &LaunchPlan) -> i32 {
    let highest = targets(plan)
        .ok()
        .and_then(|targets| targets.into_iter().max());
    highest.map_or(FIRST_LISTENER, |highest| highest + 1)
}

fn own_environment(plan: &LaunchPlan, program: &Program) -> Vec<(OsString, OsString)> {
    let mut environment: Vec<_> = plan.environment.iter().cloned().map(os_pair).collect();
    if program.listen_fds == ListenFds::Announced {
        let name = |usage: &DescriptorUse| match usage {
            DescriptorUse::Listener { name } => Some(name.clone()),
            DescriptorUse::Conns
            | DescriptorUse::Control
            | DescriptorUse::Estate
            | DescriptorUse::Keeper
            | DescriptorUse::Page
            | DescriptorUse::Place { .. } => None,
        };
        let names: Vec<_> = plan.descriptors.iter().filter_map(name).collect();
        // The pid stays the same across `execve`; only now is it known.
        let pid = process::current_pid().to_string();
        environment.push(("LISTEN_PID".into(), pid.into()));
        environment.push(("LISTEN_FDS".into(), names.len().to_string().into()));
        environment.push(("LISTEN_FDNAMES".into(), names.join(":").into()));
    }
    environment
}
