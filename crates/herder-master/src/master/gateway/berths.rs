//! Listeners of which each gateway has its own: the kernel spreads clients over them.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use herder_core::supervisor::Event;
use herder_core::{Tick, WorkerId};
use herder_sys::epoll::Epoll;

use super::Reception;
use crate::dispatch::{Berths, Command, News};
use crate::event::HerdEvent;
use crate::master::Master;
use crate::master::delivery::Delivery;
use crate::master::token::Source;
use crate::part::Part;

impl Reception {
    /// Has the main loop hear of the listeners.
    pub(in crate::master) fn watch(&self, epoll: &Epoll) -> io::Result<()> {
        let mut berths = self.berths.iter();
        let first = Source::Berths(0).token();
        berths.try_for_each(|it| it.watch(epoll, first))
    }

    /// Where each gateway has a listener of its own.
    pub(in crate::master) fn locals(&self) -> Vec<SocketAddr> {
        self.berths.as_ref().map(Berths::locals).unwrap_or_default()
    }
}

impl Master {
    /// Says what becomes of a gateway to whoever spreads the clients, if somebody does.
    pub(in crate::master) fn tell_berths_of_gateways(&mut self, command: &Command) {
        if let Some(berths) = self.berths_of_gateways() {
            berths.obey(command);
            self.hear_berths_of_gateways();
        }
    }

    /// A gateway is to get no client any more. Where all have one listener, it closes that by itself.
    pub(in crate::master) fn withdraw_gateway(&mut self, worker: WorkerId) {
        match self.berths_of_gateways() {
            Some(_) => self.tell_berths_of_gateways(&Command::Withdraw(worker)),
            None => self.feed(Part::Gateway, Event::Withdrawn { worker }),
        }
    }

    /// Somebody waits at a listener of a gateway.
    pub(in crate::master) fn wake_berths_of_gateways(&mut self) {
        if let Some(berths) = self.berths_of_gateways() {
            berths.wake();
            self.hear_berths_of_gateways();
            self.act();
        }
    }

    /// Looks after the listeners, when it is time.
    pub(in crate::master) fn tend_berths_of_gateways(&mut self, now: Tick) {
        let due = self.berths_of_gateways().and_then(|it| it.next_timer());
        if due.is_some_and(|at| at <= now) {
            self.wake_berths_of_gateways();
        }
    }

    /// Nobody listens any more.
    pub(super) fn close_berths_of_gateways(&mut self) {
        if let Some(berths) = self.berths_of_gateways() {
            berths.close(Duration::ZERO);
            berths.wake();
            self.hear_berths_of_gateways();
        }
    }

    fn hear_berths_of_gateways(&mut self) {
        let news = self.berths_of_gateways().map(|it| it.news());
        for news in news.unwrap_or_default() {
            match news {
                News::Withdrawn(worker) => self.feed(Part::Gateway, Event::Withdrawn { worker }),
                News::Failed(text) => self.tell(HerdEvent::Warning { text }),
                // The rest is of workers, or of connections that somebody here has accepted.
                News::AcceptPaused(_)
                | News::Closed { .. }
                | News::Ended(_)
                | News::Hung(_)
                | News::ListenersClosed
                | News::Node(_)
                | News::Nudged(_)
                | News::Relistened(_) => {}
            }
        }
    }

    fn berths_of_gateways(&self) -> Option<Berths> {
        match &self.delivery {
            Delivery::Gateway(reception) => reception.berths.clone(),
            Delivery::Thread(..) => None,
        }
    }
}
