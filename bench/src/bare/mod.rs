//! The loops to compare with: as little around the system calls as can be.
//!
//! `pass`: a master accepts and sends each connection to one of its workers. `shared`: workers race on one listener.
//! `echo`: one process that sends every WebSocket message back.
//! `proxied`: who answers behind a proxy.
//! All these print `listening ADDRESS` and live until SIGTERM; their workers end with them.

mod echo;
mod master;
mod passed;
mod serve;
mod shared;

pub use serve::answer;

use crate::{calls, proxy};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};

/// What an extra process of the benchmark does, as its first argument says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Calls a library by name: `PATH SIZE IN_FLIGHT MILLISECONDS`.
    CallerByName,
    /// Sends every message back.
    Echo,
    /// Offers the objects that are called: `PATH`.
    Library,
    /// Accepts and passes connections.
    Master,
    /// Serves what it is passed over its standard input.
    Passed,
    /// Answers behind a proxy, at `PORT`.
    Proxied,
    /// Starts workers that share a listener.
    Shared,
    /// Serves what it accepts from its standard input, until its standard output is gone.
    Sharing,
    /// Calls a library by a typed client, with the same arguments as `CallerByName`.
    TypedCaller,
}

impl Role {
    /// The role with this name.
    pub fn named(name: &str) -> Option<Role> {
        [
            Role::CallerByName,
            Role::Echo,
            Role::Library,
            Role::Master,
            Role::Passed,
            Role::Proxied,
            Role::Shared,
            Role::Sharing,
            Role::TypedCaller,
        ]
        .into_iter()
        .find(|role| role.name() == name)
    }

    /// Its name: the argument to start it with.
    pub fn name(self) -> &'static str {
        match self {
            Role::CallerByName => "caller-by-name",
            Role::Echo => "bare-echo",
            Role::Library => "library",
            Role::Master => "bare-master",
            Role::Passed => "bare-passed",
            Role::Proxied => "proxied",
            Role::Shared => "bare-shared",
            Role::Sharing => "bare-sharing",
            Role::TypedCaller => "typed-caller",
        }
    }

    /// Plays the role.
    ///
    /// # Errors
    /// When a system call fails that cannot be gone on without, or an argument is missing.
    pub fn play(self, arguments: &[String]) -> io::Result<()> {
        match self {
            Role::CallerByName => calls::echo::call_by_name(arguments),
            Role::Echo => echo::run(),
            Role::Library => calls::echo::serve(arguments),
            Role::Master => master::run(),
            Role::Passed => passed::run(),
            Role::Proxied => proxy::worker::run(),
            Role::Shared => shared::run_parent(),
            Role::Sharing => shared::run_worker(),
            Role::TypedCaller => calls::echo::call_typed(arguments),
        }
    }
}

/// How many workers each variant has.
pub const WORKERS: usize = 2;

/// A non-blocking listener on a port of the kernel's choice, without delay of small writes.
fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    // The backlog of the standard library, 128, is what 128 clients at once just overrun.
    rustix::net::listen(&listener, 4096)?;
    rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Says where the clients find us.
fn announce(listener: &TcpListener) -> io::Result<()> {
    writeln!(io::stdout().lock(), "listening {}", listener.local_addr()?)
}
