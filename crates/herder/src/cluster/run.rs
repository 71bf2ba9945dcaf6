//! What [`Cluster::run`] does in each role.

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;

use herder_master::config::{Config, Numbering, Observer, Program, Stdin};
use herder_sys::signal::SignalFd;

use crate::cluster::builder::{Cluster, Hook};
use crate::cluster::error::ClusterError;
use crate::cluster::seating::sit_down;
use crate::cluster::settings::{Checked, Place};
use crate::in_process::{self, Body, Running};
use crate::init::{self, Seat};
use crate::worker::blocking::Worker;
use crate::worker::finish;

impl Cluster {
    /// Runs the herd, with a function that is a worker.
    ///
    /// In the process that was started, and in the master, it returns when the herd has ended, with
    /// the status that `main` should return. In a worker it calls the function, waits until the
    /// connections that it left open are closed, and ends the process: with status 0, or with 1
    /// when the function returned an error (which is printed in one line) or anything panicked.
    ///
    /// # Errors
    /// When a setting cannot be, or [`init`](crate::init) was not called.
    pub fn run<F, E>(self, worker: F) -> Result<ExitCode, ClusterError>
    where
        F: Fn(Worker) -> Result<(), E> + Send + Sync + 'static,
        E: Display,
    {
        self.settings.check_blocking()?;
        self.settings.check_for_connections()?;
        self.run_body(|_| blocking_body(worker))
    }

