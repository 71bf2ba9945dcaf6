//! Clustered, self-healing network servers: one master listens and supervises, many workers serve.
//!
//! ```no_run
//! use std::io::{self, Write};
//! use std::process::ExitCode;
//!
//! use herder::{Cluster, ClusterError, Worker};
//!
//! fn main() -> Result<ExitCode, ClusterError> {
//!     herder::init();
//!     Cluster::new().listen("0.0.0.0:8080").run(serve)
//! }
//!
//! fn serve(worker: Worker) -> io::Result<()> {
//!     while let Some(mut connection) = worker.accept()? {
//!         writeln!(connection, "hello from worker {}", worker.slot())?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! This runs one worker per CPU, each a process of its own. A worker that panics, crashes or hangs
//! is replaced; what it had not received is served by the others. The master never reads a byte of
//! a client. SIGTERM, SIGINT and SIGQUIT stop the herd gracefully, a second one at once.
//!
//! # Asynchronous workers
//!
//! [`Cluster::run_async`] builds a tokio runtime in each worker. It serves a router of axum's (feature
//! `axum`), or a service of hyper's (feature `http`), and loses no request when it leaves:
//!
//! ```no_run
//! # #[cfg(feature = "axum")]
//! # mod example {
//! use std::process::ExitCode;
//!
//! use axum::{Router, routing::get};
//! use herder::{AsyncWorker, Cluster, ClusterError};
//!
//! fn main() -> Result<ExitCode, ClusterError> {
//!     herder::init();
//!     Cluster::new().listen("0.0.0.0:8080").run_async(serve)
//! }
//!
//! async fn serve(worker: AsyncWorker) -> std::io::Result<()> {
//!     let router = Router::new().route("/", get(|| async { "hello" }));
//!     worker.serve(router).await
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! ```no_run
//! # use std::convert::Infallible;
//! # use herder::AsyncWorker;
//! # use http_body_util::Full;
//! # use hyper::{Request, Response, body::{Bytes, Incoming}};
//! use hyper::service::service_fn;
//!
//! async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     Ok(Response::new(Full::new(Bytes::from_static(b"hello"))))
//! }
//!
//! async fn serve(worker: AsyncWorker) -> std::io::Result<()> {
//!     worker.serve_http(service_fn(hello)).await
//! }
//! # fn main() {}
//! ```
//!
//! A server of its own, with the connections of the [`Listener`], watches
//! [`draining`](WorkerHandle::draining): else idle keep-alive connections keep a leaving worker until
//! its [grace](Cluster::grace) is over. What lives long (WebSockets) waits for its
//! [`farewell`](WorkerHandle::farewell).
//!
//! # Messages
//!
//! With the feature `message`, clients stay connected to a process of their own, the *gateway*, and
//! each of their messages, over WebSocket or as a line, is a *job* for the next worker. Workers
//! come, go and die; the clients' connections stay.
//!
//! ```no_run
//! # #[cfg(feature = "message")]
//! # mod example {
//! use std::process::ExitCode;
//!
//! use herder::{AsyncJobWorker, Cluster, ClusterError};
//!
//! fn main() -> Result<ExitCode, ClusterError> {
//!     herder::init();
//!     Cluster::new().messages("127.0.0.1:8080").run_jobs_async(work)
//! }
//!
//! async fn work(worker: AsyncJobWorker) -> std::io::Result<()> {
//!     while let Some(job) = worker.next_job().await? {
//!         tokio::spawn(async move {
//!             let text = job.text().unwrap_or("bytes").to_uppercase();
//!             job.reply("one moment").await?;
//!             job.finish_with(text).await
//!         });
//!     }
//!     Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! `run_jobs` does the same for functions that block. A job that a worker had not begun when it died
//! goes to another; of one that it had begun, the client is told, unless the herd is declared
//! `idempotent`. The guide has a page about it: `docs/guide/messages.md`.
//!
//! # What workers share
//!
//! With the feature `services`, a process of the herd's own holds what all workers share: a
//! namespace of values that outlive the workers, in memory, in a file, or in a Redis; messages between
//! the workers; jobs at their times.
//!
//! ```no_run
//! # #[cfg(feature = "services")]
//! # mod example {
//! use std::process::ExitCode;
//! use std::time::Duration;
//!
//! use herder::state::{Backend, StateError};
//! use herder::{AsyncWorker, Cluster, ClusterError};
//!
//! fn main() -> Result<ExitCode, ClusterError> {
//!     herder::init();
//!     Cluster::new()
//!         .listen("0.0.0.0:8080")
//!         .state("sessions", Backend::Memory)
//!         .run_async(serve)
//! }
//!
//! async fn serve(worker: AsyncWorker) -> Result<(), StateError> {
//!     let sessions = worker.state("sessions");
//!     sessions.set("ab12", "alice").ttl(Duration::from_secs(3600)).await?;
//!     // …
//! #   Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! The guide has a page about it: `docs/guide/state.md`.
//!
//! # Libraries
//!
//! With the feature `library`, a herd has processes for what only one process can hold:
//! [`Cluster::library`] builds one, [`WorkerHandle::agent`] calls its objects, `#[herder::object]`
//! makes an object and its client of a trait. The guide has a page about it: `docs/guide/library.md`.
//!
//! # What re-execution means
//!
//! The herd is one executable in several roles, and every process of it runs `main`:
//!
//! | process | what it does at [`init`] | what it does at [`Cluster::run`] |
//! |---|---|---|
//! | the one you start | goes on | becomes the *keeper*: starts the master, passes signals on to it, cleans up after it; returns when all is over |
//! | *master* | takes its place | listens, starts workers, runs the hooks; returns when the herd has ended, and ends |
//! | *worker* | takes its channel and its signals | runs the function, then ends the process; never returns |
//! | *library*, if there are any | takes its channel and its signals | builds its objects and serves them, then ends the process; never returns |
//! | *gateway*, with messages | keeps the clients' connections, then ends the process; never returns | |
//!
//! So everything before [`Cluster::run`] runs in the keeper, in the master and in every worker, at
//! every replacement too. Parse arguments and read settings there. Open databases, start threads and
//! print greetings in the worker function or in a hook. What must happen once per herd belongs where
//! [`is_master`] holds, in a hook such as [`Cluster::on_event`]. What comes after `run` never runs
//! in a worker.
//!
//! The settings must come out the same in every process. A worker's standard input is `/dev/null`;
//! what it writes to its standard streams is passed on by the master, line by line.
//!
//! # Arguments, and `cargo run`
//!
//! Every process gets the arguments of the first, so `std::env::args` answers the same in each. The
//! executable is opened once: a build that replaces the file while the herd runs does not mix
//! versions. `cargo run -- 80` therefore just works, and Ctrl-C, which reaches the keeper alone, stops
//! the herd gracefully.
//!
//! ```no_run
//! # use std::{io, process::ExitCode};
//! # use herder::{Cluster, ClusterError, Worker};
//! # fn serve(_: Worker) -> io::Result<()> { Ok(()) }
//! fn main() -> Result<ExitCode, ClusterError> {
//!     herder::init();
//!     let port = std::env::args().nth(1).unwrap_or_else(|| "8080".to_owned());
//!     Cluster::new().listen(format!("0.0.0.0:{port}")).run(serve)
//! }
//! ```
//!
//! # `cargo test`
//!
//! A test's `main` is the test harness, which knows nothing of [`init`]. Two ways lead around it.
//! Run the herd in the test's own process, each worker a thread; the worker function is the same:
//!
//! ```
//! use std::io::{self, Read, Write};
//! use std::net::TcpStream;
//!
//! use herder::{Cluster, Worker};
//!
//! fn serve(worker: Worker) -> io::Result<()> {
//!     while let Some(mut connection) = worker.accept()? {
//!         connection.write_all(b"hello\n")?;
//!     }
//!     Ok(())
//! }
//!
//! // #[test]
//! fn it_serves() -> Result<(), Box<dyn std::error::Error>> {
//!     let herd = Cluster::new().listen("127.0.0.1:0").workers(2).start_in_process(serve)?;
//!     let mut answer = String::new();
//!     TcpStream::connect(herd.tcp_address().unwrap())?.read_to_string(&mut answer)?;
//!     assert_eq!(answer, "hello\n");
//!     herd.stop()?;
//!     Ok(())
//! }
//! # it_serves().unwrap();
//! ```
//!
//! Or give the test a `main` of its own (`[[test]] harness = false` in `Cargo.toml`) that begins
//! with [`init`], or start the program's executable (`env!("CARGO_BIN_EXE_name")`).
//!
//! # `#[tokio::main]`
//!
//! Roles are taken up before there is a second thread, because a new role means another environment,
//! other descriptors and another signal mask for the whole process. `#[tokio::main]` starts threads
//! before the first statement of its function, so [`init`] ends the process with a message that
//! says so. Write a plain `fn main()` and let [`Cluster::run_async`] build the runtime, in the
//! workers only. `#[tokio::main(flavor = "current_thread")]` starts no threads and passes, but its
//! runtime is of no use: `run` blocks.
//!
//! ```
//! // A thread that came before `init`, as it would with `#[tokio::main]`:
//! let (stop, stopped) = std::sync::mpsc::channel::<()>();
//! let early = std::thread::spawn(move || stopped.recv());
//! let error = herder::try_init().unwrap_err();
//! assert!(error.to_string().contains("instead of #[tokio::main] write `fn main()`"));
//! drop(stop);
//! # let _disconnected = early.join().unwrap();
//! ```
//!
//! # The end of a worker
//!
//! * **Asked to leave** (stop, [recycling](Cluster::max_requests), SIGTERM to the worker itself):
//!   [`accept`](Worker::accept), or `next_job`, returns `None`, [`draining`](WorkerHandle::draining) says so. When
//!   the function has returned and its connections are closed, the process ends with 0. What takes
//!   longer than the [grace](Cluster::grace) is killed.
//! * **[`retire`](WorkerHandle::retire)**: the same, by the worker's own wish. Its replacement starts
//!   at once.
//! * **A panic**, in whatever thread or task, caught or not: the hook that was there before logs it;
//!   then the master is told and starts a replacement at once; no new connections are taken; the
//!   open ones have the [close time-out](Cluster::close_timeout); the status is 1. A program that
//!   sets a panic hook of its own does so before [`Cluster::run`]. With `panic = "abort"` the same
//!   happens, as long as there are other threads to finish their connections.
//! * **An error** that the function returns is printed in one line; the status is 1.
//! * **The master is gone**: as when asked to leave, and it ends with 1 when the grace is over.
//!
//! Connections arrive up to four at a time. When the function of a [blocking](Cluster::run) worker
//! panics, or returns an error, with some of them waiting, it is called again for those: their
//! clients are not to blame. It then finds no other connection.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `tokio` (default) | asynchronous workers |
//! | `http` | HTTP without a lost request, `AsyncWorker::serve_http` |
//! | `axum` | the same for axum, `AsyncWorker::serve`; [`Listener`] for `axum::serve` |
//! | `message` | message dispatch, `Cluster::messages` |
//! | `library` | libraries, `Cluster::library` |
//! | `services` | the built-in library: `Cluster::state`, `Cluster::bus`, `Cluster::job` |
//! | `redb` | namespaces that are kept in a file |
//! | `redis` | namespaces, messages and jobs that several machines share |
//!
//! Without any of them the crate needs no runtime.
#![forbid(unsafe_code)]

