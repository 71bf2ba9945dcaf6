//! One measurement of one variant.

use crate::answer::processor_time;
use crate::messages::{self, Tally};
use crate::part::{Part, SLOW_PER_MILLE};
use crate::statistics::Histogram;
use crate::variant::{LeftOut, Server, Variant};
use herder_e2e::client::{Entry, Ledger, lot};
use herder_e2e::scene::Scene;
use rustix::time::ClockId;
use serde::Serialize;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

/// What one variant did in one round. What a client waits for is a connection with its answer, an answer on a
/// connection that it keeps, or a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Whole answers a second.
    pub rate: f64,
    /// Processor time of a keeper and a master (or whoever else of the server does not answer), in microseconds
    /// an answer.
    pub master: f64,
    /// Processor time of the process that keeps the clients' connections (the gateway, or the bare echo server),
    /// in microseconds a message.
    pub front: f64,
    /// Processor time of the workers, in microseconds an answer.
    pub workers: f64,
    /// Processor time of the clients, in microseconds an answer.
    pub client: f64,
    /// Half of the answers took no longer, in microseconds.
    pub p50: f64,
    /// 99 % took no longer, in microseconds.
    pub p99: f64,
    /// The slowest answer, in microseconds.
    pub max: f64,
    /// Answers of the busiest worker by those of the idlest; 0 where an answer does not name its worker.
    pub unevenness: f64,
    /// Answers of the busiest worker less those of the idlest.
    pub spread: f64,
    /// All latencies; empty for messages.
    pub histogram: Histogram,
    /// How many requests failed, by kind.
    pub failures: BTreeMap<String, usize>,
}

impl Sample {
    /// Processor time of all processes of the server, in microseconds an answer.
    pub fn total(&self) -> f64 {
        self.master + self.front + self.workers
    }

    /// How much of one processor the master used.
    pub fn master_share(&self) -> f64 {
        self.master * self.rate / 1e6
    }
}

/// Starts `variant`, lets it get warm, has it do `part`, and ends it. `rate` is how many connections a second
/// [`Part::Half`] makes.
///
/// # Errors
/// When it cannot take part, or what was started for it breaks: the others go on without it.
pub fn measure(variant: Variant, part: Part, time: Duration, rate: u32) -> Result<Sample, LeftOut> {
    guarded(|| {
        let scene = Scene::new("bench");
        let server = variant.start(&scene)?;
        let sample = match part.messages() {
            Some(load) => measure_messages(&server, load, time),
            None => measure_connections(&server, part, time, rate),
        };
        server.herd.end();
        Ok(sample)
    })
}

/// Starts `variant` and ends it, to see whether it can take part.
///
/// # Errors
/// When it cannot.
pub fn rehearse(variant: Variant) -> Result<(), LeftOut> {
    guarded(|| {
        let scene = Scene::new("bench");
        variant.start(&scene)?.herd.end();
        Ok(())
    })
}

/// What `work` returns; a panic of what drives processes is a reason like another, and has ended them.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, LeftOut>) -> Result<T, LeftOut> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        let first = message.and_then(|text| text.lines().next());
        Err(LeftOut(first.unwrap_or("something broke").to_owned()))
    })
}

fn measure_connections(server: &Server, part: Part, time: Duration, rate: u32) -> Sample {
    if part == Part::Even {
        thread::sleep(SILENCE);
    }
    let clock = Clock::start(server);
    let running = part.load(server.address, time, rate).start();
    if part == Part::Stopped {
        let third = part.lasting(time) / 3;
        server.stop_a_worker(third, third);
    }
    let mut ledger = running.finish();
    let answers = ledger.complete();
    let sample = clock.stop(of_connections(&ledger), answers);
    if part != Part::Skewed {
        return sample;
    }
    ledger
        .entries
        .retain(|entry| !lot(entry.id, SLOW_PER_MILLE));
    let quick = of_connections(&ledger);
    Sample {
        p50: quick.p50,
        p99: quick.p99,
        max: quick.max,
        histogram: quick.histogram,
        ..sample
    }
}

/// How long nobody comes before it is counted who gets how many: what one worker has missed of those who came to see
/// whether all answer is made up for until then, or not at all.
const SILENCE: Duration = Duration::from_millis(1_500);

