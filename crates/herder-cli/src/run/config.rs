//! What a herd of a description is to be.

use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use herder_api::app::{Dispatch, Workers};
use herder_core::spec::{DispatchMode, PickerKind, Readiness};
use herder_master::config::{Choice, Config, Program};
use herder_sys::user::Identity;

use super::assemble::assemble;
use super::description::Description;
use super::error::{OwnError, ProxyError, RunError};
use super::{
    entry, library, node, node_dispatch, own, policies, program, proxy, rights, services,
    typescript,
};
use crate::launcher;

/// What a herd of this description is to be.
///
/// # Errors
/// When it cannot be: a setting is wrong, or a program is not there.
pub(crate) fn config(description: &Description) -> Result<Config, RunError> {
    let identity = match &description.identity {
        Some(known) => known.clone(),
        None => {
            rights::check_directory(description)?;
            rights::identity(description)?
        }
    };
    if description.app.proxy.is_some() && description.app.dispatch != Dispatch::Proxy {
        return Err(ProxyError::NoProxy(proxy::said_by(description)).into());
    }
    let mut libraries = library::libraries(description, identity.as_ref())?;
    let config = match &description.app.script {
        _ if description.app.dispatch == Dispatch::Proxy => proxy::config(description, identity),
        Some(script) => script_config(description, script, identity),
        None if description.tail.is_empty() => Err(RunError::Nothing),
        None => foreign_config(description, identity),
    }?;
    let built_in = services::library(description, config.spec.name.as_str())?;
    libraries.extend(built_in);
    let mut hints = description.hints.clone();
    hints.extend(config.hints);
    Ok(Config {
        libraries,
        hints,
        restart_only: services::fixed(description),
        ..config
    })
}

/// A script that Node, or an engine like it, runs.
fn script_config(
    description: &Description,
    script: &Path,
    identity: Option<Identity>,
) -> Result<Config, RunError> {
    let app = &description.app;
    let policy = description.policy()?;
    node::check(description, policy)?;
    if app.hang.is_some() {
        return Err(OwnError::NodeHang(description.setting("hang")).into());
    }
    let weights = own::weights(description)?;
    match own::wanted(app.dispatch, policy) {
        Some(wanted) => own::check(description, wanted)?,
        None if policy == Some(PickerKind::LeastLoaded) => {
            return Err(OwnError::NoLoads(description.setting("policy")).into());
        }
        None => {}
    }
    let script = &entry::resolve(script, description.directory())?;
    let program = node::program(description, script, identity)?;
    let (mode, reason) = node_dispatch::mode(description, &program)?;
    if mode == DispatchMode::Shared {
        check_shared(description)?;
    }
    let name = description.name_or(|| node::default_name(script))?;
    let listening = ("listen_timeout", app.listen_timeout, node::LISTENING);
    let mut spec = policies::spec(description, name, listening)?;
    // Node says when the program begins: until then there is nothing to guess.
    if let Readiness::MessageOrAlive(after) = spec.life.readiness {
        spec.life.readiness = Readiness::MessageOrBegun(after);
    }
    spec.dispatch.mode = mode;
    spec.dispatch.picker = policy.unwrap_or(PickerKind::RoundRobin);
    spec.dispatch.weights = weights;
    spec.recycle.max_requests = app.max_requests.and_then(NonZeroU64::new);
    let hint = if description.is_recalled() {
        None
    } else {
        typescript::hint(script, &program.command)
    };
    let choice = node_dispatch::choice(description, &program, mode);
    let mut config = assemble(description, spec, Program::Node(program), reason)?;
    config.choice = choice;
    config.hints.extend(hint);
    Ok(config)
}

/// A program that knows nothing of us.
fn foreign_config(
    description: &Description,
    identity: Option<Identity>,
) -> Result<Config, RunError> {
    /// How long a program must live to count as ready.
    const ALIVE: Duration = Duration::from_secs(1);
    let app = &description.app;
    node::check_none(description)?;
    if let Some(setting) = description.without_listener() {
        return Err(RunError::NothingOpened(setting));
    }
    if app.dispatch == Dispatch::Pass {
        return Err(RunError::NoChannel(description.setting("dispatch")));
    }
    let own = own::wanted(app.dispatch, description.policy()?);
    let weights = own::weights(description)?;
    match own {
        Some(wanted) => own::check(description, wanted)?,
        None => check_shared(description)?,
    }
    let found = program::find(&description.tail, description)?;
    let hint = hint(description);
    let name = description.name_or(|| program::default_name(&found))?;
    let mut spec = policies::spec(description, name, ("ready_after", app.ready_after, ALIVE))?;
    let (choice, mut reason) = own::choice(description)?;
    if choice == Choice::KernelFirst {
        spec.dispatch.hang = own::hang(app);
    }
    if let Some((mode, _)) = own {
        spec.dispatch.mode = mode;
        spec.dispatch.picker = description.policy()?.unwrap_or(PickerKind::RoundRobin);
        spec.dispatch.hang = own::hang(app);
        spec.dispatch.weights = weights;
        reason = "as asked";
    } else if app.hang.is_some() {
        return Err(OwnError::NoHang(description.setting("hang")).into());
    }
    let command = found.command(description, identity);
    let mut config = assemble(description, spec, Program::Command(command), reason)?;
    config.choice = choice;
    config.hints.extend(hint);
    Ok(config)
}

/// Who gives a listener means a program that takes it.
fn hint(description: &Description) -> Option<String> {
    let words = description.tail.iter();
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let app = &description.app;
    let directory = description.directory().unwrap_or(Path::new("."));
    let may_help = app.listen.is_empty() && app.workers != Workers::Count(1);
    launcher::hint(&words, directory).filter(|_| may_help)
}

fn check_shared(description: &Description) -> Result<(), RunError> {
    if let Some(policy) = description.policy()? {
        let setting = description.setting("policy");
        return Err(RunError::NoPolicy(setting, policy.to_string()));
    }
    if description.app.max_requests.is_some() {
        return Err(RunError::NoCount(description.setting("max_requests")));
    }
    Ok(())
}
