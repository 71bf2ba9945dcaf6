//! All of them, interleaved.

use super::part::Part;
use super::rival::Rival;
use crate::measure::guarded;
use crate::statistics::Median;
use crate::variant::LeftOut;
use herder_e2e::scene::Scene;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long one is pressed before it is measured.
const WARM_UP: Duration = Duration::from_millis(300);

/// What one proxy took in one round.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Toll {
    /// Whole answers a second.
    pub rate: f64,
    /// Processor time of the proxy's processes, in microseconds an answer.
    pub processor: f64,
    /// Half of the answers took no longer, in microseconds.
    pub p50: f64,
    /// 99 % took no longer, in microseconds.
    pub p99: f64,
    /// How many requests failed, by kind.
    pub failures: BTreeMap<String, usize>,
}

/// The tolls of all who took part in one part, in the order of the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct ProxyContest {
    /// What the clients did.
    pub part: Part,
    /// Round by round, so that equal places are what was measured side by side.
    pub tolls: BTreeMap<Rival, Vec<Toll>>,
    /// Who was to take part and did not, and why.
    pub left_out: BTreeMap<Rival, String>,
}

impl ProxyContest {
    /// One without any measurement.
    pub fn new(part: Part) -> ProxyContest {
        ProxyContest {
            part,
            tolls: BTreeMap::new(),
            left_out: BTreeMap::new(),
        }
    }

    /// Measures each of `rivals` that has something to say once in every round, each round beginning with
    /// another one. One that breaks is left out from then on, with all that it did.
    pub fn hold(part: Part, rivals: &[Rival], rounds: usize, time: Duration) -> ProxyContest {
        let mut contest = ProxyContest::new(part);
        let rivals: Vec<Rival> = rivals.iter().copied().filter(|it| it.suits(part)).collect();
        for round in 0..rounds {
            for place in 0..rivals.len() {
                let rival = rivals[(place + round) % rivals.len()];
                if contest.left_out.contains_key(&rival) {
                    continue;
                }
                match guarded(|| measure(rival, part, time)) {
                    Ok(toll) => contest.tolls.entry(rival).or_default().push(toll),
                    Err(LeftOut(why)) => {
                        contest.tolls.remove(&rival);
                        contest.left_out.insert(rival, why);
                    }
                }
            }
        }
        contest
    }

    /// The medians of a figure.
    pub fn median(&self, rival: Rival, figure: fn(&Toll) -> f64) -> Median {
        Median::of(self.tolls.get(&rival).into_iter().flatten().map(figure))
    }

    /// How many times that of the best of `others` herder's figure is, round by round; `None` when it or
    /// all of them did not take part.
    pub fn ratio(&self, others: &[Rival], figure: fn(&Toll) -> f64) -> Option<Median> {
        let own = self.tolls.get(&Rival::Herder)?;
        let others: Vec<_> = others.iter().filter_map(|it| self.tolls.get(it)).collect();
        if others.is_empty() {
            return None;
        }
        let best = |round: usize| {
            let there = others.iter().filter_map(|tolls| tolls.get(round));
            there.map(figure).fold(f64::INFINITY, f64::min)
        };
        let best = (0..own.len()).map(best);
        Some(Median::of_ratios(own.iter().map(figure), best))
    }

    /// How much longer than without a proxy `rival` takes, round by round, in microseconds.
    pub fn added(&self, rival: Rival, figure: fn(&Toll) -> f64) -> Option<Median> {
        let (with, without) = (self.tolls.get(&rival)?, self.tolls.get(&Rival::Direct)?);
        let pairs = with.iter().zip(without);
        Some(Median::of(pairs.map(|(a, b)| figure(a) - figure(b))))
    }

    /// Whether herder took part and nothing that it was asked failed.
    pub fn is_clean(&self) -> bool {
        let own = self.tolls.get(&Rival::Herder);
        own.is_some_and(|tolls| tolls.iter().all(|toll| toll.failures.is_empty()))
    }
}

fn measure(rival: Rival, part: Part, time: Duration) -> Result<Toll, LeftOut> {
    let scene = Scene::new("proxy");
    let standing = rival.start(&scene, part)?;
    part.load(standing.server.address, WARM_UP).run();
    let before = standing.time();
    let ledger = part.load(standing.server.address, time).run();
    let used = standing.time().saturating_sub(before);
    standing.end();
    let latency = ledger.latency();
    let failures = ledger.outcomes().into_iter();
    let failures = failures.filter(|(outcome, _)| !outcome.is_complete());
    let answers = u32::try_from(ledger.complete()).unwrap_or(u32::MAX).max(1);
    Ok(Toll {
        rate: ledger.rate(),
        processor: micros(used) / f64::from(answers),
        p50: micros(latency.p50),
        p99: micros(latency.p99),
        failures: failures
            .map(|(outcome, count)| (outcome.to_string(), count))
            .collect(),
    })
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
