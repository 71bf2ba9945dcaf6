//! Users and groups.

use std::ffi::{CString, OsString, c_char};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::ptr;

/// What strangers of a user namespace are called where the kernel does not say.
const OVERFLOW: u32 = 65_534;

/// Who a process runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups, the primary one usually included.
    pub groups: Vec<u32>,
}

/// Looks a user up by name or, when no user has that name, by number.
///
/// `None` when there is no such user. Reads the user database, so it may block; not for the time
/// after a launch.
///
/// # Errors
/// Those of the user database, for instance when no descriptor is left.
pub fn lookup(name_or_uid: &str) -> io::Result<Option<Identity>> {
    let name = CString::new(name_or_uid)?;
    if let Some(found) = ask(|buffer| find_in(&Key::Name(&name), buffer))? {
        return found.with_groups().map(Some);
    }
    let Ok(uid) = name_or_uid.parse::<u32>() else {
        return Ok(None);
    };
    ask(|buffer| find_in(&Key::Uid(uid), buffer))?
        .map(Entry::with_groups)
        .transpose()
}

/// A user, as the user database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// What it is called.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its home directory.
    pub home: PathBuf,
}

/// Looks an account up, as [`lookup`] does.
///
/// # Errors
/// Those of the user database.
pub fn account(name_or_uid: &str) -> io::Result<Option<Account>> {
    let name = CString::new(name_or_uid)?;
    let found = match (
        ask(|buffer| find_in(&Key::Name(&name), buffer))?,
        name_or_uid.parse(),
    ) {
        (None, Ok(uid)) => ask(|buffer| find_in(&Key::Uid(uid), buffer))?,
        (found, _) => found,
    };
    Ok(found.map(|entry| Account {
        name: entry.name.to_string_lossy().into_owned(),
        uid: entry.uid,
        home: PathBuf::from(OsString::from_vec(entry.home.into_bytes())),
    }))
}

/// The number of a group, by its name or, when no group has that name, by its number.
///
/// `None` when there is no such group. Reads the group database, as [`lookup`] reads that of users.
///
/// # Errors
/// Those of the group database.
pub fn lookup_group(name_or_gid: &str) -> io::Result<Option<u32>> {
    let name = CString::new(name_or_gid)?;
    if let Some(gid) = ask(|buffer| find_group_in(&name, buffer))? {
        return Ok(Some(gid));
    }
    // A number needs no entry: it is used as it is.
    Ok(name_or_gid
        .parse::<u32>()
        .ok()
        .filter(|gid| *gid != u32::MAX))
}

/// Whether this process runs as root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// As whom this process acts.
#[must_use]
pub fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether who has this number may do with our processes what we may: it is ours, or root's.
///
/// In a user namespace all users from outside have one number, the overflow uid. Who has that one is a
/// stranger, also where we have it ourselves; it is a user as any other only where every user is known.
#[must_use]
pub fn may_command(uid: u32) -> bool {
    (uid == 0 || uid == effective_uid()) && is_somebody(uid)
}

/// Whether this number stands for one user, and not for all those that this user namespace does not know.
#[must_use]
pub fn is_somebody(uid: u32) -> bool {
    is_one(uid, "/proc/sys/kernel/overflowuid", "/proc/self/uid_map")
}

/// Whether this number stands for one group, as [`is_somebody`] has it for users.
#[must_use]
pub fn is_some_group(gid: u32) -> bool {
    is_one(gid, "/proc/sys/kernel/overflowgid", "/proc/self/gid_map")
}

fn is_one(id: u32, overflow: &str, map: &str) -> bool {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let overflow = read(overflow).and_then(|text| text.trim().parse().ok());
    id != overflow.unwrap_or(OVERFLOW) || read(map).is_some_and(|map| knows_all(&map))
}

/// Whether a map of a user namespace leaves nobody out.
fn knows_all(map: &str) -> bool {
    let length = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    let known: u64 = map.lines().filter_map(length).sum();
    // The last number is nobody's.
    known >= u64::from(u32::MAX)
}

enum Key<'a> {
    Name(&'a CString),
    Uid(u32),
}

struct Entry {
    name: CString,
    uid: u32,
    gid: u32,
    home: CString,
}

/// Asks the database, which wants a buffer and says `ERANGE` when it is too small.
fn ask<T>(mut question: impl FnMut(&mut [u8]) -> io::Result<Option<T>>) -> io::Result<Option<T>> {
    const SMALLEST: usize = 1024;
    const LARGEST: usize = 1024 * 1024;
    let mut size = SMALLEST;
    loop {
        let mut buffer = vec![0_u8; size];
        match question(&mut buffer) {
            Err(error) if error.raw_os_error() == Some(libc::ERANGE) && size < LARGEST => size *= 4,
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            // What the manual pages list as ways to say "there is none".
            Err(error)
                if [libc::ENOENT, libc::ESRCH, libc::EBADF, libc::EPERM]
                    .map(Some)
                    .contains(&error.raw_os_error()) =>
            {
                return Ok(None);
            }
            answer => return answer,
        }
    }
}

