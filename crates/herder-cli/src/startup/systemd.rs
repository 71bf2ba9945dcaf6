//! A unit for systemd.

use std::fmt::Write as _;

use super::{MARK, Place, Recipe, Service, words};

/// From this version on systemd asks for a reload by a signal, and waits for the verdict.
const NOTIFY_RELOAD: u32 = 253;

/// How a service is set up. `version`: systemd's, if it could be asked.
pub(super) fn recipe(service: &Service, place: &Place, version: Option<u32>) -> Recipe {
    let unit = format!("{}.service", service.name);
    let manager = if place.is_of_machine {
        "systemctl"
    } else {
        "systemctl --user"
    };
    let mut notes = Vec::new();
    if !place.is_of_machine {
        notes.push(format!(
            "It starts when you log in, and ends when you log out. To have it start with the machine: \
             loginctl enable-linger {}",
            place.user
        ));
    }
    Recipe {
        file: place.directory.join(&unit),
        text: text(service, place, version),
        mode: 0o644,
        enable: vec![
            words(&format!("{manager} daemon-reload")),
            words(&format!("{manager} enable {unit}")),
        ],
        // It is not ended: its apps go on until somebody says otherwise.
        disable: vec![words(&format!("{manager} disable {unit}"))],
        forget: vec![words(&format!("{manager} daemon-reload"))],
        start: format!("{manager} start {unit}"),
        notes,
    }
}

fn text(service: &Service, place: &Place, version: Option<u32>) -> String {
    let mut unit = format!("{MARK}; herder unstartup removes it.\n");
    unit += &head(service, place);
    unit += &life(service, place, version);
    unit += RESOURCES;
    unit += &walls(service, place);
    let target = if place.is_of_machine {
        "multi-user.target"
    } else {
        "default.target"
    };
    let _ = write!(unit, "\n[Install]\nWantedBy={target}\n");
    unit
}

fn head(service: &Service, place: &Place) -> String {
    let of = match &service.user {
        Some(user) => format!(" of {user}"),
        None => String::new(),
    };
    let network = if place.is_of_machine {
        "Wants=network-online.target\nAfter=network-online.target remote-fs.target nss-user-lookup.target\n"
    } else {
        ""
    };
    format!(
        "[Unit]\n\
         Description=herder: the apps{of}\n\
         {network}\
         # A daemon that cannot live is given up after a while; its apps go on all the same.\n\
         StartLimitIntervalSec=120\n\
         StartLimitBurst=10\n"
    )
}

fn life(service: &Service, place: &Place, version: Option<u32>) -> String {
    let mut text = String::from("\n[Service]\n");
    if version.is_none_or(|version| version >= NOTIFY_RELOAD) {
        text += "# It says when it is ready, and how a reload went: `systemctl reload` reloads all apps.\n\
                 Type=notify-reload\n";
    } else {
        text += "# It says when it is ready, and how a reload went: `systemctl reload` reloads all apps.\n\
                 Type=notify\n\
                 ExecReload=/bin/kill -HUP $MAINPID\n";
    }
    text += "# The guard is the main process, and the only one that systemd listens to. It speaks for the daemon.\n\
             NotifyAccess=main\n";
    if place.is_of_machine
        && let Some(user) = &service.user
    {
        let _ = writeln!(text, "User={}", escaped(user));
    }
    let program = quoted(&service.program.to_string_lossy().replace('$', "$$"));
    let home = service.home.to_string_lossy();
    let _ = write!(
        text,
        "Environment={}\n\
         # Where programs are found: as it was when this was written, so that a node of nvm is. Write it anew\n\
         # (herder startup) when that has moved.\n\
         Environment={}\n\
         ExecStart={program} daemon --resurrect\n",
        quoted(&format!("HERDER_HOME={home}")),
        quoted(&format!("PATH={}", service.path)),
    );
    text += LIFE;
    text
}

