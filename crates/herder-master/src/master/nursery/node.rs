//! What a worker is made from that is a Node program.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use herder_core::WorkerId;
use herder_sys::{fd, socket};
use herder_wire::plan::{DescriptorUse, ListenFds};

use super::draft::Draft;
use super::workers::{become_program, visitor};
use crate::config::{Command, NodeProgram, Shim};
use crate::dispatch::{Line, NodeEnds};
use crate::master::environment;
use crate::master::node::NodeLife;
use crate::master::runtime::Runtime;

/// Where the worker has its channel. Node marks what it inherits close-on-exec from the bottom up, to
/// the first hole: only here it is sure that no grandchild holds the channel open.
const CHANNEL: u16 = 3;

/// Where it has its lane, if the module is loaded that reads it. It follows at once: else Node would not mark
/// it close-on-exec.
const LANE: u16 = CHANNEL + 1;

/// Tells the module where that is, and the number of the socket: whoever starts the program in between may have
/// put something else there.
const LANE_VARIABLE: &str = "HERDER_LANE";

/// The module that is loaded before the program.
const SHIM: &str = include_str!("shim.js");
const SHIM_NAME: &str = "herder-shim.js";

/// The worker gets the channel that Node's own primary would give it.
pub(super) fn plan_node(
    id: WorkerId,
    program: &NodeProgram,
    draft: &mut Draft,
    runtime: &mut Runtime,
) -> io::Result<()> {
    let (ours, theirs) = socket::stream_pair()?;
    let environment = &mut draft.plan.environment;
    environment::set(environment, "NODE_CHANNEL_FD", CHANNEL.to_string());
    environment::set(environment, "NODE_CHANNEL_SERIALIZATION_MODE", "json");
    environment::set(environment, "NODE_UNIQUE_ID", id.incarnation.to_string());
    // What PM2 calls the slot.
    environment::set(environment, "pm_id", id.slot.to_string());
    draft.give(DescriptorUse::Place { target: CHANNEL }, theirs);
    let shim = match program.shim {
        Shim::Off => None,
        Shim::Preloaded => Some(write_shim(runtime.directory(visitor(&program.command))?)?),
    };
    let lane = match &shim {
        Some(_) => give_lane(draft),
        None => None,
    };
    draft.link = Some(Line::Node(NodeEnds {
        channel: ours,
        lane,
    }));
    let command = Command {
        argv: arguments(program, id, shim),
        ..program.command.clone()
    };
    become_program(&mut draft.plan, &command, ListenFds::Absent);
    draft.node = Some(NodeLife::new(program));
    Ok(())
}

/// Connections may come by a channel of their own. A worker does without one if there are no descriptors for it.
fn give_lane(draft: &mut Draft) -> Option<OwnedFd> {
    let (ours, theirs) = socket::stream_pair().ok()?;
    let place = format!("{LANE}:{}", fd::file_number(theirs.as_fd()).ok()?);
    let environment = &mut draft.plan.environment;
    environment::set(environment, LANE_VARIABLE, place);
    draft.give(DescriptorUse::Place { target: LANE }, theirs);
    Some(ours)
}

/// The interpreter's own arguments stand before the script, so ours stand before all of them; of two
/// that say the same the last one holds, save that ours about the inspector's port follows theirs.
fn arguments(program: &NodeProgram, id: WorkerId, shim: Option<PathBuf>) -> Vec<OsString> {
    let mut argv = program.command.argv.iter().cloned();
    let mut all: Vec<OsString> = argv.next().into_iter().collect();
    if let Some(shim) = shim {
        all.extend(["--require".into(), shim.into_os_string()]);
    }
    let mut rest: Vec<OsString> = argv.collect();
    if let Some(base) = program.inspect {
        let port = inspector_port(base, id);
        let is_inspect = |arg: &OsString| arg.to_string_lossy().starts_with("--inspect");
        let last = rest
            .iter()
            .take_while(|arg| arg.to_string_lossy().starts_with('-'));
        let place = last
            .collect::<Vec<_>>()
            .iter()
            .rposition(|arg| is_inspect(arg));
        let place = place.map_or(0, |place| place + 1);
        rest.insert(place, format!("--inspect-port={port}").into());
    }
    all.extend(rest);
    all
}

/// Each worker has its own, as Node's own primary counts them: who takes a slot over finds the port of
/// who is still leaving it taken.
fn inspector_port(base: u16, id: WorkerId) -> u16 {
    const FIRST: u64 = 1024;
    const PORTS: u64 = 65_536 - FIRST;
    let port = u64::from(base) + id.incarnation.0;
    let port = if port < FIRST + PORTS {
        port
    } else {
        FIRST + (port - FIRST) % PORTS
    };
    u16::try_from(port).expect("it was made to fit")
}

/// Every worker finds it, whoever it is.
fn write_shim(directory: &Path) -> io::Result<PathBuf> {
    const READABLE: u32 = 0o444;
    let path = directory.join(SHIM_NAME);
    if !path.exists() {
        let unfinished = directory.join("herder-shim.unfinished");
        fs::write(&unfinished, SHIM)?;
        fs::set_permissions(&unfinished, Permissions::from_mode(READABLE))?;
        fs::rename(&unfinished, &path)?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use herder_core::{Incarnation, Slot};

    use super::*;
    use crate::config::{Farewell, NodeReady};

    #[test]
    fn inspectors_are_apart_also_when_a_slot_is_taken_over() {
        let port = |base, slot, life| {
            let id = WorkerId {
                slot: Slot(slot),
                incarnation: Incarnation(life),
            };
            inspector_port(base, id)
        };
        assert_eq!(port(9229, 0, 1), 9230);
        assert_ne!(port(9229, 0, 1), port(9229, 0, 2));
        assert_eq!(port(65_535, 0, 1), 1024);
        assert_eq!(port(9229, 0, 65_536 - 9229), 1024);
        assert_eq!(port(80, 0, 1), 81);
    }

    #[test]
    fn ours_stand_before_the_script() {
        let program = |argv: &[&str], inspect| NodeProgram {
            command: Command {
                path: "/usr/bin/node".into(),
                sought: None,
                argv: argv.iter().map(OsString::from).collect(),
                directory: None,
                identity: None,
            },
            ready: NodeReady::Listening,
            farewell: Farewell::Disconnect,
            shim: Shim::Preloaded,
            inspect,
        };
        let id = WorkerId {
            slot: Slot(2),
            incarnation: Incarnation(9),
        };
        let plain = program(&["node", "app.js", "--inspect"], None);
        assert_eq!(
            arguments(&plain, id, Some("/run/shim.js".into())),
            ["node", "--require", "/run/shim.js", "app.js", "--inspect"]
        );
        let inspected = program(&["node", "--inspect=9300", "-r", "x", "app.js"], Some(9300));
        assert_eq!(
            arguments(&inspected, id, None),
            [
                "node",
                "--inspect=9300",
                "--inspect-port=9309",
                "-r",
                "x",
                "app.js"
            ]
        );
    }
}
