//! A stage: a directory, a daemon that plays its part, and the protocol of what was played.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde_json::Value;

use super::terminal;

/// What the daemon answers to a request, by method and path.
type Answers = Arc<Mutex<BTreeMap<String, (u16, String)>>>;

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) status: Option<i32>,
}

pub(crate) struct Stage {
    directory: PathBuf,
    answers: Answers,
    asked: Arc<Mutex<Vec<String>>>,
    protocol: Mutex<String>,
    without: Mutex<Vec<String>>,
}

impl Stage {
    pub(crate) fn new() -> Stage {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("herder-cli-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(directory.join("home")).expect("a directory");
        std::fs::create_dir_all(directory.join("work")).expect("a directory");
        let directory = directory.canonicalize().expect("it is there");
        let listener = UnixListener::bind(directory.join("home/herder.sock")).expect("a socket");
        let stage = Stage {
            directory,
            answers: Arc::default(),
            asked: Arc::default(),
            protocol: Mutex::default(),
            without: Mutex::default(),
        };
        let (answers, asked) = (stage.answers.clone(), stage.asked.clone());
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &answers, &asked);
            }
        });
        stage
    }

    /// A request is answered with a value.
    pub(crate) fn answers(&self, request: &str, value: &(impl Serialize + ?Sized)) {
        let body = serde_json::to_string(value).expect("JSON");
        self.put(request, 200, body);
    }

    /// A request is answered with a stream of these values.
    pub(crate) fn streams(&self, request: &str, values: &Value) {
        let lines = values.as_array().expect("a list").iter();
        self.put(
            request,
            200,
            lines.map(|line| format!("{line}\n")).collect(),
        );
    }

    /// A request is refused.
    pub(crate) fn refuses(&self, request: &str, status: u16, problem: &impl Serialize) {
        let body = serde_json::to_string(problem).expect("JSON");
        self.put(request, status, body);
    }

    fn put(&self, request: &str, status: u16, body: String) {
        let mut answers = self.answers.lock().expect("nobody panicked");
        answers.insert(request.to_owned(), (status, body));
    }

    /// A file of the directory in which the command runs.
    pub(crate) fn file(&self, name: &str, text: &str) {
        let path = self.directory.join("work").join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }

    /// Something that is in the directory of the stage, or will be.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// It is not there any more, if it was.
    pub(crate) fn no_file(&self, name: &str) {
        drop(std::fs::remove_file(self.directory.join("work").join(name)));
    }

    /// There is no daemon any more.
    pub(crate) fn goes(&self) {
        std::fs::remove_file(self.directory.join("home/herder.sock")).expect("it is there");
    }

    /// The command finds no such variable.
    pub(crate) fn without(&self, variable: &str) {
        let mut without = self.without.lock().expect("nobody panicked");
        without.push(variable.to_owned());
    }

    /// Runs the command, and writes down what happens.
    pub(crate) fn plays(&self, line: &str) {
        self.says(line, "");
    }

    /// The same, with colours.
    pub(crate) fn plays_in_colours(&self, line: &str) {
        let mut command = self.command(line);
        command.env("CLICOLOR_FORCE", "1");
        self.note(&format!("{line}    (in colours)"), command, "");
    }

    /// The command, where the stage is.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herder"));
        command
            .args(line.split_whitespace())
            .current_dir(self.directory.join("work"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HERDER_HOME", self.directory.join("home"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for variable in self.without.lock().expect("nobody panicked").iter() {
            command.env_remove(variable);
        }
        command
    }

    /// What a command printed for people and programs, and how it ended, without a note of it.
    pub(crate) fn ran(&self, line: &str, variables: &[(&str, &str)]) -> Ran {
        let mut command = self.command(line);
        command.envs(variables.iter().copied()).stdin(Stdio::null());
        let output = command.output().expect("the command is there");
        self.asked.lock().expect("nobody panicked").clear();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            out: text(&output.stdout),
            err: text(&output.stderr),
            status: output.status.code(),
        }
    }

    /// The same as [`Stage::plays`], where somebody looks on: at a terminal of so many columns, with colours,
    /// who types this.
    pub(crate) fn shows(&self, columns: u16, line: &str, typed: &str) {
        let mut command = self.command(line);
        command.env("TERM", "xterm");
        let (text, status) = terminal::run(&mut command, columns, typed);
        self.asked.lock().expect("nobody panicked").clear();
        let mut protocol = self.protocol.lock().expect("nobody panicked");
        writeln!(protocol, "$ herder {line}    ({columns} columns)").expect("a String");
        for line in terminal::what_stays(&text).lines() {
            writeln!(protocol, "{}", timeless(line)).expect("a String");
        }
        if status != Some(0) {
            writeln!(protocol, "= {status:?}").expect("a String");
        }
        writeln!(protocol).expect("a String");
    }

    /// The same, with a text on stdin.
    pub(crate) fn says(&self, line: &str, stdin: &str) {
        self.note(line, self.command(line), stdin);
    }

    /// Runs a command, and writes down what happens.
    fn note(&self, line: &str, mut command: Command, stdin: &str) {
        let mut child = command.spawn().expect("the command is there");
        let mut pipe = child.stdin.take().expect("a pipe");
        // Who does not read it, does not want it.
        let _unread = pipe.write_all(stdin.as_bytes());
        drop(pipe);
        let output = child.wait_with_output().expect("it ends");
        let mut protocol = self.protocol.lock().expect("nobody panicked");
        writeln!(protocol, "$ herder {line}").expect("a String");
        for asked in self.asked.lock().expect("nobody panicked").drain(..) {
            writeln!(protocol, "→ {asked}").expect("a String");
        }
        for (mark, bytes) in [("", &output.stdout), ("! ", &output.stderr)] {
            for line in String::from_utf8_lossy(bytes).lines() {
                writeln!(protocol, "{mark}{}", timeless(line)).expect("a String");
            }
        }
        match output.status.code() {
            Some(0) => writeln!(protocol),
            Some(code) => writeln!(protocol, "= {code}\n"),
            None => writeln!(protocol, "= {}\n", output.status),
        }
        .expect("a String");
    }

    /// Nothing was written down.
    pub(crate) fn closes(self) {
        std::fs::remove_dir_all(&self.directory).expect("ours");
    }

    /// Compares what was played with what was found good. `UPDATE_SNAPSHOTS=1 cargo test -p herder-cli`
    /// writes it anew.
    pub(crate) fn ends(self, name: &str) {
        let here = self.directory.display().to_string();
        let played = self.protocol.lock().expect("nobody panicked");
        let played = played.replace(&here, "$DIR").replace('\x1b', "␛");
        std::fs::remove_dir_all(&self.directory).expect("ours");
        let snapshots = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
        let path = snapshots.join(format!("played-{name}.txt"));
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(&path, &played).expect("the snapshot can be written");
        }
        let recorded = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            played,
            recorded,
            "it has changed: update {}",
            path.display()
        );
    }
}

