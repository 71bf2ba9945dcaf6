//! Reloads whose end the daemon that asked for them did not live to hear.

use herder_api::herd::HerdRequest;

use super::Books;
use super::word::{AppId, Do};

impl Books {
    /// Whether a herd says what became of the reload that an earlier daemon asked for: the app is what it
    /// was to be then, or what it was.
    pub(super) fn settle_trial(&mut self, id: AppId) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let mut requests = entry.requests.values();
        let is_asked = requests.any(|it| it.what == HerdRequest::Reload && it.next.is_some());
        let (Some(trial), Some(herd), false) = (&entry.trial, &entry.herd, is_asked) else {
            return;
        };
        let verdict = herd.verdict.as_ref();
        let news = verdict.filter(|it| Some(&it.at) != trial.verdict_before.as_ref());
        let is_done = match news {
            Some(verdict) => verdict.operation == "reload" && verdict.outcome == "done",
            None if herd.busy => return,
            None => false,
        };
        let name = entry.name().to_owned();
        let trial = entry.trial.take();
        match trial.filter(|_| is_done) {
            Some(trial) => {
                let text = format!("{name} was reloaded while there was no daemon");
                self.note(&name, "herd_found", "info", text);
                self.define(id, trial.next);
            }
            None => {
                let order = Box::new(self.order(id));
                self.actions.push_back(Do::WriteOrder { order });
                self.save();
            }
        }
    }
}