const LIFE: &str = "\
# `herder kill` ends it for good; whatever else ends it does not.
Restart=on-failure
RestartSec=1
# On a stop SIGTERM goes to the guard alone, and the daemon stops the apps itself, in order, each with its
# own grace: it asks for more time as long as it needs it. A daemon that crashes leaves its apps alone, and
# the next one takes them over: they must not be killed with it.
KillMode=process
TimeoutStopSec=90
TimeoutStartSec=90
# The guard says that the daemon's loop turns. One that does not is replaced by the guard; a guard that does
# not, by systemd.
WatchdogSec=30
";

const RESOURCES: &str = "
# Workers get control groups of their own, by which they are killed whole.
Delegate=yes
# A worker that the kernel kills for want of memory is herder's business.
OOMPolicy=continue
TasksMax=32768
LimitNOFILE=65536:524288
";

/// What holds for apps of any kind, and what could hold besides.
fn walls(service: &Service, place: &Place) -> String {
    let mut text = String::from(
        "\n# Walls that apps of any kind can live with. They hold for all apps, as they are children of this.\n",
    );
    if service.is_root {
        text += "# Apps of root may need programs that change the user (sudo, su): NoNewPrivileges=yes keeps them\n\
                 # from it, and costs nothing where nobody uses those.\n#NoNewPrivileges=yes\n";
    } else {
        text += "# No app gets more rights than it has: sudo, and ping on some systems, do not work in it.\n\
                 NoNewPrivileges=yes\n";
    }
    text += "LockPersonality=yes\nRestrictRealtime=yes\n";
    if !place.is_of_machine {
        text += "# The rest needs rights that a user's own manager has not.\n";
        return text;
    }
    text += if service.is_root {
        "# /usr and /boot cannot be written. (full: neither can /etc)\nProtectSystem=yes\n"
    } else {
        "# /usr, /boot and /etc cannot be written.\nProtectSystem=full\n"
    };
    text +=
        "ProtectKernelModules=yes\nProtectKernelLogs=yes\nProtectClock=yes\nProtectHostname=yes\n";
    text += TIGHTER;
    text
}

const TIGHTER: &str = "
# What can be tightened, when your apps can live with it (herder can):
#ProtectSystem=strict         with ReadWritePaths= for the home above and whatever apps write
#ProtectHome=read-only        with ReadWritePaths= as well, if the home above is in /home
#PrivateDevices=yes           no GPU, no serial lines
#ProtectKernelTunables=yes    no sysctl -w
#ProtectControlGroups=no      must stay: workers get groups of their own
#RestrictSUIDSGID=yes         no chmod g+s: some deployments (rsync -p, tar) want it
#RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
#RestrictNamespaces=yes       no sandboxes: Chromium and Puppeteer need them
#SystemCallFilter=@system-service
#CapabilityBoundingSet=       with a list; for ports below 1024 without root:
#AmbientCapabilities=CAP_NET_BIND_SERVICE
#MemoryMax=                   for all apps together; max_memory of an app is for each of its workers
# What must not be:
#   PrivateTmp=yes              apps live on when the daemon ends, and would lose their /tmp
#   MemoryDenyWriteExecute=yes  Node, Java and others compile while they run
#   KillMode=control-group      would end all apps when the daemon crashes
";

/// A value of a unit: `%` would be a name for something.
fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

