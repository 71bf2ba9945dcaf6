//! The probe: this build, asked whether it could be the master of a herd that lives.

use std::io;
use std::os::fd::AsFd;

use herder_sys::{failpoint, memory, socket};
use herder_wire::probe::{Finding, ProbeAnswer};

use crate::commission::Commission;
use crate::master;
use crate::role::Probe;
use crate::status;

/// The longest state that is looked at.
const MAX_STATE: usize = 64 << 20;

/// Answers, and returns the exit status.
pub(crate) fn answer(commission: Commission, probe: &Probe) -> u8 {
    let (version, finding) = match look(commission, probe) {
        Ok((version, Ok(()))) => (version, Finding::Fits),
        Ok((version, Err(reason))) => (version, Finding::Refuses(reason)),
        Err(reason) => (String::new(), Finding::Refuses(reason)),
    };
    let answer = ProbeAnswer { version, finding }.encode();
    match socket::send(probe.answer.as_fd(), &answer, &[]) {
        Ok(_) => status::STOPPED,
        Err(_) => status::INTERNAL,
    }
}

/// What this build calls itself, and whether it could be the master; or why not even that can be told.
fn look(commission: Commission, probe: &Probe) -> Result<(String, Result<(), String>), String> {
    failpoint::hit("probe.look");
    let state = memory::read_sealed(probe.state.as_fd(), MAX_STATE);
    let state = state.map_err(|error: io::Error| format!("the state cannot be read: {error}"))?;
    let definition = master::definition_in(&state)?;
    let (config, _) = commission.accept(definition.as_deref())?;
    let version = config.version.clone();
    Ok((version, master::examine(&state, config)))
}
