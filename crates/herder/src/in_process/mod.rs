//! A herd in one process: the workers are threads, the master is a thread that does little.
//!
//! It is for debugging and for tests, so it keeps what a program can notice (the worker's face, the
//! hooks, replacement, draining) and leaves out what needs a process (killing, limits, recycling).

mod coordinator;
mod desk;

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use herder_core::spec::ListenAddress;
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::listener::{Address, BoundAddress, ListenError, ListenOptions, Listener};
use herder_sys::signal::SignalFd;

use crate::cluster::builder::Hook;
use crate::cluster::error::ClusterError;
use crate::cluster::settings::Checked;
use crate::in_process::coordinator::Coordinator;
use crate::in_process::desk::{Desk, News};
use crate::init;
use crate::worker::blocking::Worker;

/// What a worker does, from its start to its exit status.
pub(crate) type Body = Arc<dyn Fn(Worker) -> i32 + Send + Sync>;

/// A herd that runs in this process. Dropping it stops it, as [`stop`](Running::stop) does.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<BoundAddress>,
    desk: Arc<Desk>,
    master: Option<JoinHandle<Result<(), ClusterError>>>,
}

impl Running {
    /// Where it listens, in the order of [`Cluster::listen`](crate::Cluster::listen): as
    /// `127.0.0.1:3000` or `unix:/path`, with the real port.
    pub fn addresses(&self) -> impl Iterator<Item = String> + '_ {
        self.addresses.iter().map(ToString::to_string)
    }

    /// The first TCP address where it listens.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.addresses.iter().find_map(|address| match address {
            BoundAddress::Tcp(address) => Some(*address),
            BoundAddress::Unix(_) => None,
        })
    }

    /// Lets the workers finish what they have, at most for
    /// [`Cluster::grace`](crate::Cluster::grace), and returns when they have ended. What is late is
    /// left behind: a thread cannot be killed.
    ///
    /// # Errors
    /// When the herd had ended by itself, with an error.
    pub fn stop(mut self) -> Result<(), ClusterError> {
        self.desk.post(News::Stop);
        self.join()
    }

    /// Returns when the herd has ended by itself: when a worker was restarted too often.
    ///
    /// # Errors
    /// Why it has ended.
    pub fn wait(mut self) -> Result<(), ClusterError> {
        self.join()
    }

    /// Runs until one of these signals comes; a second one cuts the end short.
    pub(crate) fn until(mut self, signals: &SignalFd) -> Result<(), ClusterError> {
        let (epoll, mut events) = (Epoll::new()?, Events::with_capacity(2));
        epoll.add(signals.as_fd(), 0, Interest::READABLE)?;
        epoll.add(self.desk.ended().as_fd(), 1, Interest::READABLE)?;
        let mut asked = Asked::No;
        loop {
            epoll.wait(&mut events, None)?;
            if events.iter().any(|event| event.token == 1) {
                return self.join();
            }
            while signals.read()?.is_some() {
                match asked {
                    Asked::No => self.desk.post(News::Stop),
                    Asked::Once => {
                        // The threads end with the process.
                        self.master.take();
                        return Ok(());
                    }
                }
                asked = Asked::Once;
            }
        }
    }

    fn join(&mut self) -> Result<(), ClusterError> {
        match self.master.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

/// Whether the end was asked for.
enum Asked {
    No,
    Once,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(master) = self.master.take() {
            self.desk.post(News::Stop);
            // Nobody is left to be told how it went.
            let _result = master.join();
        }
    }
}

/// What a herd in this process is made of.
pub(crate) struct Herd {
    pub(crate) checked: Checked,
    pub(crate) listening: ListenOptions,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) body: Body,
    #[cfg(feature = "library")]
    pub(crate) libraries: Vec<crate::library::setup::Planned>,
}

/// Listens, and starts the libraries and the workers.
pub(crate) fn start(herd: Herd) -> Result<Running, ClusterError> {
    let Herd {
        checked,
        listening,
        hooks,
        body,
        ..
    } = herd;
    let listeners = checked
        .listen
        .iter()
        .map(|address| bind(address, &listening));
    let listeners: Vec<Listener> = listeners.collect::<Result<_, _>>()?;
    let addresses = listeners
        .iter()
        .map(|listener| listener.local().clone())
        .collect();
    let desk = Arc::new(Desk::new()?);
    #[cfg(feature = "library")]
    let libraries = crate::library::threads::start(herd.libraries, &checked)?;
    let coordinator = Coordinator::new(checked, listeners, hooks, body, Arc::clone(&desk));
    #[cfg(feature = "library")]
    let coordinator = coordinator.with_libraries(libraries.directory());
    let master = thread::Builder::new()
        .name("herder-master".to_owned())
        .spawn(move || {
            init::become_master_thread();
            let result = coordinator.run();
            // After the workers, which call them to their end.
            #[cfg(feature = "library")]
            drop(libraries);
            result
        })?;
    Ok(Running {
        addresses,
        desk,
        master: Some(master),
    })
}

fn bind(address: &ListenAddress, options: &ListenOptions) -> Result<Listener, ListenError> {
    let address = match address {
        ListenAddress::Tcp { host, port } => Address::Tcp {
            host: host.as_deref(),
            port: *port,
        },
        ListenAddress::Unix(path) => Address::Unix(path),
    };
    Listener::bind(address, options)
}
