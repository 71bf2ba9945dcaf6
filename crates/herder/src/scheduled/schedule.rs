//! [`Schedule`].

use std::time::Duration;

use herder_core::schedule::{Misfire, Overlap, Target};
use herder_services::jobs::{JobDefinition, Start, Timing, TimingError};

/// When a job is due, and how it is run.
///
/// The timing is a pattern of cron, with seconds if there are six fields, and a time zone behind it if
/// it is not UTC: `0 3 * * *`, `*/10 * * * * *`, `0 3 * * * Europe/Berlin`, `@hourly`; or a period:
/// `every 10s`, with the units `ms s m h d`. A text is a schedule with every default.
///
/// ```
/// use std::time::Duration;
/// use herder::jobs::{Misfire, Schedule, Target};
///
/// let schedule = Schedule::new("0 3 * * * Europe/Berlin")
///     .target(Target::Worker)
///     .timeout(Duration::from_secs(3600))
///     .misfire(Misfire::Once)
///     .retries(2);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a schedule does nothing until it is given to somebody"]
pub struct Schedule {
    timing: String,
    rest: Rest,
}

/// All but the timing.
#[derive(Clone, Debug, PartialEq)]
struct Rest {
    target: Target,
    overlap: Overlap,
    misfire: Misfire,
    timeout: Duration,
    retries: u8,
    jitter: Duration,
    start: Start,
}

impl Schedule {
    /// A job that is due at these times, for one worker, with every default.
    pub fn new(timing: impl Into<String>) -> Schedule {
        Schedule {
            timing: timing.into(),
            rest: Rest {
                target: Target::Worker,
                overlap: Overlap::default(),
                misfire: Misfire::default(),
                timeout: Duration::from_secs(600),
                retries: 0,
                jitter: Duration::ZERO,
                start: Start::default(),
            },
        }
    }

    /// Who runs it. Default: [`Target::Worker`], one worker.
    pub fn target(mut self, target: Target) -> Schedule {
        self.rest.target = target;
        self
    }

    /// What happens when it is due and still runs. Default: [`Overlap::Skip`].
    pub fn overlap(mut self, overlap: Overlap) -> Schedule {
        self.rest.overlap = overlap;
        self
    }

    /// What happens to ticks for which it is too late: nobody was there. Default: [`Misfire::Skip`].
    pub fn misfire(mut self, misfire: Misfire) -> Schedule {
        self.rest.misfire = misfire;
        self
    }

    /// How long a run may take before it is cancelled. Default: 10 minutes.
    pub fn timeout(mut self, timeout: Duration) -> Schedule {
        self.rest.timeout = timeout;
        self
    }

    /// How often a run that failed is tried again. Default: 0.
    pub fn retries(mut self, retries: u8) -> Schedule {
        self.rest.retries = retries;
        self
    }

    /// A run begins at most so much later than its tick, by chance. Default: 0.
    pub fn jitter(mut self, jitter: Duration) -> Schedule {
        self.rest.jitter = jitter;
        self
    }

    /// Whether it runs at the start of the herd, too. Default: no.
    pub fn start(mut self, start: Start) -> Schedule {
        self.rest.start = start;
        self
    }

    pub(crate) fn definition(&self) -> Result<JobDefinition, TimingError> {
        let timing: Timing = self.timing.parse()?;
        let rest = &self.rest;
        Ok(JobDefinition {
            target: rest.target,
            overlap: rest.overlap,
            misfire: rest.misfire,
            timeout_ms: millis(rest.timeout),
            retries: rest.retries,
            jitter_ms: millis(rest.jitter),
            start: rest.start,
            ..JobDefinition::new(timing)
        })
    }
}

impl From<&str> for Schedule {
    fn from(timing: &str) -> Schedule {
        Schedule::new(timing)
    }
}

impl From<String> for Schedule {
    fn from(timing: String) -> Schedule {
        Schedule::new(timing)
    }
}

/// One that is there already, to be changed.
impl From<JobDefinition> for Schedule {
    fn from(definition: JobDefinition) -> Schedule {
        Schedule {
            timing: definition.timing.into(),
            rest: Rest {
                target: definition.target,
                overlap: definition.overlap,
                misfire: definition.misfire,
                timeout: Duration::from_millis(definition.timeout_ms),
                retries: definition.retries,
                jitter: Duration::from_millis(definition.jitter_ms),
                start: definition.start,
            },
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_a_definition_and_back() {
        let schedule = Schedule::new("every 10s")
            .target(Target::All)
            .overlap(Overlap::Queue)
            .misfire(Misfire::Once)
            .timeout(Duration::from_millis(1500))
            .retries(3)
            .jitter(Duration::from_millis(20))
            .start(Start::Immediate);
        let definition = schedule.definition().expect("it is right");
        assert_eq!(definition.timeout_ms, 1500);
        assert_eq!(definition.target, Target::All);
        assert_eq!(Schedule::from(definition), schedule);
    }

    #[test]
    fn the_defaults_are_those_of_the_library() {
        let definition = Schedule::from("@hourly").definition().expect("right");
        let timing = "@hourly".parse().expect("right");
        assert_eq!(definition, JobDefinition::new(timing));
    }
}
