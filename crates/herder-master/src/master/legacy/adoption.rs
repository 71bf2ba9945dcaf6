//! A process of an earlier master becomes a member again.

use std::path::PathBuf;

use herder_sys::cgroup::Cgroup;
use herder_sys::pidfd::PidFd;
use herder_sys::process::Child;
use herder_wire::keeper::{Key, MemberItem, Prefix};

use super::state::{MemberState, Progress};
use crate::dispatch::{Line, Link, NodeEnds};
use crate::estate::Treasury;
use crate::master::control::Control;
use crate::master::crew::MemberId;
use crate::master::member::{Fate, Member, Origin};
use crate::master::notify::NotifySocket;
use crate::output::Streams;

/// Where something of a member is stored.
pub(in crate::master) fn member_key(id: MemberId, item: MemberItem) -> Key {
    let worker = id.worker;
    let (part, slot) = (id.part.number().0, worker.slot.0);
    Key::member(part, slot, worker.incarnation.0, item)
}

/// Where everything of a member is stored.
pub(in crate::master) fn member_prefix(id: MemberId) -> Prefix {
    let worker = id.worker;
    Prefix::member(id.part.number().0, worker.slot.0, worker.incarnation.0)
}

/// A member with all that belongs to it.
pub(super) struct Adopted {
    pub(super) member: Member,
    pub(super) line: Option<Line>,
    /// What it prints can be read on.
    pub(super) streams: Option<Streams>,
}

/// Puts a member together. `None`: its process is not to be found. (What was not stored when the master
/// died had no plan yet, and has ended.)
pub(super) fn adopt(
    id: MemberId,
    state: MemberState<'_>,
    treasury: &mut Treasury,
) -> Option<Adopted> {
    let mut take = |item| treasury.take(&member_key(id, item));
    let pidfd = PidFd::from_fd(take(MemberItem::Pidfd)?);
    let control = take(MemberItem::Control).map(|socket| Control::adopt(id, socket));
    let path = state.notify.map(PathBuf::from);
    let notify = take(MemberItem::Notify).map(|socket| NotifySocket::adopt(socket, path));
    let conns = take(MemberItem::Conns).zip(take(MemberItem::ConnsWorker));
    let line = match (conns, take(MemberItem::Node)) {
        (Some((ours, theirs)), _) => Some(Line::Conns(Link::from_ends(ours, theirs))),
        (None, Some(channel)) => {
            let lane = take(MemberItem::NodeLane);
            Some(Line::Node(NodeEnds { channel, lane }))
        }
        (None, None) => None,
    };
    let stdin = take(MemberItem::Stdin);
    let pipes = take(MemberItem::Stdout).zip(take(MemberItem::Stderr));
    let landings = [MemberItem::StdoutLanding, MemberItem::StderrLanding].map(take);
    let pid = state.pid;
    // After an upgrade it is still a child of this process.
    let origin = match pidfd.has_ended() {
        Ok(_) => Origin::Child,
        Err(_) => Origin::Adopted { patience: None },
    };
    let member = Member {
        id,
        child: Child { pid, pidfd },
        origin,
        progress: state.progress,
        fate: Fate::Exited,
        plan_socket: None,
        control,
        notify,
        node: state.node.map(|node| node.into_owned().taken_over()),
        stdin,
        cgroup: state.cgroup.map(|path| Cgroup::at(path.into())),
        retire_reason: state.retire_reason.map(Into::into),
        exhaustion: state.exhaustion,
        problem: state.problem.map(Into::into),
        guessed: state.guessed,
    };
    Some(Adopted {
        member,
        line,
        streams: pipes.map(|(stdout, stderr)| Streams {
            pipes: [stdout, stderr],
            landings,
        }),
    })
}

impl Adopted {
    /// Whether it can be relied upon that it has its plan.
    pub(super) fn is_planned(&self) -> bool {
        self.member.progress >= Progress::Planned
    }
}
