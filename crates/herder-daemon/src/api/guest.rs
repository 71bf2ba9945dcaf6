//! Who may come in, and what they may.

use std::io;
use std::os::fd::BorrowedFd;

use herder_sys::socket::{peer_credentials, peer_groups};
use herder_sys::user;

/// What a guest may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rights {
    /// Everything.
    All,
    /// Look.
    Look,
}

/// What the process at the other end may; `None` = nothing, not even be heard.
///
/// # Errors
/// It is no connection.
pub(super) fn rights(
    connection: BorrowedFd<'_>,
    read_group: Option<u32>,
) -> io::Result<Option<Rights>> {
    let peer = peer_credentials(connection)?;
    if user::may_command(peer.uid) {
        return Ok(Some(Rights::All));
    }
    let Some(group) = read_group.filter(|group| user::is_some_group(*group)) else {
        return Ok(None);
    };
    let member = peer.gid == group || peer_groups(connection)?.contains(&group);
    Ok(member.then_some(Rights::Look))
}
