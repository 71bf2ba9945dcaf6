//! What became of every message.

use crate::message::reply::Reply;
use crate::message::wire::Heard;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// What became of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It had each of its replies once.
    Answered,
    /// It had each of its replies once, and then its client was told that its worker had ended: it had, between
    /// its last reply and the word that this was the last.
    AnsweredAndTold,
    /// The connection ended by itself before anything else was settled.
    Cut,
    /// A reply came more than once, or its client was told more than once.
    Doubled,
    /// Nothing became of it although the connection stood.
    Lost,
    /// Its client was told, once, that it would not be answered.
    Told,
}

/// One message of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How the client called it.
    pub id: String,
    /// When it was sent, from the begin of the load.
    pub sent: Duration,
    /// When it had its last reply or its client was told, from the begin of the load.
    pub settled: Option<Duration>,
    /// What came back.
    pub replies: Vec<Reply>,
    /// What the gateway said of it.
    pub told: Vec<String>,
    /// Whether its connection ended by itself.
    pub(super) connection: Connection,
}

/// How the connection of a message came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    Broken,
    Whole,
}

impl Message {
    /// What became of it.
    pub fn fate(&self) -> Fate {
        let parts: BTreeSet<u32> = self.replies.iter().map(|reply| reply.part).collect();
        if parts.len() < self.replies.len() || self.told.len() > 1 {
            return Fate::Doubled;
        }
        match (self.is_whole(), self.told.len(), self.connection) {
            (true, 0, _) => Fate::Answered,
            (true, _, _) => Fate::AnsweredAndTold,
            (false, 1, _) => Fate::Told,
            (false, _, Connection::Broken) => Fate::Cut,
            (false, _, Connection::Whole) => Fate::Lost,
        }
    }

    /// Whether every part of its answer is there.
    pub(super) fn is_whole(&self) -> bool {
        let parts: BTreeSet<u32> = self.replies.iter().map(|reply| reply.part).collect();
        let of = self.replies.first().map(|reply| reply.of);
        of.is_some_and(|of| (1..=of).all(|part| parts.contains(&part)))
    }

    /// The workers that have replied to it, by pid.
    pub fn workers(&self) -> BTreeSet<i32> {
        self.replies.iter().map(|reply| reply.pid).collect()
    }
}

/// The account of a load: `messages.len()` is what was sent, and each has one [`Fate`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Every message, by client and in the order it sent them.
    pub messages: Vec<Message>,
    /// How connections ended that the client did not end.
    pub disconnects: Vec<Heard>,
    /// Attempts to connect that failed.
    pub refusals: usize,
    /// What came and belongs to no message.
    pub strange: Vec<String>,
    /// From the begin of the load to its end.
    pub elapsed: Duration,
}

impl Account {
    /// How many messages had this fate.
    pub fn count(&self, fate: Fate) -> usize {
        self.of(fate).count()
    }

    /// The messages with this fate.
    pub fn of(&self, fate: Fate) -> impl Iterator<Item = &Message> {
        self.messages
            .iter()
            .filter(move |message| message.fate() == fate)
    }

    /// How many replies each worker gave, by pid.
    pub fn per_worker(&self) -> BTreeMap<i32, usize> {
        let mut counts = BTreeMap::new();
        for reply in self.messages.iter().flat_map(|message| &message.replies) {
            *counts.entry(reply.pid).or_default() += 1;
        }
        counts
    }

