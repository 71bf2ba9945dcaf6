//! One life of a herd, as the daemon sees it: its socket, and its keeper.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use herder_api::control::DaemonEvent;
use herder_api::herd::{FromHerd, HerdAnswer, HerdRequest, MAX_LINE, PROTOCOL, ToHerd};
use herder_api::status::HerdStatus;
use herder_sys::pidfd::PidFd;
use herder_sys::signal::Signal;
use serde_json::Value;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::journal::Journal;
use super::keeper::{self, Keeper};
use crate::books::{AppId, End, Ending, News};
use crate::home::Home;
use crate::waited::{Waited, readable};

/// The shortest and the longest wait before another attempt to connect, when nothing rings.
const WAITS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_secs(1));

/// How long what a dead herd has said is read.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How many last lines are told.
const LINES: usize = 20;

/// The number of a question that the daemon asks by itself.
const OWN: u64 = 0;

/// What a life of a herd is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Ask its master.
    Ask(u64, HerdRequest),
    /// End its keeper.
    End(Ending),
}

/// Where news go.
pub(crate) type Inbox = mpsc::UnboundedSender<(AppId, u64, News)>;

/// What a life needs.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) id: AppId,
    pub(crate) life: u64,
    pub(crate) name: String,
    pub(crate) socket: PathBuf,
    pub(crate) keeper: Option<Keeper>,
    pub(crate) home: Arc<Home>,
    pub(crate) inbox: Inbox,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    /// Rings when something was made in the directory of sockets.
    pub(crate) bell: watch::Receiver<u64>,
    pub(crate) journal: Journal,
    /// Where its workers' lines go.
    pub(crate) logs: Option<herder_logs::Settings>,
}

/// Its keeper, and its master once it has greeted.
struct Watched {
    keeper: Option<(AsyncFd<Waited<PidFd>>, bool)>,
    master: Option<PidFd>,
    /// How it was to be ended before anybody knew who it is.
    owed: Option<Ending>,
    /// How its master said that it ends, when it did not say with which last words.
    silent_end: Option<String>,
}

/// Why a connection is over.
enum Over {
    Socket,
    Keeper,
    /// Nobody cares any more: the daemon leaves.
    Daemon,
}

/// Follows a herd to its end.
pub(crate) async fn follow(mut life: Life) {
    let keeper = life.keeper.take();
    let keeper = keeper.and_then(|it| Some((watch_pid(it.pidfd)?, it.is_child)));
    let mut watched = Watched {
        keeper,
        master: None,
        owed: None,
        silent_end: None,
    };
    let (socket, bell) = (life.socket.clone(), life.bell.clone());
    loop {
        let stream = tokio::select! {
            stream = connect(&socket, &bell) => stream,
            over = life.obey(&mut watched) => match over {
                Over::Daemon => return,
                Over::Keeper | Over::Socket => break,
            },
        };
        let over = life.converse(stream, &mut watched).await;
        match over {
            Over::Daemon => return,
            Over::Socket => life.tell(News::Lost),
            Over::Keeper => {
                life.tell(News::Lost);
                break;
            }
        }
    }
    let end = match &watched.keeper {
        Some((pidfd, true)) => end_of(&pidfd.get_ref().0),
        _ => End::Unknown,
    };
    if let Some(outcome) = watched.silent_end.take() {
        let last_lines = life.last_lines();
        life.tell(News::Finished {
            outcome,
            last_lines,
        });
    }
    let complaint = keeper::complaint(&life.home, &life.name);
    life.tell(News::Gone { end, complaint });
}

impl Life {
    fn tell(&self, news: News) {
        // Without the books there is nobody to be told.
        drop(self.inbox.send((self.id, self.life, news)));
    }

    /// What its workers printed last, from their files. A herd that is gone has written everything.
    fn last_lines(&self) -> Vec<String> {
        let files = self.logs.as_ref().map(herder_logs::Settings::present);
        let filter = herder_logs::Filter::default();
        let lines = herder_logs::tail(&files.unwrap_or_default(), LINES, &filter);
        let lines = lines.unwrap_or_default().into_iter();
        lines.map(|line| line.line).collect()
    }

    /// While nobody listens: waits for the end, and does what can be done without words.
    async fn obey(&mut self, watched: &mut Watched) -> Over {
        loop {
            tokio::select! {
                () = watched.ends(&self.home, &self.name) => return Over::Keeper,
                order = self.orders.recv() => match order {
                    None => return Over::Daemon,
                    Some(Order::End(how)) => watched.end(how),
                    // The books ask again when it is connected.
                    Some(Order::Ask(..)) => {}
                },
            }
        }
    }