#[cfg(feature = "tokio")]
mod asynchronous;
#[cfg(feature = "services")]
pub mod bus;
mod cluster;
mod connection;
mod exit;
mod in_process;
mod init;
#[cfg(all(feature = "message", not(feature = "services")))]
mod jobs;
#[cfg(feature = "services")]
pub mod jobs;
#[cfg(feature = "library")]
mod library;
mod panic;
#[cfg(feature = "services")]
mod scheduled;
#[cfg(feature = "services")]
mod services;
#[cfg(feature = "services")]
pub mod state;
mod worker;

#[cfg(feature = "tokio")]
pub use asynchronous::connection::{AsyncConnection, AsyncStream};
#[cfg(feature = "tokio")]
pub use asynchronous::farewell::Farewell;
#[cfg(feature = "tokio")]
pub use asynchronous::incoming::Incoming;
#[cfg(feature = "message")]
pub use asynchronous::jobs::{AsyncJob, AsyncJobWorker};
#[cfg(feature = "tokio")]
pub use asynchronous::listener::Listener;
#[cfg(feature = "tokio")]
pub use asynchronous::worker::AsyncWorker;
pub use cluster::builder::Cluster;
pub use cluster::error::ClusterError;
pub use cluster::settings::{Dispatch, Policy};
pub use connection::{Connection, ConnectionGuard, Peer, Stream};
pub use exit::signal_name;
pub use herder_core::Exit;
pub use herder_core::supervisor::{Cause, DrainReason, Outcome, RecycleReason};
#[cfg(feature = "library")]
pub use herder_macros::object;
pub use herder_master::config::Format;
pub use herder_master::event::{HerdEvent, WorkerInfo};
pub use herder_master::role::RoleError;
#[cfg(feature = "library")]
pub use herder_rpc as rpc;
#[cfg(feature = "library")]
pub use herder_rpc::client::{Agent, Agents};
#[cfg(feature = "library")]
pub use herder_rpc::server::Library;
pub use herder_sys::listener::ListenError;
#[cfg(feature = "message")]
pub use herder_wire::gateway::Protocol;
pub use in_process::Running;
pub use init::{InitError, init, is_master, is_worker, try_init};
#[cfg(feature = "message")]
pub use jobs::job::Job;
#[cfg(feature = "message")]
pub use jobs::reply::{Reply, ReplyError};
#[cfg(feature = "message")]
pub use jobs::worker::JobWorker;
#[cfg(feature = "library")]
pub use library::blocking::BlockingAgents;
#[cfg(feature = "library")]
#[doc(hidden)]
pub use library::command::live_as_library;
#[cfg(feature = "library")]
pub use library::setup::LibrarySetup;
pub use worker::blocking::Worker;
pub use worker::counters::{Counters, Request};
pub use worker::ending::Reason;
pub use worker::handle::{Draining, WorkerHandle};
pub use worker::polling::Attempt;

/// The programs in the project's documentation, so that they compile.
#[cfg(all(doctest, feature = "axum"))]
mod documentation {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../../../docs/guide/rust-programs.md")]
    struct RustPrograms;
}

/// The same, of those that need libraries.
#[cfg(all(doctest, feature = "library"))]
mod documentation_of_libraries {
    #[doc = include_str!("../../../docs/guide/library.md")]
    struct Libraries;
}

/// The same, of those that need the built-in library.
#[cfg(all(doctest, feature = "services"))]
mod documentation_of_services {
    #[doc = include_str!("../../../docs/guide/state.md")]
    struct State;
}

/// The same, of those that need message dispatch.
#[cfg(all(doctest, feature = "message"))]
mod documentation_of_messages {
    #[doc = include_str!("../../../docs/guide/messages.md")]
    struct Messages;
}
