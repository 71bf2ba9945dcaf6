//! What herds answer.

use herder_api::Problem;
use herder_api::app::Workers;
use herder_api::herd::{HerdAnswer, HerdRequest};
use herder_api::problem::ProblemKind;
use herder_api::status::Verdict;

use super::Books;
use super::entry::Pending;
use super::todos::of_workers;
use super::word::{AppId, Do, Now};

impl Books {
    /// A request is answered, or never will be.
    pub(super) fn answered(
        &mut self,
        id: AppId,
        request: u64,
        answer: Result<HerdAnswer, Problem>,
        now: Now,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let Some(pending) = entry.requests.remove(&request) else {
            return;
        };
        if pending.what == HerdRequest::Reload && pending.next.is_some() {
            entry.trial = None;
        }
        let result = match answer.and_then(judge) {
            Ok(answer) => Ok(self.grant(id, &pending, &answer)),
            Err(problem) => {
                self.undo(id, &pending);
                Err(problem)
            }
        };
        self.finish(pending.course, id, result, now);
    }

    /// It is done: the app is what it was to be.
    fn grant(&mut self, id: AppId, pending: &Pending, answer: &HerdAnswer) -> String {
        let took = |verdict: &Verdict| verdict.took_ms;
        match (&pending.what, answer) {
            (HerdRequest::Scale { workers }, _) => {
                if let Some(next) = &pending.next {
                    let mut next = (**next).clone();
                    next.app.workers = Workers::Count(*workers);
                    self.define(id, next);
                }
                format!("it has {}", of_workers(*workers))
            }
            (HerdRequest::Reload, HerdAnswer::Verdict { verdict }) => {
                if let Some(next) = &pending.next
                    && let Some(entry) = self.entries.get_mut(&id)
                {
                    entry.redefine((**next).clone());
                    self.save();
                }
                let (generation, took) = (verdict.generation, took(verdict));
                format!("generation {generation} serves after {took} ms")
            }
            (HerdRequest::Upgrade, HerdAnswer::Verdict { verdict }) => {
                format!("its master was replaced in {} ms", took(verdict))
            }
            (HerdRequest::Signal { .. } | HerdRequest::Send { .. }, HerdAnswer::Done { count }) => {
                let count = u16::try_from(*count).unwrap_or(u16::MAX);
                format!("told {}", of_workers(count))
            }
            (HerdRequest::Fail { .. }, HerdAnswer::Done { count }) => {
                let count = u16::try_from(*count).unwrap_or(u16::MAX);
                format!("{} replaced", of_workers(count))
            }
            (HerdRequest::Reset, _) => "counters are 0".to_owned(),
            (HerdRequest::FlushLogs, _) => "its log files are emptied".to_owned(),
            (HerdRequest::ReopenLogs, _) => "its log files are opened again".to_owned(),
            _ => "done".to_owned(),
        }
    }

    /// It is not done: the order is what it was.
    fn undo(&mut self, id: AppId, pending: &Pending) {
        if pending.what == HerdRequest::Reload && pending.next.is_some() {
            let order = Box::new(self.order(id));
            self.actions.push_back(Do::WriteOrder { order });
            self.save();
        }
    }
}

/// A verdict may be a bad one.
fn judge(answer: HerdAnswer) -> Result<HerdAnswer, Problem> {
    let HerdAnswer::Verdict { verdict } = &answer else {
        return Ok(answer);
    };
    if verdict.outcome == "done" {
        return Ok(answer);
    }
    let what = match verdict.outcome.as_str() {
        "refused" => "was refused",
        _ => "was rolled back",
    };
    let text = format!("the {} {what}: {}", verdict.operation, verdict.reason);
    let mut problem = Problem::new(ProblemKind::Failed, text);
    problem.last_lines.clone_from(&verdict.last_lines);
    Err(problem)
}
