//! How work reaches the workers.

use std::io;
use std::net::SocketAddr;

use herder_core::rotation::Load;
use herder_core::spec::DispatchMode;
use herder_core::supervisor::Event;
use herder_core::{Exit, Generation, Tick, WorkerId};
use herder_sys::epoll::{Epoll, Interest};
use herder_wire::keeper::{Key, Prefix};

use super::crew::MemberId;
use super::gateway::{Lodging, Place, Reception};
use super::token::Source;
use super::{Master, Stopping};
use crate::dispatch::{Command, Dispatch, Line, News, Order, Remains};
use crate::event::HerdEvent;
use crate::part::Part;

/// Who gives work to the workers.
pub(super) enum Delivery {
    /// A gateway: each message of a client is a job.
    Gateway(Reception),
    /// A thread: connections, or the care for listeners that the workers share.
    Thread(Dispatch, Dispatching),
}

/// Whether there is a dispatch thread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dispatching {
    /// It has ended, and nobody is served any more.
    Broken,
    Works,
}

impl Delivery {
    /// Has the main loop hear of it. (A gateway is heard as a member of the herd.)
    pub(super) fn watch(&self, epoll: &Epoll) -> io::Result<()> {
        match self {
            Delivery::Gateway(reception) => reception.watch(epoll),
            Delivery::Thread(dispatch, _) => epoll.add(
                dispatch.news_fd(),
                Source::Dispatch.token(),
                Interest::READABLE,
            ),
        }
    }

    /// Whether it ended before its time.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Delivery::Thread(_, Dispatching::Broken))
    }

    /// The worker is ready because it lives.
    pub(super) fn guessed(&mut self, id: WorkerId) {
        match self {
            // Its gateway asks whether it listens.
            Delivery::Gateway(_) => {}
            Delivery::Thread(dispatch, _) => dispatch.tell(Command::Guessed(id)),
        }
    }

    /// Ends the thread.
    pub(super) fn stop(&mut self) {
        match self {
            Delivery::Gateway(_) => {}
            Delivery::Thread(dispatch, _) => dispatch.stop(),
        }
    }

    /// Has whoever holds connections give them back, so that another can go on.
    ///
    /// # Errors
    /// When nothing can be given back: nobody is served any more.
    pub(super) fn surrender(&mut self) -> io::Result<Remains> {
        match self {
            // It holds them itself.
            Delivery::Gateway(_) => Ok(Remains::default()),
            Delivery::Thread(dispatch, _) => dispatch.surrender(),
        }
    }

    /// Goes on with what was given back.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn go_on(&mut self, remains: Remains, epoll: &Epoll) -> io::Result<()> {
        if let Delivery::Thread(dispatch, _) = self {
            *dispatch = dispatch.go_on(remains)?;
            self.watch(epoll)?;
        }
        Ok(())
    }

    /// When there may be nobody yet who could do anything, work is let in by then at the latest.
    pub(super) fn opens_by(&mut self, at: Tick) {
        match self {
            Delivery::Gateway(reception) => reception.opens_by(at),
            Delivery::Thread(..) => {}
        }
    }

    /// When it wants attention.
    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        match self {
            Delivery::Gateway(reception) => reception.poll_timeout(),
            Delivery::Thread(..) => None,
        }
    }

    /// Where the workers, or the gateways, listen that have listeners of their own.
    pub(super) fn berths(&self) -> Vec<SocketAddr> {
        match self {
            Delivery::Gateway(reception) => reception.locals(),
            Delivery::Thread(dispatch, _) => dispatch.berths(),
        }
    }

    /// What became of the connections.
    pub(super) fn totals(&self) -> Option<HerdEvent> {
        match self {
            Delivery::Gateway(_) => None,
            Delivery::Thread(dispatch, _) => Some(dispatch.totals()),
        }
    }
}

impl Master {
    /// A worker was started.
    pub(super) fn expect_worker(
        &mut self,
        id: WorkerId,
        pid: i32,
        line: Option<Line>,
        lodging: Option<(Lodging, Generation)>,
    ) {
        match &mut self.delivery {
            Delivery::Gateway(reception) => {
                let place = lodging.as_ref().map(|(lodging, generation)| Place {
                    generation: generation.0,
                    address: lodging.address.clone(),
                });
                let orders = reception.roster.expect(id, pid, place);
                self.carry_out(orders);
                if let Some((lodging, _)) = lodging {
                    self.await_listener(id, lodging);
                }
            }
            Delivery::Thread(dispatch, _) => {
                dispatch.tell(match line {
                    Some(Line::Conns(link)) => Command::Attach(id, link),
                    Some(Line::Node(ends)) => Command::Node(id, Order::Attach(ends)),
                    None => return,
                });
            }
        }
    }

    /// The worker gets work (again).
    pub(super) fn admit_worker(&mut self, id: WorkerId) {
        match &mut self.delivery {
            Delivery::Gateway(reception) => {
                let orders = reception.roster.admit(id);
                self.carry_out(orders);
            }
            Delivery::Thread(dispatch, _) => dispatch.tell(Command::Admit(id)),
        }
    }

    /// No new work for the worker, for now.
    pub(super) fn hold_worker(&mut self, id: WorkerId) {
        match &mut self.delivery {
            Delivery::Gateway(reception) => {
                let orders = reception.roster.hold(id);
                self.carry_out(orders);
            }
            Delivery::Thread(dispatch, _) => dispatch.tell(Command::Hold(id)),
        }
    }

