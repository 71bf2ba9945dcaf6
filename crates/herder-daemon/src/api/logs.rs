//! Lines of log files, those that are there and those that come.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use bytes::Bytes;
use herder_api::Problem;
use herder_api::app::LogFormat;
use herder_api::control::{DaemonEvent, LogLine};
use herder_api::problem::ProblemKind;
use herder_logs::{Filter, Follower, LogFile, Marks, Rotation, Settings, Stream, TimeFormat};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::answer::{Refusal, line};
use super::query::Query;
use super::stream::Place;
use crate::{AppFiles, Desk};

/// How many lines per file are told to who does not say.
pub(super) const DEFAULT: u32 = 15;

/// How many at most.
pub(super) const MOST: u32 = 100_000;

/// How many pieces may wait for a client.
const PIECES: usize = 4;

/// How long after lines have come it is looked whether there are new files.
const LOOK_AFTER: Duration = Duration::from_millis(250);

/// How large a piece gets before the next one is begun, in bytes.
const PIECE: usize = 64 << 10;

/// Which lines are wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) follow: bool,
    targets: Vec<String>,
    lines: usize,
    filter: Filter,
    /// Whether it is told up to where files have been told.
    marks: bool,
    /// Where somebody goes on.
    from: Option<Marks>,
}

/// The stream of a line that is none.
const MARKS: &str = "marks";

impl Wanted {
    pub(super) fn parse(query: &Query) -> Result<Wanted, Refusal> {
        let stream = match query.one("stream")? {
            None => None,
            Some("out") => Some(Stream::Out),
            Some("error") => Some(Stream::Error),
            Some("herder") => Some(Stream::Herder),
            Some(other) => {
                let message = format!("stream={other:?} is none of out, error and herder.");
                return Err(Refusal::invalid(message));
            }
        };
        let slot = match query.one("slot")? {
            None => None,
            Some(_) => Some(query.number("slot", 0, u16::MAX.into())?),
        };
        let lines = query.number("lines", DEFAULT, MOST)?;
        let from = query.one("from")?.map(str::parse::<Marks>).transpose();
        let from = from.map_err(|error| Refusal::invalid(format!("from: {error}.")))?;
        let follow = query.flag("follow")?;
        let marks = query.flag("marks")?;
        if !follow && (marks || from.is_some()) {
            let message = "marks and from belong to who follows: follow=true.";
            return Err(Refusal::invalid(message));
        }
        Ok(Wanted {
            follow,
            marks,
            from,
            targets: query.all("target"),
            lines: usize::try_from(lines).unwrap_or(usize::MAX),
            filter: Filter {
                stream,
                slot: slot.and_then(|slot| u16::try_from(slot).ok()),
                contains: query.one("contains")?.map(str::to_owned),
            },
        })
    }

    /// The files that may have such lines.
    fn files(&self, apps: &[AppFiles]) -> Vec<LogFile> {
        apps.iter().flat_map(|app| self.of(app)).collect()
    }

    fn of(&self, app: &AppFiles) -> Vec<LogFile> {
        let wanted = self.filter.stream;
        let time = time_format(app);
        let herd = LogFile {
            app: app.name.clone(),
            path: app.events.clone(),
            stream: Stream::Herder,
            slot: None,
            format: LogFormat::Raw,
            time: time.clone(),
        };
        let settings = Settings {
            app: app.name.clone(),
            out: app.out.clone(),
            error: app.error.clone(),
            files: app.logs.files,
            format: app.logs.format,
            time,
            rotation: Rotation::default(),
            overflow: app.logs.overflow,
        };
        let mut files = settings.present();
        files.push(herd);
        // One file for both has lines of both; whose each is, only JSON says.
        let both = app.out == app.error;
        files.retain(|file| match (wanted, file.stream) {
            (None, _) => true,
            (Some(Stream::Herder), stream) => stream == Stream::Herder,
            (Some(_), Stream::Herder) => false,
            (Some(wanted), stream) => both || wanted == stream,
        });
        files
    }
}

fn time_format(app: &AppFiles) -> TimeFormat {
    let given = app.logs.time_format.as_deref();
    given
        .and_then(|format| format.parse().ok())
        .unwrap_or_default()
}

/// The lines that are there, and those that come if they are wanted.
pub(super) async fn stream(
    desk: &Desk,
    wanted: Wanted,
    open: watch::Receiver<bool>,
    place: Option<Place>,
) -> Result<mpsc::Receiver<Bytes>, Problem> {
    let files = wanted.files(&desk.log_files(&wanted.targets).await?);
    let reading = {
        let (files, wanted) = (files.clone(), wanted.clone());
        tokio::task::spawn_blocking(move || begin(&files, &wanted))
    };
    let begun = reading.await.map_err(io::Error::other).flatten();
    let (there, follower) = begun.map_err(|error| cannot(&error))?;
    let filter = wanted.filter.clone();
    let watching = follower.map(|follower| Watching {
        follower,
        files,
        desk: desk.clone(),
        wanted,
        told: Marks::default(),
    });
    let (to, lines) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        if send(&to, there, &filter).await.is_ok()
            && let Some(watching) = watching
        {
            // A client that goes, and a file that cannot be read any more, end the stream alike.
            drop(watching.go_on(&to, open).await);
        }
        drop(place);
    });
    Ok(lines)
}

fn cannot(error: &io::Error) -> Problem {
    let message = format!("The log files cannot be read: {error}.");
    Problem::new(ProblemKind::Internal, message)
}

