//! Answers that are not known yet.

use herder_core::Generation;
use serde::{Deserialize, Serialize};

use crate::verdict::{Operation, Verdict};

/// Who asked for something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::master) struct Asker {
    /// The client's number.
    pub(super) client: u64,
    /// The request's.
    pub(super) id: u64,
}

/// An answer that is owed to somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::master) struct Owed {
    pub(super) to: Asker,
    pub(super) until: Until,
}

/// What it waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Until {
    /// The verdict about this generation.
    Reloaded(Generation),
    /// New workers are ready, in the slots from `from` to before `to`.
    Scaled { from: u16, to: u16 },
    /// The verdict about the upgrade that goes on.
    Upgraded,
}

impl Owed {
    /// Whether this verdict is what it waits for.
    pub(super) fn is_settled_by(&self, verdict: &Verdict) -> bool {
        match (self.until, verdict.operation) {
            (Until::Reloaded(generation), Operation::Reload) => generation == verdict.generation,
            (Until::Upgraded, Operation::Upgrade) => true,
            (Until::Reloaded(_) | Until::Scaled { .. } | Until::Upgraded, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn r37_a_verdict_settles_what_it_is_about() {
        let to = Asker { client: 1, id: 2 };
        let owed = |until| Owed { to, until };
        let verdict = |operation, generation| {
            let at = String::new();
            Verdict::done(operation, Generation(generation), Duration::ZERO, at)
        };
        let reload = owed(Until::Reloaded(Generation(3)));
        assert!(reload.is_settled_by(&verdict(Operation::Reload, 3)));
        assert!(!reload.is_settled_by(&verdict(Operation::Reload, 2)));
        assert!(!reload.is_settled_by(&verdict(Operation::Upgrade, 3)));
        let upgrade = owed(Until::Upgraded);
        assert!(upgrade.is_settled_by(&verdict(Operation::Upgrade, 3)));
        assert!(!upgrade.is_settled_by(&verdict(Operation::Reload, 3)));
        let scale = owed(Until::Scaled { from: 1, to: 2 });
        assert!(!scale.is_settled_by(&verdict(Operation::Reload, 3)));
    }
}
