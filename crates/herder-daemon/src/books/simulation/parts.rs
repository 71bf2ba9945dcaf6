//! What histories are played with.

use std::collections::BTreeMap;

use herder_api::App;
use herder_api::herd::{HerdAnswer, HerdRequest};
use herder_api::status::{HerdStatus, SlotStatus, Verdict, WorkerStatus};

use super::World;
use crate::books::word::{AppId, Definition, News, Todo};
use crate::books::{Books, Places};

pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    pub(super) fn place(&mut self, length: usize) -> usize {
        let place = self.below(u64::try_from(length).expect("short lists"));
        usize::try_from(place).expect("a place in one")
    }

    pub(super) fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

pub(super) fn definition(name: &str, needs: &[&str]) -> Definition {
    let app = App {
        name: name.to_owned(),
        script: Some("/srv/app.js".into()),
        depends_on: needs.iter().map(|name| (*name).to_owned()).collect(),
        ..App::default()
    };
    Definition {
        app,
        inherited: BTreeMap::new(),
        profile: None,
        source: None,
    }
}

pub(super) fn status(workers: u16, is_ready: bool) -> Box<HerdStatus> {
    let phase = if is_ready { "ready" } else { "starting" };
    let slot = |slot| SlotStatus {
        slot,
        workers: vec![WorkerStatus {
            pid: 1,
            phase: phase.to_owned(),
            ..WorkerStatus::default()
        }],
        ..SlotStatus::default()
    };
    Box::new(HerdStatus {
        wanted: workers,
        slots: (0..workers).map(slot).collect(),
        ..HerdStatus::default()
    })
}

pub(super) fn empty() -> Books {
    let places = Places {
        run: "/run".into(),
        logs: "/logs".into(),
    };
    Books::new(places, 2, "boot".to_owned())
}

impl World {
    /// It may be refused, or nobody may ever hear what became of it.
    pub(super) fn reload_as_another(&mut self, chosen: &[AppId]) {
        let known = chosen.iter().filter_map(|id| self.books.entry(*id));
        let stage = known.map(|entry| {
            let mut next = entry.definition.clone();
            next.app.args.push(self.verdicts.to_string());
            (entry.id, Todo::Reload(Some(Box::new(next))))
        });
        let stage = stage.collect();
        self.books.begin(vec![stage], self.now);
    }

    /// Nobody is connected with a herd any more. It may have done what it was asked for last.
    pub(super) fn lose(&mut self, id: AppId) {
        let Some(herd) = self.herds.get_mut(&id) else {
            return;
        };
        herd.connected = false;
        herd.greeted = false;
        let asked = std::mem::take(&mut herd.asked);
        let is_ready = herd.is_ready;
        for (_, what) in asked {
            if what == HerdRequest::Reload && is_ready && self.dice.one_in(2) {
                self.judge(id, "reload");
            }
        }
    }

    /// A reload or an upgrade of a herd is over.
    fn judge(&mut self, id: AppId, operation: &str) -> Verdict {
        self.verdicts += 1;
        let outcome = if self.dice.one_in(2) {
            "done"
        } else {
            "rolled_back"
        };
        let verdict = Verdict {
            operation: operation.to_owned(),
            outcome: outcome.to_owned(),
            generation: 2,
            reason: String::new(),
            last_lines: Vec::new(),
            at: self.verdicts.to_string(),
            took_ms: 1,
        };
        let herd = self.herds.get_mut(&id).expect("it lives");
        herd.verdict = Some(verdict.clone());
        if (operation, outcome) == ("reload", "done") {
            herd.serves = self.orders[&herd.order.app.name].app.clone();
        }
        verdict
    }

    pub(super) fn answer(&mut self, id: AppId, life: u64, request: u64, what: &HerdRequest) {
        let operation = [
            (HerdRequest::Reload, "reload"),
            (HerdRequest::Upgrade, "upgrade"),
        ];
        let judged = operation.iter().find(|(request, _)| request == what);
        let answer = match judged {
            Some((_, operation)) => HerdAnswer::Verdict {
                verdict: self.judge(id, operation),
            },
            None => HerdAnswer::Done { count: 1 },
        };
        let answer = Ok(answer);
        self.post(id, life, News::Answer { request, answer });
    }
}
