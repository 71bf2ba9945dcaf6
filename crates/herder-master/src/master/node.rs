//! Workers that are Node programs: what they say becomes events of the supervisor, and how they are
//! brought to leave.

use std::os::fd::AsFd;
use std::time::Duration;

use herder_core::spec::DispatchMode;
use herder_core::supervisor::Event;
use herder_core::{Tick, WorkerId};
use herder_wire::keeper::ToKeeper;
use herder_wire::node::UserValue;
use serde::{Deserialize, Serialize};

use super::crew::MemberId;
use super::delivery::{Delivery, Dispatching};
use super::member::Fate;
use super::{Master, now};
use crate::config::{Config, Farewell, NodeProgram, NodeReady, Program};
use crate::dispatch::{
    Afterlife, Berths, Command, Counting, NodeNews, NodeTrade, Order, Scheduling, SocketFile,
    Trade, Watch, Word,
};
use crate::event::HerdEvent;
use crate::part::Part;

/// How long a worker may live without its channel: it has nothing to do any more.
const LINGERS: Duration = Duration::from_secs(1);

/// What a worker that leaves by its own wish is said to do.
const VOLUNTARY: &str = "it disconnects by its own wish";
const SUICIDE: &str = "suicide";
const CUT_OFF: &str = "it has ended its channel";

/// A Node program in its life.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct NodeLife {
    ready: NodeReady,
    farewell: Farewell,
    course: Course,
    channel: Channel,
    last_words: LastWords,
}

/// Where it is in its life.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Course {
    /// It was told to leave; then its stop signal says so, once.
    Leaves {
        press_at: Option<Tick>,
    },
    Serves,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Channel {
    Open,
    /// Since then its process should have ended, and was given this long to.
    Ended {
        end_by: Option<Tick>,
    },
}

/// Whether everything was heard that it had said before it died.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum LastWords {
    Asked,
    Heard,
    Unasked,
}

impl NodeLife {
    pub(super) fn new(program: &NodeProgram) -> NodeLife {
        NodeLife {
            ready: program.ready.clone(),
            farewell: program.farewell,
            course: Course::Serves,
            channel: Channel::Open,
            last_words: LastWords::Unasked,
        }
    }

    /// As another master left it: what that one had asked for is asked for again.
    pub(super) fn taken_over(self) -> NodeLife {
        NodeLife {
            last_words: LastWords::Unasked,
            ..self
        }
    }

    /// Nobody was there who could have let it go on: it has as much more time.
    pub(super) fn stood_still(&mut self, lasted: Duration) {
        if let Course::Leaves { press_at: Some(at) } = &mut self.course {
            *at = at.after(lasted);
        }
        if let Channel::Ended { end_by: Some(at) } = &mut self.channel {
            *at = at.after(lasted);
        }
    }

    /// Whether it was not told to leave.
    pub(super) fn serves(&self) -> bool {
        matches!(self.course, Course::Serves)
    }

    /// Whether it is ready as soon as it listens.
    pub(super) fn shall_listen(&self) -> bool {
        self.ready == NodeReady::Listening
    }

    /// When something is to be done about it.
    pub(super) fn due(&self) -> Option<Tick> {
        let press_at = match self.course {
            Course::Leaves { press_at } => press_at,
            Course::Serves => None,
        };
        let end_by = match self.channel {
            Channel::Ended { end_by } => end_by,
            Channel::Open => None,
        };
        press_at.into_iter().chain(end_by).min()
    }
}

