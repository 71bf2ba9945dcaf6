//! What a process does that becomes a check: the app's user and directory, then the program.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use herder_sys::user::{self, Identity};
use herder_sys::{apply, signal};

use super::exec::Order;
use crate::complain;

/// The exit status of a check that cannot be run, as shells have it.
const CANNOT_RUN: u8 = 126;

/// Becomes the program that stdin tells of; returns only when that failed.
pub(crate) fn sit() -> u8 {
    if let Err(error) = try_sit() {
        complain(&format!("the check cannot be run: {error}"));
    }
    CANNOT_RUN
}

fn try_sit() -> io::Result<()> {
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    let order: Order = serde_json::from_slice(&text)?;
    apply::replace_stdin_with_null()?;
    signal::reset_all()?;
    if let Some(identity) = identity(&order)? {
        apply::become_user(&identity)?;
    }
    if let Some(cwd) = &order.cwd {
        apply::change_directory(cwd)?;
    }
    let bytes = |text: String| OsString::from_vec(text.into_bytes());
    let argv: Vec<OsString> = order.argv.into_iter().map(bytes).collect();
    let environment = order.environment.into_iter();
    let environment: Vec<_> = environment
        .map(|(name, value)| (bytes(name), bytes(value)))
        .collect();
    let program = argv.first().cloned().unwrap_or_default();
    let error = apply::execute(Path::new(&program), &argv, &environment);
    let text = format!("{}: {error}", program.to_string_lossy());
    Err(io::Error::new(error.kind(), text))
}

/// Whom it becomes; nobody else, if the app says nothing.
fn identity(order: &Order) -> io::Result<Option<Identity>> {
    let missing = |what: &str, name: &str| {
        let text = format!("there is no {what} {name}");
        io::Error::new(io::ErrorKind::NotFound, text)
    };
    let user = match &order.user {
        Some(name) => Some(user::lookup(name)?.ok_or_else(|| missing("user", name))?),
        None => None,
    };
    let Some(name) = &order.group else {
        return Ok(user);
    };
    let gid = user::lookup_group(name)?.ok_or_else(|| missing("group", name))?;
    Ok(Some(match user {
        Some(identity) => Identity { gid, ..identity },
        None => Identity {
            uid: user::effective_uid(),
            gid,
            groups: vec![gid],
        },
    }))
}
