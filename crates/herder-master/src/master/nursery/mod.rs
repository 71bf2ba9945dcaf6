//! Where the members of the herd come from: a [`Recipe`] makes a [`Draft`], and the [`Nursery`] a
//! process of it.

mod draft;
mod gateway;
mod library;
mod node;
mod workers;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use herder_core::spec::AppName;
use herder_sys::cgroup::Cgroup;
use herder_sys::epoll::Epoll;
use herder_sys::process::Birthplace;
use herder_sys::{failpoint, pipe};
use herder_wire::keeper::MemberItem;
use herder_wire::plan::{LaunchPlan, Role};

use super::crew::MemberId;
use super::gateway::Lodging;
use super::legacy::{Progress, member_key};
use super::member::{Exhaustion, Fate, Member, Origin};
use super::reload::Edition;
use super::runtime::Runtime;
use crate::dispatch::Line;
use crate::estate::Vault;
use crate::launch::{self, Launched, Launchpad, Stdio};

pub(super) use draft::Draft;
pub(super) use gateway::GatewayRecipe;
pub(super) use library::LibraryRecipe;
pub(super) use workers::{Opening, Openings, WorkerRecipe};

/// What the members of a part are made from.
pub(super) enum Recipe {
    Gateway(GatewayRecipe),
    Library(Box<LibraryRecipe>),
    Workers(Box<WorkerRecipe>),
}

/// The place where processes are started.
pub(super) struct Nursery {
    app: AppName,
    launchpad: Launchpad,
}

/// A process that waits for its plan. Everything about it is stored.
pub(super) struct Newborn {
    pub(super) member: Member,
    plan: LaunchPlan,
    descriptors: Vec<OwnedFd>,
    /// The ends to read of what it prints.
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    /// How it is reached by who gives it connections.
    pub(super) link: Option<Line>,
    /// Where it is to listen.
    pub(super) lodging: Option<Lodging>,
}

impl Recipe {
    /// A plan for a new member.
    pub(super) fn draft(
        &self,
        id: MemberId,
        edition: &Edition,
        runtime: &mut Runtime,
    ) -> io::Result<Draft> {
        match self {
            Recipe::Gateway(recipe) => recipe.draft(id),
            Recipe::Library(recipe) => recipe.draft(id, edition, runtime),
            Recipe::Workers(recipe) => recipe.draft(id, edition, runtime),
        }
    }

    /// Nobody is started any more: who connects is refused as soon as the living, too, have closed
    /// their listeners, and does not wait in a queue that nobody looks at.
    pub(super) fn close_listeners(&mut self) {
        match self {
            Recipe::Gateway(recipe) => recipe.close_listeners(),
            Recipe::Library(recipe) => recipe.close_listeners(),
            Recipe::Workers(recipe) => recipe.close_listeners(),
        }
    }
}

impl Nursery {
    pub(super) fn new(app: &AppName) -> io::Result<Nursery> {
        Ok(Nursery {
            app: app.clone(),
            launchpad: Launchpad::current()?,
        })
    }

    /// What the master itself was started from.
    pub(super) fn launchpad(&self) -> &Launchpad {
        &self.launchpad
    }

    /// Starts a process. What fails leaves nothing behind: a process without its plan ends.
    pub(super) fn start(
        &self,
        id: MemberId,
        draft: Draft,
        edition: &Edition,
        runtime: &Runtime,
    ) -> io::Result<Newborn> {
        failpoint::check("master.spawn.pipe")?;
        let (stdout, their_stdout) = pipe::pipe()?;
        let (stderr, their_stderr) = pipe::pipe()?;
        let stdio = Stdio {
            stdout: Some(their_stdout),
            stderr: Some(their_stderr),
        };
        let app = self.app.as_str();
        let launchpad = match draft.plan.role {
            Role::Library | Role::Worker => edition.launchpad().unwrap_or(&self.launchpad),
            // They have to do with the master more than with the program.
            Role::Gateway | Role::Launcher | Role::Master | Role::Probe => &self.launchpad,
        };
        let role = draft.plan.role;
        let (launched, cgroup) = match runtime.member_cgroup(id) {
            Some(cgroup) => start_inside(launchpad, role, app, stdio, cgroup)?,
            None => (launchpad.start(role, app, stdio)?, None),
        };
        let member = Member {
            id,
            child: launched.child,
            origin: Origin::Child,
            progress: Progress::Launched,
            fate: Fate::Exited,
            plan_socket: Some(launched.plan_socket),
            control: draft.control,
            notify: draft.notify,
            node: draft.node,
            stdin: draft.stdin,
            cgroup,
            retire_reason: None,
            exhaustion: Exhaustion::Not,
            problem: None,
            guessed: false,
        };
        failpoint::hit("master.spawn.launched");
        let newborn = Newborn {
            member,
            plan: draft.plan,
            descriptors: draft.descriptors,
            stdout,
            stderr,
            link: draft.link,
            lodging: draft.lodging,
        };
        newborn.store(runtime.vault());
        Ok(newborn)
    }
}

impl Newborn {
    /// A plan on its way.
    pub(super) fn take_plan(&mut self) -> (LaunchPlan, Vec<OwnedFd>) {
        let nothing = launch::bare_plan(self.plan.role, &self.plan.app);
        let descriptors = std::mem::take(&mut self.descriptors);
        (std::mem::replace(&mut self.plan, nothing), descriptors)
    }

