//! A part of the herd at work: who belongs to it, and who decides about it.

use std::collections::BTreeMap;
use std::io;

use herder_core::supervisor::{Action, Event, Outcome, Phase, Supervisor};
use herder_core::{Incarnation, Tick, WorkerId};
use herder_sys::epoll::Epoll;

use super::member::Member;
use super::now;
use super::nursery::Recipe;
use crate::part::{Part, PartNumber};

/// Who a member of the herd is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct MemberId {
    pub(super) part: Part,
    /// Who it is within its part.
    pub(super) worker: WorkerId,
}

/// One part of the herd.
pub(super) struct Crew {
    pub(super) supervisor: Supervisor,
    pub(super) members: BTreeMap<WorkerId, Member>,
    /// What its members are made from.
    pub(super) recipe: Recipe,
    /// How it ended.
    pub(super) outcome: Option<Outcome>,
    /// The life that ended last: what it said explains a failed start.
    pub(super) last_ended: Option<u64>,
}

/// All parts of the herd.
pub(super) struct Crews {
    crews: BTreeMap<Part, Crew>,
    told: u64,
}

impl Crew {
    /// A part that has not been started.
    pub(super) fn new(supervisor: Supervisor, recipe: Recipe) -> Crew {
        Crew {
            supervisor,
            members: BTreeMap::new(),
            recipe,
            outcome: None,
            last_ended: None,
        }
    }
}

impl Crew {
    /// Has the main loop hear of its members.
    pub(super) fn watch(&mut self, epoll: &Epoll) -> io::Result<()> {
        self.members.values_mut().try_for_each(|it| it.watch(epoll))
    }
}

impl Crews {
    pub(super) fn new(crews: impl IntoIterator<Item = (Part, Crew)>) -> Crews {
        Crews {
            crews: crews.into_iter().collect(),
            told: 0,
        }
    }

    /// A part, if this herd has it.
    pub(super) fn get(&self, part: Part) -> Option<&Crew> {
        self.crews.get(&part)
    }

    pub(super) fn get_mut(&mut self, part: Part) -> Option<&mut Crew> {
        self.crews.get_mut(&part)
    }

    /// The part of this number.
    pub(super) fn numbered(&self, number: PartNumber) -> Option<Part> {
        let mut parts = self.crews.keys().copied();
        parts.find(|part| part.number() == number)
    }

    /// The parts that this herd has.
    pub(super) fn parts(&self) -> Vec<Part> {
        self.crews.keys().copied().collect()
    }

    /// Tells the supervisor of a part.
    pub(super) fn feed(&mut self, part: Part, event: Event) {
        self.told += 1;
        if let Some(crew) = self.get_mut(part) {
            crew.supervisor.handle(event, now());
        }
    }

    /// How many events the supervisors were told of.
    pub(super) fn told(&self) -> u64 {
        self.told
    }

    /// What a supervisor asks for next.
    pub(super) fn poll_action(&mut self) -> Option<(Part, Action)> {
        self.crews.iter_mut().find_map(|(part, crew)| {
            let action = crew.supervisor.poll_action()?;
            Some((*part, action))
        })
    }

    /// Whether the supervisor of a part wanted to be called by now.
    pub(super) fn is_due(&self, part: Part, now: Tick) -> bool {
        let due = self
            .get(part)
            .and_then(|crew| crew.supervisor.poll_timeout());
        due.is_some_and(|at| at <= now)
    }

    /// When a supervisor, or a channel that rests, wants attention next.
    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        let supervisors = self
            .crews
            .values()
            .filter_map(|crew| crew.supervisor.poll_timeout());
        let resting = self.members().filter_map(|(_, m)| m.resting_until());
        let lingering = self.members().filter_map(|(_, m)| m.node.as_ref()?.due());
        let unknown = self.members().filter_map(|(_, m)| m.patience());
        let members = resting.chain(lingering).chain(unknown);
        supervisors.chain(members).min()
    }

    /// Whether a Node worker should end by itself, and has little time for it.
    pub(super) fn has_lingering(&self) -> bool {
        let mut lives = self.members().filter_map(|(_, m)| m.node.as_ref());
        lives.any(|node| node.due().is_some())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Part, &Crew)> {
        self.crews.iter().map(|(part, crew)| (*part, crew))
    }

    /// Where somebody is in its life.
    pub(super) fn phase(&self, id: MemberId) -> Option<Phase> {
        self.get(id.part)?.supervisor.phase(id.worker)
    }

    /// The living of all parts.
    pub(super) fn members(&self) -> impl Iterator<Item = (MemberId, &Member)> {
        self.crews.iter().flat_map(|(part, crew)| {
            let id = |worker: &WorkerId| MemberId {
                part: *part,
                worker: *worker,
            };
            crew.members
                .iter()
                .map(move |(worker, member)| (id(worker), member))
        })
    }

    pub(super) fn members_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.crews
            .values_mut()
            .flat_map(|crew| crew.members.values_mut())
    }

    /// The living of one part.
    pub(super) fn living(&self, part: Part) -> Vec<MemberId> {
        let crew = self.get(part).into_iter();
        crew.flat_map(|crew| crew.members.keys())
            .map(|worker| MemberId {
                part,
                worker: *worker,
            })
            .collect()
    }

    pub(super) fn member(&self, id: MemberId) -> Option<&Member> {
        self.get(id.part)?.members.get(&id.worker)
    }

    pub(super) fn member_mut(&mut self, id: MemberId) -> Option<&mut Member> {
        self.get_mut(id.part)?.members.get_mut(&id.worker)
    }

    /// The living member of this part and life.
    pub(super) fn find(&self, part: Part, life: Incarnation) -> Option<MemberId> {
        let mut workers = self.get(part)?.members.keys();
        let worker = *workers.find(|worker| worker.incarnation == life)?;
        Some(MemberId { part, worker })
    }

    /// Strikes a member off.
    pub(super) fn remove(&mut self, id: MemberId) -> Option<Member> {
        self.get_mut(id.part)?.members.remove(&id.worker)
    }

    /// Whether a part ended because none of its members ever became ready.
    pub(super) fn has_failed_to_boot(&self) -> bool {
        let failed = |crew: &Crew| crew.outcome == Some(Outcome::BootFailed);
        self.crews.values().any(failed)
    }

    /// Whether every part has ended.
    pub(super) fn have_ended(&self) -> bool {
        self.crews.values().all(|crew| crew.outcome.is_some())
    }
}
