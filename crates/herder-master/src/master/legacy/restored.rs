//! From what was left to the parts of a herd.

use std::collections::BTreeMap;
use std::io;

use herder_core::WorkerId;
use herder_core::spec::DispatchMode;
use herder_sys::failpoint;
use herder_wire::keeper::Key;

use super::adoption::{Adopted, adopt};
use super::state::{FORMAT, PartState, ReceptionState, State};
use crate::config::Config;
use crate::dispatch::Line;
use crate::estate::{StateError, StateFile, Treasury};
use crate::master::Stopping;
use crate::master::crew::{Crew, MemberId};
use crate::master::environment::Variable;
use crate::master::member::Member;
use crate::output::Streams;
use crate::part::Part;

/// Why a herd cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub(in crate::master) enum LegacyError {
    #[error("the keeper's store cannot be taken over: {0}")]
    Store(#[source] io::Error),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("the herd {ours} cannot take over the herd {theirs}")]
    App { ours: String, theirs: String },
    #[error("dispatch mode {ours} cannot take over a herd of mode {theirs}")]
    Mode {
        ours: DispatchMode,
        theirs: DispatchMode,
    },
    #[error("the settings have {ours}, but the herd that lives has {theirs}: restart it")]
    Parts { ours: String, theirs: String },
}

/// A herd that another master has left, until its parts are taken out one by one.
pub(in crate::master) struct Restored {
    pub(in crate::master) state: State<'static>,
    pub(in crate::master) lines: Vec<(WorkerId, Line)>,
    pub(in crate::master) streams: Vec<(MemberId, Streams)>,
    /// Those who had no plan when the master died, or whose process is not to be found.
    pub(in crate::master) unborn: Vec<MemberId>,
}

impl Restored {
    /// Reads what a dead master has left, if there was one. Nothing is changed by it.
    ///
    /// # Errors
    ///
    /// When it is not to be understood.
    pub(in crate::master) fn read(
        treasury: &mut Treasury,
    ) -> Result<Option<(Restored, StateFile)>, LegacyError> {
        let Some(memory) = treasury.take(&Key::state()) else {
            return Ok(None);
        };
        let (file, state) = StateFile::adopt::<State<'static>>(memory, FORMAT)?;
        failpoint::hit("master.adopt.read");
        let restored = Restored {
            state,
            lines: Vec::new(),
            streams: Vec::new(),
            unborn: Vec::new(),
        };
        Ok(Some((restored, file)))
    }

    /// Whether the herd was about to end.
    pub(in crate::master) fn is_stopping(&self) -> bool {
        self.state.stopping != Stopping::No
    }

    /// The members of a part, as far as anybody knew.
    pub(in crate::master) fn members(&self, part: Part) -> Vec<WorkerId> {
        let number = part.number().0;
        let parts = self.state.parts.iter().filter(|it| it.number == number);
        parts
            .flat_map(|it| it.members.iter().map(|member| member.worker))
            .collect()
    }

    /// What every process finds in its environment of the libraries.
    pub(in crate::master) fn libraries(&self) -> Vec<Variable> {
        self.state.libraries.clone().into_owned()
    }

    /// What was known for the gateway.
    pub(in crate::master) fn take_reception(&mut self) -> Option<ReceptionState<'static>> {
        self.state.reception.take()
    }

    /// Gives each part back who decides about it, and its members.
    ///
    /// # Errors
    ///
    /// When these are not the parts that the herd had.
    pub(in crate::master) fn hand_out(
        &mut self,
        crews: &mut [(Part, Crew)],
        treasury: &mut Treasury,
    ) -> Result<(), LegacyError> {
        let parts = std::mem::take(&mut self.state.parts);
        let ours = crews
            .iter()
            .map(|(part, _)| (part.number().0, part.to_string()));
        let theirs = parts.iter().map(|it| (it.number, it.name.to_string()));
        let (ours, theirs): (BTreeMap<_, _>, BTreeMap<_, _>) = (ours.collect(), theirs.collect());
        compare(ours, theirs)?;
        for state in parts {
            let found = crews
                .iter_mut()
                .find(|(it, _)| it.number().0 == state.number);
            if let Some((part, crew)) = found {
                self.restore(*part, crew, state, treasury);
            }
        }
        Ok(())
    }

    fn restore(
        &mut self,
        part: Part,
        crew: &mut Crew,
        state: PartState<'static>,
        treasury: &mut Treasury,
    ) {
        crew.supervisor = state.supervisor.into_owned();
        crew.outcome = state.outcome;
        crew.last_ended = state.last_ended;
        for member in state.members {
            let worker = member.worker;
            let id = MemberId { part, worker };
            let Some(adopted) = adopt(id, member, treasury) else {
                self.unborn.push(id);
                continue;
            };
            if !adopted.is_planned() {
                self.unborn.push(id);
            }
            let member = self.settle(id, adopted);
            failpoint::hit("master.adopt.member");
            crew.members.insert(worker, member);
        }
    }

    fn settle(&mut self, id: MemberId, adopted: Adopted) -> Member {
        if let Some(line) = adopted.line {
            self.lines.push((id.worker, line));
        }
        if let Some(streams) = adopted.streams {
            self.streams.push((id, streams));
        }
        adopted.member
    }
}

/// Whether these settings are for the herd that was left.
pub(super) fn check(state: &State<'_>, config: &Config) -> Result<(), LegacyError> {
    let ours = config.spec.name.as_str();
    if state.app != ours {
        return Err(LegacyError::App {
            ours: ours.to_owned(),
            theirs: state.app.clone().into_owned(),
        });
    }
    let (ours, theirs) = (config.spec.dispatch.mode, state.mode);
    if ours != theirs {
        return Err(LegacyError::Mode { ours, theirs });
    }
    Ok(())
}

/// Whether a herd has the parts that it had.
pub(super) fn compare(
    ours: BTreeMap<u8, String>,
    theirs: BTreeMap<u8, String>,
) -> Result<(), LegacyError> {
    if ours == theirs {
        return Ok(());
    }
    let (ours, theirs) = (named(ours), named(theirs));
    Err(LegacyError::Parts { ours, theirs })
}

fn named(parts: BTreeMap<u8, String>) -> String {
    parts.into_values().collect::<Vec<_>>().join(", ")
}
