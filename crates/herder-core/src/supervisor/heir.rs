//! An app that begins anew, where another supervisor of it has finished.

use super::state::Supervisor;
use crate::spec::{AppSpec, BootFailure};

impl Supervisor {
    /// What the app is to be.
    #[must_use]
    pub fn spec(&self) -> &AppSpec {
        &self.spec
    }

    /// A supervisor of the same app that was not started, whose first worker is born after the last of
    /// this one. `failure`: what happens if its first start fails altogether.
    #[must_use]
    pub fn heir(&self, seed: u64, failure: BootFailure) -> Supervisor {
        let mut spec = self.spec.clone();
        spec.life.boot_failure = failure;
        let mut heir = Supervisor::new(spec, seed);
        heir.next = self.next;
        heir
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::WorkerCount;
    use crate::supervisor::{Action, Event};
    use crate::{Incarnation, Tick};

    #[test]
    fn no_incarnation_is_born_twice() {
        let count = WorkerCount::new(2).expect("two");
        let spec = AppSpec::new("web".parse().expect("a name"), count);
        let mut first = Supervisor::new(spec, 1);
        first.handle(Event::Start, Tick::ZERO);
        let mut heir = first.heir(2, BootFailure::KeepTrying);
        assert!(!heir.is_finished() && heir.workers().next().is_none());
        heir.handle(Event::Start, Tick::ZERO);
        let Some(Action::Spawn { worker, .. }) = heir.poll_action() else {
            panic!("it starts its workers");
        };
        assert_eq!(worker.incarnation, Incarnation(3));
    }
}
