//! Options of the command, each with what it does to processes. A daemon serves a scene of several of them.

mod acting;
mod life;
mod logs;
mod reloads;
mod showing;
mod workers;

use std::ffi::OsStr;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::kit::{LIMIT, Place, attempt};

/// What the command did.
#[derive(Debug)]
struct Ran {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Place {
    /// A directory in the place.
    fn directory(&self, name: &str) -> PathBuf {
        let path = self.root().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    }

    /// The command, with the home of this place.
    fn herder(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herder"));
        command
            .args(words)
            .current_dir(self.root())
            .env("HERDER_HOME", self.home())
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the command; the words have no blanks in them.
    fn tries(&self, line: &str) -> Ran {
        ended(&mut self.herder(line.split_whitespace()))
    }

    /// The same, which has to be done; returns what it says.
    fn does(&self, line: &str) -> String {
        let ran = self.tries(line);
        assert_eq!(
            ran.status,
            Some(0),
            "{line}: {ran:?}\n{}",
            self.complaints()
        );
        ran.out
    }

    /// What it answers to programs.
    fn asks(&self, line: &str) -> serde_json::Value {
        let text = self.does(&format!("{line} --json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {text:?}: {error}"))
    }

    /// Starts a line of a shell with these options, which has to be done.
    fn starts(&self, options: &str, line: &str) {
        let ran = ended(&mut self.starting(options, line));
        assert_eq!(
            ran.status,
            Some(0),
            "{options}: {ran:?}\n{}",
            self.complaints()
        );
    }

    /// The command that starts a line of a shell with these options.
    fn starting(&self, options: &str, line: &str) -> Command {
        let mut command = self.herder(["start"]);
        command
            .args(options.split_whitespace())
            .args(["--", "sh", "-c", line]);
        command
    }

    /// Waits for a file with so many lines, and returns them.
    fn lines(&self, name: &str, count: usize) -> Vec<String> {
        let read = || {
            let text = std::fs::read_to_string(self.root().join(name)).ok()?;
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            (lines.len() >= count && text.ends_with('\n')).then_some(lines)
        };
        attempt(read)
            .unwrap_or_else(|| panic!("{name} has not {count} lines\n{}", self.complaints()))
    }
}

/// Runs it to its end, for so long as anything may take.
fn ended(command: &mut Command) -> Ran {
    let mut child = command.spawn().unwrap();
    let out = told(child.stdout.take().unwrap());
    let err = told(child.stderr.take().unwrap());
    let end = Instant::now() + 2 * LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{command:?} does not end");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    Ran {
        status: status.code(),
        out: out.join().unwrap(),
        err: err.join().unwrap(),
    }
}

/// Reads to the end, beside.
fn told(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(pipe.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Ends a process of the test's own in order.
fn terminate(child: &mut Child) -> std::process::ExitStatus {
    let pid = i32::try_from(child.id()).unwrap();
    let process = herder_sys::pidfd::PidFd::open(pid).unwrap();
    process
        .signal(herder_sys::signal::Signal::Terminate)
        .unwrap();
    child.wait().unwrap()
}