    /// No new work for the worker, ever. `Withdrawn` is the answer, now or later.
    pub(super) fn withdraw_worker(&mut self, id: WorkerId) {
        match &mut self.delivery {
            Delivery::Gateway(reception) => {
                let orders = reception.roster.withdraw(id);
                self.limit_leaving(id);
                self.carry_out(orders);
            }
            Delivery::Thread(dispatch, Dispatching::Works) => {
                dispatch.tell(Command::Withdraw(id));
            }
            Delivery::Thread(_, Dispatching::Broken) => {
                self.feed(Part::Workers, Event::Withdrawn { worker: id });
            }
        }
    }

    /// The worker is dead.
    pub(super) fn forget_worker(&mut self, id: WorkerId, exit: Exit) {
        self.leave_lodging(id, exit);
        match &mut self.delivery {
            Delivery::Gateway(reception) => {
                let orders = reception.roster.gone(id);
                self.carry_out(orders);
            }
            Delivery::Thread(dispatch, _) => {
                dispatch.tell(Command::Gone(id));
                self.nudge_others(id);
            }
        }
    }

    /// The worker was withdrawn by an earlier master.
    pub(super) fn withdraw_from_berths(&mut self, id: MemberId) {
        self.tell_berths(id, Command::Withdraw(id.worker));
    }

    /// The worker does not live, and may never have.
    pub(super) fn forget_berths(&mut self, id: MemberId) {
        self.tell_berths(id, Command::Gone(id.worker));
    }

    fn tell_berths(&mut self, id: MemberId, command: Command) {
        if id.part == Part::Gateway {
            return self.tell_berths_of_gateways(&command);
        }
        if let Delivery::Thread(dispatch, _) = &self.delivery
            && id.part == Part::Workers
            && self.spec.dispatch.mode.has_own_listeners()
        {
            dispatch.tell_main(command);
        }
    }

    /// What the worker says of its load.
    pub(super) fn note_load(&self, id: WorkerId, load: Load) {
        // Not every policy asks for it, and each command wakes the dispatch thread.
        if self.spec.dispatch.picker.compares_loads()
            && let Delivery::Thread(dispatch, _) = &self.delivery
        {
            dispatch.tell(Command::Load(id, load));
        }
    }

    /// Nobody is let in any more.
    pub(super) fn stop_letting_in(&mut self) {
        // The rest of the grace is for what the workers have received by then.
        let within = self.spec.life.grace / 4 * 3;
        match &self.delivery {
            Delivery::Gateway(_) => self.close_doors(within),
            Delivery::Thread(dispatch, _) => dispatch.tell(Command::CloseListeners(within)),
        }
    }

    pub(super) fn on_dispatch_news(&mut self) {
        let Delivery::Thread(dispatch, _) = &self.delivery else {
            return;
        };
        for news in dispatch.news() {
            match news {
                News::AcceptPaused(reason) => self.tell(HerdEvent::AcceptPaused { reason }),
                News::Closed {
                    poisoned,
                    timed_out,
                } => {
                    self.tell(HerdEvent::ConnectionsClosed {
                        poisoned,
                        timed_out,
                    });
                }
                News::Ended(text) => self.on_dispatch_gone(text),
                News::ListenersClosed => self.close_listeners(Part::Workers),
                News::Hung(worker) => self.on_hung(worker),
                News::Failed(text) => self.tell(HerdEvent::Warning { text }),
                News::Node(news) => self.on_node_news(news),
                News::Nudged(nudges) => self.tell(HerdEvent::Nudged { nudges }),
                News::Relistened(address) => self.tell(HerdEvent::Warning {
                    text: format!(
                        "a worker shut the listener on {address} down, which every worker can in \
                         shared mode; it listens again"
                    ),
                }),
                News::Withdrawn(worker) => {
                    self.nudge_others(worker);
                    self.feed(Part::Workers, Event::Withdrawn { worker });
                }
            }
        }
    }

    /// It accepts nobody, though others do. Where the kernel moves those who wait, they are with others by
    /// now; where it does not, the successor gets them.
    fn on_hung(&mut self, worker: WorkerId) {
        let part = Part::Workers;
        let reason = "connections wait at its listener, and it accepts none".to_owned();
        let id = MemberId { part, worker };
        self.fail(id, reason);
        self.act();
        if self.spec.dispatch.mode != DispatchMode::Kernel {
            // Who waits there waits for its end.
            self.kill(id);
        }
    }

    /// Nobody can be served any more: the herd ends in order, and whoever looks after it starts another.
    fn on_dispatch_gone(&mut self, text: String) {
        self.tell(HerdEvent::Warning {
            text: format!("{text}: the herd stops"),
        });
        if let Delivery::Thread(_, dispatching) = &mut self.delivery {
            *dispatching = Dispatching::Broken;
        }
        if self.stopping == Stopping::No {
            self.stop(None);
        }
        self.close_listeners(Part::Workers);
        self.bury_unheard();
        // It owes answers, too.
        for id in self.crews.living(Part::Workers) {
            self.feed(Part::Workers, Event::Withdrawn { worker: id.worker });
        }
    }

    /// Nobody of this part is given a listener any more.
    pub(super) fn close_listeners(&mut self, part: Part) {
        match part {
            Part::Library(library) => {
                self.book.vault.forget(&Key::library(library.place.into()));
            }
            Part::Gateway | Part::Workers => {
                self.book.vault.forget_all(&listener_prefix());
            }
        }
        if let Some(crew) = self.crews.get_mut(part) {
            crew.recipe.close_listeners();
        }
    }
}

/// Under which the herd's own listeners are stored.
fn listener_prefix() -> Prefix {
    Prefix::parse("herd.listener.").expect("keys begin so")
}
