//! The apps, which of them is chosen, and how many connections they take.

use std::collections::BTreeMap;

use herder_api::status::AppStatus;

/// The apps, as they were seen last.
#[derive(Debug, Default)]
pub(in crate::monit) struct Apps {
    all: Vec<AppStatus>,
    chosen: usize,
    counts: BTreeMap<u32, Count>,
}

/// Connections of an app.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Count {
    /// Whose count it is: another master counts anew.
    master: i32,
    accepted: u64,
    at_ms: u64,
    per_second: Option<f64>,
}

impl Apps {
    /// In the order of their numbers.
    pub(in crate::monit) fn all(&self) -> &[AppStatus] {
        &self.all
    }

    /// Which is chosen, in this order.
    pub(in crate::monit) fn place(&self) -> usize {
        self.chosen
    }

    pub(in crate::monit) fn chosen(&self) -> Option<&AppStatus> {
        self.all.get(self.chosen)
    }

    /// How many connections its master accepts, where it does.
    pub(in crate::monit) fn per_second(&self, app: &AppStatus) -> Option<f64> {
        self.counts.get(&app.id)?.per_second
    }

    /// Takes what was seen now. Returns whether anything is otherwise than before.
    pub(in crate::monit) fn take(&mut self, apps: Vec<AppStatus>, now_ms: u64) -> bool {
        let chosen = self.chosen().map(|app| app.id);
        let before = std::mem::replace(&mut self.all, apps);
        let place = self.all.iter().position(|app| Some(app.id) == chosen);
        // Whoever is chosen stays so wherever it stands; a neighbour follows one that is gone.
        self.chosen = place.unwrap_or(self.chosen);
        self.chosen = self.chosen.min(self.all.len().saturating_sub(1));
        let counted = self.count(now_ms);
        counted || self.all != before
    }

    fn count(&mut self, now_ms: u64) -> bool {
        let mut counts = BTreeMap::new();
        let mut changed = false;
        for app in &self.all {
            let Some(herd) = &app.herd else { continue };
            let Some(accepted) = herd.connections else {
                continue;
            };
            let before = self.counts.get(&app.id);
            let comparable =
                before.filter(|before| before.master == herd.master && before.accepted <= accepted);
            let per_second = comparable.and_then(|before| {
                let millis = now_ms
                    .checked_sub(before.at_ms)
                    .filter(|passed| *passed > 0)?;
                Some((accepted - before.accepted) as f64 * 1000.0 / millis as f64)
            });
            changed |= before.and_then(|before| before.per_second) != per_second;
            let count = Count {
                master: herd.master,
                accepted,
                at_ms: now_ms,
                per_second,
            };
            counts.insert(app.id, count);
        }
        self.counts = counts;
        changed
    }

    /// Chooses another one, so many places further down.
    pub(in crate::monit) fn choose(&mut self, by: isize) {
        let last = self.all.len().saturating_sub(1);
        self.chosen = self.chosen.saturating_add_signed(by).min(last);
    }
}
