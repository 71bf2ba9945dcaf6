//! Why the kernel takes no program, and what would be right.

use std::io;

/// How many lines of the verifier's log are told: the last ones, where its reason is.
pub(super) const LOG_LINES: usize = 12;

/// Why dispatch by the kernel is not possible here, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The process lacks a right.
    #[error("kernel dispatch needs {0}")]
    Right(&'static str),
    /// The kernel lacks a feature.
    #[error("kernel dispatch needs Linux 5.14 or newer, this is {release}")]
    Kernel {
        /// What `uname -r` says.
        release: String,
    },
    /// A sandbox forbids it to a process that has the right.
    #[error("kernel dispatch is forbidden here: {0}")]
    Sandbox(&'static str),
    /// Anything else.
    #[error("the kernel refuses dispatch by a program: {0}")]
    Other(String),
}

/// A call of `bpf(2)` failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BpfError {
    /// It is not possible here at all.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The kernel's verifier finds the program unsafe. That is an error of ours.
    #[error("the kernel's verifier refuses the program: {source}; it says:\n{log}")]
    Verifier {
        /// What `bpf(2)` answered.
        source: io::Error,
        /// The last lines of its log.
        log: String,
    },
    /// A descriptor is not what it should be.
    #[error("this descriptor is no {expected}: {found}")]
    Unlike {
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// Anything else.
    #[error("{doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
}

impl From<BpfError> for io::Error {
    fn from(error: BpfError) -> Self {
        let kind = match &error {
            BpfError::Refused(_) => io::ErrorKind::PermissionDenied,
            BpfError::Verifier { source, .. } | BpfError::System { source, .. } => source.kind(),
            BpfError::Unlike { .. } => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}
