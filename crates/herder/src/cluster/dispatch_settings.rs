//! Who accepts: what was set, and what follows from it.

use herder_core::spec::{DispatchMode, Listens};
use herder_master::config::Choice;

use crate::cluster::error::ClusterError;
use crate::cluster::settings::{Dispatch, Policy, Settings, wrong};

impl Settings {
    pub(super) fn mode(&self) -> (DispatchMode, &'static str) {
        #[cfg(feature = "message")]
        if self.has_messages() {
            return (DispatchMode::Message, "each message is a job");
        }
        match self.dispatch {
            Dispatch::Auto if self.policy == Policy::LeastLoaded => {
                (DispatchMode::Kernel, "LeastLoaded is the kernel's")
            }
            // What the kernel might do is tried first, and says itself why it cannot.
            Dispatch::Auto if self.listens() == Listens::WhereOneCan => {
                (DispatchMode::Pass, "a Unix socket has one listener")
            }
            Dispatch::Auto if self.policy != Policy::RoundRobin => {
                (DispatchMode::Pass, "kernel has no such policy")
            }
            Dispatch::Auto => (
                DispatchMode::Pass,
                "the workers take connections by channel",
            ),
            Dispatch::Kernel => (DispatchMode::Kernel, "as asked"),
            Dispatch::Pass => (DispatchMode::Pass, "as asked"),
            Dispatch::Reuseport => (DispatchMode::Reuseport, "as asked"),
            Dispatch::Shared => (DispatchMode::Shared, "as asked"),
        }
    }

    /// Whether the kernel is to dispatch if it takes a program.
    pub(super) fn choice(&self, mode: DispatchMode) -> Choice {
        let is_pass = mode == DispatchMode::Pass && self.dispatch == Dispatch::Auto;
        let is_possible = self.listens() == Listens::WhereEachCan;
        if is_pass && is_possible && self.policy == Policy::RoundRobin {
            Choice::KernelFirst
        } else {
            Choice::Said
        }
    }

    /// (An address that is none is refused elsewhere.)
    fn listens(&self) -> Listens {
        Listens::at(&self.addresses().unwrap_or_default())
    }

    pub(super) fn check_dispatch(&self) -> Result<(), ClusterError> {
        let (dispatch, policy) = (self.dispatch, self.policy);
        match (dispatch, policy) {
            (Dispatch::Auto | Dispatch::Kernel, Policy::LeastLoaded)
            | (Dispatch::Kernel, Policy::RoundRobin)
            | (Dispatch::Reuseport, Policy::RoundRobin) => self.check_own_listeners(),
            (Dispatch::Shared, Policy::RoundRobin) => Ok(()),
            (_, Policy::LeastLoaded) => Err(wrong(
                "policy",
                "LeastLoaded is found by looking at each worker's own listener; it needs Dispatch::Kernel, or Auto",
            )),
            (Dispatch::Auto | Dispatch::Pass, _) => Ok(()),
            (Dispatch::Kernel | Dispatch::Reuseport | Dispatch::Shared, _) => Err(wrong(
                "policy",
                format!(
                    "with Dispatch::{dispatch:?} the workers accept by themselves and nobody picks one; \
                     {policy:?} needs Dispatch::Pass"
                ),
            )),
        }
    }

    /// A Unix socket has one listener.
    fn check_own_listeners(&self) -> Result<(), ClusterError> {
        let addresses = self.addresses()?;
        match addresses.iter().find(|it| it.has_one_listener()) {
            None => Ok(()),
            Some(address) => Err(wrong(
                "dispatch",
                format!(
                    "{address} is a Unix socket, which has one listener and not one for each worker; use \
                     Dispatch::Pass or Dispatch::Shared"
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(listen: &[&str]) -> Settings {
        Settings {
            listen: listen.iter().map(ToString::to_string).collect(),
            ..Settings::default()
        }
    }

    #[test]
    fn the_kernel_is_asked_where_each_worker_can_have_a_listener_of_its_own() {
        for (listen, expected) in [
            (&["unix:/run/it", "8080"][..], Choice::KernelFirst),
            (&["unix:/run/it"], Choice::Said),
            (&[], Choice::Said),
        ] {
            let settings = settings(listen);
            let (mode, _) = settings.mode();
            assert_eq!(mode, DispatchMode::Pass, "what is left if it says no");
            assert_eq!(settings.choice(mode), expected, "{listen:?}");
        }
    }

    #[test]
    fn a_mode_that_was_asked_for_is_refused_where_it_cannot_be() {
        let mut settings = settings(&["8080", "unix:/run/it"]);
        for (dispatch, is_right) in [
            (Dispatch::Auto, true),
            (Dispatch::Kernel, false),
            (Dispatch::Pass, true),
            (Dispatch::Reuseport, false),
            (Dispatch::Shared, true),
        ] {
            settings.dispatch = dispatch;
            let checked = settings.check_dispatch();
            assert_eq!(checked.is_ok(), is_right, "{dispatch:?}");
            if let Err(error) = checked {
                assert!(error.to_string().contains("unix:/run/it"), "{error}");
            }
        }
    }
}