    /// Talks with the master until one of them is gone.
    async fn converse(&mut self, stream: UnixStream, watched: &mut Watched) -> Over {
        let (mut reader, mut writer) = stream.into_split();
        let mut lines = Lines::default();
        loop {
            tokio::select! {
                read = lines.read(&mut reader) => match read {
                    Ok(true) => {
                        if !self.hear_all(&mut lines, &mut writer, watched).await {
                            return Over::Socket;
                        }
                    }
                    Ok(false) | Err(_) => return Over::Socket,
                },
                order = self.orders.recv() => match order {
                    None => return Over::Daemon,
                    Some(Order::End(how)) => watched.end(how),
                    Some(Order::Ask(id, request)) => {
                        if say(&mut writer, id, request).await.is_err() {
                            return Over::Socket;
                        }
                    }
                },
                () = watched.ends(&self.home, &self.name) => {
                    let mut rest = async || {
                        while let Ok(true) = lines.read(&mut reader).await {
                            self.hear_all(&mut lines, &mut writer, watched).await;
                        }
                    };
                    drop(timeout(LAST_WORDS, rest()).await);
                    return Over::Keeper;
                }
            }
        }
    }

    /// False when it is not what a herd would say.
    async fn hear_all(
        &self,
        lines: &mut Lines,
        writer: &mut OwnedWriteHalf,
        watched: &mut Watched,
    ) -> bool {
        while let Some(line) = lines.next() {
            let Ok(word) = serde_json::from_slice::<FromHerd>(&line) else {
                return false;
            };
            match word {
                FromHerd::Hello {
                    protocol,
                    app,
                    status,
                } => {
                    if protocol != PROTOCOL || app != self.name {
                        return false;
                    }
                    watched.learn(&status, &self.home, &self.name);
                    if watched.owed.take().is_some() {
                        let stop = HerdRequest::Stop { fast: true };
                        drop(say(writer, OWN, stop).await);
                    }
                    self.tell(News::Connected(status));
                }
                FromHerd::Status { status } => self.tell(News::Status(status)),
                FromHerd::Answer { id: OWN, answer } => {
                    if let Ok(HerdAnswer::Status { status }) = answer {
                        self.tell(News::Status(status));
                    }
                }
                FromHerd::Answer { id, answer } => self.tell(News::Answer {
                    request: id,
                    answer,
                }),
                FromHerd::Event { event } => {
                    let told = event_of(&self.name, event);
                    if let Some((slot, how)) = death(&told) {
                        self.tell(News::Died { slot, how });
                    }
                    if told.event == "ready" {
                        // The status comes in its own time; who waits for the app wants it now.
                        drop(say(writer, OWN, HerdRequest::Status).await);
                    }
                    if let Some((outcome, last_lines)) = finished(&told) {
                        if last_lines.is_empty() && outcome == "failed" {
                            watched.silent_end = Some(outcome.clone());
                        }
                        self.tell(News::Finished {
                            outcome,
                            last_lines,
                        });
                    }
                    self.journal.pass_on(told);
                }
            }
        }
        true
    }
}

/// Connects as soon as somebody listens.
async fn connect(socket: &Path, bell: &watch::Receiver<u64>) -> UnixStream {
    let mut bell = bell.clone();
    let mut wait = WAITS.0;
    loop {
        bell.mark_unchanged();
        if let Ok(stream) = UnixStream::connect(socket).await
            && is_trusted(&stream)
        {
            return stream;
        }
        tokio::select! {
            rung = bell.changed() => match rung {
                Ok(()) => wait = WAITS.0,
                Err(_) => sleep(wait).await,
            },
            () = sleep(wait) => wait = (wait * 2).min(WAITS.1),
        }
    }
}

impl Watched {
    /// Waits until the keeper is dead.
    async fn ends(&self, home: &Home, name: &str) {
        if let Some((pidfd, _)) = &self.keeper {
            // A dead process stays readable: there is nothing to clear.
            drop(pidfd.ready(Interest::READABLE).await);
            return;
        }
        while keeper::lives(home, name) {
            sleep(WAITS.1 / 2).await;
        }
    }

