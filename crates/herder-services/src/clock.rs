//! Both clocks, from one place.

use std::time::{Duration, SystemTime};

use herder_core::Tick;
use herder_core::schedule::{Now, Wall};
use tokio::time::Instant;

/// The clocks of a process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Clocks that begin now.
    #[must_use]
    pub fn new() -> Clock {
        Clock {
            origin: Instant::now(),
        }
    }

    /// What they say. The second after the origin is never zero: a tick of zero is no moment.
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            wall: wall(),
            tick: Tick::ZERO.after(self.origin.elapsed() + Duration::from_secs(1)),
        }
    }

    /// The moment of tokio's clock that this tick is.
    #[must_use]
    pub fn instant(&self, tick: Tick) -> Instant {
        let now = self.now().tick;
        Instant::now() + tick.since(now)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// A monotonic moment as one of the wall clock, as it stands now.
#[must_use]
pub fn to_wall(tick: Tick, now: Now) -> Wall {
    let ahead = tick.since(now.tick);
    now.wall.after(ahead).before(now.tick.since(tick))
}

/// The other way round; a moment that has passed is now.
#[must_use]
pub fn to_tick(wall: Wall, now: Now) -> Tick {
    now.tick.after(wall.since(now.wall))
}

fn wall() -> Wall {
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => Wall::from_millis(millis(since)),
        Err(before) => Wall::from_millis(-millis(before.duration())),
    }
}
