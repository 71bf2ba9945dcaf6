//! `kernel` and `reuseport` dispatch: each worker accepts from a listener of its own.

use std::time::Duration;

use herder_api::App;
use herder_api::app::Dispatch;
use herder_core::rotation::Weight;
use herder_core::spec::{DispatchMode, ListenAddress, Listens, PickerKind};
use herder_master::config::Choice;

use super::description::Description;
use super::error::{OwnError, RunError};

/// How long a program may accept nobody when nothing else is said.
const HANG: Duration = Duration::from_secs(10);

/// How long a program may accept nobody, while others keep up; `None` = for ever.
pub(super) fn hang(app: &App) -> Option<Duration> {
    let time = app.hang.map_or(HANG, |time| time.0);
    Some(time).filter(|time| !time.is_zero())
}

/// How often the turn of each slot comes.
pub(super) fn weights(description: &Description) -> Result<Vec<Weight>, RunError> {
    let (app, setting) = (&description.app, || description.setting("weights"));
    if !app.weights.is_empty() && app.dispatch != Dispatch::Kernel {
        return Err(OwnError::NoTurns(setting()).into());
    }
    let weight = |it: &u8| Weight::try_from(*it).map_err(|why| OwnError::Weight(setting(), why));
    let weights: Result<Vec<Weight>, OwnError> = app.weights.iter().map(weight).collect();
    Ok(weights?)
}

/// The mode that was asked for, if it is one of these. There is one for that policy.
pub(super) fn wanted(
    dispatch: Dispatch,
    policy: Option<PickerKind>,
) -> Option<(DispatchMode, &'static str)> {
    match dispatch {
        Dispatch::Auto if policy == Some(PickerKind::LeastLoaded) => {
            Some((DispatchMode::Kernel, "kernel"))
        }
        Dispatch::Kernel => Some((DispatchMode::Kernel, "kernel")),
        Dispatch::Reuseport => Some((DispatchMode::Reuseport, "reuseport")),
        Dispatch::Auto | Dispatch::Pass | Dispatch::Proxy | Dispatch::Shared => None,
    }
}

/// Whether connections are to be given in turns, as far as anything was said.
pub(super) fn is_in_turns(description: &Description) -> bool {
    matches!(
        description.policy(),
        Ok(None | Some(PickerKind::RoundRobin))
    )
}

/// Whether the kernel is to dispatch to a command's workers if it takes a program, and why they share otherwise.
///
/// # Errors
/// When it is not known where the herd is to listen.
pub(super) fn choice(description: &Description) -> Result<(Choice, &'static str), RunError> {
    let app = &description.app;
    let by_itself = "a foreign program accepts for itself";
    if app.dispatch != Dispatch::Auto {
        return Ok((Choice::Said, by_itself));
    }
    let addresses = app.listen.iter();
    let addresses = addresses.map(|text| description.parsed("listen", text));
    let addresses: Result<Vec<ListenAddress>, RunError> = addresses.collect();
    Ok(match Listens::at(&addresses?) {
        Listens::Nowhere => (Choice::Said, by_itself),
        Listens::WhereEachCan => (Choice::KernelFirst, by_itself),
        Listens::WhereOneCan => (Choice::Said, "a Unix socket has one listener"),
    })
}

/// Whether this policy means anything in this mode.
fn is_for(mode: DispatchMode, policy: PickerKind) -> bool {
    matches!(policy, PickerKind::RoundRobin | PickerKind::LeastLoaded)
        && mode == DispatchMode::Kernel
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
    if app.send_handle.is_some() {
        return Err(OwnError::Sent(setting, name).into());
    }
    // A script listens where it likes.
    if app.listen.is_empty() && app.script.is_none() {
        return Err(OwnError::NothingOpened(setting, name).into());
    }
    for text in &app.listen {
        let address: ListenAddress = description.parsed("listen", text)?;
        if address.has_one_listener() {
            return Err(OwnError::Unix {
                setting,
                mode: name,
                address: text.clone(),
            }
            .into());
        }
    }
    if let Some(policy) = description.policy()?
        && !is_for(mode, policy)
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

#[cfg(test)]
mod tests {
    use super::super::words::Words;
    use super::*;

    fn choice_of(listen: &[&str], dispatch: Dispatch) -> Choice {
        let mut description = Description::bare(Words::Options);
        description.app.listen = listen.iter().map(ToString::to_string).collect();
        description.app.dispatch = dispatch;
        choice(&description).expect("addresses").0
    }

    #[test]
    fn the_kernel_is_asked_where_each_worker_can_have_a_listener_of_its_own() {
        for (listen, expected) in [
            (&["unix:/run/it", "8080"][..], Choice::KernelFirst),
            (&["unix:/run/it"], Choice::Said),
            (&[], Choice::Said),
        ] {
            assert_eq!(choice_of(listen, Dispatch::Auto), expected, "{listen:?}");
            assert_eq!(choice_of(listen, Dispatch::Shared), Choice::Said);
        }
    }
}
