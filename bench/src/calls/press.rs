//! The loop of every caller in Rust, and what it prints. Programs that are built apart include this file, so
//! that all are measured alike.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What a caller is told to do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many bytes the text has that is sent and comes back.
    pub size: usize,
    /// How many calls are on their way at any time.
    pub in_flight: usize,
    /// For how long.
    pub time: Duration,
}

impl Load {
    /// From the arguments `SIZE IN_FLIGHT MILLISECONDS`; nothing when they are not these.
    pub fn from_arguments(arguments: impl IntoIterator<Item = String>) -> Option<Load> {
        let mut numbers = arguments.into_iter().map(|text| text.parse::<u32>().ok());
        let mut next = || numbers.next().flatten();
        let (size, in_flight, time) = (next()?, next()?, next()?);
        Some(Load {
            size: usize::try_from(size).ok()?,
            in_flight: usize::try_from(in_flight).ok()?.max(1),
            time: Duration::from_millis(time.into()),
        })
    }

    /// Calls `call` again and again, first for a fifth of the time to warm up. It is given the text, and
    /// says whether the same came back. The answer is a line of JSON.
    pub async fn press<C, F>(self, call: C) -> String
    where
        C: Fn(String) -> F + Send + Sync + 'static,
        F: Future<Output = bool> + Send,
    {
        let call = Arc::new(call);
        let warm = Load {
            time: self.time / 5,
            ..self
        };
        warm.run(&call).await;
        self.run(&call).await
    }

    async fn run<C, F>(self, call: &Arc<C>) -> String
    where
        C: Fn(String) -> F + Send + Sync + 'static,
        F: Future<Output = bool> + Send,
    {
        let (begin, failures) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
        let callers = (1..self.in_flight).map(|_| {
            let (call, failures) = (Arc::clone(call), Arc::clone(&failures));
            tokio::spawn(async move { self.repeat(&*call, begin, &failures).await })
        });
        let callers: Vec<_> = callers.collect();
        // The first runs here: a caller that is alone needs no other task.
        let mut latencies = self.repeat(&**call, begin, &failures).await;
        for caller in callers {
            latencies.extend(caller.await.expect("a caller does not panic"));
        }
        report(
            &mut latencies,
            begin.elapsed(),
            failures.load(Ordering::Relaxed),
        )
    }

    async fn repeat<C, F>(self, call: &C, begin: Instant, failures: &AtomicUsize) -> Vec<Duration>
    where
        C: Fn(String) -> F,
        F: Future<Output = bool>,
    {
        let (text, mut latencies) = ("x".repeat(self.size), Vec::new());
        let mut now = begin;
        while now - begin < self.time {
            let since = now;
            let is_whole = call(text.clone()).await;
            now = Instant::now();
            if is_whole {
                latencies.push(now - since);
            } else {
                failures.fetch_add(1, Ordering::Relaxed);
            }
        }
        latencies
    }
}

fn report(latencies: &mut [Duration], elapsed: Duration, failures: usize) -> String {
    latencies.sort_unstable();
    let calls = latencies.len();
    let micros = |per_mille: usize| {
        let rank = (calls * per_mille).div_ceil(1000).saturating_sub(1);
        let latency = latencies.get(rank).copied().unwrap_or_default();
        latency.as_secs_f64() * 1e6
    };
    let (p50, p99, seconds) = (micros(500), micros(990), elapsed.as_secs_f64());
    format!(
        r#"{{"calls":{calls},"seconds":{seconds},"p50":{p50:.2},"p99":{p99:.2},"failures":{failures}}}"#
    )
}
