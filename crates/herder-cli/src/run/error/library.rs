//! Why there can be no library.

use super::node::NodeError;
use super::program::ProgramError;
use crate::run::words::Setting;

/// Why a library cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LibraryError {
    #[error("{setting}: {source}")]
    Node { setting: Setting, source: NodeError },
    #[error("{setting}: {source}")]
    Program {
        setting: Setting,
        source: ProgramError,
    },
}
