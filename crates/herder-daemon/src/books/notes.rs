//! Why an app is as it is, in a sentence for people.

use herder_api::status::SlotStatus;

use super::entry::{Entry, Phase};
use super::word::Now;

impl Entry {
    /// What is to be said of it now.
    pub(super) fn note_now(&self, now: Now) -> Option<String> {
        match self.phase {
            Phase::Retries { at } => {
                let left = at.saturating_sub(now.mono).div_ceil(1000);
                let why = self.note.as_deref().unwrap_or("it failed");
                Some(format!("{why}; it is tried again in {left} s"))
            }
            Phase::Online if !self.connected => {
                Some("its master does not answer just now".to_owned())
            }
            Phase::Online => self.note.clone().or_else(|| self.missing(now)),
            Phase::Rests
            | Phase::Waits
            | Phase::Adopting
            | Phase::Starting { .. }
            | Phase::Stopping { .. } => self.note.clone(),
        }
    }

    /// Why it has fewer workers than it should have, and until when.
    fn missing(&self, now: Now) -> Option<String> {
        let herd = self.herd_now(now)?;
        let resting = |rests: &str| {
            let slots = herd.slots.iter().filter(|it| it.rests == rests);
            slots.collect::<Vec<&SlotStatus>>()
        };
        let (quarantined, waiting) = (resting("quarantined"), resting("waiting"));
        let (slots, what) = match (quarantined.is_empty(), waiting.is_empty()) {
            (false, _) => (
                quarantined,
                "in quarantine, as workers died there too often",
            ),
            // A worker that was well is followed at once: that is not worth a word.
            (true, false) if waiting.iter().any(|it| it.failures > 0) => {
                (waiting, "empty until the next start")
            }
            (true, _) => return None,
        };
        let who = match slots.as_slice() {
            [slot] => format!("slot {} is", slot.slot),
            slots => {
                let numbers: Vec<String> = slots.iter().map(|it| it.slot.to_string()).collect();
                format!("slots {} are", numbers.join(", "))
            }
        };
        let next = slots.iter().filter_map(|it| it.retry_in_ms).min();
        let next = next.map_or_else(String::new, |wait| {
            format!("; the next try is in {} s", wait.div_ceil(1000))
        });
        let last = slots.iter().find_map(|it| self.deaths.get(&it.slot));
        let last = last.map_or_else(String::new, |how| format!("; the last one: {how}"));
        Some(format!("{who} {what}{next}{last}"))
    }
}
