//! Files of JavaScript: Node says what they export.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use herder_api::problem::{Problem, ProblemKind};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::process::{Pid, PidfdFlags, Signal};
use serde_json::Value as Json;

use crate::source::MAX_SIZE;

/// How long a file may take to be run.
const TIME: Duration = Duration::from_secs(10);

/// How much of what it prints is shown, in bytes.
const SHOWN: usize = 8 << 10;

/// Prints what the file exports, and nothing else: what the file itself prints goes to stderr.
/// A module may export a promise, or a function that returns what is meant.
const PROGRAM: &str = r#"
const { writeSync } = require('node:fs');
const { pathToFileURL } = require('node:url');
process.stdout.write = process.stderr.write.bind(process.stderr);
const tell = (what) => {
  let bytes = Buffer.from(JSON.stringify(what) ?? 'null');
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(1, bytes));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
  process.exit(0);
};
(async () => {
  const file = process.argv[1];
  let found = await import(pathToFileURL(file).href);
  const names = Object.keys(found).filter((name) => name !== '__esModule' && name !== 'module.exports');
  if (names.includes('default')) found = found.default;
  if (found && found.__esModule && found.default) found = found.default;
  if (typeof found === 'function') found = found();
  tell({ exports: await found });
})().catch((error) => tell({ failed: String((error && error.stack) || error) }));
"#;

/// What a file exports, as JSON. It is absolute.
pub(crate) fn exports(path: &Path) -> Result<Json, Problem> {
    within(path, TIME)
}

/// The same, with another limit.
pub(crate) fn within(path: &Path, time: Duration) -> Result<Json, Problem> {
    let told = run(path, time)?;
    let file = path.display();
    let broken = || {
        let message = format!("{file} ended before it exported anything.");
        invalid(path, message, &told.stderr)
    };
    let mut answer: Json = serde_json::from_slice(&told.stdout).map_err(|_| broken())?;
    if let Some(failed) = answer.get("failed").and_then(Json::as_str) {
        let first = failed
            .lines()
            .find(|line| line.contains("Error"))
            .unwrap_or("it failed");
        let problem = invalid(
            path,
            format!("{file} cannot be run: {}.", first.trim()),
            failed.as_bytes(),
        );
        return Err(match place_in(failed, path) {
            Some(place) => problem.place(place),
            None => problem,
        });
    }
    answer.get_mut("exports").map(Json::take).ok_or_else(broken)
}

/// `FILE:LINE[:COLUMN]`, as Node tells it.
fn place_in(stack: &str, path: &Path) -> Option<String> {
    let file = path.to_str()?;
    let (_, after) = stack.split_once(&format!("{file}:"))?;
    let numbers = after
        .split(|c: char| !c.is_ascii_digit() && c != ':')
        .next()?;
    Some(format!("{file}:{}", numbers.trim_end_matches(':')))
}

fn invalid(path: &Path, message: String, output: &[u8]) -> Problem {
    let mut problem = Problem::new(ProblemKind::Invalid, message).place(path.display().to_string());
    let lines = String::from_utf8_lossy(output);
    let lines: Vec<String> = lines
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    problem.last_lines = lines[lines.len().saturating_sub(20)..].to_vec();
    problem
}

struct Told {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

fn run(path: &Path, time: Duration) -> Result<Told, Problem> {
    let mut node = Command::new("node");
    node.arg("-e").arg(PROGRAM).arg(path);
    node.stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Its own group, so that whatever it starts ends with it; and no channel that is another's.
    node.process_group(0);
    for name in [
        "NODE_CHANNEL_FD",
        "NODE_CHANNEL_SERIALIZATION_MODE",
        "NODE_UNIQUE_ID",
    ] {
        node.env_remove(name);
    }
    let mut child = node.spawn().map_err(|error| no_node(path, &error))?;
    let ended = attend(&mut child, Instant::now() + time);
    // It is reaped below: until then the group's number is nobody else's.
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = id {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    let status = child.wait();
    let failed = |error: io::Error| {
        Problem::new(
            ProblemKind::Internal,
            format!("node cannot be watched: {error}."),
        )
    };
    let (told, end) = ended.map_err(failed)?;
    let status = status.map_err(failed)?;
    let file = path.display();
    match end {
        End::Died => judge(path, status, told),
        End::Late => {
            let message = format!(
                "{file} takes longer than {} seconds to run.",
                time.as_secs()
            );
            Err(invalid(path, message, &told.stderr)
                .hint("A file of definitions should only export them."))
        }
        End::TooMuch => {
            let message = format!("{file} exports more than 4 MiB: that is no definition of apps.");
            Err(invalid(path, message, &told.stderr))
        }
    }
}

fn judge(path: &Path, status: ExitStatus, told: Told) -> Result<Told, Problem> {
    // What ended well has told everything; so has what is there after all.
    if status.success() || !told.stdout.is_empty() {
        return Ok(told);
    }
    let message = format!("{} made node end with {status}.", path.display());
    Err(invalid(path, message, &told.stderr))
}

fn no_node(path: &Path, error: &io::Error) -> Problem {
    let file = path.display();
    let what = if error.kind() == io::ErrorKind::NotFound {
        "there is no node in PATH".to_owned()
    } else {
        error.to_string()
    };
    let message = format!("{file} is JavaScript, and has to be run to be read: {what}.");
    let hint = "Install Node, or write the definitions as herder.toml, JSON or YAML.";
    Problem::new(ProblemKind::Invalid, message)
        .hint(hint)
        .place(file.to_string())
}

enum End {
    /// It ended, somehow, and everything it wrote is there.
    Died,
    /// It did not end in time.
    Late,
    /// It wrote too much.
    TooMuch,
}

/// Takes what a process says until it ends, with one thread and never for longer than told.
fn attend(child: &mut Child, until: Instant) -> io::Result<(Told, End)> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("it has no number"))?;
    let death = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    let mut stdout = child
        .stdout
        .take()
        .ok_or_else(|| io::Error::other("it has no stdout"))?;
    let mut stderr = child
        .stderr
        .take()
        .ok_or_else(|| io::Error::other("it has no stderr"))?;
    unblock(&stdout)?;
    unblock(&stderr)?;
    let mut told = Told {
        stdout: Vec::new(),
        stderr: Vec::new(),
    };
    let (mut out_open, mut err_open) = (true, true);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok((told, End::Late));
        }
        let mut waits = vec![PollFd::new(&death, PollFlags::IN)];
        if out_open {
            waits.push(PollFd::new(&stdout, PollFlags::IN));
        }
        if err_open {
            waits.push(PollFd::new(&stderr, PollFlags::IN));
        }
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match rustix::event::poll(&mut waits, Some(&left)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let died = !waits[0].revents().is_empty();
        drop(waits);
        // What it wrote before it died is in the pipes by now.
        out_open = out_open && drain(&mut stdout, &mut told.stdout)?;
        err_open = err_open && drain(&mut stderr, &mut told.stderr)?;
        let excess = told.stderr.len().saturating_sub(SHOWN);
        told.stderr.drain(..excess);
        if told.stdout.len() as u64 > MAX_SIZE {
            return Ok((told, End::TooMuch));
        }
        if died {
            return Ok((told, End::Died));
        }
    }
}

fn unblock(pipe: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&pipe)?;
    rustix::fs::fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?;
    Ok(())
}

/// Takes what is there, a little at a time: whoever writes without end is noticed. Says whether more can come.
fn drain(pipe: &mut impl Read, into: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 64 << 10];
    for _ in 0..16 {
        match pipe.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => into.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
