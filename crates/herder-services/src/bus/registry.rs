//! [`Registry`]: who is there, and who gets a message. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::message::{Sender, To};

/// Names a subscription. Never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MemberId(pub u64);

/// All subscriptions.
#[derive(Debug, Default)]
pub struct Registry {
    members: BTreeMap<MemberId, Member>,
    last: u64,
    state: u64,
}

#[derive(Debug)]
struct Member {
    who: Sender,
    topics: BTreeSet<String>,
}

impl Registry {
    /// Nobody. The seed is for those that are chosen by chance.
    #[must_use]
    pub fn new(seed: u64) -> Registry {
        Registry {
            state: seed,
            ..Registry::default()
        }
    }

    /// Somebody subscribes.
    pub fn join(&mut self, who: Sender, topics: impl IntoIterator<Item = String>) -> MemberId {
        self.last += 1;
        let id = MemberId(self.last);
        let topics = topics.into_iter().collect();
        self.members.insert(id, Member { who, topics });
        id
    }

    /// Somebody does not listen any more.
    pub fn leave(&mut self, id: MemberId) {
        self.members.remove(&id);
    }

    /// Who gets a message of this sender. One of several subscriptions of one process gets what is
    /// for one; all of them get what is for all.
    pub fn receivers(&mut self, to: &To, topic: &str, from: &Sender) -> Vec<MemberId> {
        let listening = |member: &Member| member.topics.contains(topic);
        let mut found: Vec<MemberId> = self
            .members
            .iter()
            .filter(|(_, member)| listening(member) && is_meant(to, &member.who, from))
            .map(|(id, _)| *id)
            .collect();
        if *to == To::Random {
            let others: Vec<MemberId> = found
                .iter()
                .copied()
                .filter(|id| {
                    self.members
                        .get(id)
                        .is_some_and(|member| member.who != *from)
                })
                .collect();
            let candidates = if others.is_empty() { found } else { others };
            found = self.one_of(&candidates).into_iter().collect();
        }
        found
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody subscribed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// By xorshift: good enough to spread messages.
    fn one_of(&mut self, candidates: &[MemberId]) -> Option<MemberId> {
        let mut state = self.state | 1;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.state = state;
        let index = usize::try_from(state >> 33).unwrap_or(0) % candidates.len().max(1);
        candidates.get(index).copied()
    }
}

fn is_meant(to: &To, who: &Sender, from: &Sender) -> bool {
    let is_worker = who.part == "worker";
    match to {
        To::All | To::Everywhere => true,
        To::Library(name) => who.part.strip_prefix("library:") == Some(name),
        To::Others => who != from,
        To::Pid(pid) => who.pid == *pid,
        To::Random | To::Workers => is_worker,
        To::Slot(slot) => is_worker && who.slot == *slot,
        To::Worker(life) => is_worker && who.worker == *life,
    }
}