fn find_in(key: &Key<'_>, buffer: &mut [u8]) -> io::Result<Option<Entry>> {
    let mut entry = MaybeUninit::<libc::passwd>::zeroed();
    let mut found: *mut libc::passwd = ptr::null_mut();
    let text = buffer.as_mut_ptr().cast::<c_char>();
    let error = match key {
        // SAFETY: the name ends with a zero; the entry, the buffer of this length and the result
        // are writable and outlive the call.
        Key::Name(name) => unsafe {
            libc::getpwnam_r(
                name.as_ptr(),
                entry.as_mut_ptr(),
                text,
                buffer.len(),
                &raw mut found,
            )
        },
        // SAFETY: the entry, the buffer of this length and the result are writable and outlive
        // the call.
        Key::Uid(uid) => unsafe {
            libc::getpwuid_r(*uid, entry.as_mut_ptr(), text, buffer.len(), &raw mut found)
        },
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    if found.is_null() {
        return Ok(None);
    }
    // SAFETY: zeroed is valid for this plain structure, and the call filled it.
    let entry = unsafe { entry.assume_init() };
    // SAFETY: on success `pw_name` points to a text in `buffer`, which is alive.
    let name = unsafe { std::ffi::CStr::from_ptr(entry.pw_name) }.to_owned();
    // SAFETY: and so does `pw_dir`.
    let home = unsafe { std::ffi::CStr::from_ptr(entry.pw_dir) }.to_owned();
    Ok(Some(Entry {
        name,
        home,
        uid: entry.pw_uid,
        gid: entry.pw_gid,
    }))
}

fn find_group_in(name: &CString, buffer: &mut [u8]) -> io::Result<Option<u32>> {
    let mut entry = MaybeUninit::<libc::group>::zeroed();
    let mut found: *mut libc::group = ptr::null_mut();
    let text = buffer.as_mut_ptr().cast::<c_char>();
    // SAFETY: the name ends with a zero; the entry, the buffer of this length and the result are
    // writable and outlive the call.
    let error = unsafe {
        libc::getgrnam_r(
            name.as_ptr(),
            entry.as_mut_ptr(),
            text,
            buffer.len(),
            &raw mut found,
        )
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    if found.is_null() {
        return Ok(None);
    }
    // SAFETY: zeroed is valid for this plain structure, and the call filled it.
    let entry = unsafe { entry.assume_init() };
    Ok(Some(entry.gr_gid))
}

impl Entry {
    fn with_groups(self) -> io::Result<Identity> {
        const MOST: i32 = 65_536;
        let mut count: i32 = 64;
        loop {
            let room = count.clamp(1, MOST);
            let mut groups = vec![0_u32; usize::try_from(room).map_err(io::Error::other)?];
            count = room;
            // SAFETY: the name ends with a zero; `groups` has room for `count` numbers.
            let answer = unsafe {
                libc::getgrouplist(
                    self.name.as_ptr(),
                    self.gid,
                    groups.as_mut_ptr(),
                    &raw mut count,
                )
            };
            if answer >= 0 {
                groups.truncate(usize::try_from(count).map_err(io::Error::other)?);
                return Ok(Identity {
                    uid: self.uid,
                    gid: self.gid,
                    groups,
                });
            }
            if room == MOST {
                return Err(io::Error::other(
                    "a user in more groups than the kernel allows",
                ));
            }
            // Some C libraries tell how many there are, some leave the number as it was.
            count = count.max(room.saturating_mul(2));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_name_and_by_number() {
        let root = lookup("root").unwrap().expect("every system has root");
        assert_eq!((root.uid, root.gid), (0, 0));
        assert!(root.groups.contains(&0));
        assert_eq!(lookup("0").unwrap(), Some(root));
    }

    #[test]
    fn an_account_has_a_home() {
        let root = account("root").unwrap().expect("every system has root");
        assert_eq!((root.uid, root.home.is_absolute()), (0, true));
        assert_eq!(account("0").unwrap(), Some(root));
        assert_eq!(account("no-such-user-here").unwrap(), None);
    }

    #[test]
    fn a_group_is_found_by_name_and_taken_by_number() {
        assert_eq!(lookup_group("root").unwrap(), Some(0));
        assert_eq!(lookup_group("4711").unwrap(), Some(4711));
        assert_eq!(lookup_group("no-such-group-here").unwrap(), None);
        assert_eq!(lookup_group("4294967295").unwrap(), None, "it means none");
        assert!(lookup_group("a\0b").is_err());
    }

    #[test]
    fn r57_who_stands_for_all_strangers_is_nobody() {
        assert!(knows_all("         0          0 4294967295\n"));
        assert!(knows_all("0 0 65536\n65536 65536 4294901759\n"));
        assert!(!knows_all("0 1000 1\n") && !knows_all("") && !knows_all("x y z\n"));
        // Of a namespace that leaves somebody out, its overflow number is not one user.
        let directory = std::env::temp_dir().join(format!("herder-users-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let number = file("number", "4711\n");
        let (some, all) = (file("some", "0 1000 1\n"), file("all", "0 0 4294967295\n"));
        assert!(is_one(0, &number, &some) && is_one(65_534, &number, &some));
        assert!(!is_one(4711, &number, &some) && is_one(4711, &number, &all));
        assert!(!is_one(65_534, "/nonexistent", &some), "the usual number");
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(may_command(0) && may_command(effective_uid()));
        assert!(!may_command(effective_uid() + 1));
    }

    #[test]
    fn an_unknown_user_is_none() {
        assert_eq!(lookup("no-such-user-here").unwrap(), None);
        assert_eq!(lookup("4294967000").unwrap(), None);
        assert_eq!(lookup("").unwrap(), None);
        assert!(lookup("a\0b").is_err());
    }
}
