//! What the daemon says besides its answers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What the daemon had to say besides its answers: each sentence once. Its clones are one.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<BTreeSet<String>>>);

impl Warnings {
    /// What was said until now, and not taken yet.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all).into_iter().collect()
    }

    /// Of a header. One that makes no sense is nobody's trouble.
    pub(crate) fn hear(&self, header: &[u8]) {
        let said: Vec<String> = serde_json::from_slice(header).unwrap_or_default();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(said);
    }
}
