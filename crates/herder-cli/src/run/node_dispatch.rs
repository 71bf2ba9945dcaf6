//! Who accepts for a script's workers.

use herder_api::app::Dispatch;
use herder_core::spec::DispatchMode;
use herder_master::config::{Choice, NodeProgram};

use super::description::Description;
use super::error::NodeError;
use super::node::{Engine, engine_of};
use super::own;
use super::words::Words;

/// Who accepts, and why.
pub(super) fn mode(
    description: &Description,
    program: &NodeProgram,
) -> Result<(DispatchMode, &'static str), NodeError> {
    let app = &description.app;
    let engine = engine_of(program.command.path.as_os_str());
    check_engine(description, engine)?;
    if engine == Engine::Bun {
        let reason = "bun listens for itself, and the kernel chooses";
        return Ok((DispatchMode::Shared, reason));
    }
    if app.send_handle.is_some() {
        return Ok((DispatchMode::Shared, "each worker is sent the listener"));
    }
    let said = |option, field| match description.words {
        Words::Fields => field,
        Words::Options => option,
    };
    let policy = description.variable("NODE_CLUSTER_SCHED_POLICY");
    Ok(match app.dispatch {
        Dispatch::Kernel => (
            DispatchMode::Kernel,
            said("--dispatch kernel", "dispatch = \"kernel\""),
        ),
        // Behind a proxy there is no cluster: that was seen to before.
        Dispatch::Pass | Dispatch::Proxy => (
            DispatchMode::Pass,
            said("--dispatch pass", "dispatch = \"pass\""),
        ),
        Dispatch::Reuseport => (
            DispatchMode::Reuseport,
            said("--dispatch reuseport", "dispatch = \"reuseport\""),
        ),
        Dispatch::Shared => (
            DispatchMode::Shared,
            said("--dispatch shared", "dispatch = \"shared\""),
        ),
        Dispatch::Auto if engine == Engine::Node && policy.is_some_and(|it| it == "none") => {
            (DispatchMode::Shared, "NODE_CLUSTER_SCHED_POLICY=none")
        }
        Dispatch::Auto if app.policy.as_deref() == Some("least-loaded") => {
            (DispatchMode::Kernel, "least-loaded is the kernel's")
        }
        Dispatch::Auto => (DispatchMode::Pass, why_passed(description, engine)),
    })
}

/// Why the kernel is not even asked; where it is, its answer is the reason.
fn why_passed(description: &Description, engine: Engine) -> &'static str {
    if engine == Engine::Deno {
        "deno serves only what it is passed"
    } else if description.app.max_requests.is_some() {
        "kernel counts no requests"
    } else if own::is_in_turns(description) {
        "a program of Node's cluster"
    } else {
        "kernel has no such policy"
    }
}

/// Whether the kernel is to dispatch if it takes a program.
pub(super) fn choice(
    description: &Description,
    program: &NodeProgram,
    mode: DispatchMode,
) -> Choice {
    let app = &description.app;
    let is_node = engine_of(program.command.path.as_os_str()) == Engine::Node;
    let is_left = app.dispatch == Dispatch::Auto && mode == DispatchMode::Pass && is_node;
    // Nobody counts there, and the kernel knows two policies.
    if is_left && app.max_requests.is_none() && own::is_in_turns(description) {
        Choice::KernelFirst
    } else {
        Choice::Said
    }
}

/// Finds what was asked for and this engine cannot do.
fn check_engine(description: &Description, engine: Engine) -> Result<(), NodeError> {
    let app = &description.app;
    let setting = || description.setting("dispatch");
    let policy = description.policy().ok().flatten();
    let own = own::wanted(app.dispatch, policy).map(|(_, name)| name);
    let takes_listener = own.or((app.dispatch == Dispatch::Shared).then_some("shared"));
    let passes = app.dispatch == Dispatch::Pass || app.policy.is_some();
    match engine {
        Engine::Bun if own.is_some() || passes => {
            Err(NodeError::BunListens(setting(), own.unwrap_or("pass")))
        }
        Engine::Deno => match takes_listener.filter(|_| app.send_handle.is_none()) {
            Some(mode) => Err(NodeError::DenoDoesNotShare(setting(), mode)),
            None => Ok(()),
        },
        Engine::Bun | Engine::Node => Ok(()),
    }
}
