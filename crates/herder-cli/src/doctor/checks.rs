//! What facts mean.

use super::facts::{Answered, Cgroup, Facts, Home, Service};
use super::{Build, Finding, proxies};
use crate::render::text::{bytes, escape};

/// The oldest kernel that has everything: `pidfd_open`, and `close_range`.
const OLDEST: (u32, u32) = (5, 9);

/// From this one on an eBPF program may choose whom a connection goes to when its socket is closed.
const MIGRATES: (u32, u32) = (5, 14);

const NET_BIND_SERVICE: u64 = 1 << 10;

/// File systems that are on another machine: locks and sockets there are not what they are here.
const REMOTE: [(u64, &str); 6] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x0102_1997, "9p"),
    (0x5346_414f, "AFS"),
    (0x00c3_6400, "Ceph"),
];

/// A file system that is empty after the next start.
const TMPFS: u64 = 0x0102_1994;

/// Judges, in the order in which it is shown.
pub(crate) fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![
        kernel(facts),
        pidfd(facts),
        cgroup(facts.cgroup),
        dispatch(facts),
        ports(facts),
        somaxconn(facts.somaxconn),
        open_files(facts.open_files),
        datagrams(facts.datagrams),
        watches(facts.watches),
        runtime(facts),
    ];
    findings.push(home(&facts.home));
    findings.push(filesystem(&facts.home));
    findings.extend(space(&facts.home));
    findings.push(clock(facts.clock));
    findings.push(node(facts));
    findings.extend(proxies::check(facts));
    findings.push(builds(facts.daemon.as_ref(), &facts.ours));
    findings.push(stale(&facts.home));
    findings.push(startup(facts));
    findings
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn kernel(facts: &Facts) -> Finding {
    let name = escape(&facts.kernel);
    let text = format!("Linux {name}");
    match numbers(&facts.kernel) {
        None => Finding::warning(
            "kernel",
            format!("{text} is no number that is known"),
            "herder needs Linux 5.9 or newer",
        ),
        Some(version) if version < OLDEST => Finding::problem(
            "kernel",
            format!("{text} is too old"),
            "use Linux 5.9 or newer",
        ),
        Some(version) if version < MIGRATES => Finding::warning(
            "kernel",
            format!("{text}: groups of processes are killed one by one"),
            "Linux 5.14 or newer kills them at once",
        ),
        Some(_) => Finding::ok("kernel", text),
    }
}

fn pidfd(facts: &Facts) -> Finding {
    if facts.has_pidfd {
        return Finding::ok("pidfd", "processes are held by descriptors");
    }
    Finding::problem(
        "pidfd",
        "processes cannot be held by descriptors",
        "a sandbox forbids pidfd_open: permit it (Docker: a newer version, or another seccomp profile)",
    )
}

fn cgroup(found: Cgroup) -> Finding {
    match found {
        Cgroup::Open => Finding::ok("cgroup", "workers get control groups of their own"),
        Cgroup::Closed => Finding::warning(
            "cgroup",
            "no groups can be made in ours: workers are killed by process group, which misses who leaves it",
            "run the daemon as a service: herder startup (its unit has Delegate=yes)",
        ),
        Cgroup::Absent => Finding::warning(
            "cgroup",
            "there are no control groups of version 2: workers are killed by process group",
            "boot with systemd.unified_cgroup_hierarchy=1",
        ),
    }
}

/// Whoever does not ask for the kernel's gets another one.
fn dispatch(facts: &Facts) -> Finding {
    let text = match &facts.no_kernel_dispatch {
        None => "kernel (it takes herder's program)".to_owned(),
        Some(reason) => format!("pass, or shared for commands ({})", escape(reason)),
    };
    Finding::ok("dispatch", text)
}

fn ports(facts: &Facts) -> Finding {
    let first = facts.first_free_port.unwrap_or(1024);
    if facts.capabilities & NET_BIND_SERVICE != 0 || first <= 80 {
        return Finding::ok("ports", "ports 80 and 443 can be listened at");
    }
    Finding::warning(
        "ports",
        format!("ports below {first} cannot be listened at"),
        "sysctl net.ipv4.ip_unprivileged_port_start=80, or AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit",
    )
}

fn somaxconn(found: Option<u64>) -> Finding {
    match found {
        Some(few) if few < 1024 => Finding::warning(
            "somaxconn",
            format!("only {few} connections can wait at a listener"),
            "sysctl net.core.somaxconn=4096",
        ),
        Some(many) => Finding::ok(
            "somaxconn",
            format!("{many} connections can wait at a listener"),
        ),
        None => Finding::ok("somaxconn", "not told here: 4096 since Linux 5.4"),
    }
}