    /// As [`run`](Cluster::run), with a function that is asynchronous. Each worker has a tokio
    /// runtime of one thread ([`threads`](Cluster::threads) for more).
    ///
    /// ```no_run
    /// use std::process::ExitCode;
    /// use herder::{AsyncWorker, Cluster, ClusterError};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// fn main() -> Result<ExitCode, ClusterError> {
    ///     herder::init();
    ///     Cluster::new().listen(8080).run_async(serve)
    /// }
    ///
    /// async fn serve(worker: AsyncWorker) -> std::io::Result<()> {
    ///     let listener = worker.listener();
    ///     while let Some(mut connection) = listener.accept().await? {
    ///         tokio::spawn(async move { connection.write_all(b"hello\n").await });
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`run`](Cluster::run).
    #[cfg(feature = "tokio")]
    pub fn run_async<F, Fut, E>(self, worker: F) -> Result<ExitCode, ClusterError>
    where
        F: Fn(crate::AsyncWorker) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>>,
        E: Display,
    {
        self.settings.check_for_connections()?;
        self.run_body(|checked| async_body(worker, checked))
    }

    /// Starts the herd [in this process](Cluster::in_process) and returns at once; for tests.
    ///
    /// ```
    /// use std::io::{self, Read, Write};
    /// use std::net::TcpStream;
    ///
    /// use herder::{Cluster, Worker};
    ///
    /// fn serve(worker: Worker) -> io::Result<()> {
    ///     while let Some(mut connection) = worker.accept()? {
    ///         connection.write_all(b"hello\n")?;
    ///     }
    ///     Ok(())
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let herd = Cluster::new().listen("127.0.0.1:0").workers(2).start_in_process(serve)?;
    /// let mut answer = String::new();
    /// TcpStream::connect(herd.tcp_address().unwrap())?.read_to_string(&mut answer)?;
    /// assert_eq!(answer, "hello\n");
    /// herd.stop()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When a setting cannot be, or it cannot listen where it is told to.
    pub fn start_in_process<F, E>(self, worker: F) -> Result<Running, ClusterError>
    where
        F: Fn(Worker) -> Result<(), E> + Send + Sync + 'static,
        E: Display,
    {
        self.settings.check_blocking()?;
        self.settings.check_for_connections()?;
        let checked = self.settings.check()?;
        self.start_threads(checked, blocking_body(worker))
    }

    /// As [`start_in_process`](Cluster::start_in_process), with a function that is asynchronous.
    ///
    /// # Errors
    /// As [`start_in_process`](Cluster::start_in_process).
    #[cfg(feature = "tokio")]
    pub fn start_in_process_async<F, Fut, E>(self, worker: F) -> Result<Running, ClusterError>
    where
        F: Fn(crate::AsyncWorker) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>>,
        E: Display,
    {
        self.settings.check_for_connections()?;
        let checked = self.settings.check()?;
        let body = async_body(worker, &checked);
        self.start_threads(checked, body)
    }

    fn start_threads(self, checked: Checked, body: Body) -> Result<Running, ClusterError> {
        #[cfg(feature = "library")]
        let libraries = self.planned_libraries()?;
        in_process::start(in_process::Herd {
            checked,
            listening: self.settings.listening,
            hooks: self.hooks,
            body,
            #[cfg(feature = "library")]
            libraries,
        })
    }

    pub(super) fn run_body(
        self,
        body: impl FnOnce(&Checked) -> Body,
    ) -> Result<ExitCode, ClusterError> {
        let checked = self.settings.check()?;
        let body = body(&checked);
        if self.settings.place == Place::Threads {
            let signals = SignalFd::block(&init::ENDING_SIGNALS)?;
            let herd = self.start_threads(checked, body)?;
            return herd.until(&signals).map(|()| ExitCode::SUCCESS);
        }
        #[cfg(feature = "library")]
        let libraries = self.planned_libraries()?;
        let seat = match init::take_seat() {
            Seat::NotAsked => return Err(ClusterError::NotInitialised),
            Seat::Taken => return Err(ClusterError::AlreadyRun),
            Seat::Entry => None,
            #[cfg(feature = "library")]
            Seat::Library(seat, signals) => {
                let timing = checked.timing;
                let status = crate::library::process::live(*seat, signals, timing, &libraries)?;
                std::process::exit(status);
            }
            Seat::Master(seat) => Some(seat),
            Seat::Worker(seat, signals) => {
                let worker = sit_down(seat, signals, checked)?;
                crate::panic::watch_process(worker.handle().link());
                std::process::exit(body(worker));
            }
        };
        let config = self.into_config(
            checked,
            #[cfg(feature = "library")]
            &libraries,
        );
        Ok(ExitCode::from(herder_master::run(config, seat)))
    }

    fn into_config(
        self,
        checked: Checked,
        #[cfg(feature = "library")] libraries: &[crate::library::setup::Planned],
    ) -> Config {
        Config {
            spec: checked.spec,
            definition: String::new(),
            restart_only: Vec::new(),
            listen: checked.listen,
            #[cfg(feature = "message")]
            messages: checked.messages,
            #[cfg(not(feature = "message"))]
            messages: None,
            proxy: None,
            #[cfg(feature = "library")]
            libraries: crate::cluster::libraries::for_master(libraries, &self.settings),
            #[cfg(not(feature = "library"))]
            libraries: Vec::new(),
            backlog: self.settings.listening.backlog,
            unix_mode: self.settings.listening.unix_mode,
            program: Program::Itself,
            environment: None,
            numbering: Numbering::default(),
            format: self.settings.format,
            observer: observer(self.hooks),
            titles: self.settings.titles,
            choice: checked.choice,
            dispatch_reason: checked.dispatch_reason,
            hints: Vec::new(),
            watchdog: self.settings.watchdog,
            version: self.settings.version,
            verdict_file: self.settings.verdict_file,
            control: None,
            stdin: Stdin::Null,
            logs: None,
            event_log: None,
        }
    }
}

fn observer(mut hooks: Vec<Hook>) -> Option<Observer> {
    if hooks.is_empty() {
        return None;
    }
    Some(Box::new(move |event| {
        for hook in &mut hooks {
            hook(event);
        }
    }))
}

fn blocking_body<F, E>(worker_fn: F) -> Body
where
    F: Fn(Worker) -> Result<(), E> + Send + Sync + 'static,
    E: Display,
{
    Arc::new(move |worker| {
        finish::run(worker, |worker| {
            worker_fn(worker).map_err(|error| format!("{error:#}"))
        })
    })
}

#[cfg(feature = "tokio")]
fn async_body<F, Fut, E>(worker_fn: F, checked: &Checked) -> Body
where
    F: Fn(crate::AsyncWorker) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>>,
    E: Display,
{
    let threads = checked.threads;
    Arc::new(move |worker| {
        crate::asynchronous::run::run(worker, threads, Worker::into_async, &worker_fn)
    })
}
