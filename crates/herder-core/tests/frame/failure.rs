use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::rng::Rng;
use super::violation::Violation;

/// A seed that found a broken invariant.
#[derive(Debug)]
pub(crate) struct Failure {
    seed: u64,
    step: u64,
    violation: Violation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n    seed {} breaks it at step {}; replay with HERDER_SIM_SEED={}",
            self.violation, self.seed, self.step, self.seed
        )
    }
}

/// The seeds that follow from a base seed.
pub(crate) fn seeds(base: u64) -> impl Iterator<Item = u64> {
    let mut rng = Rng::new(base);
    std::iter::once(base).chain(std::iter::from_fn(move || Some(rng.next())))
}

/// Lives through one seed, and counts the steps. A panic is a violation like any other.
pub(crate) fn contain<T>(
    seed: u64,
    life: impl FnOnce(&mut u64) -> Result<T, Violation>,
) -> Result<T, Box<Failure>> {
    let mut step = 0;
    let outcome = catch_unwind(AssertUnwindSafe(|| life(&mut step)));
    let violation = match outcome {
        Ok(Ok(tally)) => return Ok(tally),
        Ok(Err(violation)) => violation,
        Err(panic) => Violation {
            rule: "nothing panics",
            detail: panic_text(&*panic),
        },
    };
    Err(Box::new(Failure {
        seed,
        step,
        violation,
    }))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text")
        .to_owned()
}
