//! What a master is told to run: a configuration, or where one comes from.

use crate::config::{Config, Source};

/// What a master is told to run.
pub(crate) enum Commission {
    /// This.
    Given(Box<Config>),
    /// What stands there.
    Sought(Box<dyn Source>),
}

impl Commission {
    /// The configuration that holds, and where the next one comes from. `definition`: that of a herd that
    /// lives, which holds whatever stands there now.
    ///
    /// # Errors
    /// When there is none, why.
    pub(crate) fn accept(
        self,
        definition: Option<&str>,
    ) -> Result<(Config, Option<Box<dyn Source>>), String> {
        match (self, definition) {
            (Commission::Given(config), _) => Ok((*config, None)),
            (Commission::Sought(mut source), None) => {
                let config = source.read()?;
                Ok((config, Some(source)))
            }
            (Commission::Sought(mut source), Some(definition)) => {
                let config = source.recall(definition)?;
                Ok((config, Some(source)))
            }
        }
    }
}
