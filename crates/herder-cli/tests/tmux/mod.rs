//! A terminal of our own, with a home of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// How long something may take to be seen. (Workers that say nothing are ready after a while only.)
const DEADLINE: Duration = Duration::from_secs(60);

const STEP: Duration = Duration::from_millis(50);

pub(crate) struct Tmux {
    directory: PathBuf,
}

impl Tmux {
    /// `None` where there is no tmux: that is said.
    pub(crate) fn open(name: &str, columns: u16, rows: u16) -> Option<Tmux> {
        if Command::new("tmux").arg("-V").output().is_err() {
            let text = format!(
                "{name}: skipped, for there is no tmux (`scripts/setup test` installs it)\n"
            );
            std::io::stderr()
                .write_all(text.as_bytes())
                .expect("stderr");
            return None;
        }
        let directory =
            std::env::temp_dir().join(format!("herder-monit-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let tmux = Tmux { directory };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let mut command = tmux.command();
        tmux.environment(&mut command);
        let output = command
            .args([
                "-f",
                "/dev/null",
                "new-session",
                "-d",
                "-x",
                &columns,
                "-y",
                &rows,
            ])
            .args(["-s", "main", "sh"])
            .output()
            .expect("tmux");
        assert!(output.status.success(), "{output:?}");
        tmux.types("PS1=prompt'> '\r");
        tmux.shows(&["\nprompt>"]);
        Some(tmux)
    }

    fn home(&self) -> PathBuf {
        self.directory.join("home")
    }

    fn environment(&self, command: &mut Command) {
        command
            .env("HERDER_HOME", self.home())
            .env("HERDER", env!("CARGO_BIN_EXE_herder"))
            .env("LC_ALL", "C.UTF-8")
            .env_remove("NO_COLOR")
            .env_remove("TMUX")
            .current_dir(&self.directory);
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-u").arg("-S").arg(self.directory.join("tmux"));
        command
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().expect("tmux");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        std::fs::write(self.directory.join(name), text).expect("a file");
    }

    /// The command, beside the terminal.
    pub(crate) fn herder(&self, arguments: &[&str]) {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herder"));
        self.environment(&mut command);
        command.args(arguments).output().expect("the command")
    }

    /// Key by key, as hands do.
    pub(crate) fn types(&self, text: &str) {
        for c in text.chars() {
            match c {
                '\r' => self.ask(&["send-keys", "-t", "main", "Enter"]),
                c => self.ask(&["send-keys", "-t", "main", "-l", "--", &c.to_string()]),
            };
        }
    }

    pub(crate) fn size(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.ask(&["resize-window", "-t", "main", "-x", &columns, "-y", &rows]);
    }

    fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p", "-t", "main"])
    }

    /// Waits until all of it is on the screen.
    pub(crate) fn shows(&self, texts: &[&str]) {
        let found = |screen: &str| texts.iter().all(|text| screen.contains(text));
        self.until(&format!("shows {texts:?}"), found);
    }

    /// Waits until none of it is on the screen.
    pub(crate) fn hides(&self, texts: &[&str]) {
        let gone = |screen: &str| !texts.iter().any(|text| screen.contains(text));
        self.until(&format!("hides {texts:?}"), gone);
    }

    fn until(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let end = Instant::now() + DEADLINE;
        loop {
            let screen = self.screen();
            if holds(&screen) {
                return;
            }
            assert!(Instant::now() < end, "it never {what}:\n{screen}");
            std::thread::sleep(STEP);
        }
    }

    /// Ends what the shell of the terminal has started, by SIGTERM.
    pub(crate) fn ends_what_runs(&self) {
        let shell = self.ask(&["display-message", "-p", "-t", "main", "#{pane_pid}"]);
        let shell = shell.trim();
        let path = format!("/proc/{shell}/task/{shell}/children");
        let children = std::fs::read_to_string(path).expect("the shell lives");
        let child = children
            .split_whitespace()
            .next()
            .expect("it has started something");
        let output = Command::new("kill")
            .args(["-TERM", child])
            .output()
            .expect("kill");
        assert!(output.status.success(), "{output:?}");
    }

    /// The shell is back, as it was before: what it had shown, with echo, and with a cursor.
    pub(crate) fn is_given_back(&self) {
        self.until("is given back", |screen| {
            screen.contains("$HERDER monit") && screen.trim_end().ends_with("prompt>")
        });
        self.types("stty -a\r");
        self.shows(&["isig icanon iexten echo "]);
        let told = "#{alternate_on} #{cursor_flag} #{pane_dead}";
        let told = self.ask(&["display-message", "-p", "-t", "main", told]);
        assert_eq!(told.trim(), "0 1 0");
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let killed = self.run(&["kill"]);
        let closed = self.command().arg("kill-server").output();
        if !std::thread::panicking() {
            assert!(killed.status.success(), "{killed:?}");
            assert!(closed.is_ok_and(|closed| closed.status.success()));
            remove(&self.directory);
        }
    }
}

fn remove(directory: &Path) {
    std::fs::remove_dir_all(directory).expect("ours");
}
