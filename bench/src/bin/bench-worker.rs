//! The herd that the benchmark measures: native workers that read, answer and close, or send messages back.
//!
//! `bench-worker WORKERS kernel|least-loaded|pass|reuseport|shared|messages`. Its log says where it listens.

#![forbid(unsafe_code)]

use herder::{Attempt, Cluster, Connection, Dispatch, JobWorker, Policy, Worker};
use herder_bench::answer::{Answers, Then};
use herder_bench::bare;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use std::env;
use std::error::Error;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::ExitCode;

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
        answers: Answers::own(),
        waiting: Vec::new(),
    };
    epoll::add(
        &clients.set,
        &worker,
        EventData::new_u64(WORKER),
        EventFlags::IN,
    )?;
    let mut events = Vec::with_capacity(64);
    loop {
        let within = loop {
            match worker.try_accept()? {
                Attempt::Connection(client) => clients.take(client)?,
                Attempt::Nothing { within } => break within,
                // Whoever still waits then is not owed anything.
                Attempt::Ended => return Ok(()),
            }
        };
        let within = within.and_then(|within| Timespec::try_from(within).ok());
        match epoll::wait(&clients.set, spare_capacity(&mut events), within.as_ref()) {
            // A process that was stopped and goes on is interrupted.
            Err(Errno::INTR) => continue,
            other => other?,
        };
        for event in events.drain(..) {
            clients.go_on(event.data.u64());
        }
    }
}

/// Who waits for an answer.
struct Clients {
    set: OwnedFd,
    answers: Answers,
    /// By their descriptors.
    waiting: Vec<Option<Connection>>,
}

impl Clients {
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

    /// Serves the client with this token, if it is one.
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
