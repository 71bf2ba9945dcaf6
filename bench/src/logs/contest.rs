//! All of them, interleaved.

use super::rival::Rival;
use crate::statistics::Median;
use herder_e2e::process::{processor_time, resident_bytes};
use herder_e2e::scene::Scene;
use serde::Serialize;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

/// How long one prints before it is measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// How often the memory is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// What came into a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Haul {
    /// Millions of bytes a second.
    pub rate: f64,
    /// Processors that the process in between needed.
    pub processors: f64,
    /// The most memory that it had, in millions of bytes.
    pub memory: f64,
}

/// The hauls of all who took part, in the order of the rounds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LogContest {
    /// Round by round.
    pub hauls: BTreeMap<Rival, Vec<Haul>>,
}

impl LogContest {
    /// Measures each that is installed once in every round, each round beginning with another one.
    pub fn hold(rounds: usize, time: Duration) -> LogContest {
        let rivals = Rival::ALL.into_iter().filter(|rival| rival.is_installed());
        let rivals: Vec<Rival> = rivals.collect();
        let mut hauls: BTreeMap<Rival, Vec<Haul>> = BTreeMap::new();
        for round in 0..rounds {
            for place in 0..rivals.len() {
                let rival = rivals[(place + round) % rivals.len()];
                hauls.entry(rival).or_default().push(measure(rival, time));
            }
        }
        LogContest { hauls }
    }

    /// The medians of a figure.
    pub fn median(&self, rival: Rival, figure: fn(&Haul) -> f64) -> Median {
        Median::of(self.hauls.get(&rival).into_iter().flatten().map(figure))
    }

    /// How many times the rate of `other` the rate of `rival` is; `None` when one did not take part.
    pub fn ratio(&self, rival: Rival, other: Rival) -> Option<Median> {
        let (a, b) = (self.hauls.get(&rival)?, self.hauls.get(&other)?);
        let rate = |haul: &Haul| haul.rate;
        Some(Median::of_ratios(a.iter().map(rate), b.iter().map(rate)))
    }
}

fn measure(rival: Rival, time: Duration) -> Haul {
    let scene = Scene::new("logs");
    let flow = rival.start(&scene);
    thread::sleep(WARM_UP);
    let (size, worked, begun) = (flow.size(), processor_time(flow.between), Instant::now());
    let mut memory = 0;
    while begun.elapsed() < time {
        memory = memory.max(resident_bytes(flow.between).unwrap_or(0));
        thread::sleep(GLANCE);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let (size, worked) = (flow.size() - size, processor_time(flow.between) - worked);
    flow.end();
    Haul {
        rate: millions(size) / seconds,
        processors: worked.as_secs_f64() / seconds,
        memory: millions(memory),
    }
}

fn millions(bytes: u64) -> f64 {
    // To thousands: nobody reads more.
    f64::from(u32::try_from(bytes / 1000).unwrap_or(u32::MAX)) / 1000.0
}
