//! The herd that the benchmark measures: native workers that read, answer and close, or send messages back.
//!
//! `bench-worker WORKERS kernel|least-loaded|pass|reuseport|shared|messages`. Its log says where it listens.

#![forbid(unsafe_code)]

use herder::{Cluster, Connection, Dispatch, JobWorker, Policy, Worker};
use herder_bench::answer::{Answers, Then};
use herder_bench::bare;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use std::env;
use std::error::Error;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

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

/// Most requests are there with their connections; the others wait beside, and so do clients that stay.
fn serve(worker: Worker) -> io::Result<()> {
    let answers = Answers::own();
    let waiting = Waiting::start(&answers)?;
    while let Some(connection) = worker.accept()? {
        if bare::answer(&connection, &answers) == Then::Keep {
            waiting.add(connection)?;
        }
    }
    Ok(())
}

/// Connections that wait for a request, on a thread of their own.
struct Waiting {
    set: OwnedFd,
    /// By their descriptors.
    clients: Mutex<Vec<Option<Connection>>>,
}

impl Waiting {
    fn start(answers: &Answers) -> io::Result<Arc<Waiting>> {
        let waiting = Arc::new(Waiting {
            set: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            clients: Mutex::default(),
        });
        let (shared, answers) = (waiting.clone(), answers.clone());
        // It ends with the process: whoever still waits then is not owed anything.
        thread::spawn(move || shared.run(&answers));
        Ok(waiting)
    }

    fn add(&self, client: Connection) -> io::Result<()> {
        let number = client.as_fd().as_raw_fd();
        let place = usize::try_from(number).expect("descriptors are not negative");
        // Held until both know it: an event may come at once.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        epoll::add(
            &self.set,
            &client,
            EventData::new_u64(place as u64),
            EventFlags::IN,
        )?;
        if clients.len() <= place {
            clients.resize_with(place + 1, || None);
        }
        clients[place] = Some(client);
        Ok(())
    }

    fn run(&self, answers: &Answers) -> io::Result<()> {
        let mut events = Vec::with_capacity(64);
        loop {
            match epoll::wait(&self.set, spare_capacity(&mut events), None) {
                // A process that was stopped and goes on is interrupted.
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            for event in events.drain(..) {
                let place = usize::try_from(event.data.u64()).expect("a descriptor");
                if let Some(Some(client)) = clients.get(place)
                    && bare::answer(client, answers) == Then::Close
                {
                    clients[place] = None;
                }
            }
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
