//! A herd, seen from outside.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::program::SCENARIO;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Scene {
    keeper: Child,
    address: String,
    lines: Receiver<String>,
    seen: Vec<String>,
    /// How many of the lines seen were waited for.
    waited: usize,
}

impl Scene {
    /// Starts the herd, and waits until it listens.
    pub(crate) fn start(scenario: &str) -> Scene {
        let mut keeper = command(scenario).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(keeper.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // The test may be over.
                let _gone = sender.send(line);
            }
        });
        let (seen, waited) = (Vec::new(), 0);
        let mut scene = Scene {
            keeper,
            address: String::new(),
            lines,
            seen,
            waited,
        };
        let listening = scene.wait_for("listening ");
        scene.address = listening.trim_start_matches("listening ").to_owned();
        scene
    }

    /// Waits for the next line that begins so.
    pub(crate) fn wait_for(&mut self, beginning: &str) -> String {
        loop {
            let new = &self.seen[self.waited..];
            if let Some(place) = new.iter().position(|line| line.starts_with(beginning)) {
                let line = new[place].clone();
                // What was passed over may be waited for later.
                self.seen.swap(self.waited, self.waited + place);
                self.waited += 1;
                return line;
            }
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!("no line {beginning:?} in {:?}", self.seen),
            }
        }
    }

    /// The answer to a question over a connection of its own; `None` when there is none.
    pub(crate) fn ask(&self, question: &[u8]) -> Option<String> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(question).unwrap();
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .ok()
            .filter(|length| *length > 0)?;
        Some(answer)
    }

    /// A client that stays.
    pub(crate) fn connect(&self) -> Client {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(BufReader::new(stream))
    }

    pub(crate) fn terminate(&self) {
        let pid = i32::try_from(self.keeper.id()).unwrap();
        let keeper = herder_sys::pidfd::PidFd::open(pid).unwrap();
        keeper
            .signal(herder_sys::signal::Signal::Terminate)
            .unwrap();
    }

    /// Waits for the end; returns the status and every line.
    pub(crate) fn finish(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.keeper.wait().unwrap();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push(line);
        }
        (status, std::mem::take(&mut self.seen))
    }
}

/// A client that talks lines.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    /// Sends a line, and returns the next one that comes.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        writeln!(self.0.get_mut(), "{line}").unwrap();
        let mut answer = String::new();
        self.0.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    /// Everything up to the end.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if matches!(self.keeper.try_wait(), Ok(None)) {
            self.terminate();
            let _status = self.keeper.wait();
        }
    }
}

/// Runs a herd that ends by itself; returns its status and what it wrote to its error stream.
pub(crate) fn fail(scenario: &str) -> (ExitStatus, String) {
    let output = command(scenario).output().unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

fn command(scenario: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(SCENARIO, scenario).stdin(Stdio::null());
    command
}
