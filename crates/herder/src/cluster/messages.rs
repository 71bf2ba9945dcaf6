//! The methods of [`Cluster`] that are about messages and jobs.

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use herder_master::event::{HerdEvent, WorkerInfo};
use herder_wire::gateway::{Origins, Protocol, Retry};

use crate::asynchronous::jobs::AsyncJobWorker;
use crate::asynchronous::run;
use crate::cluster::builder::Cluster;
use crate::cluster::error::ClusterError;
use crate::cluster::message_settings::{Asked, KeepAlive};
use crate::cluster::settings::Checked;
use crate::in_process::Body;
use crate::jobs::worker::JobWorker;
use crate::worker::finish;

/// Message dispatch (feature `message`): the connections of the clients stay at the *gateway*, a
/// process of its own, and each message is a [job](crate::Job) for the next worker.
impl Cluster {
    /// Takes messages here, over WebSocket: `8080`, `127.0.0.1:8080`, as with
    /// [`listen`](Cluster::listen). Any path will do. Call it again for more; the function that
    /// works on them is given to [`run_jobs`](Cluster::run_jobs) or
    /// [`run_jobs_async`](Cluster::run_jobs_async).
    pub fn messages(self, address: impl ToString) -> Cluster {
        self.take("messages", address.to_string(), Protocol::WebSocket)
    }

    /// Takes messages here, as lines over TCP: a message is a line, and so is a reply. A line that is
    /// no UTF-8 is a message of bytes.
    pub fn lines(self, address: impl ToString) -> Cluster {
        self.take("lines", address.to_string(), Protocol::Lines)
    }

    /// Serves the files of this directory, too, where [messages](Cluster::messages) are taken: the
    /// app's own page, which `/` shows as `index.html`.
    pub fn page(self, directory: impl Into<PathBuf>) -> Cluster {
        let mut this = self.about("page");
        this.settings.messages.page = Some(directory.into());
        this
    }

    /// Tells at this path, as server-sent events, which workers there are and what they do. Every
    /// event is called `workers`: the data of the first is a list, of each later one a single
    /// worker that has changed.
    pub fn feed(self, path: impl Into<String>) -> Cluster {
        let mut this = self.about("feed");
        this.settings.messages.gateway.feed = Some(path.into());
        this
    }

    /// Lets pages of these origins connect (`https://example.org`), and no other. Without it, and
    /// without [`any_origin`](Cluster::any_origin), a page must come from the host that it connects
    /// to. Clients that are no pages send no origin, and are always let in.
    pub fn origins<S: Into<String>>(self, origins: impl IntoIterator<Item = S>) -> Cluster {
        let mut this = self.about("origins");
        let origins = origins.into_iter().map(Into::into).collect();
        this.settings.messages.gateway.origins = Origins::Listed(origins);
        this
    }

    /// Lets any page in the world connect, in the name of whoever looks at it.
    pub fn any_origin(self) -> Cluster {
        let mut this = self.about("any_origin");
        this.settings.messages.gateway.origins = Origins::Any;
        this
    }

    /// How many jobs a worker gets in its life, exactly. When the last is given to it, its
    /// successor is started; it finishes what it has and leaves. 0 = any number, the default.
    pub fn max_jobs(self, jobs: u32) -> Cluster {
        let mut this = self.about("max_jobs");
        this.settings.messages.max_jobs = jobs;
        this
    }

    /// Says that a job may be done twice: one that a dying worker had begun is then given to
    /// another. Without it the client is told that it was lost.
    pub fn idempotent(self) -> Cluster {
        let mut this = self.about("idempotent");
        this.settings.messages.gateway.retry = Retry::Idempotent;
        this
    }

    /// How long a message of a client may be, in bytes, at most 16 MiB; one who sends a longer one
    /// is cut off. Default: 1 MiB.
    pub fn max_message(self, bytes: usize) -> Cluster {
        let mut this = self.about("max_message");
        // What does not fit is refused by the check, as zero is.
        this.settings.messages.gateway.max_message = u32::try_from(bytes).unwrap_or(u32::MAX);
        this
    }

    /// How many clients may be connected at a time. Default: 10,000.
    pub fn max_clients(self, clients: u32) -> Cluster {
        let mut this = self.about("max_clients");
        this.settings.messages.gateway.max_clients = clients;
        this
    }

    /// How many messages of one client may be in work or wait; no more are read from it until one
    /// is done. Default: 32.
    pub fn client_window(self, messages: u32) -> Cluster {
        let mut this = self.about("client_window");
        this.settings.messages.gateway.client_window = messages;
        this
    }

    /// After how much silence a client is asked whether it is still there; when it says nothing for
    /// as long again, it is gone; so is one that takes nothing for as long of more than 1 MiB of
    /// replies. `None` = never. Default: 30 s.
    pub fn keep_alive(self, time: Option<Duration>) -> Cluster {
        let mut this = self.about("keep_alive");
        this.settings.messages.keep_alive = match time {
            Some(time) => KeepAlive::After(time),
            None => KeepAlive::Never,
        };
        this
    }