/// What is there, and the follower of what comes.
fn begin(files: &[LogFile], wanted: &Wanted) -> io::Result<(Vec<LogLine>, Option<Follower>)> {
    if !wanted.follow {
        let there = herder_logs::tail(files, wanted.lines, &wanted.filter)?;
        return Ok((there, None));
    }
    let (files, filter) = (files.to_vec(), wanted.filter.clone());
    if let Some(marks) = &wanted.from {
        let follower = herder_logs::go_on(files, filter, marks)?;
        return Ok((Vec::new(), Some(follower)));
    }
    let follower = herder_logs::follow(files, filter)?;
    let there = follower.before(wanted.lines)?;
    Ok((there, Some(follower)))
}

struct Watching {
    follower: Follower,
    files: Vec<LogFile>,
    desk: Desk,
    wanted: Wanted,
    /// What was said last of how far they are told.
    told: Marks,
}

/// Why a watch wakes up.
enum News {
    /// There may be lines.
    Lines,
    /// There may be files.
    Files,
    Nothing,
    End,
}

impl Watching {
    async fn go_on(
        mut self,
        to: &mpsc::Sender<Bytes>,
        mut open: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let mut events = self.desk.events();
        // Its descriptor becomes another one when the kernel cannot watch the files.
        let mut descriptor = self.follower.as_fd().as_raw_fd();
        let mut readable = watch_descriptor(&self.follower)?;
        let mut look_at = None;
        // What came before there was anybody to tell it to.
        self.tell(to).await?;
        loop {
            if self.follower.as_fd().as_raw_fd() != descriptor {
                descriptor = self.follower.as_fd().as_raw_fd();
                readable = watch_descriptor(&self.follower)?;
            }
            let news = tokio::select! {
                ready = readable.readable() => {
                    ready?.clear_ready();
                    News::Lines
                }
                () = to.closed() => News::End,
                _ = open.wait_for(|open| !open) => News::End,
                event = events.recv() => news(event),
                () = look(look_at) => News::Files,
            };
            match news {
                News::Lines => {
                    self.tell(to).await?;
                    // What woke us up may have been the first line of a file that nobody knows.
                    look_at.get_or_insert_with(|| Instant::now() + LOOK_AFTER);
                }
                News::Files => {
                    look_at = None;
                    self.look_around().await?;
                    self.tell(to).await?;
                }
                News::Nothing => {}
                News::End => return Ok(()),
            }
        }
    }

    /// Tells all that has come.
    async fn tell(&mut self, to: &mpsc::Sender<Bytes>) -> io::Result<()> {
        loop {
            let lines = self.follower.read()?;
            let is_all = lines.is_empty();
            send(to, lines, &self.wanted.filter).await?;
            self.tell_marks(to).await?;
            if is_all {
                return Ok(());
            }
        }
    }

    /// Up to where it has come, if that is wanted and new.
    async fn tell_marks(&mut self, to: &mpsc::Sender<Bytes>) -> io::Result<()> {
        if !self.wanted.marks {
            return Ok(());
        }
        let marks = self.follower.marks();
        if marks == self.told {
            return Ok(());
        }
        let one = LogLine {
            app: String::new(),
            stream: MARKS.to_owned(),
            slot: None,
            time: None,
            line: marks.to_string(),
        };
        self.told = marks;
        to.send(line(&one)).await.map_err(io::Error::other)
    }

    /// Follows files that were not there before.
    async fn look_around(&mut self) -> io::Result<()> {
        // A target may have been deleted: then there is nothing new of it.
        let Ok(apps) = self.desk.log_files(&self.wanted.targets).await else {
            return Ok(());
        };
        for file in self.wanted.files(&apps) {
            if !self.files.contains(&file) {
                self.follower.add(file.clone())?;
                self.files.push(file);
            }
        }
        Ok(())
    }
}

/// What an event is for who follows files: apps and workers that are new have files that are.
fn news(event: Result<DaemonEvent, RecvError>) -> News {
    match event {
        Ok(event) if ["app_started", "scaled"].contains(&event.event.as_str()) => News::Files,
        Ok(_) => News::Nothing,
        Err(RecvError::Lagged(_)) => News::Files,
        Err(RecvError::Closed) => News::End,
    }
}

/// Waits for this moment, if there is one.
async fn look(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Has the runtime watch a follower's descriptor.
#[expect(
    deprecated,
    reason = "the successor is unsafe because a type could swap its descriptor; OwnedFd cannot"
)]
fn watch_descriptor(follower: &Follower) -> io::Result<AsyncFd<OwnedFd>> {
    let descriptor = follower.as_fd().try_clone_to_owned()?;
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}

/// Tells lines, in pieces of some size.
async fn send(to: &mpsc::Sender<Bytes>, lines: Vec<LogLine>, filter: &Filter) -> io::Result<()> {
    let mut piece = Vec::new();
    for one in lines.into_iter().filter_map(for_people) {
        // A herd's sentence need not have what its whole event has.
        if !filter.passes(&one) {
            continue;
        }
        piece.extend_from_slice(&line(&one));
        if piece.len() >= PIECE {
            let full = std::mem::take(&mut piece);
            to.send(full.into()).await.map_err(io::Error::other)?;
        }
    }
    if !piece.is_empty() {
        to.send(piece.into()).await.map_err(io::Error::other)?;
    }
    Ok(())
}

/// Of what a herd says about itself, its sentence. (The whole events have a stream and a history of
/// their own; each single job of them is too much for a log.)
fn for_people(mut line: LogLine) -> Option<LogLine> {
    if line.stream != Stream::Herder.name() {
        return Some(line);
    }
    if let Ok(event) = serde_json::from_str::<DaemonEvent>(&line.line) {
        if event.event == "job_dispatched" {
            return None;
        }
        line.line = event.message;
    }
    Some(line)
}
