//! Traffic of several kinds.

use crate::client;
use crate::load::books::{Books, Page};
use crate::load::kind::Kind;
use crate::load::upload::Uploads;
use crate::wait;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a request may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(15);

/// The number of the next mix of this process. (Requests numbered from 0 are nobody's: single ones.)
static MADE: AtomicU64 = AtomicU64::new(1);

/// Traffic being made. Dropped, it stops without books.
pub struct Mix {
    number: u64,
    begun: Instant,
    parts: Vec<(Kind, Duration, Traffic)>,
}

enum Traffic {
    Load(client::Running),
    Uploads(Uploads),
}

impl Mix {
    /// Starts clients of every kind.
    pub fn of_all(address: SocketAddr) -> Mix {
        Mix::of(address, &Kind::ALL)
    }

    /// Starts clients of these kinds.
    pub fn of(address: SocketAddr, kinds: &[Kind]) -> Mix {
        Mix::calm(address, kinds, 1)
    }

    /// As [`Mix::of`], with clients that wait `calm` (1 to 40) times as long between their requests: where several
    /// mixes share a machine.
    pub fn calm(address: SocketAddr, kinds: &[Kind], calm: u32) -> Mix {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let start = |&kind: &Kind| {
            let offset = begun.elapsed();
            let traffic = match kind.load(number, address, PATIENCE, calm) {
                Some(load) => Traffic::Load(load.start()),
                None => Traffic::Uploads(Uploads::start(
                    address,
                    kind,
                    kind.first_id(number),
                    PATIENCE,
                )),
            };
            (kind, offset, traffic)
        };
        Mix {
            number,
            begun,
            parts: kinds.iter().map(start).collect(),
        }
    }

    /// How many whole answers there are so far.
    pub fn answered(&self) -> u64 {
        self.sum(client::Running::answered, Uploads::answered)
    }

    /// How many requests have failed so far.
    pub fn failed(&self) -> u64 {
        self.sum(client::Running::failed, Uploads::failed)
    }

    fn sum(&self, loads: fn(&client::Running) -> u64, uploads: fn(&Uploads) -> u64) -> u64 {
        let parts = self.parts.iter().map(|(_, _, traffic)| match traffic {
            Traffic::Load(load) => loads(load),
            Traffic::Uploads(part) => uploads(part),
        });
        parts.sum()
    }

    /// Waits until each kind has `more` whole answers than now.
    ///
    /// # Panics
    /// When one has not within `within`.
    #[track_caller]
    pub fn wait_for_answers_of_all(&self, more: u64, within: Duration) {
        for (kind, _, traffic) in &self.parts {
            let answered = || match traffic {
                Traffic::Load(load) => load.answered(),
                Traffic::Uploads(uploads) => uploads.answered(),
            };
            let wanted = answered() + more;
            wait::until(within, &format!("{more} more answers, {kind}"), || {
                (answered() >= wanted).then_some(())
            });
        }
    }

    /// Waits until there are `more` whole answers than now.
    ///
    /// # Panics
    /// When they have not come within `within`.
    #[track_caller]
    pub fn wait_for_answers(&self, more: u64, within: Duration) {
        let wanted = self.answered() + more;
        wait::until(within, &format!("{more} more answers"), || {
            (self.answered() >= wanted).then_some(())
        });
    }

    /// Makes no new requests, and waits until each has its outcome.
    pub fn finish(self) -> Books {
        self.stop();
        let close = |(kind, offset, traffic)| {
            let ledger = match traffic {
                Traffic::Load(load) => load.finish(),
                Traffic::Uploads(uploads) => uploads.finish(),
            };
            Page {
                kind,
                offset,
                ledger,
            }
        };
        Books {
            number: self.number,
            begun: self.begun,
            pages: self.parts.into_iter().map(close).collect(),
        }
    }

    fn stop(&self) {
        for (_, _, traffic) in &self.parts {
            match traffic {
                Traffic::Load(load) => load.stop(),
                Traffic::Uploads(uploads) => uploads.stop(),
            }
        }
    }
}

impl std::fmt::Debug for Mix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Mix({} answered, {} failed)",
            self.answered(),
            self.failed()
        )
    }
}
