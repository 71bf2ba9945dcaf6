//! What was saved comes back.

use super::Books;
use super::list::{List, Rest};
use super::word::{AppId, CourseId, Now, Todo};

impl Books {
    /// Takes those of a saved list into the list that are not in it, and starts those that ran; and
    /// those that ended with the daemon.
    pub(crate) fn resurrect(&mut self, saved: List, now: Now) -> CourseId {
        let mut stage = self.ended();
        for listed in saved.apps {
            if self.by_name(&listed.definition.app.name).is_some() {
                continue;
            }
            let rest = listed.rest.after_boot(listed.definition.app.autostart);
            let id = self.add(listed.definition, now);
            if rest == Rest::None {
                stage.push((id, Todo::Start));
            }
        }
        self.begin(vec![stage], now)
    }

    /// Starts those that ended with the daemon.
    pub(crate) fn reawaken(&mut self, now: Now) -> CourseId {
        let stage = self.ended();
        self.begin(vec![stage], now)
    }

    fn ended(&self) -> Vec<(AppId, Todo)> {
        let ended = self.entries.values().filter(|it| it.rest == Rest::Ended);
        ended.map(|entry| (entry.id, Todo::Start)).collect()
    }
}
