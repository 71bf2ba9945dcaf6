//! What gateways have counted of a worker.

use serde::{Deserialize, Serialize};

/// What one gateway knows of a worker, and owes for it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Account {
    /// Which withdrawal it has not answered.
    pub(super) owes: Option<u32>,
    pub(super) open: u32,
    pub(super) served: u64,
    pub(super) failed: u64,
    pub(super) ejection: Ejection,
}

/// What gateways have counted that are gone.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Past {
    /// Requests served, and those of them that failed.
    before: (u64, u64),
}

/// What a worker has had to do, as far as proxies know.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(in crate::master) struct Load {
    /// Requests that it has now.
    pub(in crate::master) open: u32,
    /// Requests that it has finished.
    pub(in crate::master) served: u64,
    /// Those of them that failed.
    pub(in crate::master) failed: u64,
    ejection: Ejection,
}

/// Whether a worker is left out because it failed too often.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::master) enum Ejection {
    #[default]
    In,
    Out,
}

impl Load {
    /// Whether at least one gateway leaves the worker out.
    pub(in crate::master) fn is_ejected(self) -> bool {
        self.ejection == Ejection::Out
    }
}

impl Past {
    /// A gateway is gone. What it had open has failed with it, and is not waited for.
    pub(super) fn add(&mut self, account: &Account) {
        let (served, failed) = self.before;
        self.before = (served + account.served, failed + account.failed);
    }

    /// The sum, with those that live.
    pub(super) fn with<'a>(self, accounts: impl Iterator<Item = &'a Account>) -> Load {
        let (served, failed) = self.before;
        let past = Load {
            served,
            failed,
            ..Load::default()
        };
        accounts.fold(past, |sum, account| Load {
            open: sum.open.saturating_add(account.open),
            served: sum.served + account.served,
            failed: sum.failed + account.failed,
            ejection: match (sum.ejection, account.ejection) {
                (Ejection::In, Ejection::In) => Ejection::In,
                (Ejection::Out, _) | (_, Ejection::Out) => Ejection::Out,
            },
        })
    }
}
