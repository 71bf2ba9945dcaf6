//! Running jobs.

use std::collections::HashMap;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use herder_rpc::CallError;
use herder_rpc::client::{StreamItem, Subscription};
use herder_services::library::{JobsApiClient, RunOrder};
use tokio::task::{AbortHandle, JoinSet};

use super::error::JobsError;
use crate::services::is_temporary;

/// That a run has ended is said again after this, when nobody heard it.
const AGAIN: Duration = Duration::from_millis(250);

/// One run of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    job: String,
    number: u64,
    tick: i64,
    attempt: u8,
    token: Option<u64>,
    timeout: Duration,
}

impl Run {
    /// The job.
    #[must_use]
    pub fn job(&self) -> &str {
        &self.job
    }

    /// The time that it was due, which is the same for all tries, and on all machines.
    #[must_use]
    pub fn tick(&self) -> SystemTime {
        let since = Duration::from_millis(self.tick.unsigned_abs());
        match self.tick {
            0.. => SystemTime::UNIX_EPOCH + since,
            _ => SystemTime::UNIX_EPOCH - since,
        }
    }

    /// The same in milliseconds since 1970.
    #[must_use]
    pub fn tick_millis(&self) -> i64 {
        self.tick
    }

    /// Which try this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u8 {
        self.attempt
    }

    /// The *fencing token*, if this is a job of the [cluster](super::Target::Cluster): what the job
    /// writes to keeps the greatest that it has seen, and refuses a smaller one.
    #[must_use]
    pub fn token(&self) -> Option<u64> {
        self.token
    }

    /// How long it may take before it is cancelled.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// A worker that runs a job.
pub(super) struct Serving {
    client: JobsApiClient,
    orders: Subscription<RunOrder>,
    /// What runs; the result of each is its number.
    tasks: JoinSet<u64>,
    running: HashMap<u64, AbortHandle>,
}

impl Serving {
    pub(super) async fn open(client: JobsApiClient, name: &str) -> Result<Serving, JobsError> {
        let mut orders = client.serve(vec![name.to_owned()]);
        orders.opened().await?;
        Ok(Serving {
            client,
            orders,
            tasks: JoinSet::new(),
            running: HashMap::new(),
        })
    }

    /// Runs what is asked for until `leaves`, and what runs then to its end.
    pub(super) async fn until<Fut>(
        mut self,
        leaves: impl Future<Output = ()>,
        work: impl Fn(Run) -> Fut,
    ) -> Result<(), JobsError>
    where
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let mut leaves = pin!(leaves);
        let mut is_leaving = false;
        while !(is_leaving && self.tasks.is_empty()) {
            tokio::select! {
                () = &mut leaves, if !is_leaving => is_leaving = true,
                Some(ended) = self.tasks.join_next() => {
                    // One that was cancelled is forgotten already.
                    if let Ok(number) = ended {
                        self.running.remove(&number);
                    }
                }
                order = self.orders.next() => match order {
                    Some(order) => self.obey(order?, &work),
                    None => return Ok(()),
                },
            }
        }
        Ok(())
    }

    fn obey<Fut>(&mut self, order: StreamItem<RunOrder>, work: &impl Fn(Run) -> Fut)
    where
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        match order {
            // Whatever was asked for before: nobody counts on it any more.
            StreamItem::Gap { .. } => {
                self.running.clear();
                self.tasks.abort_all();
            }
            StreamItem::SnapshotEnd => {}
            StreamItem::Item { value, .. } | StreamItem::Snapshot { value } => match value {
                RunOrder::Cancel { run } => {
                    if let Some(task) = self.running.remove(&run) {
                        task.abort();
                    }
                }
                RunOrder::Run {
                    run,
                    name,
                    tick,
                    attempt,
                    token,
                    timeout_ms,
                } => {
                    let run = Run {
                        job: name,
                        number: run,
                        tick,
                        attempt,
                        token,
                        timeout: Duration::from_millis(timeout_ms),
                    };
                    let number = run.number;
                    let (client, work) = (self.client.clone(), work(run));
                    let task = self.tasks.spawn(async move {
                        let failure = outcome(work).await.err();
                        report(&client, number, failure).await;
                        number
                    });
                    self.running.insert(number, task);
                }
            },
        }
    }
}

/// How the work ended, even by a panic. It ends with whoever waits for it.
async fn outcome<Fut>(work: Fut) -> Result<(), String>
where
    Fut: Future<Output = Result<(), String>> + Send + 'static,
{
    let mut alone = JoinSet::new();
    alone.spawn(work);
    match alone.join_next().await {
        Some(Ok(outcome)) => outcome,
        Some(Err(error)) if error.is_panic() => Err("it panicked".to_owned()),
        // The runtime ends.
        Some(Err(_)) | None => Err("it was not carried out".to_owned()),
    }
}

/// Says how a run ended, until somebody hears it.
async fn report(client: &JobsApiClient, run: u64, failure: Option<String>) {
    loop {
        let told: Result<(), CallError> = client.done(run, failure.clone()).await;
        match told {
            Err(error) if is_temporary(&error) => tokio::time::sleep(AGAIN).await,
            // What is no error that passes does not pass; the library cancels the run in its time.
            Ok(()) | Err(_) => return,
        }
    }
}