/// A word of a unit, in quotes if it needs them.
fn quoted(word: &str) -> String {
    let text = escaped(word);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=@%,$".contains(c);
    if text.chars().all(is_plain) {
        return text;
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// systemd's number, from what `systemctl --version` prints first.
pub(super) fn version(printed: &str) -> Option<u32> {
    let mut words = printed.lines().next()?.split_whitespace();
    if words.next()? != "systemd" {
        return None;
    }
    let number = words.next()?;
    let end = number.find(|c: char| !c.is_ascii_digit());
    number[..end.unwrap_or(number.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::super::{Init, recipe};
    use super::*;
    use crate::render::snapshot;

    fn service() -> Service {
        Service {
            name: "herder-web".to_owned(),
            user: Some("web".to_owned()),
            is_root: false,
            program: PathBuf::from("/usr/local/bin/herder"),
            home: PathBuf::from("/home/web/.herder"),
            path: "/home/web/.nvm/versions/node/v22.0.0/bin:/usr/local/bin:/usr/bin:/bin"
                .to_owned(),
        }
    }

    fn place(is_of_machine: bool) -> Place {
        Place {
            init: Init::Systemd,
            is_of_machine,
            user: "web".to_owned(),
            name: "herder-web".to_owned(),
            directory: PathBuf::from("/etc/systemd/system"),
        }
    }

    #[test]
    fn the_units_are_as_recorded() {
        let of_machine = recipe(&service(), &place(true), Some(257));
        snapshot::check("unit-of-user", &of_machine.text);
        let root = Service {
            user: None,
            is_root: true,
            ..service()
        };
        snapshot::check("unit-of-root", &recipe(&root, &place(true), Some(252)).text);
        let own = recipe(&service(), &place(false), None);
        snapshot::check("unit-of-its-own", &own.text);
        assert!(own.notes[0].contains("loginctl enable-linger web"));
        assert_eq!(
            own.enable[1].join(" "),
            "systemctl --user enable herder-web.service"
        );
    }

    #[test]
    fn older_managers_get_what_they_know() {
        let text = |version| text(&service(), &place(true), version);
        assert!(text(Some(252)).contains("\nType=notify\nExecReload="));
        assert!(text(Some(253)).contains("\nType=notify-reload\n"));
        assert_eq!(version("systemd 252 (252.39-1~deb12u2)\n+PAM"), Some(252));
        assert_eq!(version("systemd 256~rc3 (x)"), Some(256));
        assert_eq!(version("System has not been booted"), None);
    }

    #[test]
    fn odd_paths_are_one_word_each() {
        assert_eq!(quoted("/a/b"), "/a/b");
        assert_eq!(quoted("A=/a b%c"), "\"A=/a b%%c\"");
        assert_eq!(quoted("a\"b\\c"), "\"a\\\"b\\\\c\"");
        let service = Service {
            program: PathBuf::from("/opt/$x y/herder"),
            ..service()
        };
        let text = text(&service, &place(true), None);
        assert!(text.contains("ExecStart=\"/opt/$$x y/herder\" daemon --resurrect\n"));
    }

    /// It only reads the file; where it is not installed, the snapshots have to do.
    #[test]
    fn systemd_itself_finds_nothing_wrong() {
        let Ok(asked) = Command::new("systemd-analyze").arg("--version").output() else {
            return;
        };
        let known = version(&String::from_utf8_lossy(&asked.stdout));
        let directory = std::env::temp_dir().join(format!("herder-unit-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let program = std::env::current_exe().expect("a test is a program");
        for (user, is_root, of_machine) in [
            (Some("root"), false, true),
            (None, true, true),
            (None, false, false),
        ] {
            let service = Service {
                user: user.map(str::to_owned),
                is_root,
                program: program.clone(),
                home: directory.join("a home%"),
                ..service()
            };
            let found = recipe(&service, &place(of_machine), known);
            verify(&directory.join("herder-verified.service"), &found.text);
        }
        std::fs::remove_dir_all(&directory).expect("it is ours");
    }

    fn verify(file: &Path, text: &str) {
        std::fs::write(file, text).expect("it is ours");
        let verified = Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .arg(file)
            .output()
            .expect("it ran before");
        let said = String::from_utf8_lossy(&verified.stderr);
        // Of units of this machine that it reads besides, it says what it likes.
        let of_ours: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("herder-verified"))
            .collect();
        assert!(of_ours.is_empty(), "{of_ours:?}\n{text}");
    }
}