/// A line without the time that it is now.
fn timeless(line: &str) -> String {
    const FIELD: &str = "\"since_ms\":";
    let mut parts = line.split(FIELD);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        text + FIELD + "0" + rest
    })
}

fn serve(stream: UnixStream, answers: &Answers, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a descriptor"));
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line.trim().is_empty() {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if head.is_empty() {
            head = line;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let mut words = head.split(' ');
    let (method, target) = (
        words.next().expect("a method"),
        words.next().expect("a path"),
    );
    let path = target.split('?').next().expect("a path");
    let told = told(&body);
    let blank = if told.is_empty() { "" } else { " " };
    let mut asked = asked.lock().expect("nobody panicked");
    asked.push(format!("{method} {target}{blank}{told}"));
    let answers = answers.lock().expect("nobody panicked");
    let exactly = answers.get(&format!("{method} {target}"));
    let known = exactly.or_else(|| answers.get(&format!("{method} {path}")));
    let (status, body) = known
        .cloned()
        .unwrap_or((404, "nobody wrote this part".to_owned()));
    let reply = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = stream;
    // Who goes away first has what it wanted.
    let _gone = stream.write_all(reply.as_bytes());
}

/// A body as it is written down: whose environment it is, and not what stands in it.
fn told(body: &[u8]) -> String {
    if body.is_empty() {
        return String::new();
    }
    let mut value: Value = serde_json::from_slice(body).expect("JSON");
    if let Some(environment) = value.get_mut("environment") {
        let has_path = environment.get("PATH").is_some();
        *environment = Value::String(if has_path { "the caller's" } else { "another" }.to_owned());
    }
    value.to_string()
}
