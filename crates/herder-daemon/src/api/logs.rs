//! Lines of log files, those that are there and those that come.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use bytes::Bytes;
use herder_api::Problem;
use herder_api::control::LogLine;
use herder_api::problem::ProblemKind;
use herder_logs::{Filter, Follower, LogFile, Rotation, Settings, Stream, TimeFormat};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};

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

/// How large a piece gets before the next one is begun, in bytes.
const PIECE: usize = 64 << 10;

/// Which lines are wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) follow: bool,
    targets: Vec<String>,
    lines: usize,
    filter: Filter,
}

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
        let lines = query.number("lines", DEFAULT, MOST)?;
        Ok(Wanted {
            follow: query.flag("follow")?,
            targets: query.all("target"),
            lines: usize::try_from(lines).unwrap_or(usize::MAX),
            filter: Filter {
                stream,
                ..Filter::default()
            },
        })
    }

    /// The files that may have such lines.
    fn files(&self, apps: &[AppFiles]) -> Vec<LogFile> {
        apps.iter().flat_map(|app| self.of(app)).collect()
    }

    fn of(&self, app: &AppFiles) -> Vec<LogFile> {
        let wanted = self.filter.stream;
        if wanted == Some(Stream::Herder) {
            return vec![LogFile {
                app: app.name.clone(),
                path: app.events.clone(),
                stream: Stream::Herder,
                slot: None,
                format: herder_api::app::LogFormat::Raw,
                time: TimeFormat::default(),
            }];
        }
        let settings = Settings {
            app: app.name.clone(),
            out: app.out.clone(),
            error: app.error.clone(),
            files: app.logs.files,
            format: app.logs.format,
            time: time_format(app),
            rotation: Rotation::default(),
            overflow: app.logs.overflow,
        };
        let mut files = settings.present();
        // A file for both says itself whose lines it has, or nobody does.
        let both = app.out == app.error;
        files.retain(|file| both || wanted.is_none_or(|wanted| wanted == file.stream));
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
    let watching = follower.map(|follower| Watching {
        follower,
        files,
        desk: desk.clone(),
        wanted,
    });
    let (to, lines) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        if send(&to, &there).await.is_ok()
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

/// What is there, and the follower of what comes. No line falls between.
fn begin(files: &[LogFile], wanted: &Wanted) -> io::Result<(Vec<LogLine>, Option<Follower>)> {
    if !wanted.follow {
        let there = herder_logs::tail(files, wanted.lines, &wanted.filter)?;
        return Ok((there, None));
    }
    let follower = herder_logs::follow(files.to_vec(), wanted.filter.clone())?;
    let there = follower.before(wanted.lines)?;
    Ok((there, Some(follower)))
}

struct Watching {
    follower: Follower,
    files: Vec<LogFile>,
    desk: Desk,
    wanted: Wanted,
}

/// Why a watch wakes up.
enum News {
    Lines,
    Files,
    Nothing,
    End,
}

impl Watching {
    async fn go_on(
        mut self,
        to: &mpsc::Sender<Bytes>,
        open: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let mut open = open;
        let mut events = self.desk.events();
        let readable = watch_descriptor(self.follower.as_fd().try_clone_to_owned()?)?;
        loop {
            let news = tokio::select! {
                ready = readable.readable() => {
                    ready?.clear_ready();
                    News::Lines
                }
                () = to.closed() => News::End,
                _ = open.wait_for(|open| !open) => News::End,
                event = events.recv() => match event {
                    // Apps and workers that are new have files that are.
                    Ok(event) if ["app_started", "scaled"].contains(&event.event.as_str()) => News::Files,
                    Ok(_) => News::Nothing,
                    Err(RecvError::Lagged(_)) => News::Files,
                    Err(RecvError::Closed) => News::End,
                },
            };
            match news {
                News::Lines => self.tell(to).await?,
                News::Files => self.look_around().await?,
                News::Nothing => {}
                News::End => return Ok(()),
            }
        }
    }

    /// Tells all that has come.
    async fn tell(&mut self, to: &mpsc::Sender<Bytes>) -> io::Result<()> {
        loop {
            let lines = self.follower.read()?;
            if lines.is_empty() {
                return Ok(());
            }
            send(to, &lines).await?;
        }
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

/// Has the runtime watch a descriptor.
#[expect(
    deprecated,
    reason = "the successor is unsafe because a type could swap its descriptor; OwnedFd cannot"
)]
fn watch_descriptor(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// Tells lines, in pieces of some size.
async fn send(to: &mpsc::Sender<Bytes>, lines: &[LogLine]) -> io::Result<()> {
    let mut piece = Vec::new();
    for one in lines {
        piece.extend_from_slice(&line(one));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &str) -> Vec<LogLine> {
        let line = |letter: char| LogLine {
            app: "web".to_owned(),
            stream: "out".to_owned(),
            slot: None,
            time: None,
            line: letter.to_string(),
        };
        texts.chars().map(line).collect()
    }

    #[test]
    fn what_both_know_is_told_once() {
        for (there, come, expected) in [
            ("abc", "", "abc"),
            ("", "abc", "abc"),
            ("abc", "de", "abcde"),
            ("abc", "bc", "abc"),
            ("abc", "bcde", "abcde"),
            ("abc", "abcabc", "abcabc"),
            ("xabab", "ababc", "xababc"),
            ("ab", "xab", "abxab"),
        ] {
            let mut all = lines(there);
            append(&mut all, lines(come));
            assert_eq!(all, lines(expected), "{there} {come}");
        }
    }
}
