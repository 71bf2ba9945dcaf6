use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::spec::PickerKind;

/// How requests are balanced.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BalancerSpec {
    /// Who is picked. Loads are the requests that are under way;
    /// [`LeastLoaded`](PickerKind::LeastLoaded) is the same as
    /// [`LeastConnections`](PickerKind::LeastConnections) here.
    pub policy: PickerKind,
    /// How long a worker that joins others is spared: its weight grows from a tenth to the whole.
    /// Zero: it has its full share at once.
    pub slow_start: Duration,
    /// When a worker that fails is left out for a while; `None`: never.
    pub ejection: Option<EjectionSpec>,
}

/// When a worker that fails is left out, and for how long. The last one never is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EjectionSpec {
    /// So many failures in a row; `None`: however many there are.
    pub consecutive: Option<NonZeroU32>,
    /// Such a part of all its requests; `None`: whatever part it is.
    pub ratio: Option<ErrorRatio>,
    /// Whether an answer that says that the worker failed is a failure.
    pub server_errors: ServerErrors,
    /// How long it is left out for the first time; for the n-th time, n times as long. What is past
    /// is forgotten, one time for each such span in which it was not left out.
    pub base: Duration,
    /// The longest time for which it is left out.
    pub longest: Duration,
    /// Such a part of the workers is left out at most, of a hundred; what is above counts as that.
    #[serde(default = "half")]
    pub at_most_percent: u8,
}

fn half() -> u8 {
    50
}

impl EjectionSpec {
    /// How many of so many workers may be left out at a time.
    #[must_use]
    pub fn most_of(&self, workers: usize) -> usize {
        let percent = usize::from(self.at_most_percent.min(100));
        (workers.saturating_mul(percent) / 100).min(workers.saturating_sub(1))
    }
}

/// How many of a worker's requests may fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErrorRatio {
    /// From so many of a hundred on it is left out.
    pub percent: u8,
    /// But not before so many have come to an end.
    pub at_least: NonZeroU32,
    /// Counted anew after this.
    pub interval: Duration,
}

/// Whether an answer that says that the worker failed (5xx) counts against it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum ServerErrors {
    /// They count: a worker that answers so is left out.
    Counted,
    /// They count like any answer: what is wrong with the program is wrong with all its workers.
    #[default]
    Ignored,
}

impl Default for BalancerSpec {
    fn default() -> BalancerSpec {
        BalancerSpec {
            policy: PickerKind::RoundRobin,
            slow_start: Duration::ZERO,
            ejection: Some(EjectionSpec::default()),
        }
    }
}

impl Default for EjectionSpec {
    fn default() -> EjectionSpec {
        EjectionSpec {
            consecutive: NonZeroU32::new(5),
            ratio: None,
            server_errors: ServerErrors::Ignored,
            base: Duration::from_secs(10),
            longest: Duration::from_mins(5),
            at_most_percent: half(),
        }
    }
}
