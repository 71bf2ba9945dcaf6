//! Who accepts: what was set, and what follows from it.

use herder_core::spec::{DispatchMode, ListenAddress};
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
            Dispatch::Auto if self.listens_at_unix() => {
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
        let is_tcp = !self.listen.is_empty() && !self.listens_at_unix();
        let is_pass = mode == DispatchMode::Pass && self.dispatch == Dispatch::Auto;
        if is_pass && is_tcp && self.policy == Policy::RoundRobin {
            Choice::KernelFirst
        } else {
            Choice::Said
        }
    }

    /// A Unix socket has one listener, and not one for each worker.
    fn listens_at_unix(&self) -> bool {
        let is_unix =
            |text: &String| matches!(text.parse::<ListenAddress>(), Ok(ListenAddress::Unix(_)));
        self.listen.iter().any(is_unix)
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
        match addresses
            .iter()
            .find(|it| matches!(it, ListenAddress::Unix(_)))
        {
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
