//! `startup` and `unstartup`, as a user who is not root, with a systemctl that does nothing.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::{Scene, stand_in};

/// Somebody who may nothing.
const NOBODY: u32 = 65_534;

struct User {
    scene: Scene,
    program: PathBuf,
}

impl User {
    /// Of root's tests, somebody else; the command is put where he can reach it.
    fn new() -> User {
        let scene = Scene::new();
        let program = scene.0.join("herder");
        // A link, where it can be: the command is large.
        if std::fs::hard_link(env!("CARGO_BIN_EXE_herder"), &program).is_err() {
            std::fs::copy(env!("CARGO_BIN_EXE_herder"), &program).unwrap();
        }
        for name in ["bin", "config"] {
            std::fs::create_dir(scene.0.join(name)).unwrap();
        }
        stand_in(
            &scene.0.join("bin"),
            "systemctl",
            "[ \"$1\" = --version ] && echo 'systemd 255 (255.4)'; exit 0",
        );
        if rustix::process::geteuid().is_root() {
            for name in ["bin", "config", "."] {
                chown(scene.0.join(name), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        std::fs::set_permissions(&scene.0, std::fs::Permissions::from_mode(0o755)).unwrap();
        User { scene, program }
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        let bin = self.scene.0.join("bin");
        command
            .args(args)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .env("HERDER_HOME", self.scene.0.join("home"))
            .env("XDG_CONFIG_HOME", self.scene.0.join("config"))
            .current_dir(&self.scene.0)
            .stdin(Stdio::null());
        if rustix::process::geteuid().is_root() {
            command.gid(NOBODY).uid(NOBODY);
        }
        command.output().unwrap()
    }

    /// How systemctl was called since, without the questions for its version.
    fn called(&self) -> Vec<String> {
        let log = self.scene.0.join("bin/called");
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        drop(std::fs::remove_file(log));
        let lines = text.lines().filter(|line| *line != "--version");
        lines.map(str::to_owned).collect()
    }

    fn unit(&self) -> PathBuf {
        self.scene.0.join("config/systemd/user/herder.service")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_user_gets_a_service_of_his_own_and_gets_rid_of_it() {
    let user = User::new();
    let shown = user.run(&["startup", "systemd", "--print"]);
    assert!(
        shown.status.success() && user.called().is_empty(),
        "{shown:?}"
    );
    assert!(!user.unit().exists());

    let ran = user.run(&["startup", "systemd"]);
    assert!(ran.status.success(), "{ran:?}");
    let expected = ["--user daemon-reload", "--user enable herder.service"];
    assert_eq!(user.called(), expected);
    let said = text(&ran.stdout);
    assert!(said.contains("loginctl enable-linger "), "{said}");
    assert!(
        said.contains("systemctl --user start herder.service"),
        "{said}"
    );
    let unit = std::fs::read_to_string(user.unit()).unwrap();
    assert_eq!(unit, text(&shown.stdout));
    assert!(unit.contains("\nType=notify-reload\n") && unit.contains("WantedBy=default.target"));
    let program = format!("ExecStart={} daemon --resurrect\n", user.program.display());
    assert!(unit.contains(&program), "{unit}");
    let bin = user.scene.0.join("bin");
    assert!(unit.contains(&format!(
        "PATH={}:/usr/bin:/bin:/usr/local/bin\n",
        bin.display()
    )));
    assert!(
        user.run(&["startup", "systemd"]).status.success(),
        "once more is fine"
    );

    assert_eq!(user.called().len(), 2);
    assert!(user.run(&["unstartup", "systemd"]).status.success());
    let expected = ["--user disable herder.service", "--user daemon-reload"];
    assert_eq!(user.called(), expected);
    assert!(!user.unit().exists());
    let again = user.run(&["unstartup", "systemd"]);
    assert!(again.status.success() && user.called().is_empty());
    assert!(text(&again.stdout).starts_with("There is no "));
}

#[test]
fn what_root_has_to_do_is_told_as_a_command() {
    let user = User::new();
    for (verb, args) in [
        ("startup", vec!["startup", "systemd"]),
        ("unstartup", vec!["unstartup", "systemd"]),
    ] {
        let mut args = args;
        args.extend(["--user", "root", "--service-name", "apps"]);
        let ran = user.run(&args);
        assert_eq!(ran.status.code(), Some(77), "{ran:?}");
        let said = text(&ran.stderr);
        let command = format!(
            "{} {verb} systemd --user root --service-name apps",
            user.program.display()
        );
        assert!(
            said.contains("sudo env PATH=") && said.contains(&command),
            "{said}"
        );
    }
    assert!(user.called().is_empty());
    let ran = user.run(&["startup", "openrc"]);
    assert_eq!(ran.status.code(), Some(77), "{ran:?}");
    let ran = user.run(&[
        "startup",
        "systemd",
        "--user",
        "no-such-user-here",
        "--print",
    ]);
    assert_eq!(ran.status.code(), Some(2), "{ran:?}");
}

#[test]
fn what_goes_wrong_is_told_and_what_others_wrote_stays() {
    let user = User::new();
    stand_in(
        &user.scene.0.join("bin"),
        "systemctl",
        "echo 'Failed to connect to bus' >&2; exit 1",
    );
    let ran = user.run(&["startup", "systemd"]);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    let said = text(&ran.stderr);
    assert!(said.contains("Failed to connect to bus"), "{said}");
    assert!(said.contains("systemctl --user daemon-reload"), "{said}");

    std::fs::write(user.unit(), "[Unit]\nDescription=mine\n").unwrap();
    for verb in ["startup", "unstartup"] {
        let ran = user.run(&[verb, "systemd"]);
        assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    }
    let kept = std::fs::read_to_string(user.unit()).unwrap();
    assert!(kept.contains("mine"));
}
