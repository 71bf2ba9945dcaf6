//! What a worker finds in its environment.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use herder_core::spec::AppName;
use herder_core::{Slot, WorkerId};

use crate::config::Numbering;

/// A name and a value, as a plan carries them.
pub(super) type Variable = (Vec<u8>, Vec<u8>);

/// What speaks of the caller's own place in the world, and would lie in a worker.
const REMOVED: [&str; 10] = [
    "HERDER_DEFINITION",
    "HERDER_EPOCH",
    "HERDER_HERD",
    "HERDER_LIBRARIES",
    "HERDER_LIBRARY",
    "HERDER_NOTIFY_FD",
    "HERDER_ROLE",
    "NODE_UNIQUE_ID",
    "NOTIFY_SOCKET",
    "NODE_APP_INSTANCE",
];
const REMOVED_PREFIXES: [&str; 3] = ["LISTEN_", "NODE_CHANNEL_", "WATCHDOG_"];

/// The caller's environment without what is only the caller's.
fn inherited(vars: impl Iterator<Item = (OsString, OsString)>) -> Vec<Variable> {
    vars.filter(|(name, _)| !is_removed(name))
        .map(|(name, value)| (name.into_vec(), value.into_vec()))
        .collect()
}

/// What a process of the herd inherits, and what is added for all of them. `given`: what it inherits if that
/// is not the master's own environment.
pub(super) fn with(given: Option<&[(OsString, OsString)]>, added: &[Variable]) -> Vec<Variable> {
    let mut environment = match given {
        Some(given) => inherited(given.iter().cloned()),
        None => inherited(std::env::vars_os()),
    };
    environment.extend_from_slice(added);
    environment
}

/// Adds who the worker is.
pub(super) fn identify(environment: &mut Vec<Variable>, app: &AppName, id: WorkerId) {
    let slot = id.slot.to_string();
    set(environment, "HERDER_APP", app.as_str());
    set(environment, "HERDER_SLOT", &slot);
    set(environment, "HERDER_WORKER_ID", id.incarnation.to_string());
    set(environment, "NODE_APP_INSTANCE", &slot);
}

/// Tells the worker its slot, as its program wants to hear it.
pub(super) fn number(environment: &mut Vec<Variable>, numbering: &Numbering, slot: Slot) {
    if let Some(name) = &numbering.slot {
        set(environment, name, slot.to_string());
    }
    if let Some((name, first)) = &numbering.added {
        let number = first.saturating_add(slot.0.into());
        set(environment, name, number.to_string());
    }
}

/// Sets a variable, over what was there.
pub(super) fn set(environment: &mut Vec<Variable>, name: &str, value: impl AsRef<OsStr>) {
    environment.retain(|(known, _)| known != name.as_bytes());
    environment.push((name.as_bytes().to_vec(), value.as_ref().as_bytes().to_vec()));
}

fn is_removed(name: &OsStr) -> bool {
    let name = name.as_bytes();
    REMOVED.iter().any(|removed| name == removed.as_bytes())
        || REMOVED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use herder_core::{Incarnation, Slot};

    use super::*;

    #[test]
    fn r53_a_worker_does_not_inherit_what_is_only_the_callers() {
        let callers = [
            ("PATH", "/bin"),
            ("HERDER_ROLE", "worker@other"),
            ("HERDER_HERD", "0123"),
            ("HERDER_LIBRARIES", "core=/run/other/core.sock"),
            ("LISTEN_FDS", "3"),
            ("LISTEN_PID", "1"),
            ("NOTIFY_SOCKET", "/run/x"),
            ("WATCHDOG_USEC", "1"),
            ("NODE_CHANNEL_FD", "3"),
            ("NODE_UNIQUE_ID", "9"),
            ("HERDER_WORKER_ID", "77"),
        ];
        let callers = callers.map(|(name, value)| (name.into(), value.into()));
        let mut environment = inherited(callers.into_iter());
        let id = WorkerId {
            slot: Slot(2),
            incarnation: Incarnation(5),
        };
        identify(&mut environment, &"web".parse().expect("a name"), id);
        let found: Vec<_> = environment
            .iter()
            .map(|(n, v)| (String::from_utf8_lossy(n), String::from_utf8_lossy(v)))
            .collect();
        let expected = [
            ("PATH", "/bin"),
            ("HERDER_APP", "web"),
            ("HERDER_SLOT", "2"),
            ("HERDER_WORKER_ID", "5"),
            ("NODE_APP_INSTANCE", "2"),
        ];
        assert_eq!(found, expected.map(|(n, v)| (n.into(), v.into())));
    }
}
