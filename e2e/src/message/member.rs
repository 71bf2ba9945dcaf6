//! One client of a crowd.

use crate::message::account::{Account, Connection, Message};
use crate::message::crowd::{Loyalty, Shared};
use crate::message::reply::{Reply, told_of};
use crate::message::wire::{Heard, Wire};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::timeout;

/// Makes the traffic of client `number` and returns its account.
pub(super) async fn run(shared: Arc<Shared>, number: usize) -> Account {
    let mut member = Member {
        shared: &shared,
        number,
        connections: 0,
        sent: 0,
        account: Account::default(),
    };
    while let Next::Again = member.connect().await {}
    member.account
}

struct Member<'a> {
    shared: &'a Shared,
    number: usize,
    connections: usize,
    /// On all connections.
    sent: u64,
    account: Account,
}

/// Whether a client comes back.
enum Next {
    Again,
    Over,
}

impl Member<'_> {
    /// One connection from its begin to its end.
    async fn connect(&mut self) -> Next {
        let returns = self.shared.crowd.loyalty == Loyalty::Returns;
        let opened = Wire::open(&self.shared.crowd.door);
        let Ok(Ok(mut wire)) = timeout(self.shared.crowd.patience, opened).await else {
            self.account.refusals += 1;
            let again = returns && !self.is_enough();
            return if again { Next::Again } else { Next::Over };
        };
        self.shared.connected.fetch_add(1, Ordering::Relaxed);
        let mut talk = Talk::new(self.number, self.connections);
        self.connections += 1;
        let next = self.talk(&mut wire, &mut talk).await;
        if talk.connection == Connection::Broken {
            for message in &mut talk.messages {
                message.connection = Connection::Broken;
            }
        }
        self.account.messages.append(&mut talk.messages);
        self.account.strange.append(&mut talk.strange);
        next
    }

    async fn talk(&mut self, wire: &mut Wire, talk: &mut Talk) -> Next {
        loop {
            while !self.is_enough() && talk.unsettled.len() < self.shared.crowd.outstanding {
                self.sent += 1;
                let text = talk.next(&self.shared.crowd.command, self.shared.begun.elapsed());
                // A connection that is over says so when it is read.
                let _over = timeout(self.shared.crowd.patience, wire.send_text(&text)).await;
            }
            if talk.unsettled.is_empty() && self.is_enough() {
                return self.close(wire, talk).await;
            }
            let Ok(heard) = timeout(self.shared.crowd.patience, wire.next()).await else {
                return Next::Over;
            };
            if let Some(end) = self.take(talk, heard) {
                self.account.disconnects.push(end);
                talk.connection = Connection::Broken;
                let returns = self.shared.crowd.loyalty == Loyalty::Returns;
                let again = returns && !self.is_enough();
                return if again { Next::Again } else { Next::Over };
            }
        }
    }

    /// Ends the connection in order, and hears what may still come.
    async fn close(&mut self, wire: &mut Wire, talk: &mut Talk) -> Next {
        let closed = async {
            // Whoever has closed before us says so when it is read.
            let _over = wire.send_end().await;
            loop {
                let heard = wire.next().await;
                if self.take(talk, heard).is_some() {
                    return;
                }
            }
        };
        if timeout(self.shared.crowd.patience, closed).await.is_err() {
            talk.strange.push("the end is not answered".to_owned());
        }
        Next::Over
    }

    /// Notes what was heard; returns it when it is the end.
    fn take(&self, talk: &mut Talk, heard: Heard) -> Option<Heard> {
        match heard {
            Heard::Text(text) => {
                if talk.note(&text, self.shared.begun.elapsed()) == News::Settled {
                    self.shared.settled.fetch_add(1, Ordering::Relaxed);
                }
                None
            }
            Heard::Bytes(bytes) => {
                talk.strange.push(format!("{} bytes", bytes.len()));
                None
            }
            Heard::Pong => None,
            Heard::Closed(_) | Heard::Ended => Some(heard),
        }
    }

    fn is_enough(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
            || self
                .shared
                .crowd
                .messages
                .is_some_and(|count| self.sent >= count)
    }
}

/// What was said on one connection.
struct Talk {
    name: String,
    messages: Vec<Message>,
    /// Numbers of the messages without an end, from 1.
    unsettled: BTreeSet<usize>,
    strange: Vec<String>,
    connection: Connection,
}

/// What a text meant.
#[derive(PartialEq, Eq)]
enum News {
    Other,
    Settled,
}

impl Talk {
    fn new(client: usize, connection: usize) -> Talk {
        Talk {
            name: format!("c{client}.{connection}"),
            messages: Vec::new(),
            unsettled: BTreeSet::new(),
            strange: Vec::new(),
            connection: Connection::Whole,
        }
    }

    /// The text of the next message, which counts as sent.
    fn next(&mut self, command: &str, now: Duration) -> String {
        let number = self.messages.len() + 1;
        let id = format!("{}.{number}", self.name);
        let text = format!("{command} {id}");
        self.unsettled.insert(number);
        self.messages.push(Message {
            id,
            sent: now,
            settled: None,
            replies: Vec::new(),
            told: Vec::new(),
            connection: Connection::Whole,
        });
        text
    }

    fn note(&mut self, text: &str, now: Duration) -> News {
        let reply = Reply::parse(text);
        let number = match &reply {
            Some(reply) => self.number_of(&reply.id),
            None => told_of(text).and_then(|number| usize::try_from(number).ok()),
        };
        let message = number.and_then(|number| self.messages.get_mut(number.checked_sub(1)?));
        let (Some(number), Some(message)) = (number, message) else {
            self.strange.push(text.to_owned());
            return News::Other;
        };
        match reply {
            Some(reply) => message.replies.push(reply),
            None => message.told.push(text.to_owned()),
        }
        let over = message.is_whole() || !message.told.is_empty();
        if over && self.unsettled.remove(&number) {
            message.settled = Some(now);
            return News::Settled;
        }
        News::Other
    }

    fn number_of(&self, id: &str) -> Option<usize> {
        let number = id.strip_prefix(self.name.as_str())?.strip_prefix('.')?;
        number.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::account::Fate;

    #[test]
    fn what_comes_is_noted_with_its_message() {
        let mut talk = Talk::new(3, 0);
        let now = Duration::ZERO;
        assert_eq!(talk.next("twice", now), "twice c3.0.1");
        assert_eq!(talk.next("twice", now), "twice c3.0.2");
        let say = |talk: &mut Talk, text: &str| talk.note(text, now) == News::Settled;
        assert!(!say(&mut talk, "c3.0.2 1/2 pid:7 worker:1"));
        assert!(say(&mut talk, "c3.0.2 2/2 pid:7 worker:1"));
        assert!(say(&mut talk, "message 1: no worker could take it"));
        assert!(!say(&mut talk, "c3.0.3 1/2 pid:7 worker:1"));
        assert!(!say(&mut talk, "c4.0.1 1/2 pid:7 worker:1"));
        assert!(!say(&mut talk, "message 0: no"));
        assert_eq!(talk.strange.len(), 3);
        let fates: Vec<Fate> = talk.messages.iter().map(Message::fate).collect();
        assert_eq!(fates, [Fate::Told, Fate::Answered]);
        assert!(talk.unsettled.is_empty());
    }
}