/// What the dispatch thread deals in.
pub(super) fn trade(config: &Config, berths: Option<&Berths>) -> Trade {
    let watch = match &config.program {
        Program::Itself => Watch::WorkersNudged,
        Program::Command(_) | Program::Node(_) => Watch::NudgeByConnection,
    };
    if let Some(berths) = berths {
        return match config.spec.dispatch.beside {
            Some(_) => Trade::Both(berths.clone(), watch),
            None => Trade::Own(berths.clone()),
        };
    }
    match &config.program {
        Program::Command(_) | Program::Itself => Trade::Sockets(watch),
        Program::Node(program) => Trade::Node(NodeTrade {
            scheduling: match config.spec.dispatch.mode {
                DispatchMode::Kernel | DispatchMode::Reuseport => Scheduling::Own,
                DispatchMode::Message | DispatchMode::Pass | DispatchMode::Proxy => {
                    Scheduling::Passed
                }
                DispatchMode::Shared => Scheduling::Shared,
            },
            group: super::berths::spec(config),
            gift: match &program.ready {
                NodeReady::Handle(name) => Some(UserValue::from_text(name)),
                NodeReady::Listening | NodeReady::Message => None,
            },
            counting: match config.spec.recycle.max_requests {
                Some(_) => Counting::Yes,
                None => Counting::No,
            },
        }),
    }
}

impl Master {
    pub(super) fn on_node_news(&mut self, news: NodeNews) {
        match news {
            NodeNews::Opened { address, file } => {
                if let Some(file) = file {
                    self.entrust_file(file);
                }
                self.say_where(address);
            }
            NodeNews::Lost(worker, way, messages) => self.on_lost_mail(worker, way, messages),
            NodeNews::Mail(worker, mail) => self.on_mail(worker, &mail),
            NodeNews::Word(worker, word) => self.on_word(worker, word),
        }
        self.act();
    }

    /// Node's own `disconnect`; a signal only when it lingers.
    pub(super) fn drain_node(&mut self, id: MemberId) {
        let press_at = now().after(self.spec.life.grace / 2);
        let Some(node) = self.node_mut(id) else {
            return;
        };
        let press_at = match node.channel {
            Channel::Open => press_at,
            // Nothing can be said to it any more.
            Channel::Ended { .. } => now().after(LINGERS).min(press_at),
        };
        node.channel = match node.channel {
            Channel::Open => Channel::Open,
            Channel::Ended { .. } => Channel::Ended { end_by: None },
        };
        node.course = Course::Leaves {
            press_at: Some(press_at),
        };
        let farewell = node.farewell;
        if farewell == Farewell::Message {
            self.order(id.worker, Order::Tell(UserValue::from_text("shutdown")));
        }
        self.order(id.worker, Order::Disconnect);
    }

    /// Has a dead worker heard out before it is buried. Returns whether it has been.
    pub(super) fn hear_node_out(&mut self, id: MemberId) -> bool {
        let Delivery::Thread(_, Dispatching::Works) = &self.delivery else {
            return true;
        };
        let Some(member) = self.crews.member_mut(id) else {
            return true;
        };
        let Some(node) = member.node.as_mut() else {
            return true;
        };
        match node.last_words {
            LastWords::Heard => return true,
            LastWords::Asked => return false,
            LastWords::Unasked => node.last_words = LastWords::Asked,
        }
        // Its end is known. (It is watched since it was born.)
        let _unwatched = self.epoll.remove(member.pidfd().as_fd());
        self.order(id.worker, Order::ReadDry);
        false
    }

    /// Whoever lives on although it should have left is told by a signal.
    pub(super) fn press_lingering(&mut self, now: Tick) {
        let is_due = |node: &NodeLife| node.due().is_some_and(|at| at <= now);
        let members = self.crews.members();
        let due = members.filter(|(_, member)| member.node.as_ref().is_some_and(is_due));
        for id in due.map(|(id, _)| id).collect::<Vec<_>>() {
            let Some(node) = self.node_mut(id) else {
                continue;
            };
            if let Channel::Ended { end_by } = &mut node.channel {
                *end_by = None;
            }
            match &mut node.course {
                Course::Leaves { press_at } => {
                    *press_at = None;
                    self.signal_to_leave(id);
                }
                Course::Serves => self.retire(id, CUT_OFF),
            }
        }
    }