fn open_files((soft, hard): (u64, u64)) -> Finding {
    // herder raises the soft one for itself; workers have what it was, or their app's `limits`.
    if hard < 65_536 {
        return Finding::warning(
            "open files",
            format!(
                "at most {hard} for each process: a master holds a few for each connection on its way"
            ),
            "LimitNOFILE=65536:524288 in the unit, or /etc/security/limits.conf",
        );
    }
    if soft < 1024 {
        let text = format!("workers may open {soft} files, if their app does not say otherwise");
        return Finding::warning("open files", text, "ulimit -n 1024, or more");
    }
    Finding::ok("open files", format!("{soft}, and at most {hard}"))
}

fn datagrams(found: Option<u64>) -> Finding {
    match found {
        Some(few) if few < 10 => Finding::warning(
            "datagrams",
            format!("{few} messages wait at most where workers say that they are ready"),
            "sysctl net.unix.max_dgram_qlen=512",
        ),
        Some(count) => Finding::ok("datagrams", format!("{count} can wait at a Unix socket")),
        None => Finding::ok("datagrams", "not told here"),
    }
}

fn watches((files, descriptors): (Option<u64>, Option<u64>)) -> Finding {
    let cure = "sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512";
    match (files, descriptors) {
        (Some(few), _) if few < 65_536 => Finding::warning(
            "inotify",
            format!("{few} directories can be watched: --watch of a large project needs more"),
            cure,
        ),
        (_, Some(few)) if few < 128 => Finding::warning(
            "inotify",
            format!("{few} programs of a user can watch files at a time"),
            cure,
        ),
        (Some(files), Some(_)) => {
            Finding::ok("inotify", format!("{files} directories can be watched"))
        }
        _ => Finding::ok("inotify", "not told here"),
    }
}

fn runtime(facts: &Facts) -> Finding {
    match &facts.runtime {
        Some((path, true)) => Finding::ok("runtime", format!("{} can be written", path.display())),
        Some((path, false)) => Finding::warning(
            "runtime",
            format!("{} cannot be written", path.display()),
            "herder uses the home instead; log in as the user (not by su), or loginctl enable-linger USER",
        ),
        None => Finding::warning(
            "runtime",
            "XDG_RUNTIME_DIR is not set",
            "herder uses the home instead; systemctl --user needs it: loginctl enable-linger USER, and log in anew",
        ),
    }
}

fn home(home: &Home) -> Finding {
    let path = escape(&home.path.display().to_string());
    let Some((owner, mode)) = home.found else {
        return Finding::ok("home", format!("{path} is made when it is needed"));
    };
    if owner != home.uid {
        return Finding::problem(
            "home",
            format!(
                "{path} belongs to the user {owner}, and you are {}",
                home.uid
            ),
            "set HERDER_HOME to a directory of your own, or run herder as that user",
        );
    }
    if mode & 0o067 != 0 {
        return Finding::problem(
            "home",
            format!("{path} is open to others (mode {:o})", mode & 0o777),
            format!("chmod 700 {path}"),
        );
    }
    Finding::ok("home", format!("{path} (mode {:o})", mode & 0o777))
}

fn filesystem(home: &Home) -> Finding {
    let Some(kind) = home.filesystem else {
        return Finding::ok("file system", "not told here");
    };
    if let Some((_, name)) = REMOTE.iter().find(|(number, _)| *number == kind) {
        return Finding::problem(
            "file system",
            format!("the home is on {name}: two machines could both believe to have it"),
            "set HERDER_HOME to a directory on a disk of this machine",
        );
    }
    if kind == TMPFS {
        return Finding::warning(
            "file system",
            "the home is in memory: the list of apps is gone after the next start",
            "set HERDER_HOME to a directory on a disk, if that is not meant",
        );
    }
    Finding::ok("file system", "the home is on this machine")
}

fn space(home: &Home) -> Option<Finding> {
    let space = home.space?;
    let text = format!(
        "{} of {} are free for logs",
        bytes(space.free_bytes),
        bytes(space.all_bytes)
    );
    let cure =
        "herder flush empties log files; keep and total_size under [apps.NAME.logs] bound them";
    let few_files = space.all_files > 0 && space.free_files < 1000;
    Some(if space.free_bytes < 64 << 20 || few_files {
        let text = if few_files {
            format!("{} files can be made where logs are", space.free_files)
        } else {
            text
        };
        Finding::problem("disk", text, cure)
    } else if space.free_bytes < 1 << 30 {
        Finding::warning("disk", text, cure)
    } else {
        Finding::ok("disk", text)
    })
}