    /// The master says who they are.
    fn learn(&mut self, status: &HerdStatus, home: &Home, name: &str) {
        self.master = PidFd::open(status.master).ok();
        if self.keeper.is_none() {
            let pidfd = PidFd::open(status.keeper).ok();
            // As long as the lock is held, the keeper lives, and the number is its own.
            let pidfd = pidfd.filter(|_| keeper::lives(home, name));
            let pidfd = pidfd.and_then(watch_pid);
            self.keeper = pidfd.map(|pidfd| (pidfd, false));
        }
    }

    fn end(&mut self, how: Ending) {
        let Some((keeper, _)) = &self.keeper else {
            self.owed = Some(how);
            return;
        };
        let signals: &[Signal] = match how {
            Ending::Term => &[Signal::Terminate],
            // Another one than before makes a keeper hurry.
            Ending::Fast => &[Signal::Terminate, Signal::Interrupt],
            Ending::Kill => &[Signal::Kill],
        };
        for signal in signals {
            // Who is dead already cannot be told.
            drop(keeper.get_ref().0.signal(*signal));
        }
        if how == Ending::Kill
            && let Some(master) = &self.master
        {
            drop(master.signal(Signal::Kill));
        }
    }
}

fn watch_pid(pidfd: PidFd) -> Option<AsyncFd<Waited<PidFd>>> {
    readable(pidfd).ok()
}

fn end_of(pidfd: &PidFd) -> End {
    use std::os::unix::process::ExitStatusExt;
    match pidfd.wait() {
        Ok(Some(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => End::Code(code),
            (None, Some(signal)) => End::Signal(signal),
            (None, None) => End::Unknown,
        },
        Ok(None) | Err(_) => End::Unknown,
    }
}

/// Whoever listens there is ours, or root.
fn is_trusted(stream: &UnixStream) -> bool {
    let peer = stream.peer_cred();
    peer.is_ok_and(|peer| herder_sys::user::may_command(peer.uid()))
}

async fn say(writer: &mut OwnedWriteHalf, id: u64, request: HerdRequest) -> io::Result<()> {
    let mut line = serde_json::to_vec(&ToHerd { id, request })?;
    line.push(b'\n');
    // A master that does not read is as good as none.
    let written = timeout(Duration::from_secs(5), writer.write_all(&line)).await;
    written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// What a herd tells, as the daemon tells it on.
fn event_of(app: &str, mut event: std::collections::BTreeMap<String, Value>) -> DaemonEvent {
    let mut text = |name: &str| match event.remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let (time, kind) = (text("time"), text("event"));
    let (message, level) = (text("message"), text("level"));
    event.remove("app");
    DaemonEvent {
        time,
        app: app.to_owned(),
        event: kind,
        message,
        level,
        fields: event,
    }
}

/// The slot in which a worker failed, and how.
fn death(event: &DaemonEvent) -> Option<(u16, String)> {
    let failed = ["exited", "spawn_failed", "launch_failed"].contains(&event.event.as_str());
    let is_worker = !event.fields.contains_key("part");
    let slot = event.fields.get("slot").and_then(Value::as_u64)?;
    let slot = u16::try_from(slot).ok()?;
    (failed && is_worker && event.level == "warning").then(|| (slot, event.message.clone()))
}

fn finished(event: &DaemonEvent) -> Option<(String, Vec<String>)> {
    if event.event != "finished" {
        return None;
    }
    let outcome = event.fields.get("outcome")?.as_str()?.to_owned();
    let lines = event.fields.get("last_lines").and_then(Value::as_array);
    let lines = lines.into_iter().flatten();
    let last_lines = lines.filter_map(|line| line.as_str().map(str::to_owned));
    Some((outcome, last_lines.collect()))
}

/// Lines of bounded length.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    /// Up to here there is no end of a line.
    searched: usize,
}

impl Lines {
    /// Reads what there is; false at the end.
    async fn read(&mut self, reader: &mut OwnedReadHalf) -> io::Result<bool> {
        if self.bytes.len() > MAX_LINE {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        self.bytes.reserve(4096);
        Ok(reader.read_buf(&mut self.bytes).await? > 0)
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let fresh = &self.bytes[self.searched..];
        let Some(end) = fresh.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.bytes.len();
            if self.bytes.is_empty() {
                // An idle herd costs no buffer.
                self.bytes = Vec::new();
            }
            return None;
        };
        let line = self.bytes.drain(..=self.searched + end).collect();
        self.searched = 0;
        Some(line)
    }
}
