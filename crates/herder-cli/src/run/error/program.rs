//! Why a program cannot be executed.

use herder_master::find::FindError;

/// Why a program cannot be executed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error("the program's name is empty")]
    Empty,
    #[error(transparent)]
    Find(#[from] FindError),
}
