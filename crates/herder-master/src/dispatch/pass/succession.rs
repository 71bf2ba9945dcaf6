//! What another thread has left, and what this one leaves.

use herder_core::dispatch::Event;
use herder_core::{ConnId, WorkerId};

use super::{Held, Pass, now};
use crate::dispatch::{Left, Line, Remains};

impl Pass {
    /// Goes on with what the last thread has left. What the workers have not received is first taken back:
    /// who has waited longest is then given out first, and nobody waits for a worker that died meanwhile.
    pub(super) fn take_over(&mut self, lines: Vec<(WorkerId, Line)>, hand: Vec<Left>) {
        for left in hand {
            let listener = u16::try_from(left.listener).unwrap_or(u16::MAX);
            let socket = left.socket;
            self.hand
                .insert(ConnId(left.conn), Held { socket, listener });
        }
        for (worker, line) in lines {
            // Whoever speaks Node's language is not served here.
            if let Line::Conns(link) = line {
                self.links.insert(worker.incarnation, (worker, link));
                self.empty_queue(worker);
            }
        }
        let now = now();
        for (conn, held) in &self.hand {
            let (conn, origin) = (*conn, self.origins.of(held));
            let event = Event::Accepted { conn, origin };
            self.dispatcher.handle(event, now);
        }
    }

    /// What the next thread goes on with. The workers' queues stay as they are: they go on receiving.
    pub(super) fn remains(self) -> Remains {
        let left = |(conn, held): (ConnId, Held)| Left {
            socket: held.socket,
            conn: conn.0,
            listener: held.listener.into(),
        };
        let lines = self.links.into_values();
        Remains {
            listeners: self.acceptor.into_listeners(),
            lines: lines.map(|(id, link)| (id, Line::Conns(link))).collect(),
            hand: self.hand.into_iter().map(left).collect(),
            ..Remains::default()
        }
    }
}
