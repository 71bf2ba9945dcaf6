//! What everybody has to know who asks the daemon, until somebody has seen to it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// What everybody has to know who asks. Its clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<Warning>>>);

#[derive(Debug)]
struct Warning {
    text: String,
    until: Until,
}

/// How long something has to be known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Until {
    /// Until the daemon ends.
    End,
    /// Until this file is there again.
    There(PathBuf),
    /// Until somebody, who has read it then, removes this file.
    Gone(PathBuf),
}

impl Until {
    fn is_over(&self) -> bool {
        match self {
            Until::End => false,
            Until::There(path) => path.exists(),
            Until::Gone(path) => !path.exists(),
        }
    }
}

impl Warnings {
    /// From now on this is told, at most until the daemon ends. Says whether it was not told before.
    pub(crate) fn add(&self, text: String, until: Until) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = all.iter().all(|warning| warning.text != text);
        if is_new {
            all.push(Warning { text, until });
        }
        is_new
    }

    /// What is to be told now.
    pub(crate) fn standing(&self) -> Vec<String> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|warning| !warning.until.is_over());
        all.iter().map(|warning| warning.text.clone()).collect()
    }
}
