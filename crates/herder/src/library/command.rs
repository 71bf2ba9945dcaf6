//! A library of the `herder` command, which runs other programs and has no
//! [`Cluster`](crate::Cluster) to describe it.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use herder_core::spec::LifePolicy;
use herder_master::config::OnReload;
use herder_master::role::LibrarySeat;
use herder_rpc::server::Library;
use herder_sys::signal::SignalFd;

use super::process;
use super::setup::{LibrarySetup, Planned, build_by};
use crate::init::ENDING_SIGNALS;
use crate::worker::link::Timing;

/// Lives as the library whose seat the process was given, and returns its exit status. `life` has the
/// limits that the master keeps it to. For the `herder` command; programs have
/// [`Cluster::library`](crate::Cluster::library).
///
/// To be called while the process has one thread.
///
/// # Errors
/// When the ties to the master cannot be made.
pub fn live_as_library<F, Fut, E>(
    seat: LibrarySeat,
    life: &LifePolicy,
    setup: F,
) -> io::Result<ExitCode>
where
    F: Fn(LibrarySetup) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Library, E>> + 'static,
    E: Display,
{
    let signals = SignalFd::block(&ENDING_SIGNALS)?;
    let name = seat.name.parse().map_err(io::Error::other)?;
    let planned = Planned {
        name,
        build: build_by(setup),
        on_reload: OnReload::default(),
    };
    let timing = Timing::of(life, life.grace);
    let status = process::live(seat.into(), signals, timing, &[planned])?;
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX)))
}
