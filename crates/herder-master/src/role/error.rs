use std::io;

use herder_wire::plan::PlanError;

/// Why a process cannot play its part.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// Descriptors and environment can be put in place only before there are threads.
    #[error(
        "the process already has {0} threads: herder::init() must be the first statement of main, \
         before any thread or runtime is started. With #[tokio::main], write a plain `fn main()` \
         that calls herder::init() and Cluster::run_async(), which builds the runtime itself"
    )]
    Threads(usize),
    /// The parent ended before it said what to do.
    #[error("the parent has ended without a launch plan")]
    NoPlan,
    /// The plan is not one that this executable understands.
    #[error("cannot follow the launch plan: {0}")]
    Plan(#[from] PlanError),
    /// The plan is another app's, or lacks something that its role needs.
    #[error("cannot follow the launch plan: {0}")]
    Mismatch(String),
    /// A system call failed.
    #[error("cannot follow the launch plan: {0}")]
    Io(#[from] io::Error),
}
