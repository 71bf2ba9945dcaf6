//! Whose rights a gateway has when the master is root: nobody's.

use herder_sys::user;
use herder_wire::plan::Identity;

use crate::GatewayUser;

/// The user and the group that own nothing.
const NOBODY: u32 = 65_534;

/// The rights to change group and user, as bits of a capability set.
const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;

/// Whose rights the gateway is to have.
pub(super) enum Rights {
    /// The master's, who is not root.
    Masters,
    /// Those of this user.
    Of(Identity),
    /// The master's, although that is root: it may not become another user.
    Roots,
}

/// As [`rights`], for who has no herd.
pub(in crate::master) fn user() -> GatewayUser {
    match rights() {
        Rights::Masters => GatewayUser::Masters,
        Rights::Of(_) => GatewayUser::Nobody,
        Rights::Roots => GatewayUser::Root,
    }
}

/// What this process can do for its gateway.
pub(super) fn rights() -> Rights {
    if !user::is_root() {
        return Rights::Masters;
    }
    let read =
        |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    let possible = may_change_user(&read("status"))
        && maps(&read("uid_map"), NOBODY)
        && maps(&read("gid_map"), NOBODY)
        && read("setgroups").trim() != "deny";
    if possible {
        Rights::Of(Identity {
            uid: NOBODY,
            gid: NOBODY,
            groups: Vec::new(),
        })
    } else {
        Rights::Roots
    }
}

/// Whether a process with this status may change its groups and its user.
fn may_change_user(status: &str) -> bool {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    let needed = (1 << CAP_SETGID) | (1 << CAP_SETUID);
    effective.is_some_and(|set| set & needed == needed)
}

/// Whether a user namespace with this map has the number. Its lines are: first inside, first outside,
/// how many.
fn maps(map: &str, number: u32) -> bool {
    map.lines().any(|line| {
        let mut fields = line
            .split_ascii_whitespace()
            .map(|field| field.parse::<u64>().ok());
        let (first, count) = (fields.next().flatten(), fields.nth(1).flatten());
        let (Some(first), Some(count)) = (first, count) else {
            return false;
        };
        (first..first.saturating_add(count)).contains(&u64::from(number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_the_users_that_it_maps() {
        let whole = "         0          0 4294967295\n";
        let container = "0 100000 65536\n";
        let lone = "0 1000 1\n";
        let two = "0 1000 1\n1 100000 65535\n";
        for (map, expected) in [(whole, true), (container, true), (lone, false), (two, true)] {
            assert_eq!(maps(map, NOBODY), expected, "{map}");
        }
        assert!(!maps("", NOBODY));
    }

    #[test]
    fn who_has_no_capability_stays_who_it_is() {
        let status = |set: &str| format!("Name:\tx\nCapPrm:\t0\nCapEff:\t{set}\n");
        assert!(may_change_user(&status("000001fffeffffff")));
        assert!(may_change_user(&status("00000000000000c0")));
        assert!(!may_change_user(&status("0000000000000080")));
        assert!(!may_change_user(&status("0000000000000000")));
        assert!(!may_change_user(""));
    }
}
