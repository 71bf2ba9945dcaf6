//! The herd that the benchmark measures: native workers that read, answer and close, or send messages back.
//!
//! `bench-worker WORKERS kernel|least-loaded|pass|reuseport|shared|messages`. Its log says where it listens.

#![forbid(unsafe_code)]

use herder::{Attempt, Cluster, Connection, Dispatch, JobWorker, Policy, Worker};
use herder_bench::answer::{Answers, Then};
use herder_bench::bare;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use std::env;
use std::error::Error;
use std::io;
use std::mem;
use std::ops::ControlFlow::{self, Break, Continue};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    herder::init();
    let mut arguments = env::args().skip(1);
    let workers = arguments.next().ok_or("how many workers?")?.parse()?;
    let cluster = Cluster::new().name("bench").workers(workers);
    let (dispatch, policy) = match arguments.next().as_deref() {
        Some("messages") => return Ok(cluster.messages("127.0.0.1:0").run_jobs(send_back)?),
        Some("kernel") => (Dispatch::Kernel, Policy::RoundRobin),
        Some("least-loaded") => (Dispatch::Kernel, Policy::LeastLoaded),
        Some("pass") => (Dispatch::Pass, Policy::RoundRobin),
        Some("reuseport") => (Dispatch::Reuseport, Policy::RoundRobin),
        Some("shared") => (Dispatch::Shared, Policy::RoundRobin),
        _ => return Err("kernel, least-loaded, pass, reuseport, shared or messages?".into()),
    };
    Ok(cluster
        .listen("127.0.0.1:0")
        .dispatch(dispatch)
        .policy(policy)
        .run(serve)?)
}

/// The token of the worker itself in the epoll set; clients have their descriptors.
const WORKER: u64 = u64::MAX;

/// Most requests are there with their connections, and never enter the epoll set.
fn serve(worker: Worker) -> io::Result<()> {
    let mut clients = Clients {
        set: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        events: Vec::with_capacity(64),
        answers: Answers::own(),
        waiting: Vec::new(),
    };
    epoll::add(
        &clients.set,
        &worker,
        EventData::new_u64(WORKER),
        EventFlags::IN,
    )?;
    // Whoever still waits in the end is not owed anything.
    while let Continue(within) = clients.take_all(&worker)? {
        let due = within.map(|within| Instant::now() + within);
        while !clients.wait(due)? {}
    }
    Ok(())
}

/// Who waits for an answer.
struct Clients {
    set: OwnedFd,
    events: Vec<Event>,
    answers: Answers,
    /// By their descriptors.
    waiting: Vec<Option<Connection>>,
}

impl Clients {
    /// Serves who is new. Goes on with in how long to come again, unless the worker comes to its end.
    fn take_all(&mut self, worker: &Worker) -> io::Result<ControlFlow<(), Option<Duration>>> {
        loop {
            match worker.try_accept()? {
                Attempt::Connection(client) => self.take(client)?,
                Attempt::Nothing { within } => return Ok(Continue(within)),
                Attempt::Ended => return Ok(Break(())),
            }
        }
    }

    /// Waits once, and serves whose request has come. Returns whether the worker is to be asked.
    fn wait(&mut self, due: Option<Instant>) -> io::Result<bool> {
        let within = due.map(|due| due.saturating_duration_since(Instant::now()));
        let timeout = within.and_then(|within| Timespec::try_from(within).ok());
        match epoll::wait(
            &self.set,
            spare_capacity(&mut self.events),
            timeout.as_ref(),
        ) {
            // A process that was stopped and goes on is interrupted.
            Err(Errno::INTR) => return Ok(true),
            other => other?,
        };
        let mut is_asked = self.events.is_empty() || within == Some(Duration::ZERO);
        let mut events = mem::take(&mut self.events);
        for event in events.drain(..) {
            match event.data.u64() {
                WORKER => is_asked = true,
                client => self.go_on(client),
            }
        }
        self.events = events;
        Ok(is_asked)
    }

    fn take(&mut self, client: Connection) -> io::Result<()> {
        if bare::answer(&client, &self.answers) == Then::Close {
            return Ok(());
        }
        let number = client.as_fd().as_raw_fd();
        let place = usize::try_from(number).expect("descriptors are not negative");
        epoll::add(
            &self.set,
            &client,
            EventData::new_u64(place as u64),
            EventFlags::IN,
        )?;
        if self.waiting.len() <= place {
            self.waiting.resize_with(place + 1, || None);
        }
        self.waiting[place] = Some(client);
        Ok(())
    }

    /// Serves the client with this token.
    fn go_on(&mut self, token: u64) {
        let place = usize::try_from(token).unwrap_or(usize::MAX);
        if let Some(client) = self.waiting.get_mut(place)
            && let Some(connection) = client
            && bare::answer(connection, &self.answers) == Then::Close
        {
            *client = None;
        }
    }
}

fn send_back(worker: JobWorker) -> io::Result<()> {
    while let Some(job) = worker.next_job()? {
        let text = job.text().unwrap_or_default().to_owned();
        // A client that has gone is no reason to end.
        let _gone = job.finish_with(text);
    }
    Ok(())
}
