//! What processes use, looked at when somebody wants to know.

use std::collections::BTreeMap;
use std::time::Instant;

use herder_api::status::{AppStatus, Usage, WorkerStatus};
use herder_sys::proc;

/// How many processes below a worker are counted.
const MOST: usize = 64;

/// What was seen last.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// By process and the tick of its start: the CPU time in ticks, and when that was.
    seen: BTreeMap<(i32, u64), (u64, Instant)>,
}

/// One look at a process.
struct Look {
    born: u64,
    spent: u64,
}

impl Meter {
    /// Adds what the workers of an app use, with what they have started.
    pub(crate) fn measure(&mut self, status: &mut AppStatus) {
        let Some(herd) = &mut status.herd else {
            return;
        };
        let workers = herd.slots.iter_mut().flat_map(|slot| &mut slot.workers);
        let mut sum = Usage::default();
        for worker in workers.chain(&mut herd.others) {
            let usage = self.worker(worker);
            sum.cpu += usage.cpu;
            sum.memory += usage.memory;
            worker.usage = Some(usage);
        }
        status.usage = Some(sum);
    }

    /// Forgets who was not looked at since `then`: they are dead, or nobody asks.
    pub(crate) fn forget_before(&mut self, then: Instant) {
        self.seen.retain(|_, (_, at)| *at >= then);
    }

    fn worker(&mut self, worker: &WorkerStatus) -> Usage {
        let mut usage = Usage::default();
        let below = proc::descendants(worker.pid, MOST);
        for pid in std::iter::once(worker.pid).chain(below) {
            usage.memory += proc::resident_bytes(pid).unwrap_or(0);
            usage.cpu += self.cpu(pid).unwrap_or(0.0);
        }
        usage.cpu = (usage.cpu * 10.0).round() / 10.0;
        usage
    }

    /// In percent of one CPU, since the last look; at the first, since its birth.
    fn cpu(&mut self, pid: i32) -> Option<f64> {
        let look = look(pid)?;
        let now = Instant::now();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let before = self.seen.get(&(pid, look.born)).copied();
        let (spent, seconds) = match before {
            Some((spent, at)) => {
                let seconds = now.duration_since(at).as_secs_f64();
                (look.spent.saturating_sub(spent), seconds)
            }
            None => (look.spent, uptime()? - look.born as f64 / ticks),
        };
        self.seen.insert((pid, look.born), (look.spent, now));
        // Within a tick nothing can be said.
        (seconds > 1.0 / ticks).then(|| spent as f64 / ticks / seconds * 100.0)
    }
}

fn look(pid: i32) -> Option<Look> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name that may contain anything.
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[name_end + 1..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    // Counted from the third field: utime is the 14th, stime the 15th, starttime the 22nd.
    Some(Look {
        spent: number(11)? + number(12)?,
        born: number(19)?,
    })
}

fn uptime() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    text.split_ascii_whitespace().next()?.parse().ok()
}