fn clock((now, installed): (u64, Option<u64>)) -> Finding {
    // A day, for clocks that are nearly right and files that came from elsewhere.
    const DAY: u64 = 86_400;
    match installed {
        Some(then) if then > now.saturating_add(DAY) => Finding::problem(
            "clock",
            "it is earlier than this command was installed",
            "set the clock (timedatectl set-ntp true): times of logs and cron depend on it",
        ),
        _ => Finding::ok("clock", "it is later than this command was installed"),
    }
}

fn node(facts: &Facts) -> Finding {
    let Some((first, version)) = facts.nodes.first() else {
        return Finding::ok(
            "node",
            "there is none in PATH: only Node's programs need it",
        );
    };
    let number = version.trim_start_matches('v');
    let major: Option<u32> = number.split('.').next().and_then(|part| part.parse().ok());
    let shown = escape(&first.display().to_string());
    let name = escape(version);
    let more = match facts.nodes.len() - 1 {
        0 => String::new(),
        more => format!("; {more} more: interpreter = \"/path/to/node\" chooses"),
    };
    match major {
        Some(major) if major >= 18 => Finding::ok("node", format!("{name} at {shown}{more}")),
        Some(_) => Finding::warning(
            "node",
            format!("{name} at {shown} is older than what herder is tested with{more}"),
            "use Node 18 or newer",
        ),
        None => Finding::warning(
            "node",
            format!("{shown} does not say its version{more}"),
            "see what `node --version` says",
        ),
    }
}

/// Whether somebody runs another build than this command: by file where that can be seen, else by name.
fn differs(one: &Build, ours: &Build) -> bool {
    match (one.file, ours.file) {
        (Some(file), Some(own)) => file != own,
        _ => one.version != ours.version,
    }
}

fn builds(found: Option<&Answered>, ours: &Build) -> Finding {
    let Some(found) = found else {
        return Finding::ok("builds", "no daemon runs");
    };
    let herds = found.herds.iter();
    let others = herds.filter(|(_, build)| differs(build, ours));
    let mut others: Vec<String> = others.map(|(name, _)| escape(name)).collect();
    if differs(&found.daemon, ours) {
        others.insert(0, "the daemon".to_owned());
    }
    if others.is_empty() {
        let text = format!(
            "the daemon and {} herds are of this build",
            found.herds.len()
        );
        return Finding::ok("builds", text);
    }
    Finding::warning(
        "builds",
        format!("of another build than this command: {}", others.join(", ")),
        "herder upgrade (no worker and no connection is touched)",
    )
}

fn stale(home: &Home) -> Finding {
    let sockets = home.dead_sockets.iter().map(|name| format!("run/{name}"));
    let orders = home
        .lost_orders
        .iter()
        .map(|name| format!("state/herds/{name}"));
    let files: Vec<String> = sockets.chain(orders).map(|name| escape(&name)).collect();
    if files.is_empty() {
        return Finding::ok("stale files", "none");
    }
    Finding::warning(
        "stale files",
        format!("nobody needs {}", files.join(", ")),
        format!(
            "cd {} && rm {}",
            crate::startup::quoted(&home.path.display().to_string()),
            files.join(" ")
        ),
    )
}

fn startup(facts: &Facts) -> Finding {
    let is_of_home = |service: &&Service| service.home.as_ref() == Some(&facts.home.path);
    let Some(service) = facts.services.iter().find(is_of_home) else {
        if !facts.has_init {
            return Finding::ok("startup", "nothing starts services here (a container?)");
        }
        return Finding::warning(
            "startup",
            "the daemon does not start with the machine",
            "herder startup",
        );
    };
    let file = escape(&service.file.display().to_string());
    let cure = "herder startup, with the same options as before";
    match &service.program {
        Some((_, Some(found))) if Some(*found) == facts.ours.file => {
            Finding::ok("startup", format!("{file} starts this build"))
        }
        Some((program, Some(_))) => Finding::warning(
            "startup",
            format!(
                "{file} starts another build: {}",
                escape(&program.display().to_string())
            ),
            cure,
        ),
        Some((program, None)) => Finding::problem(
            "startup",
            format!(
                "{file} starts {}, which is not there",
                escape(&program.display().to_string())
            ),
            cure,
        ),
        None => Finding::warning(
            "startup",
            format!("{file} does not say what it starts"),
            cure,
        ),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
