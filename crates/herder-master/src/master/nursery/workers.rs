//! What a worker is made from.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use herder_core::WorkerId;
use herder_core::spec::{AppSpec, DispatchMode};
use herder_sys::{fd, limits};
use herder_wire::plan::{
    DescriptorUse, Identity, LaunchPlan, Limit, LimitKind, ListenFds, Orphaned,
    Program as WireProgram, Role,
};

use herder_wire::proxy::WorkerAddress;

use super::draft::Draft;
use super::node::plan_node;
use crate::config::{Command, NodeProgram, Program, Stdin, Via};
use crate::dispatch::{Berths, Line, Link};
use crate::launch;
use crate::master::crew::MemberId;
use crate::master::environment;
use crate::master::notify::NotifySocket;
use crate::master::reload::{Edition, Kit};
use crate::master::runtime::{Runtime, Visitor};

/// Everything that a new worker is made from.
pub(in crate::master) struct WorkerRecipe {
    spec: AppSpec,
    title: Option<String>,
    openings: Openings,
    /// The limit that the master itself was started with.
    open_files: (u64, u64),
}

/// What workers accept from by themselves.
pub(in crate::master) enum Openings {
    /// Nothing: connections come by a channel.
    None,
    /// Listeners of their own, and those that they share.
    Given {
        own: Option<Berths>,
        shared: Vec<Opening>,
    },
    /// Listeners that they open by themselves, where they are told to. `gateway`: the group of who
    /// connects, if that is not the master's.
    Lodged { via: Via, gateway: Option<u32> },
}

/// A listener that all workers share.
pub(in crate::master) struct Opening {
    /// The place of its address.
    pub(in crate::master) place: u64,
    /// How it is called.
    pub(in crate::master) name: String,
    pub(in crate::master) socket: OwnedFd,
}

impl WorkerRecipe {
    pub(in crate::master) fn new(
        spec: &AppSpec,
        title: Option<String>,
        openings: Openings,
    ) -> WorkerRecipe {
        WorkerRecipe {
            spec: spec.clone(),
            title,
            openings,
            open_files: limits::inherited_open_files(),
        }
    }

    pub(super) fn close_listeners(&mut self) {
        self.openings = Openings::None;
    }

    pub(super) fn draft(
        &self,
        id: MemberId,
        edition: &Edition,
        runtime: &mut Runtime,
    ) -> io::Result<Draft> {
        let kit = edition.kit();
        let mut draft = Draft::new(self.bare_plan(id.worker, kit));
        match &kit.program {
            Program::Itself => self.plan_native(id, &mut draft)?,
            Program::Command(command) => {
                let command = edition.command(id.part.number(), command);
                self.plan_foreign(id.worker, &command, &mut draft, runtime)?;
                self.lodge(id.worker, &command, &mut draft, runtime)?;
                if let Some(hang) = kit.policies.life.hang {
                    let micros = hang.as_micros().to_string();
                    environment::set(&mut draft.plan.environment, "WATCHDOG_USEC", micros);
                }
            }
            Program::Node(program) => {
                let command = edition.command(id.part.number(), &program.command);
                let program = NodeProgram {
                    command,
                    ..program.clone()
                };
                plan_node(id.worker, &program, &mut draft, runtime)?;
                // Until a signal tells it.
                let drain = (kit.policies.life.grace / 2).as_millis().to_string();
                environment::set(&mut draft.plan.environment, "HERDER_DRAIN_MILLIS", drain);
            }
        }
        match (&kit.program, kit.stdin) {
            // What is this executable hears by its channel.
            (Program::Itself, _) | (_, Stdin::Null) => {}
            (Program::Command(_) | Program::Node(_), Stdin::Pipe) => draft.give_stdin()?,
        }
        Ok(draft)
    }

    fn bare_plan(&self, id: WorkerId, kit: &Kit) -> LaunchPlan {
        let app = self.spec.name.to_string();
        let mut environment = kit.environment.clone();
        environment::identify(&mut environment, &self.spec.name, id);
        environment::number(&mut environment, &kit.numbering, id.slot);
        let title = match &self.title {
            Some(title) => title.clone(),
            None => format!("herder: worker {app}/{}", id.slot),
        };
        let (soft, hard) = self.open_files;
        LaunchPlan {
            slot: id.slot.0,
            incarnation: id.incarnation.0,
            title,
            environment,
            limits: vec![Limit {
                kind: LimitKind::OpenFiles,
                soft,
                hard,
            }],
            ..launch::bare_plan(Role::Worker, &app)
        }
    }

