//! The probe: this build, asked whether it could be the master of a herd that lives.

use std::io;
use std::os::fd::AsFd;

use herder_sys::{failpoint, memory, socket};
use herder_wire::probe::{Finding, ProbeAnswer};

use crate::config::Config;
use crate::master;
use crate::role::Probe;
use crate::status;

/// The longest state that is looked at.
const MAX_STATE: usize = 64 << 20;

/// Answers, and returns the exit status.
pub(crate) fn answer(config: &Config, probe: &Probe) -> u8 {
    let finding = match look(config, probe) {
        Ok(()) => Finding::Fits,
        Err(reason) => Finding::Refuses(reason),
    };
    let version = config.version.clone();
    let answer = ProbeAnswer { version, finding }.encode();
    match socket::send(probe.answer.as_fd(), &answer, &[]) {
        Ok(_) => status::STOPPED,
        Err(_) => status::INTERNAL,
    }
}

fn look(config: &Config, probe: &Probe) -> Result<(), String> {
    failpoint::hit("probe.look");
    let state = memory::read_sealed(probe.state.as_fd(), MAX_STATE);
    let state = state.map_err(|error: io::Error| format!("the state cannot be read: {error}"))?;
    master::examine(&state, config)
}
