//! What everybody has to know who asks the daemon, until somebody has seen to it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// What everybody has to know who asks. Its clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<Warning>>>);

#[derive(Debug)]
struct Warning {
    text: String,
    /// Whoever removes this file has read it.
    until_gone: Option<PathBuf>,
}

impl Warnings {
    /// From now on this is told: until that file is removed, or the daemon ends.
    pub(crate) fn add(&self, text: String, until_gone: Option<PathBuf>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Warning { text, until_gone });
    }

    /// What is to be told now.
    pub(crate) fn standing(&self) -> Vec<String> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|warning| warning.until_gone.as_ref().is_none_or(|path| path.exists()));
        all.iter().map(|warning| warning.text.clone()).collect()
    }
}
