//! The right to a tick that several machines share.

use std::time::Duration;

use super::message::{Action, ClaimAnswer};
use super::run::{Claim, Run, RunId, Stage};
use super::scheduler::Scheduler;
use super::wall::{Calendar, Now};
use crate::Tick;

/// A store that does not answer is asked again after this.
const STORE_AWAY: Duration = Duration::from_secs(1);

/// The store is asked to prolong a claim no more often than this.
const RENEWAL: Duration = Duration::from_millis(200);

/// Added to what is left of another's claim: it is not to be asked for at the very moment.
const AFTER_ANOTHER: Duration = Duration::from_millis(50);

impl<C: Calendar> Scheduler<C> {
    pub(super) fn ask_claim(&mut self, id: RunId, now: Now) {
        let Some(mut run) = self.runs.remove(&id) else {
            return;
        };
        run.stage = Stage::Asking { since: now.tick };
        let instead = run.claim.take().map(|claim| claim.token);
        // What is said late of the claim that it had does not mean the next one.
        let id = if instead.is_some() {
            self.new_run()
        } else {
            id
        };
        let (name, tick) = (run.name.clone(), run.tick);
        self.runs.insert(id, run);
        self.ask(Action::Claim {
            run: id,
            name,
            tick,
            instead,
        });
    }

    pub(super) fn claimed(&mut self, id: RunId, answer: ClaimAnswer, now: Now) {
        let Some(run) = self.runs.get_mut(&id) else {
            // The job was removed meanwhile. The claim ends by itself.
            return;
        };
        let Stage::Asking { since } = run.stage else {
            return;
        };
        match answer {
            ClaimAnswer::Ours { token, ttl } => {
                run.claim = Some(Claim::new(token, since, ttl));
                self.place(id, now);
            }
            ClaimAnswer::Held { left } => {
                let until = now.tick.after(left + AFTER_ANOTHER);
                run.stage = Stage::Watching { until };
            }
            ClaimAnswer::Unavailable => {
                let until = now.tick.after(STORE_AWAY);
                run.stage = Stage::Watching { until };
            }
            ClaimAnswer::Done => {
                let name = run.name.clone();
                self.runs.remove(&id);
                self.next_in_queue(&name, now);
            }
        }
    }

    pub(super) fn renewed(&mut self, id: RunId, answer: ClaimAnswer, now: Now) {
        let Some(claim) = self.runs.get_mut(&id).and_then(|run| run.claim.as_mut()) else {
            return;
        };
        match answer {
            ClaimAnswer::Ours { token, ttl } if token == claim.token => {
                *claim = Claim {
                    used: claim.used,
                    ..Claim::new(token, claim.asked, ttl)
                };
            }
            // It is asked again before the claim ends.
            ClaimAnswer::Unavailable => {}
            ClaimAnswer::Done => self.give_up(id, now),
            ClaimAnswer::Held { .. } | ClaimAnswer::Ours { .. } => self.lose(id, now),
        }
    }

    /// Somebody else has the right now, or may have it. Should they die, the tick is ours again.
    fn lose(&mut self, id: RunId, now: Now) {
        let Some(run) = self.runs.get(&id) else {
            return;
        };
        let until = now.tick.after(AFTER_ANOTHER);
        let watching = Run {
            claim: None,
            stage: Stage::Watching { until },
            ..run.clone()
        };
        self.give_up(id, now);
        let id = self.new_run();
        self.runs.insert(id, watching);
    }

    /// Renews the run's claim, or ends the run when the claim has. Whether the run is over.
    pub(super) fn claim_due(&mut self, id: RunId, now: Now) -> bool {
        let Some(run) = self.runs.get_mut(&id) else {
            return true;
        };
        let Some(claim) = run.claim.as_mut() else {
            return false;
        };
        if claim.until <= now.tick {
            self.lose(id, now);
            return true;
        }
        if claim.renew_at <= now.tick {
            let left = claim.until.since(now.tick);
            claim.asked = now.tick;
            claim.renew_at = now.tick.after((left / 2).max(RENEWAL));
            let action = Action::Renew {
                run: id,
                name: run.name.clone(),
                tick: run.tick,
                token: claim.token,
            };
            self.ask(action);
        }
        false
    }
}

impl Claim {
    fn new(token: u64, asked: Tick, ttl: Duration) -> Claim {
        Claim {
            token,
            used: false,
            asked,
            until: asked.after(ttl),
            renew_at: asked.after(ttl / 3),
        }
    }
}
