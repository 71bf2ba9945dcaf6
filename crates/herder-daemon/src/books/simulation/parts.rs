//! What histories are played with.

use std::collections::BTreeMap;

use herder_api::App;
use herder_api::status::{HerdStatus, SlotStatus, WorkerStatus};

use super::World;
use crate::books::word::{AppId, Definition, Todo};
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
}