    /// Buries the dead whom nobody hears out any more.
    pub(super) fn bury_unheard(&mut self) {
        let is_unheard = |node: &NodeLife| node.last_words == LastWords::Asked;
        let members = self.crews.members();
        let unheard = members.filter(|(_, member)| member.node.as_ref().is_some_and(is_unheard));
        for id in unheard.map(|(id, _)| id).collect::<Vec<_>>() {
            self.bury(id);
        }
    }

    pub(super) fn bury(&mut self, id: MemberId) {
        if let Err(error) = self.on_exit(id.part, id.worker.incarnation) {
            let text = format!("a worker's end cannot be learnt: {error}");
            self.tell(HerdEvent::Warning { text });
        }
    }

    fn on_word(&mut self, worker: WorkerId, word: Word) {
        let part = Part::Workers;
        let id = MemberId { part, worker };
        let Some(member) = self.crews.member_mut(id) else {
            return;
        };
        let info = member.info();
        let is_heard = member.fate == Fate::Exited || matches!(word, Word::Dry);
        let Some(node) = member.node.as_mut().filter(|_| is_heard) else {
            return;
        };
        match word {
            Word::Broken(problem) => self.misbehaved(id, problem),
            Word::Dry => {
                node.last_words = LastWords::Heard;
                self.bury(id);
            }
            Word::Ended(afterlife) => {
                let end_by = now().after(LINGERS);
                node.channel = Channel::Ended {
                    end_by: Some(end_by),
                };
                if let Course::Leaves { press_at } = &mut node.course {
                    if afterlife == Afterlife::None {
                        *press_at = press_at.map(|at| at.min(end_by));
                    }
                    node.channel = Channel::Ended { end_by: None };
                }
            }
            Word::HandleTaken => self.feed(part, Event::Ready { worker }),
            Word::Listening if node.ready == NodeReady::Listening => {
                self.feed(part, Event::Ready { worker });
            }
            Word::Ready if node.ready == NodeReady::Message => {
                self.feed(part, Event::Ready { worker });
            }
            Word::Listening | Word::Ready => {}
            Word::Online => {
                member.followed_plan();
                self.tell(HerdEvent::Online { worker: info });
                // From now on it may be taken for ready though it does not listen.
                self.feed(part, Event::Beat { worker });
            }
            Word::Served(total) => self.feed(part, Event::Served { worker, total }),
            Word::Suicide => self.retire(id, SUICIDE),
            Word::Swallowed(text) => self.caution(text),
            Word::Voluntary => self.retire(id, VOLUNTARY),
        }
    }

    fn retire(&mut self, id: MemberId, reason: &str) {
        if let Some(member) = self.crews.member_mut(id) {
            member.retire_reason = Some(reason.to_owned());
        }
        self.feed(id.part, Event::Retire { worker: id.worker });
    }

    /// Says once where the herd listens. A program may close and open a listener as often as it likes.
    pub(super) fn say_where(&mut self, address: String) {
        /// Nor is ever new addresses' every one told, such as ports for one client each.
        const MOST: usize = 1024;
        if self.announced.len() < MOST && self.announced.insert(address.clone()) {
            self.tell(HerdEvent::Listening { address });
        }
    }

    fn entrust_file(&mut self, file: SocketFile) {
        use std::os::unix::ffi::OsStrExt;
        let told = self.runtime.entrust(ToKeeper::SocketFile {
            path: file.path.as_os_str().as_bytes().to_vec(),
            dev: file.device,
            inode: file.inode,
        });
        if let Err(error) = told {
            let path = file.path.display();
            let text = format!("the keeper cannot be told to remove {path}: {error}");
            self.tell(HerdEvent::Warning { text });
        }
    }

    fn node_mut(&mut self, id: MemberId) -> Option<&mut NodeLife> {
        self.crews.member_mut(id)?.node.as_mut()
    }

    fn order(&self, worker: WorkerId, order: Order) {
        if let Delivery::Thread(dispatch, _) = &self.delivery {
            dispatch.tell(Command::Node(worker, order));
        }
    }
}
