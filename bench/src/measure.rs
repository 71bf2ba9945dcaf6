//! One measurement of one variant.

use crate::answer;
use crate::variant::Variant;
use herder_e2e::client::{Ledger, Load};
use herder_e2e::scene::Scene;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// How hard the clients press.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pressure {
    /// 1000 connections a second on a schedule: the latency of a server that is mostly idle.
    Light,
    /// 128 clients on two threads, each asking as fast as it is answered: what the machine can do.
    Saturated,
    /// As [`Light`](Pressure::Light), but one of the workers is stopped for the second third of the
    /// time: how long connections wait that were meant for it.
    Stopped,
}

impl Pressure {
    /// All of them, in the order of the report.
    pub const ALL: [Pressure; 3] = [Pressure::Saturated, Pressure::Light, Pressure::Stopped];

    /// Whether a variant can take part. The bare loop that passes connections takes none back: what
    /// a stopped worker was given waits until the client gives up.
    pub fn suits(self, variant: Variant) -> bool {
        match self {
            Pressure::Light | Pressure::Saturated => true,
            Pressure::Stopped => variant != Variant::BarePass,
        }
    }

    /// A line that says what it is.
    pub fn title(self) -> &'static str {
        match self {
            Pressure::Light => "light: open loop, 1000 connections/s",
            Pressure::Saturated => "saturated: closed loop, 128 clients on 2 threads",
            Pressure::Stopped => {
                "stopped: open loop, 1000 connections/s, one worker stopped for a third of the time"
            }
        }
    }

    fn load(self, address: SocketAddr, time: Duration) -> Load {
        let load = Load::http(address, "/")
            .lasting(time)
            .worker_from(answer::worker);
        match self {
            Pressure::Light | Pressure::Stopped => load.at_rate(1000),
            Pressure::Saturated => load.clients(128).threads(2),
        }
    }
}

/// What one variant did in one round.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Whole answers a second.
    pub rate: f64,
    /// Processor time of what stands before the workers, in microseconds a connection.
    pub master: f64,
    /// Processor time of the workers, in microseconds a connection.
    pub workers: f64,
    /// Half of the answers took no longer, in microseconds.
    pub p50: f64,
    /// 99 % took no longer, in microseconds.
    pub p99: f64,
    /// Answers of the busiest worker by those of the idlest.
    pub unevenness: f64,
    /// How many requests failed, by kind.
    pub failures: BTreeMap<String, usize>,
}

/// Starts `variant`, warms it up, presses for `time`, and ends it.
pub fn measure(variant: Variant, pressure: Pressure, time: Duration) -> Sample {
    let scene = Scene::new("bench");
    let server = variant.start(&scene);
    let warm = Load::http(server.address, "/").clients(16).count(500);
    warm.run().assert_no_failure();
    let before = (server.master_time(), server.worker_time());
    let running = pressure.load(server.address, time).start();
    if pressure == Pressure::Stopped {
        server.stop_a_worker(time / 3, time / 3);
    }
    let ledger = running.finish();
    let after = (server.master_time(), server.worker_time());
    server.herd.end();
    sample(
        &ledger,
        after.0.saturating_sub(before.0),
        after.1.saturating_sub(before.1),
    )
}

fn sample(ledger: &Ledger, master: Duration, workers: Duration) -> Sample {
    let answers = ledger.complete();
    let latency = ledger.latency();
    let counts = ledger.per_worker();
    let busiest = counts.values().max().copied().unwrap_or(0);
    let idlest = counts.values().min().copied().unwrap_or(0);
    let failures = ledger
        .outcomes()
        .into_iter()
        .filter(|(outcome, _)| !outcome.is_complete());
    Sample {
        rate: ledger.rate(),
        master: micros(master) / count(answers),
        workers: micros(workers) / count(answers),
        p50: micros(latency.p50),
        p99: micros(latency.p99),
        unevenness: count(busiest) / count(idlest),
        failures: failures
            .map(|(outcome, count)| (outcome.to_string(), count))
            .collect(),
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A count to divide by: at least 1.
fn count(value: usize) -> f64 {
    f64::from(u32::try_from(value).unwrap_or(u32::MAX).max(1))
}