    /// What cannot be stored now is kept for the keeper, and is lost only with it.
    fn store(&self, vault: &Vault) {
        let id = self.member.id;
        let store = |item, fd| vault.store(&member_key(id, item), fd, 0);
        let lines = match &self.link {
            Some(Line::Conns(link)) => {
                let [ours, theirs] = link.ends();
                store(MemberItem::Conns, ours).and(store(MemberItem::ConnsWorker, theirs))
            }
            Some(Line::Node(ends)) => {
                let lane = ends.lane.as_ref();
                let lane = lane.map_or(Ok(()), |it| store(MemberItem::NodeLane, it.as_fd()));
                store(MemberItem::Node, ends.channel.as_fd()).and(lane)
            }
            None => Ok(()),
        };
        let printed = store(MemberItem::Stdout, self.stdout.as_fd())
            .and(store(MemberItem::Stderr, self.stderr.as_fd()));
        // The successor of this master cannot take over a process of which it lacks something: such a
        // one leaves when its channel ends, and is replaced.
        let _incomplete = lines.and(printed).and(self.member.store(vault));
    }
}

/// Has the main loop hear of the member. One that cannot be watched is ended: nobody would notice its
/// death, nor tell it to leave.
pub(super) fn watched(mut newborn: Newborn, epoll: &Epoll) -> io::Result<Newborn> {
    match newborn.member.watch(epoll) {
        Ok(()) => Ok(newborn),
        Err(error) => {
            abandon(newborn.member);
            Err(error)
        }
    }
}

/// Starts a process where it can be killed whole, with all that it starts.
fn start_inside(
    launchpad: &Launchpad,
    role: Role,
    app: &str,
    stdio: Stdio,
    cgroup: Cgroup,
) -> io::Result<(Launched, Option<Cgroup>)> {
    let started = launchpad.start_inside(role, app, stdio, &cgroup);
    let is_inside = match &started {
        Ok((_, Birthplace::Inside)) => true,
        // It waits for its plan, and has started nothing yet.
        Ok((launched, Birthplace::Outside)) => cgroup.add(launched.child.pid).is_ok(),
        Err(_) => false,
    };
    let cgroup = if is_inside {
        Some(cgroup)
    } else {
        // Then the process group must do, as it does where there are no cgroups.
        let _left = cgroup.remove();
        None
    };
    started.map(|(launched, _)| (launched, cgroup))
}

/// Ends a process that nobody is going to hear of, and waits for it: it has hardly begun anything.
pub(super) fn abandon(mut member: Member) {
    member.plan_socket = None;
    member.kill();
    // Killed, it is dead as soon as the kernel gets to it; nothing can be done if not.
    let _unreaped = member.pidfd().wait_until_dead();
    if let Some(cgroup) = member.cgroup.take() {
        // What is still dying in it is removed with the herd's own cgroup.
        let _busy = cgroup.remove();
    }
}

#[cfg(test)]
mod tests {
    use herder_core::{Incarnation, Slot, WorkerId};
    use herder_sys::epoll::Interest;
    use herder_sys::process::{self, Executable};
    use herder_wire::plan::Role;

    use super::*;
    use crate::part::Part;

    fn sleeper() -> Newborn {
        let child = process::launch(process::Launch {
            executable: &Executable::open("/bin/sleep").expect("there is a sleep"),
            argv0: "sleep".into(),
            args: &["600".into()],
            environment: Vec::new(),
            stdin: herder_sys::fd::null().expect("/dev/null"),
            stdout: None,
            stderr: None,
        });
        let worker = WorkerId {
            slot: Slot(0),
            incarnation: Incarnation(1),
        };
        let member = Member {
            id: MemberId {
                part: Part::Workers,
                worker,
            },
            child: child.expect("it starts"),
            origin: Origin::Child,
            progress: Progress::Planned,
            fate: Fate::Exited,
            plan_socket: None,
            control: None,
            notify: None,
            node: None,
            stdin: None,
            cgroup: None,
            retire_reason: None,
            exhaustion: Exhaustion::Not,
            problem: None,
            guessed: false,
        };
        let null = || herder_sys::fd::null().expect("/dev/null");
        Newborn {
            member,
            plan: launch::bare_plan(Role::Worker, "a"),
            descriptors: Vec::new(),
            stdout: null(),
            stderr: null(),
            link: None,
            lodging: None,
        }
    }

    #[test]
    fn r16_a_worker_that_cannot_be_watched_does_not_live_on() {
        let (newborn, epoll) = (sleeper(), Epoll::new().expect("epoll"));
        let pid = newborn.member.child.pid;
        // It is there already, so it cannot be added.
        epoll
            .add(newborn.member.pidfd().as_fd(), 0, Interest::READABLE)
            .expect("add");
        assert!(watched(newborn, &epoll).is_err());
        let lost = process::reap_child(pid).expect_err("ended and reaped");
        assert_eq!(lost.raw_os_error(), Some(10), "ECHILD");
    }

    #[test]
    fn a_worker_that_is_watched_lives() {
        let epoll = Epoll::new().expect("epoll");
        let newborn = watched(sleeper(), &epoll).expect("watched");
        assert!(!newborn.member.pidfd().has_ended().expect("a child"));
        abandon(newborn.member);
    }
}
