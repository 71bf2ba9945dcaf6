//! What the processes of one generation are made from, as its configuration says.

use std::time::Duration;

use herder_core::spec::AppSpec;

use crate::config::{Config, Library, Numbering, Program, Proxy, Stdin};
use crate::master::environment::{self, Variable};
use crate::part::PartNumber;

/// What a configuration says of the processes of a generation.
pub(in crate::master) struct Kit {
    /// What a source makes it from once more; empty where there is none.
    pub(in crate::master) definition: String,
    /// What a worker is.
    pub(in crate::master) program: Program,
    /// What the libraries are, in their order.
    libraries: Vec<Library>,
    /// What everybody inherits.
    pub(in crate::master) environment: Vec<Variable>,
    pub(in crate::master) numbering: Numbering,
    pub(in crate::master) stdin: Stdin,
    /// What the decisions depend on while it holds.
    pub(in crate::master) policies: AppSpec,
    /// How gateways work that forward.
    pub(in crate::master) proxy: Option<Proxy>,
    /// How long the master may stand still.
    pub(in crate::master) watchdog: Option<Duration>,
}

impl Kit {
    /// `found_by`: how everybody finds the libraries.
    pub(super) fn new(config: &Config, found_by: &[Variable]) -> Kit {
        Kit {
            definition: config.definition.clone(),
            program: config.program.clone(),
            libraries: config.libraries.clone(),
            environment: environment::with(config.environment.as_deref(), found_by),
            numbering: config.numbering.clone(),
            stdin: config.stdin,
            policies: config.spec.clone(),
            proxy: config.proxy.clone(),
            watchdog: config.watchdog,
        }
    }

    /// The library of this number.
    pub(in crate::master) fn library(&self, number: PartNumber) -> Option<&Library> {
        let place = number.0.checked_sub(PartNumber::LIBRARIES)?;
        self.libraries.get(usize::from(place))
    }
}
