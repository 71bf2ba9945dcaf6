//! A program that says whether an app works: it ends with 0 if it does.
//!
//! It is started as a process of ours first, which becomes the app's user, and then the program: see
//! [`super::seat`].

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use herder_sys::pidfd::PidFd;
use herder_sys::process::{self, Child, Executable, Launch};
use herder_sys::signal::Signal;
use herder_sys::{fd, pipe};
use rustix::fs::{MemfdFlags, SeekFrom};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;

use crate::part;
use crate::waited::readable;

/// How much of what it prints is kept, in bytes: the end.
const KEPT: usize = 1024;

/// What is run, by whom and where.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) argv: Vec<String>,
    pub(super) cwd: Option<PathBuf>,
    pub(super) user: Option<String>,
    pub(super) group: Option<String>,
    /// All of it.
    pub(super) environment: BTreeMap<String, String>,
}

/// A program that is to be run.
#[derive(Clone, Debug)]
pub(in crate::triggers) struct Program {
    order: Order,
    executable: Arc<Executable>,
}

impl Program {
    /// The check of an app. `pids`: its workers. `executable`: this program.
    pub(in crate::triggers) fn new(
        order: &herder_api::herd::HerdOrder,
        exec: &[String],
        pids: &[i32],
        executable: Arc<Executable>,
    ) -> Program {
        let app = &order.app;
        let mut environment = herder_config::environment(order);
        environment.insert("HERDER_APP".to_owned(), app.name.clone());
        let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
        environment.insert("HERDER_PIDS".to_owned(), pids.join(" "));
        let order = Order {
            argv: words(exec),
            cwd: app.cwd.clone(),
            user: app.user.clone(),
            group: app.group.clone(),
            environment,
        };
        Program { order, executable }
    }

    /// Tells it of which worker it is to say so: the slot, and where that listens.
    pub(in crate::triggers) fn of_worker(mut self, slot: u16, place: Option<&str>) -> Program {
        let environment = &mut self.order.environment;
        environment.insert("HERDER_SLOT".to_owned(), slot.to_string());
        let (name, value) = match place.map(|place| (place, place.strip_prefix("unix:"))) {
            Some((_, Some(path))) => ("HERDER_UNIX", Some(path)),
            Some((address, None)) => ("PORT", address.rsplit_once(':').map(|(_, port)| port)),
            None => ("PORT", None),
        };
        match value {
            Some(value) => environment.insert(name.to_owned(), value.to_owned()),
            None => environment.remove(name),
        };
        self
    }

    /// As people call it.
    pub(super) fn name(&self) -> String {
        self.order.argv.join(" ")
    }

    /// Runs it to its end; kills it, and all that it started, at the limit.
    pub(super) async fn run(self, limit: Duration) -> Result<(), String> {
        let started = self.start();
        let (child, output) = started.map_err(|error| format!("it cannot be started: {error}"))?;
        let mut running = Running { child: Some(child) };
        let mut printed = Vec::new();
        let ended = timeout(limit, running.wait(output, &mut printed)).await;
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(format!("it cannot be waited for: {error}")),
            Err(_) => {
                let limit = herder_api::units::Period(limit);
                return Err(format!(
                    "it did not end within {limit}{}",
                    last_line(&printed)
                ));
            }
        }
        let status = running.end().map_err(|error| error.to_string())?;
        let Some(status) = status else {
            return Err("nobody knows how it ended".to_owned());
        };
        if status.success() {
            return Ok(());
        }
        Err(format!("{}{}", how(status), last_line(&printed)))
    }

    fn start(&self) -> io::Result<(Child, Receiver)> {
        let (reader, writer) = pipe::pipe()?;
        let child = process::launch(Launch {
            executable: &self.executable,
            argv0: "herder".into(),
            args: &part::arguments(),
            environment: vec![part::probe()],
            stdin: sealed(&serde_json::to_vec(&self.order)?)?,
            stdout: Some(fd::duplicate(writer.as_fd())?),
            stderr: Some(writer),
        })?;
        // Before anything else can fail, somebody has to be there who ends it.
        let mut running = Running { child: Some(child) };
        let reader = Receiver::from_owned_fd(reader)?;
        let child = running.child.take();
        Ok((child.ok_or(io::ErrorKind::NotFound)?, reader))
    }
}

