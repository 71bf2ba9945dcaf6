//! `kernel` and `reuseport` dispatch: each worker accepts from a listener of its own.

use herder_api::app::Dispatch;
use herder_core::spec::{DispatchMode, ListenAddress, PickerKind};

use super::words::Setting;
use super::{Description, RunError};

/// Why the workers cannot have listeners of their own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnError {
    #[error(
        "{}: a Node program opens its listeners itself, and cannot have one for each worker yet; use {} or \
         {}", .0.with(.1), .0.with("pass"), .0.with("shared")
    )]
    Node(Setting, &'static str),
    #[error(
        "{}: each worker gets a listener of its own for what {} names; add it, or use {}",
        .0.with(.1), .0.other("listen"), .0.with("shared")
    )]
    NothingOpened(Setting, &'static str),
    #[error(
        "{}: a Unix socket ({address}) has one listener, and not one for each worker; use {}",
        .setting.with(.mode), .setting.with("shared")
    )]
    Unix {
        setting: Setting,
        mode: &'static str,
        address: String,
    },
    #[error(
        "{}: in {} mode {}; {}", .setting.with(.policy), .mode, why(.mode), .setting.leave_out()
    )]
    Policy {
        setting: Setting,
        mode: &'static str,
        policy: String,
    },
    #[error(
        "{}: in {} mode nobody counts a program's requests; use {} or {}", .0, .1,
        .0.other("max_lifetime"), .0.other("max_memory")
    )]
    NoCount(Setting, &'static str),
}

fn why(mode: &str) -> &'static str {
    match mode {
        "kernel" => {
            "the kernel gives each connection to the next worker, and leaves out those that do not keep up"
        }
        _ => "the kernel draws a worker by lot",
    }
}

/// The mode that was asked for, if it is one of these.
pub(super) fn wanted(dispatch: Dispatch) -> Option<(DispatchMode, &'static str)> {
    match dispatch {
        Dispatch::Kernel => Some((DispatchMode::Kernel, "kernel")),
        Dispatch::Reuseport => Some((DispatchMode::Reuseport, "reuseport")),
        Dispatch::Auto | Dispatch::Pass | Dispatch::Shared => None,
    }
}

/// Finds what cannot be with it.
///
/// # Errors
/// Which setting, and why.
pub(super) fn check(
    description: &Description,
    (mode, name): (DispatchMode, &'static str),
) -> Result<(), RunError> {
    let app = &description.app;
    let setting = description.setting("dispatch");
    if app.script.is_some() {
        return Err(OwnError::Node(setting, name).into());
    }
    if app.listen.is_empty() {
        return Err(OwnError::NothingOpened(setting, name).into());
    }
    for text in &app.listen {
        if let ListenAddress::Unix(_) = description.parsed("listen", text)? {
            return Err(OwnError::Unix {
                setting,
                mode: name,
                address: text.clone(),
            }
            .into());
        }
    }
    if let Some(policy) = super::policy(description)?
        && !(mode == DispatchMode::Kernel && policy == PickerKind::RoundRobin)
    {
        return Err(OwnError::Policy {
            setting: description.setting("policy"),
            mode: name,
            policy: policy.to_string(),
        }
        .into());
    }
    if app.max_requests.is_some() {
        return Err(OwnError::NoCount(description.setting("max_requests"), name).into());
    }
    Ok(())
}
