//! One measurement of one variant.

use crate::answer;
use crate::messages::{self, Tally};
use crate::variant::{Server, Variant};
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
    /// 128 clients on two threads, each asking a Node program as fast as it is answered.
    NodeSaturated,
    /// 4 clients with lasting connections, each with one message on its way: the latency of a message.
    MessagesCalm,
    /// 32 clients with lasting connections, each with 8 messages on their way: what the machine can do.
    MessagesSaturated,
}

impl Pressure {
    /// All of them, in the order of the report.
    pub const ALL: [Pressure; 6] = [
        Pressure::Saturated,
        Pressure::Light,
        Pressure::Stopped,
        Pressure::NodeSaturated,
        Pressure::MessagesSaturated,
        Pressure::MessagesCalm,
    ];

    /// Whether a variant can take part. The bare loop that passes connections takes none back: what
    /// a stopped worker was given waits until the client gives up.
    pub fn suits(self, variant: Variant) -> bool {
        match self {
            Pressure::NodeSaturated => variant.is_of_node(),
            Pressure::Light | Pressure::Saturated => variant.is_of_connections(),
            Pressure::Stopped => variant.is_of_connections() && variant != Variant::BarePass,
            Pressure::MessagesCalm | Pressure::MessagesSaturated => variant.keeps_clients(),
        }
    }

    /// Whether the clients keep their connections and send messages.
    pub fn is_of_messages(self) -> bool {
        self.messages().is_some()
    }

    /// A line that says what it is.
    pub fn title(self) -> &'static str {
        match self {
            Pressure::Light => "light: open loop, 1000 connections/s",
            Pressure::Saturated => "saturated: closed loop, 128 clients on 2 threads",
            Pressure::Stopped => {
                "stopped: open loop, 1000 connections/s, one worker stopped for a third of the time"
            }
            Pressure::NodeSaturated => {
                "Node programs, saturated: closed loop, 128 clients on 2 threads"
            }
            Pressure::MessagesCalm => {
                "messages, calm: 4 clients on 1 thread, each with 1 message of 64 bytes on its way"
            }
            Pressure::MessagesSaturated => {
                "messages, saturated: 32 clients on 1 thread, each with 8 messages of 64 bytes on \
                 their way"
            }
        }
    }

    fn load(self, address: SocketAddr, time: Duration) -> Load {
        let load = Load::http(address, "/")
            .lasting(time)
            .worker_from(answer::worker);
        match self {
            Pressure::NodeSaturated | Pressure::Saturated => load.clients(128).threads(2),
            Pressure::Light
            | Pressure::Stopped
            | Pressure::MessagesCalm
            | Pressure::MessagesSaturated => load.at_rate(1000),
        }
    }

    /// The clients that send messages, under a pressure that has some.
    fn messages(self) -> Option<messages::Load> {
        let (clients, outstanding) = match self {
            Pressure::MessagesCalm => (4, 1),
            Pressure::MessagesSaturated => (32, 8),
            Pressure::Light | Pressure::NodeSaturated | Pressure::Saturated | Pressure::Stopped => {
                return None;
            }
        };
        Some(messages::Load {
            clients,
            outstanding,
        })
    }
}

/// What one variant did in one round. What a client waits for is a connection with its answer, or a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Whole answers a second.
    pub rate: f64,
    /// Processor time of a keeper and a master (or the bare loop that passes connections), in microseconds
    /// a connection or message.
    pub master: f64,
    /// Processor time of the process that keeps the clients' connections (the gateway, or the bare echo server),
    /// in microseconds a message.
    pub front: f64,
    /// Processor time of the workers, in microseconds a connection or message.
    pub workers: f64,
    /// Half of the answers took no longer, in microseconds.
    pub p50: f64,
    /// 99 % took no longer, in microseconds.
    pub p99: f64,
    /// Answers of the busiest worker by those of the idlest; 0 where an answer does not name its worker.
    pub unevenness: f64,
    /// How many requests failed, by kind.
    pub failures: BTreeMap<String, usize>,
}

impl Sample {
    /// Processor time of all processes of the server, in microseconds a connection or message.
    pub fn total(&self) -> f64 {
        self.master + self.front + self.workers
    }
}

/// Starts `variant`, warms it up, presses for `time`, and ends it.
pub fn measure(variant: Variant, pressure: Pressure, time: Duration) -> Sample {
    let scene = Scene::new("bench");
    let server = variant.start(&scene);
    let sample = match pressure.messages() {
        Some(load) => measure_messages(&server, load, time),
        None => measure_connections(&server, pressure, time),
    };
    server.herd.end();
    sample
}

fn measure_connections(server: &Server, pressure: Pressure, time: Duration) -> Sample {
    let warm = Load::http(server.address, "/").clients(16).count(500);
    warm.run().assert_no_failure();
    let clock = Clock::start(server);
    let running = pressure.load(server.address, time).start();
    if pressure == Pressure::Stopped {
        server.stop_a_worker(time / 3, time / 3);
    }
    let ledger = running.finish();
    let sample = of_connections(&ledger);
    clock.stop(sample, ledger.complete())
}

fn measure_messages(server: &Server, load: messages::Load, time: Duration) -> Sample {
    const WARM: Duration = Duration::from_millis(200);
    load.press(server.address, WARM);
    let clock = Clock::start(server);
    let tally = load.press(server.address, time);
    let sample = of_messages(&tally);
    clock.stop(sample, tally.answers())
}

/// The processor time that a server had used before.
struct Clock<'a> {
    server: &'a Server,
    before: [Duration; 3],
}

impl Clock<'_> {
    fn start(server: &Server) -> Clock<'_> {
        Clock {
            server,
            before: server.times(),
        }
    }

    /// Adds to `sample` what the server has used since, for each of `answers`.
    fn stop(self, sample: Sample, answers: usize) -> Sample {
        let after = self.server.times();
        let used = |role: usize| {
            let used = after[role].saturating_sub(self.before[role]);
            micros(used) / count(answers)
        };
        Sample {
            master: used(0),
            front: used(1),
            workers: used(2),
            ..sample
        }
    }
}

fn of_connections(ledger: &Ledger) -> Sample {
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
        p50: micros(latency.p50),
        p99: micros(latency.p99),
        unevenness: count(busiest) / count(idlest),
        failures: failures
            .map(|(outcome, count)| (outcome.to_string(), count))
            .collect(),
        ..Sample::default()
    }
}

fn of_messages(tally: &Tally) -> Sample {
    let [p50, p99] = tally.latencies([500, 990]);
    Sample {
        rate: tally.rate(),
        p50: micros(p50),
        p99: micros(p99),
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