/// A process that must not be left behind.
struct Running {
    child: Option<Child>,
}

impl Running {
    /// Waits for its end, and keeps what it prints.
    async fn wait(&mut self, mut output: Receiver, printed: &mut Vec<u8>) -> io::Result<()> {
        let Some(child) = &self.child else {
            return Ok(());
        };
        let ended = readable(fd::duplicate(child.pidfd.as_fd())?)?;
        let mut is_open = true;
        let mut part = [0; 4096];
        loop {
            tokio::select! {
                biased;
                read = output.read(&mut part), if is_open => match read {
                    Ok(read @ 1..) => keep(printed, &part[..read]),
                    Ok(0) | Err(_) => is_open = false,
                },
                ready = ended.ready(Interest::READABLE) => {
                    drop(ready?);
                    // What others still write who have it open does not matter.
                    while let Ok(read @ 1..) = output.try_read(&mut part) {
                        keep(printed, &part[..read]);
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Ends what is left of it, and says how it ended.
    fn end(&mut self) -> io::Result<Option<ExitStatus>> {
        let Some(child) = &self.child else {
            return Ok(None);
        };
        kill(child);
        let status = child.pidfd.wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(child) = self.child.take() else {
            return;
        };
        kill(&child);
        // It may take a while to die: nobody waits for it but this.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(bury(child.pidfd));
        }
    }
}

/// With all that it has started. It is not reaped yet, so the number of the group is its own.
fn kill(child: &Child) {
    drop(process::signal_group(child.pid, Signal::Kill));
    drop(child.pidfd.signal(Signal::Kill));
}

async fn bury(pidfd: PidFd) {
    if let Ok(dead) = readable(pidfd) {
        drop(dead.ready(Interest::READABLE).await);
        drop(dead.get_ref().0.wait());
    }
}

/// One text with blanks in it is a line for the shell, as it is of a `command`.
fn words(exec: &[String]) -> Vec<String> {
    match exec {
        [line] if line.contains(char::is_whitespace) => {
            vec!["sh".to_owned(), "-c".to_owned(), line.clone()]
        }
        words => words.to_vec(),
    }
}

/// A file without a name, to be read from its begin.
fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create("check", MemfdFlags::CLOEXEC)?;
    let mut left = bytes;
    while !left.is_empty() {
        let written = rustix::io::write(&file, left)?;
        left = &left[written..];
    }
    rustix::fs::seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}

fn keep(printed: &mut Vec<u8>, part: &[u8]) {
    printed.extend_from_slice(part);
    let beyond = printed.len().saturating_sub(KEPT);
    printed.drain(..beyond);
}

/// The last line, behind what is said, if there is one.
fn last_line(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    let line = text.lines().rev().map(str::trim).find(|it| !it.is_empty());
    line.map_or_else(String::new, |line| {
        let line: String = line
            .chars()
            .filter(|it| !it.is_control())
            .take(200)
            .collect();
        format!(": {line}")
    })
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with {code}"),
        (None, Some(signal)) => match Signal::from_number(signal) {
            Some(signal) => format!("it was ended by {signal}"),
            None => format!("it was ended by signal {signal}"),
        },
        (None, None) => "nobody knows how it ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_for_the_shell_and_words_are_words() {
        let owned = |words: &[&str]| -> Vec<String> {
            words.iter().map(|word| (*word).to_owned()).collect()
        };
        assert_eq!(
            words(&owned(&["curl -f x"])),
            owned(&["sh", "-c", "curl -f x"])
        );
        assert_eq!(words(&owned(&["/bin/check"])), owned(&["/bin/check"]));
        assert_eq!(words(&owned(&["check", "a b"])), owned(&["check", "a b"]));
    }

    #[test]
    fn of_what_it_prints_the_last_line_is_told() {
        let mut printed = Vec::new();
        for number in 0..10_000 {
            keep(&mut printed, format!("line {number}\n").as_bytes());
            assert!(printed.len() <= KEPT);
        }
        keep(&mut printed, b"\x1b[31mno database\n  \n");
        assert_eq!(last_line(&printed), ": [31mno database");
        assert_eq!(last_line(b""), "");
    }
}
