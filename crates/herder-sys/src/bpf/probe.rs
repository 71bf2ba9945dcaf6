//! Whether a program can be loaded here, and if not, what is missing.

use std::io;

use super::steering::Steering;
use super::{BpfError, Refusal};

/// Whether this process may let the kernel dispatch: tried by doing it.
///
/// # Errors
///
/// Which right, or what else, is missing.
pub fn probe() -> Result<(), Refusal> {
    match Steering::load() {
        Ok(_) => Ok(()),
        Err(BpfError::Refused(refusal)) => Err(refusal),
        Err(error) => Err(Refusal::Other(error.to_string())),
    }
}

/// Whether the error is about who asks, and not about what is asked.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS))
}

/// The words for an error of `bpf(2)`.
pub(super) fn explain(doing: &'static str, source: io::Error) -> BpfError {
    match source.raw_os_error() {
        Some(libc::EPERM) => not_permitted().into(),
        Some(libc::ENOSYS) => Refusal::Sandbox(
            "bpf(2) does not exist; the kernel was built without CONFIG_BPF_SYSCALL, \
             or a sandbox hides it",
        )
        .into(),
        // A map or a program of a type that it does not know.
        Some(libc::EINVAL | libc::E2BIG) if !is_new_enough() => too_old().into(),
        _ => BpfError::System { doing, source },
    }
}

/// The words for a program that was not taken.
pub(super) fn explain_verifier(source: io::Error, log: &str) -> BpfError {
    if !is_new_enough() {
        return too_old().into();
    }
    BpfError::Verifier {
        source,
        log: log.to_owned(),
    }
}

fn too_old() -> Refusal {
    Refusal::Kernel { release: release() }
}

fn not_permitted() -> Refusal {
    match effective_capabilities() {
        Some(has) if has & (CAP_BPF | CAP_SYS_ADMIN) == 0 => Refusal::Right("CAP_BPF (or root)"),
        // The right is there, and yet it is refused: somebody stands between us and the kernel, or
        // the right is one of a user namespace, which does not count.
        Some(_) if is_in_user_namespace() => Refusal::Sandbox(
            "the rights of this user namespace (a rootless container) do not count; \
                it needs CAP_BPF of the machine",
        ),
        Some(_) if seccomp_filters() => Refusal::Sandbox(
            "a seccomp filter refuses bpf(2) (Docker: --cap-add BPF; systemd: \
                SystemCallFilter=bpf)",
        ),
        Some(_) | None => Refusal::Sandbox(
            "bpf(2) is refused although CAP_BPF is there: a security module, lockdown or a sandbox",
        ),
    }
}

const CAP_BPF: u64 = 1 << 39;
const CAP_SYS_ADMIN: u64 = 1 << 21;

fn effective_capabilities() -> Option<u64> {
    u64::from_str_radix(&status_field("CapEff:")?, 16).ok()
}

fn seccomp_filters() -> bool {
    status_field("Seccomp:").is_some_and(|mode| mode != "0")
}

fn status_field(name: &str) -> Option<String> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().to_owned())
}

/// The first one maps every user to itself.
fn is_in_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let fields: Vec<&str> = map.split_whitespace().collect();
    !matches!(fields[..], [] | ["0", "0", "4294967295"])
}

fn release() -> String {
    let name = rustix::system::uname();
    name.release().to_string_lossy().into_owned()
}

fn is_new_enough() -> bool {
    version(&release()).is_none_or(|version| version >= (5, 14))
}

/// `None` when it is not written as it always is.
fn version(release: &str) -> Option<(u32, u32)> {
    let (major, rest) = release.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_a_version() {
        assert_eq!(version("5.14.0-427.el9.x86_64"), Some((5, 14)));
        assert_eq!(version("6.18-rc1"), Some((6, 18)));
        assert_eq!(version("4.19"), Some((4, 19)));
        assert_eq!(version("unknown"), None);
        assert!(is_new_enough(), "{}", release());
    }

    #[test]
    fn each_refusal_says_what_is_needed() {
        let error = io::Error::from_raw_os_error(libc::ENOSYS);
        assert!(is_refusal(&error));
        let text = explain("doing", error).to_string();
        assert!(text.contains("CONFIG_BPF_SYSCALL"), "{text}");
        let text = Refusal::Right("CAP_BPF (or root)").to_string();
        assert_eq!(text, "kernel dispatch needs CAP_BPF (or root)");
        let text =
            explain_verifier(io::Error::from_raw_os_error(libc::EACCES), "R1 is bad").to_string();
        assert!(text.ends_with("R1 is bad"), "{text}");
    }
}
