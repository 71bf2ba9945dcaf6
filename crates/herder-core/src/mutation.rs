//! Safety rules that can be switched off, one at a time, to prove that the simulator would notice.
//!
//! Without the cargo feature `mutation` nothing can be switched off, and every test for it compiles
//! to nothing.

/// A safety rule that is broken on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    /// A slot whose worker fails is started again without delay and without limit.
    BackoffOff,
    /// Whoever ends is followed by another, whatever the policy says.
    CompletionOff,
    /// A worker that has caught up with the others gets no turns again.
    CaughtUpUnnoticed,
    /// A worker gets connections beyond its credit.
    CreditOff,
    /// A worker that was withdrawn is said to have drained while requests are under way at it.
    DrainedEarly,
    /// A worker that is left out for its failures gets requests like any other.
    EjectedAsked,
    /// More than half of the workers are left out for their failures.
    EjectionUnbounded,
    /// A worker that has its turns again loses them the next moment.
    Flapping,
    /// News about a dead incarnation is taken for news about its slot's present one.
    IncarnationTestOff,
    /// A worker gets more jobs than `max_jobs`.
    JobLimitOff,
    /// A job that a dead worker had started is given to another, though it is not idempotent.
    JobRetryUnasked,
    /// The death of a worker that is not known is taken for its successor's.
    JobStrangerTrusted,
    /// Jobs that were taken back from a worker are believed to be with it.
    JobTakeBackOff,
    /// A worker that joins others has its full share at once.
    NewcomerUnspared,
    /// A socket is taken from its place while turns still name it.
    PlaceLeftEarly,
    /// After a rollback, nobody lets the old workers have connections again.
    ReadmissionOff,
    /// A worker that gives connections back gets more of them at once.
    RejectionUnnoticed,
    /// A request that a worker may have acted on is given to another, though it is not idempotent.
    RepeatedUnasked,
    /// The old workers leave as soon as the last new one is ready.
    SoakOff,
    /// A worker that decides nothing gets more connections.
    StallUnnoticed,
    /// Whoever leaves is killed in time, though nobody was there who could have let it.
    StandstillUnnoticed,
    /// A worker is told to drain before it is withdrawn.
    StopLadderSwapped,
    /// What a worker had not received is not taken back.
    TakeBackOff,
    /// That somebody was accepted is seen by a shorter queue alone.
    TurnsUncounted,
    /// A worker has turns before it is ready.
    TurnsUnready,
    /// Nobody listens to who found a worker broken.
    WatchdogUnheard,
}

#[cfg(feature = "mutation")]
mod switch {
    use std::cell::Cell;

    use super::Mutation;

    thread_local! {
        static BROKEN: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    /// Breaks this rule, and no other, on the calling thread from now on; `None` mends all.
    pub fn set(mutation: Option<Mutation>) {
        BROKEN.set(mutation);
    }

    /// Whether this rule is broken on the calling thread.
    #[must_use]
    pub fn is(mutation: Mutation) -> bool {
        BROKEN.get() == Some(mutation)
    }
}

#[cfg(feature = "mutation")]
pub use switch::{is, set};

/// Whether this rule is broken: never, without the feature `mutation`.
#[cfg(not(feature = "mutation"))]
#[must_use]
pub const fn is(_: Mutation) -> bool {
    false
}