    /// How many messages each worker has replied to, by its life.
    pub fn per_life(&self) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for message in &self.messages {
            let lives: BTreeSet<u64> = message.replies.iter().map(|reply| reply.worker).collect();
            for life in lives {
                *counts.entry(life).or_default() += 1;
            }
        }
        counts
    }

    /// The time from sending to the end, of the messages that came to one: that which `per_mille` of
    /// them do not exceed.
    pub fn latency(&self, per_mille: usize) -> Duration {
        let took = |message: &Message| Some(message.settled?.saturating_sub(message.sent));
        let mut sorted: Vec<Duration> = self.messages.iter().filter_map(took).collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * per_mille).div_ceil(1000);
        sorted
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }

    /// Fails the test unless every message had exactly its replies, on a connection that stood.
    ///
    /// # Panics
    /// With the summary and the first that had not.
    #[track_caller]
    pub fn assert_all_answered(&self) {
        self.assert_nobody_disconnected();
        self.assert_fates(&[Fate::Answered]);
    }

    /// Fails the test when a message had another fate than these, or something strange came.
    ///
    /// # Panics
    /// With the summary and the first messages.
    #[track_caller]
    pub fn assert_fates(&self, allowed: &[Fate]) {
        let others: Vec<String> = self
            .messages
            .iter()
            .filter(|message| !allowed.contains(&message.fate()))
            .take(10)
            .map(|message| format!("{:?}: {message:?}", message.fate()))
            .collect();
        assert!(others.is_empty(), "{self}\n  {}", others.join("\n  "));
        assert_eq!(self.strange, [""; 0], "{self}");
    }

    /// Fails the test when the server ended a connection, or let a client not in.
    ///
    /// # Panics
    /// With the summary.
    #[track_caller]
    pub fn assert_nobody_disconnected(&self) {
        assert_eq!(self.disconnects, [], "{self}");
        assert_eq!(self.refusals, 0, "{self}");
    }

    pub(super) fn merge(&mut self, other: Account) {
        self.messages.extend(other.messages);
        self.disconnects.extend(other.disconnects);
        self.refusals += other.refusals;
        self.strange.extend(other.strange);
        self.elapsed = self.elapsed.max(other.elapsed);
    }
}

impl fmt::Display for Account {
    /// One line: counts by fate, disconnects, times.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} messages in {:.3?}:",
            self.messages.len(),
            self.elapsed
        )?;
        let mut fates: BTreeMap<Fate, usize> = BTreeMap::new();
        for message in &self.messages {
            *fates.entry(message.fate()).or_default() += 1;
        }
        for (fate, count) in fates {
            write!(f, " {count} {fate:?},")?;
        }
        write!(
            f,
            " {} disconnected, {} refused, {} strange, p50 {:.3?}, p99 {:.3?}, max {:.3?}, {} workers",
            self.disconnects.len(),
            self.refusals,
            self.strange.len(),
            self.latency(500),
            self.latency(990),
            self.latency(1000),
            self.per_worker().len(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(parts: &[u32], told: usize, connection: Connection) -> Message {
        let reply = |part: &u32| Reply {
            id: "c0.0.1".to_owned(),
            part: *part,
            of: 2,
            pid: 7,
            worker: 1,
            rest: String::new(),
        };
        Message {
            id: "c0.0.1".to_owned(),
            sent: Duration::ZERO,
            settled: None,
            replies: parts.iter().map(reply).collect(),
            told: vec!["message 1: gone".to_owned(); told],
            connection,
        }
    }

    #[test]
    fn each_message_has_one_fate() {
        use Connection::{Broken, Whole};
        let cases = [
            (&[1, 2][..], 0, Whole, Fate::Answered),
            (&[1, 2], 0, Broken, Fate::Answered),
            (&[1, 2], 1, Whole, Fate::AnsweredAndTold),
            (&[1, 1], 0, Whole, Fate::Doubled),
            (&[1, 2, 2], 0, Whole, Fate::Doubled),
            (&[], 2, Whole, Fate::Doubled),
            (&[1], 1, Whole, Fate::Told),
            (&[], 1, Broken, Fate::Told),
            (&[1], 0, Broken, Fate::Cut),
            (&[1], 0, Whole, Fate::Lost),
            (&[], 0, Whole, Fate::Lost),
        ];
        for (parts, told, connection, fate) in cases {
            assert_eq!(message(parts, told, connection).fate(), fate, "{parts:?}");
        }
    }

    #[test]
    #[should_panic(expected = "Lost: Message { id: \"c0.0.1\"")]
    fn a_lost_message_is_named() {
        let account = Account {
            messages: vec![
                message(&[1, 2], 0, Connection::Whole),
                message(&[], 0, Connection::Whole),
            ],
            ..Account::default()
        };
        account.assert_all_answered();
    }
}
