//! What a child that could not follow its launch plan writes back on the plan's socket.
//!
//! ```text
//! offset 0  u8   step
//!        1  3    reserved, zero
//!        4  i32  errno, 0 when no system call failed; little endian
//!        8  …    detail, UTF-8
//! ```
//!
//! One message of at most [`MAX_REPORT`] bytes. A child that followed its plan writes nothing: the
//! socket closes when it executes its program.

use std::fmt;

use crate::reader::Reader;
use crate::text::truncate;

/// The longest report in bytes.
pub const MAX_REPORT: usize = 4096;

const FIXED: usize = 8;

/// The longest detail in bytes of UTF-8.
pub const MAX_DETAIL: usize = MAX_REPORT - FIXED;

/// Why a child did not become what its plan says.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("could not {step}: {detail}")]
pub struct LaunchFailure {
    /// What failed.
    pub step: LaunchStep,
    /// The error number of the system call, 0 when none failed.
    pub errno: i32,
    /// What it failed on, such as a path. What exceeds [`MAX_DETAIL`] is cut off when encoded.
    pub detail: String,
}

/// A step of a launch, in the order in which a child takes them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum LaunchStep {
    /// Receive and decode the plan.
    ReadPlan = 1,
    /// Put the descriptors where the plan wants them.
    Descriptors = 2,
    /// Reset signal handlers and mask.
    Signals = 3,
    /// Set resource limits.
    Limits = 4,
    /// Change the user and groups, and check that there is no way back.
    Identity = 5,
    /// Change to the working directory.
    Directory = 6,
    /// Replace the environment.
    Environment = 7,
    /// Execute the program.
    Execute = 8,
}

impl LaunchStep {
    /// All steps, in order.
    pub const ALL: [LaunchStep; 8] = [
        LaunchStep::ReadPlan,
        LaunchStep::Descriptors,
        LaunchStep::Signals,
        LaunchStep::Limits,
        LaunchStep::Identity,
        LaunchStep::Directory,
        LaunchStep::Environment,
        LaunchStep::Execute,
    ];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step as u8 == number)
    }
}

impl fmt::Display for LaunchStep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            LaunchStep::ReadPlan => "read the launch plan",
            LaunchStep::Descriptors => "put the descriptors in place",
            LaunchStep::Signals => "reset the signals",
            LaunchStep::Limits => "set the resource limits",
            LaunchStep::Identity => "change the user",
            LaunchStep::Directory => "change to the directory",
            LaunchStep::Environment => "set the environment",
            LaunchStep::Execute => "execute the program",
        })
    }
}

/// Why bytes are not a report.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReportError {
    /// The report is cut, its reserved bytes are set, or its detail is not UTF-8.
    #[error("launch report is malformed")]
    Malformed,
    /// The report is longer than [`MAX_REPORT`].
    #[error("launch report of {length} bytes exceeds the limit of {MAX_REPORT}")]
    TooLong {
        /// Length in bytes.
        length: usize,
    },
    /// The step is unknown.
    #[error("launch step {number} is unknown")]
    UnknownStep {
        /// Number of the step.
        number: u8,
    },
}

impl LaunchFailure {
    /// This report on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let detail = truncate(&self.detail, MAX_DETAIL);
        let mut bytes = Vec::with_capacity(FIXED + detail.len());
        bytes.extend_from_slice(&[self.step as u8, 0, 0, 0]);
        bytes.extend_from_slice(&self.errno.to_le_bytes());
        bytes.extend_from_slice(detail.as_bytes());
        bytes
    }

    /// Reads a whole report.
    ///
    /// # Errors
    ///
    /// Any [`ReportError`].
    pub fn decode(bytes: &[u8]) -> Result<LaunchFailure, ReportError> {
        if bytes.len() > MAX_REPORT {
            return Err(ReportError::TooLong {
                length: bytes.len(),
            });
        }
        let mut fields = Reader::new(bytes);
        let number = fields.u8().ok_or(ReportError::Malformed)?;
        let step = LaunchStep::from_number(number).ok_or(ReportError::UnknownStep { number })?;
        read_rest(step, &mut fields).ok_or(ReportError::Malformed)
    }
}

fn read_rest(step: LaunchStep, fields: &mut Reader<'_>) -> Option<LaunchFailure> {
    if fields.bytes(3)? != [0, 0, 0] {
        return None;
    }
    let errno = fields.i32()?;
    let detail = std::str::from_utf8(fields.remainder()).ok()?.to_owned();
    Some(LaunchFailure {
        step,
        errno,
        detail,
    })
}