    /// A worker that is this executable: a control channel, and connections or listeners.
    fn plan_native(&self, id: MemberId, draft: &mut Draft) -> io::Result<()> {
        draft.give_control(id)?;
        if self.spec.dispatch.has(DispatchMode::Pass) {
            let (link, theirs) = Link::new()?;
            draft.give(DescriptorUse::Conns, theirs);
            draft.link = Some(Line::Conns(link));
        }
        // What a job or a request is comes by a link to the gateway, once it has said hello.
        self.give_openings(id.worker, draft, |_, local| local.to_string())
    }

    /// A program that knows nothing of us: what systemd would give it.
    fn plan_foreign(
        &self,
        id: WorkerId,
        command: &Command,
        draft: &mut Draft,
        runtime: &mut Runtime,
    ) -> io::Result<()> {
        let visitor = if let Openings::Lodged {
            via: Via::Unix,
            gateway: Some(_),
        } = self.openings
        {
            // It comes to the worker's socket.
            Visitor::Another
        } else {
            visitor(command)
        };
        let path = runtime
            .directory(visitor)?
            .join(format!("notify-{}", id.incarnation));
        let notify = NotifySocket::bind(path.clone(), command.identity.as_ref())?;
        let environment = &mut draft.plan.environment;
        environment::set(environment, "NOTIFY_SOCKET", &path);
        draft.notify = Some(notify);
        self.give_openings(id, draft, |place, _| format!("listener-{place}"))?;
        let listen_fds = match &self.openings {
            Openings::None | Openings::Lodged { .. } => ListenFds::Absent,
            Openings::Given { .. } => ListenFds::Announced,
        };
        become_program(&mut draft.plan, command, listen_fds);
        Ok(())
    }
}

impl WorkerRecipe {
    /// Tells it where to listen, if it listens by itself.
    fn lodge(
        &self,
        id: WorkerId,
        command: &Command,
        draft: &mut Draft,
        runtime: &mut Runtime,
    ) -> io::Result<()> {
        let Openings::Lodged { via, gateway } = self.openings else {
            return Ok(());
        };
        let environment = &mut draft.plan.environment;
        let lodging = match via {
            Via::Port => runtime.lodge_at_port()?,
            Via::Unix => {
                let user = command.identity.as_ref().map(|identity| identity.uid);
                runtime.lodge_at_path(id, user, gateway)?
            }
        };
        match &lodging.address {
            WorkerAddress::Tcp(address) => {
                environment::set(environment, "PORT", address.port().to_string());
            }
            WorkerAddress::Unix(path) => {
                environment::set(environment, "HERDER_UNIX", OsStr::from_bytes(path));
            }
        }
        draft.lodging = Some(lodging);
        Ok(())
    }

    /// What it accepts from by itself, in the order of the addresses. `name`: how a listener of its own is called.
    fn give_openings(
        &self,
        id: WorkerId,
        draft: &mut Draft,
        name: fn(u64, SocketAddr) -> String,
    ) -> io::Result<()> {
        let Openings::Given { own, shared } = &self.openings else {
            return Ok(());
        };
        let own = own
            .as_ref()
            .map_or_else(|| Ok(BTreeMap::new()), |it| it.start(id))?;
        let own = own.into_iter();
        let mut given: BTreeMap<u64, (String, OwnedFd)> = own
            .map(|(place, (local, listener))| (place, (name(place, local), listener)))
            .collect();
        for opening in shared {
            let listener = fd::duplicate(opening.socket.as_fd())?;
            given.insert(opening.place, (opening.name.clone(), listener));
        }
        for (name, listener) in given.into_values() {
            draft.give(DescriptorUse::Listener { name }, listener);
        }
        Ok(())
    }
}

/// Whoever follows the plan becomes the program.
pub(super) fn become_program(plan: &mut LaunchPlan, command: &Command, listen_fds: ListenFds) {
    plan.role = Role::Launcher;
    plan.directory = command
        .directory
        .as_ref()
        .map(|path| bytes(path.as_os_str()));
    plan.identity = command.identity.as_ref().map(wire_identity);
    plan.program = Some(WireProgram {
        path: bytes(command.path.as_os_str()),
        argv: command.argv.iter().map(|arg| bytes(arg)).collect(),
        listen_fds,
        orphaned: Orphaned::LivesOn,
    });
}

/// A user, as a plan names it.
pub(super) fn wire_identity(identity: &herder_sys::user::Identity) -> Identity {
    Identity {
        uid: identity.uid,
        gid: identity.gid,
        groups: identity.groups.clone(),
    }
}

/// Who comes to the private directory.
pub(super) fn visitor(command: &Command) -> Visitor {
    match command.identity {
        Some(_) => Visitor::Another,
        None => Visitor::Ourselves,
    }
}

fn bytes(text: &OsStr) -> Vec<u8> {
    text.as_bytes().to_vec()
}
