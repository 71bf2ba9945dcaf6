//! What a library is made from.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use herder_core::spec::AppName;
use herder_sys::fd;
use herder_sys::user::Identity;
use herder_wire::plan::{DescriptorUse, LaunchPlan, Limit, LimitKind, ListenFds, Role};

use super::draft::Draft;
use super::workers::{become_program, visitor, wire_identity};
use crate::config::{Command, Host, Library, LibraryProgram};
use crate::launch;
use crate::master::crew::MemberId;
use crate::master::environment;
use crate::master::notify::NotifySocket;
use crate::master::reload::{Edition, Kit};
use crate::master::runtime::Runtime;

/// Where a foreign library has the descriptor by which it says how it fares: after the standard
/// streams and its listener.
const NOTIFY: u16 = 4;

/// Where a library that is this executable finds what the herd was made from: where that came from it may
/// have changed since.
const DEFINITION: &str = "HERDER_DEFINITION";

/// How the listener of a foreign library is called among `LISTEN_FDNAMES`.
const LISTENER: &str = "library";

/// Everything that a new life of a library is made from.
pub(in crate::master) struct LibraryRecipe {
    pub(in crate::master) app: AppName,
    pub(in crate::master) library: Library,
    /// Every life gets a duplicate. `None` when no life is to come.
    pub(in crate::master) listener: Option<OwnedFd>,
    /// Whose rights the workers have, who are to call it; `None` = the master's.
    pub(in crate::master) identity: Option<Identity>,
    /// The limit that the master itself was started with.
    pub(in crate::master) open_files: (u64, u64),
}

impl LibraryRecipe {
    pub(super) fn close_listeners(&mut self) {
        self.listener = None;
    }

    pub(super) fn draft(
        &self,
        id: MemberId,
        edition: &Edition,
        runtime: &mut Runtime,
    ) -> io::Result<Draft> {
        let command = |command: &Command| edition.command(id.part.number(), command);
        let listener = self.listener.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let listener = fd::duplicate(listener.as_fd())?;
        let kit = edition.kit();
        let mut draft = Draft::new(self.bare_plan(id, kit));
        let library = kit.library(id.part.number()).unwrap_or(&self.library);
        match &library.program {
            LibraryProgram::Itself => {
                if !kit.definition.is_empty() {
                    let environment = &mut draft.plan.environment;
                    environment::set(environment, DEFINITION, &kit.definition);
                }
                draft.plan.identity = self.identity.as_ref().map(wire_identity);
                draft.give_control(id)?;
                let name = self.library.name.to_string();
                draft.give(DescriptorUse::Listener { name }, listener);
            }
            LibraryProgram::Command(given) => {
                self.plan_foreign(&command(given), listener, &mut draft)?;
            }
            LibraryProgram::Hosted(given, host) => {
                let main = write_host(runtime.directory(visitor(given))?, *host)?;
                let mut command = command(given);
                let script = command.argv.len().saturating_sub(1);
                command.argv.insert(script, main.into_os_string());
                self.plan_foreign(&command, listener, &mut draft)?;
            }
        }
        Ok(draft)
    }

    fn bare_plan(&self, id: MemberId, kit: &Kit) -> LaunchPlan {
        let (app, name) = (self.app.to_string(), self.library.name);
        let epoch = id.worker.incarnation;
        let mut environment = kit.environment.clone();
        environment::set(&mut environment, "HERDER_APP", &app);
        environment::set(&mut environment, "HERDER_LIBRARY", name.as_str());
        environment::set(&mut environment, "HERDER_EPOCH", epoch.to_string());
        let (soft, hard) = self.open_files;
        LaunchPlan {
            slot: id.worker.slot.0,
            incarnation: epoch.0,
            title: format!("herder: library {app}/{name}"),
            environment,
            limits: vec![Limit {
                kind: LimitKind::OpenFiles,
                soft,
                hard,
            }],
            ..launch::bare_plan(Role::Library, &app)
        }
    }

    /// A program that speaks no protocol of ours with the master: it inherits all that it needs.
    fn plan_foreign(
        &self,
        command: &Command,
        listener: OwnedFd,
        draft: &mut Draft,
    ) -> io::Result<()> {
        let (notify, theirs) = NotifySocket::pair()?;
        let environment = &mut draft.plan.environment;
        environment::set(environment, "HERDER_NOTIFY_FD", NOTIFY.to_string());
        if let Some(hang) = self.library.hang {
            environment::set(environment, "WATCHDOG_USEC", hang.as_micros().to_string());
        }
        let name = LISTENER.to_owned();
        draft.give(DescriptorUse::Listener { name }, listener);
        draft.give(DescriptorUse::Place { target: NOTIFY }, theirs);
        draft.notify = Some(notify);
        become_program(&mut draft.plan, command, ListenFds::Announced);
        Ok(())
    }
}

/// Writes the host's files where the library finds them, whoever it is, and returns the main one.
fn write_host(directory: &Path, host: Host) -> io::Result<PathBuf> {
    const READABLE: u32 = 0o444;
    const PASSABLE: u32 = 0o755;
    let root = directory.join("host");
    for (path, text) in host.files {
        let path = root.join(path);
        if path.exists() {
            continue;
        }
        for parent in path
            .ancestors()
            .skip(1)
            .take_while(|at| at.starts_with(&root))
        {
            fs::create_dir_all(parent)?;
            fs::set_permissions(parent, Permissions::from_mode(PASSABLE))?;
        }
        let unfinished = path.with_extension("unfinished");
        fs::write(&unfinished, text)?;
        fs::set_permissions(&unfinished, Permissions::from_mode(READABLE))?;
        fs::rename(&unfinished, &path)?;
    }
    Ok(root.join(host.main))
}