    /// How long a client may take until its WebSocket is open. Default: 10 s.
    pub fn handshake_timeout(self, time: Duration) -> Cluster {
        let mut this = self.about("handshake_timeout");
        this.settings.messages.handshake_timeout = Some(time);
        this
    }

    /// What a client is told when the worker of its message ended in the middle of it, in place of
    /// `message 3: worker 7 ended while it worked on this; it may have been carried out`.
    pub fn lost_reply(self, text: impl Into<String>) -> Cluster {
        let mut this = self.about("lost_reply");
        this.settings.messages.gateway.lost_reply = Some(text.into());
        this
    }

    /// Calls this in the master when a job is given to a worker. (Once more when it is taken back
    /// and given to another.)
    pub fn on_dispatched(self, mut hook: impl FnMut(u64, &WorkerInfo) + Send + 'static) -> Cluster {
        self.about("on_dispatched")
            .hears_each_job()
            .hook(move |event| {
                if let HerdEvent::JobDispatched { job, worker } = event {
                    hook(*job, worker);
                }
            })
    }

    /// Calls this in the master when a worker has done all the jobs that it may have in its life,
    /// see [`max_jobs`](Cluster::max_jobs). Its [end](Cluster::on_exit) follows.
    pub fn on_exhausted(self, mut hook: impl FnMut(&WorkerInfo) + Send + 'static) -> Cluster {
        self.about("on_exhausted").hook(move |event| {
            if let HerdEvent::Exhausted { worker } = event {
                hook(worker);
            }
        })
    }

    /// Runs the herd, with a function that works on [messages](Cluster::messages), as
    /// [`run`](Cluster::run) does with connections.
    ///
    /// ```no_run
    /// use std::process::ExitCode;
    ///
    /// use herder::{Cluster, ClusterError, JobWorker};
    ///
    /// fn main() -> Result<ExitCode, ClusterError> {
    ///     herder::init();
    ///     Cluster::new().messages("127.0.0.1:8080").run_jobs(work)
    /// }
    ///
    /// fn work(worker: JobWorker) -> std::io::Result<()> {
    ///     while let Some(job) = worker.next_job()? {
    ///         let text = job.text().unwrap_or("bytes").to_uppercase();
    ///         // A client that has gone is no reason to end.
    ///         let _gone = job.finish_with(text);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// When a setting cannot be, or [`init`](crate::init) was not called.
    pub fn run_jobs<F, E>(self, worker: F) -> Result<ExitCode, ClusterError>
    where
        F: Fn(JobWorker) -> Result<(), E> + Send + Sync + 'static,
        E: Display,
    {
        self.settings.check_blocking()?;
        self.settings.check_has_messages("run_jobs")?;
        self.run_body(|_| blocking_body(worker))
    }

    /// As [`run_jobs`](Cluster::run_jobs), with a function that is asynchronous.
    ///
    /// ```no_run
    /// use std::process::ExitCode;
    ///
    /// use herder::{AsyncJobWorker, Cluster, ClusterError};
    ///
    /// fn main() -> Result<ExitCode, ClusterError> {
    ///     herder::init();
    ///     Cluster::new().messages("127.0.0.1:8080").run_jobs_async(work)
    /// }
    ///
    /// async fn work(worker: AsyncJobWorker) -> std::io::Result<()> {
    ///     while let Some(job) = worker.next_job().await? {
    ///         tokio::spawn(async move {
    ///             job.reply("one moment").await?;
    ///             job.finish_with("done").await
    ///         });
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`run_jobs`](Cluster::run_jobs).
    pub fn run_jobs_async<F, Fut, E>(self, worker: F) -> Result<ExitCode, ClusterError>
    where
        F: Fn(AsyncJobWorker) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>>,
        E: Display,
    {
        self.settings.check_has_messages("run_jobs_async")?;
        self.run_body(|checked| async_body(worker, checked))
    }

    /// Somebody wants to be told of each job that is given to a worker.
    pub(super) fn hears_each_job(mut self) -> Cluster {
        self.settings.messages.each_job = true;
        self
    }

    fn about(mut self, method: &'static str) -> Cluster {
        self.settings.messages.needs_messages.get_or_insert(method);
        self
    }

    fn take(mut self, method: &'static str, address: String, protocol: Protocol) -> Cluster {
        self.settings.messages.listen.push(Asked {
            method,
            address,
            protocol,
        });
        self
    }
}

fn blocking_body<F, E>(worker_fn: F) -> Body
where
    F: Fn(JobWorker) -> Result<(), E> + Send + Sync + 'static,
    E: Display,
{
    Arc::new(move |worker| {
        // There is one for each call, though all are the same: the function may be called again.
        finish::run(worker, |worker| {
            let worker = worker
                .into_job_worker()
                .map_err(|error| error.to_string())?;
            worker_fn(worker).map_err(|error| format!("{error:#}"))
        })
    })
}

fn async_body<F, Fut, E>(worker_fn: F, checked: &Checked) -> Body
where
    F: Fn(AsyncJobWorker) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>>,
    E: Display,
{
    let threads = checked.threads;
    Arc::new(move |worker| {
        run::run(
            worker,
            threads,
            |worker| worker.into_job_worker()?.into_async(),
            &worker_fn,
        )
    })
}