fn measure_messages(server: &Server, load: messages::Load, time: Duration) -> Sample {
    const WARM: Duration = Duration::from_millis(200);
    load.press(server.address, WARM);
    let clock = Clock::start(server);
    let tally = load.press(server.address, time);
    let sample = of_messages(&tally);
    clock.stop(sample, tally.answers())
}

/// The processor time that a server and its clients had used before.
struct Clock<'a> {
    server: &'a Server,
    before: [Duration; 3],
    client: Duration,
}

impl Clock<'_> {
    fn start(server: &Server) -> Clock<'_> {
        Clock {
            server,
            before: server.times(),
            client: processor_time(ClockId::ProcessCPUTime),
        }
    }

    /// Adds to `sample` what they have used since, for each of `answers`.
    fn stop(self, sample: Sample, answers: usize) -> Sample {
        let client = processor_time(ClockId::ProcessCPUTime).saturating_sub(self.client);
        let after = self.server.times();
        let used = |role: usize| {
            let used = after[role].saturating_sub(self.before[role]);
            micros(used) / count(answers)
        };
        Sample {
            master: used(0),
            front: used(1),
            workers: used(2),
            client: micros(client) / count(answers),
            ..sample
        }
    }
}

fn of_connections(ledger: &Ledger) -> Sample {
    let latency = ledger.latency();
    let counts = ledger.per_worker();
    let busiest = counts.values().max().copied().unwrap_or(0);
    // Who has answered nothing is not among them.
    let idlest = if counts.len() < crate::bare::WORKERS {
        0
    } else {
        counts.values().min().copied().unwrap_or(0)
    };
    let failures = ledger
        .outcomes()
        .into_iter()
        .filter(|(outcome, _)| !outcome.is_complete());
    let answered = ledger.entries.iter();
    let answered = answered.filter(|entry| entry.outcome.is_complete());
    Sample {
        rate: ledger.rate(),
        p50: micros(latency.p50),
        p99: micros(latency.p99),
        max: micros(latency.max),
        unevenness: count(busiest) / count(idlest),
        spread: count(busiest) - count(idlest),
        histogram: Histogram::of(answered.map(|entry: &Entry| entry.latency)),
        failures: failures
            .map(|(outcome, count)| (outcome.to_string(), count))
            .collect(),
        ..Sample::default()
    }
}

fn of_messages(tally: &Tally) -> Sample {
    let [p50, p99, max] = tally.latencies([500, 990, 1000]);
    Sample {
        rate: tally.rate(),
        p50: micros(p50),
        p99: micros(p99),
        max: micros(max),
        failures: tally.failures.clone(),
        ..Sample::default()
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A count to divide by: at least 1.
fn count(value: usize) -> f64 {
    f64::from(u32::try_from(value).unwrap_or(u32::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use herder_e2e::client::Outcome;

    #[test]
    fn a_worker_without_an_answer_counts() {
        let entry = |id, worker| Entry {
            id,
            due: Duration::ZERO,
            latency: Duration::from_micros(100 + id),
            outcome: Outcome::Complete {
                worker: Some(worker),
            },
            port: 0,
            body: None,
        };
        let mut ledger = Ledger {
            entries: (0..10).map(|id| entry(id, 7)).collect(),
            elapsed: Duration::from_secs(1),
            ..Ledger::default()
        };
        let alone = of_connections(&ledger);
        assert!((alone.unevenness - 10.0).abs() < 1e-9, "{alone:?}");
        ledger.entries.extend((10..14).map(|id| entry(id, 8)));
        let both = of_connections(&ledger);
        assert!((both.unevenness - 2.5).abs() < 1e-9, "{both:?}");
        assert!((both.spread - 6.0).abs() < 1e-9, "{both:?}");
        assert_eq!(both.histogram.count(), 14);
        assert!((both.max - 113.0).abs() < 1e-9, "{both:?}");
    }

    #[test]
    fn a_panic_is_a_reason_to_go_on_without() {
        let left_out = guarded::<()>(|| panic!("no line within 20 s\nits output: none"));
        assert_eq!(left_out, Err(LeftOut("no line within 20 s".to_owned())));
        assert_eq!(guarded(|| Ok(1)), Ok(1));
    }
}
