//! All of them, interleaved.

use super::rival::{Rival, prepare};
use herder_e2e::client::Outcome;
use herder_e2e::load::{Books, Kind, Mix};
use herder_e2e::scene::Scene;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Who asks.
const CLIENTS: [Kind; 5] = [
    Kind::Fresh,
    Kind::FreshSlow,
    Kind::Kept,
    Kind::KeptSlow,
    Kind::KeptIdle,
];

/// How often each is reloaded in a round.
const RELOADS: u32 = 5;

/// Answers of each kind of clients between two reloads.
const BETWEEN: u64 = 5;

/// How long these may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the reloads of one round cost the clients.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Toll {
    /// How many reloads.
    pub reloads: u32,
    /// How many requests were made.
    pub sent: usize,
    /// How many failed, by kind of failure.
    pub failures: BTreeMap<String, usize>,
    /// Those of them that had no answer within 15 s.
    pub hung: usize,
    /// Those of them on kept connections.
    pub kept: usize,
    /// How long a reload took, in seconds, until nobody of before was left.
    pub seconds: f64,
    /// The longest time without an answer to clients that make a request every 8 ms, in milliseconds.
    pub gap: f64,
}

/// The tolls of all who took part, in the order of the rounds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReloadContest {
    /// Round by round.
    pub tolls: BTreeMap<Rival, Vec<Toll>>,
}

impl ReloadContest {
    /// Reloads each of `rivals` some times in every round, each round beginning with another one.
    pub fn hold(rivals: &[Rival], rounds: usize) -> ReloadContest {
        prepare();
        let mut tolls: BTreeMap<Rival, Vec<Toll>> = BTreeMap::new();
        for round in 0..rounds {
            for place in 0..rivals.len() {
                let rival = rivals[(place + round) % rivals.len()];
                tolls.entry(rival).or_default().push(measure(rival));
            }
        }
        ReloadContest { tolls }
    }

    /// Whether no request of a herd's failed.
    pub fn is_clean(&self) -> bool {
        let ours = self.tolls.iter().filter(|(rival, _)| rival.is_ours());
        ours.flat_map(|(_, tolls)| tolls)
            .all(|toll| toll.failures.is_empty())
    }
}

fn measure(rival: Rival) -> Toll {
    let scene = Scene::new("reloads");
    let served = rival.start(&scene);
    let mix = Mix::of(served.address(), &CLIENTS);
    let mut seconds = 0.0;
    for _ in 0..RELOADS {
        mix.wait_for_answers_of_all(BETWEEN, PATIENCE);
        let begun = Instant::now();
        served.reload();
        seconds += begun.elapsed().as_secs_f64() / f64::from(RELOADS);
    }
    mix.wait_for_answers_of_all(BETWEEN, PATIENCE);
    let books = mix.finish();
    served.end();
    toll(&books, seconds)
}

fn toll(books: &Books, seconds: f64) -> Toll {
    let mut failures = BTreeMap::new();
    for (outcome, count) in books.outcomes() {
        if !outcome.is_complete() {
            failures.insert(outcome.to_string(), count);
        }
    }
    let kept = books.pages.iter().filter(|page| {
        matches!(
            page.kind,
            Kind::Kept | Kind::KeptSlow | Kind::KeptIdle | Kind::UploadKept
        )
    });
    let fresh = books.pages.iter().find(|page| page.kind == Kind::Fresh);
    Toll {
        reloads: RELOADS,
        sent: books.sent(),
        hung: books
            .failures()
            .filter(|entry| entry.outcome == Outcome::TimedOut)
            .count(),
        kept: kept.map(|page| page.ledger.failures().count()).sum(),
        failures,
        seconds,
        gap: fresh.map_or(0.0, |page| page.ledger.longest_gap().as_secs_f64() * 1000.0),
    }
}
