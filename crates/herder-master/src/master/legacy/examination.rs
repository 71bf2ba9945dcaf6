//! Whether another build could go on with what this one writes down.

use std::collections::BTreeMap;

use herder_core::spec::DispatchMode;

use super::restored::{self, LegacyError};
use super::state::{FORMAT, State};
use crate::config::Config;
use crate::dispatch::BOARD_FORMAT;
use crate::estate::{StateError, StateFile};
use crate::event::LibraryInfo;
use crate::master::Master;
use crate::part::Part;

/// How many bytes name the formats: of the state, and of what the primary of Node's cluster writes.
const FORMATS: usize = 4;

impl Master {
    /// Everything that a probe has to understand.
    ///
    /// # Errors
    /// When there is no state, or no memory for it.
    pub(in crate::master) fn testimony(&mut self) -> Result<Vec<u8>, StateError> {
        self.save();
        let mut bytes = Vec::with_capacity(FORMATS);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&BOARD_FORMAT.to_le_bytes());
        bytes.extend_from_slice(&self.written()?);
        Ok(bytes)
    }
}

/// Whether a herd of these settings could go on with that testimony.
///
/// # Errors
/// When not, for this reason.
pub(crate) fn examine(testimony: &[u8], config: &Config) -> Result<(), LegacyError> {
    let state = read(testimony)?;
    restored::check(&state, config)?;
    let theirs = state
        .parts
        .iter()
        .map(|it| (it.number, it.name.to_string()));
    restored::compare(parts_of(config), theirs.collect())
}

/// Who accepts, by that testimony.
///
/// # Errors
/// When it is not to be understood.
pub(crate) fn mode_in(testimony: &[u8]) -> Result<DispatchMode, LegacyError> {
    Ok(read(testimony)?.mode)
}

/// The definition in that testimony.
///
/// # Errors
/// When it is not to be understood.
pub(crate) fn definition_in(testimony: &[u8]) -> Result<Option<String>, LegacyError> {
    Ok(read(testimony)?.definition().map(str::to_owned))
}

fn read(testimony: &[u8]) -> Result<State<'_>, LegacyError> {
    let formats: [u8; FORMATS] = *testimony.first_chunk().ok_or(StateError::Nothing)?;
    let [a, b, c, d] = formats;
    known(u16::from_le_bytes([a, b]), FORMAT)?;
    known(u16::from_le_bytes([c, d]), BOARD_FORMAT)?;
    let state = serde_json::from_slice(&testimony[FORMATS..]).map_err(StateError::Body)?;
    Ok(state)
}

fn known(found: u16, ours: u16) -> Result<(), StateError> {
    if StateFile::understands(found, ours) {
        return Ok(());
    }
    let found = found.into();
    Err(StateError::Format { found, ours })
}

/// The parts that a herd of these settings has.
fn parts_of(config: &Config) -> BTreeMap<u8, String> {
    let libraries = config.libraries.iter().zip(0..).map(|(library, place)| {
        let name = library.name;
        Part::Library(LibraryInfo { place, name })
    });
    let has_gateway = config.messages.is_some() || config.proxy.is_some();
    let gateway = has_gateway.then_some(Part::Gateway);
    let parts = libraries.chain(gateway).chain([Part::Workers]);
    parts
        .map(|part| (part.number().0, part.to_string()))
        .collect()
}
