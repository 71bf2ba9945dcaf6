//! The end of a herd: who had connected before is served.

use std::time::Duration;

use herder_core::{Tick, WorkerId};

use super::exchange::Service;
use super::peer::{Admission, Peer};
use super::switchboard::Switchboard;
use crate::dispatch::News;

/// How long workers are waited for, when the herd stops, that have not decided about the last
/// connections: the next word to them waits behind those, but who rejects one then has nobody to leave it
/// to.
const LAST_VERDICTS: Duration = Duration::from_secs(1);

/// How long the door stays open, when the herd stops, for connections that were made before.
const DOOR: Duration = Duration::from_millis(500);

/// A stopping herd serves who had connected before.
pub(super) struct LastCall {
    /// Until when the door stays open.
    door: Tick,
    /// Until when the workers may decide about the last ones; known when the door is closed.
    decide_by: Option<Tick>,
    /// Until when connections may wait.
    until: Tick,
    /// Workers that are to be withdrawn; none any more once the call is over.
    withheld: Option<Vec<WorkerId>>,
}

impl Switchboard {
    pub(super) fn call_last(&mut self, within: Duration, now: Tick) {
        self.last_call = Some(LastCall {
            door: now.after(DOOR.min(within)),
            until: now.after(within),
            decide_by: None,
            withheld: Some(Vec::new()),
        });
        self.listeners.clear();
        self.note_change();
        let ports = self.exchange.ports.iter();
        let shared = ports.filter(|(_, port)| matches!(port.service, Service::Shared { .. }));
        for key in shared.map(|(key, _)| *key).collect::<Vec<_>>() {
            // The workers go on accepting there.
            drop(self.exchange.let_go(key));
        }
        for (_, quay) in self.exchange.quays() {
            quay.close_doors();
        }
        for (_, doorway) in self.exchange.doorways() {
            doorway.acceptor.last_call();
        }
    }

    /// Closes the door when everybody who had connected is in; lets the workers go when all of them
    /// were taken, or have waited long enough.
    pub(super) fn end_last_call(&mut self, now: Tick) {
        let Some(call) = &mut self.last_call else {
            return;
        };
        let all_in = self
            .exchange
            .doorways()
            .all(|(_, it)| it.acceptor.is_done());
        if call.decide_by.is_none() && (call.door <= now || all_in) {
            call.decide_by = Some(now.after(LAST_VERDICTS));
            self.exchange.close_doors(&self.epoll);
            self.ledger.note_change();
            self.desk.tell(News::ListenersClosed);
        }
        let mut dispatchers = self.exchange.dispatchers();
        let nobody_waits = dispatchers.all(|(_, it)| it.pending() == 0);
        let decided = self.hand.is_empty() || call.decide_by.is_some_and(|by| by <= now);
        drop(dispatchers);
        let is_over = call.decide_by.is_some() && nobody_waits && decided;
        if is_over || self.peers.is_empty() || call.until <= now {
            for worker in call.withheld.take().unwrap_or_default() {
                self.withdraw(worker, now);
            }
            self.let_quays_go();
        }
    }
}

impl Switchboard {
    /// Once everybody's turns are over, the workers' sockets are their own: who still waits there is accepted,
    /// or refused when they are closed.
    fn let_quays_go(&mut self) {
        let serves = |peer: &Peer| peer.admission != Admission::NoMore;
        if !self.withdrawing.is_empty() || self.peers.values().any(serves) {
            return;
        }
        let keys: Vec<u64> = self.exchange.quays().map(|(key, _)| key).collect();
        for key in keys {
            drop(self.exchange.let_go(key));
            self.ledger.note_change();
        }
    }
}

impl LastCall {
    /// A worker is to be withdrawn: later, unless the call is over. Returns whether it is withheld.
    pub(super) fn withholds(&mut self, worker: WorkerId) -> bool {
        if let Some(withheld) = &mut self.withheld {
            withheld.push(worker);
        }
        self.withheld.is_some()
    }

    pub(super) fn due(&self) -> Option<Tick> {
        // When it is over nothing is due.
        self.withheld.as_ref()?;
        let next = self.decide_by.unwrap_or(self.door);
        Some(next.min(self.until))
    }
}
