//! The log of the chosen app.

use std::collections::VecDeque;

use herder_api::control::LogLine;
use herder_client::{LogQuery, LogStream};

use super::Wish;

/// So many lines are kept.
pub(in crate::monit) const KEPT: usize = 2000;

/// So many lines of what is there already are asked for, of each stream.
const ASKED: u32 = 200;

/// What is longer is cut, in characters.
const LONGEST: usize = 4096;

/// Which lines are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::monit) struct Filter {
    pub(in crate::monit) stream: Option<LogStream>,
    /// Only lines with this in them; empty = all.
    pub(in crate::monit) text: String,
}

impl Filter {
    pub(in crate::monit) fn is_empty(&self) -> bool {
        *self == Filter::default()
    }

    /// The next stream: all of them, one after the other, all.
    pub(in crate::monit) fn turn(&mut self) {
        self.stream = match self.stream {
            None => Some(LogStream::Out),
            Some(LogStream::Out) => Some(LogStream::Error),
            Some(LogStream::Error) => Some(LogStream::Herder),
            Some(LogStream::Herder) => None,
        };
    }

    /// The stream, as it is written.
    pub(in crate::monit) fn stream(&self) -> &'static str {
        self.stream.map_or("all", LogStream::as_str)
    }
}

/// What is followed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::monit) enum State {
    /// Nothing.
    #[default]
    Idle,
    /// Lines come.
    Follows,
    /// They came, or were to come.
    Ended(Option<String>),
}

/// The log of the chosen app.
#[derive(Debug, Default)]
pub(in crate::monit) struct Log {
    pub(in crate::monit) app: Option<String>,
    pub(in crate::monit) filter: Filter,
    pub(in crate::monit) state: State,
    lines: VecDeque<LogLine>,
    /// How many lines are below what is shown; 0 = what comes is shown.
    back: usize,
    /// How many columns are to the left of what is shown.
    pub(in crate::monit) left: usize,
    /// Which request it is: lines of earlier ones may still come.
    follow: u64,
    /// Whether lines of this request have come.
    fresh: bool,
}

impl Log {
    pub(in crate::monit) fn lines(&self) -> &VecDeque<LogLine> {
        &self.lines
    }

    /// How many lines are below what is shown.
    pub(in crate::monit) fn back(&self) -> usize {
        self.back
    }

    /// Follows an app, if it does not yet.
    pub(super) fn aim(&mut self, app: Option<String>) -> Option<Wish> {
        let same = self.app == app;
        let follows = self.state == State::Follows;
        if same && (follows || app.is_none()) {
            return None;
        }
        self.app = app;
        self.follow += 1;
        self.fresh = true;
        if !same {
            self.clear();
        }
        let Some(app) = self.app.clone() else {
            self.state = State::Idle;
            return Some(Wish::Unfollow);
        };
        self.state = State::Follows;
        Some(Wish::Follow {
            follow: self.follow,
            query: LogQuery {
                targets: vec![app],
                lines: Some(ASKED),
                follow: true,
                stream: self.filter.stream,
                slot: None,
                contains: Some(self.filter.text.clone()).filter(|text| !text.is_empty()),
                ..LogQuery::default()
            },
        })
    }

    /// Only these lines, from now on.
    pub(super) fn filter(&mut self, filter: Filter) {
        if self.filter != filter {
            self.filter = filter;
            self.clear();
            self.forget();
        }
    }

    /// What was followed has ended, or is not wanted: it is to be asked for again.
    pub(super) fn forget(&mut self) {
        self.state = State::Idle;
    }

    fn clear(&mut self) {
        self.lines.clear();
        self.back = 0;
        self.left = 0;
    }

    /// Takes lines. Returns whether they were wanted.
    pub(super) fn take(&mut self, follow: u64, lines: Vec<LogLine>) -> bool {
        if follow != self.follow {
            return false;
        }
        if std::mem::take(&mut self.fresh) {
            // Of what was there before the connection was lost, everything comes again.
            self.lines.clear();
            self.back = 0;
        }
        let came = lines.len();
        self.lines.extend(lines.into_iter().map(short));
        let excess = self.lines.len().saturating_sub(KEPT);
        self.lines.drain(..excess);
        // Who looks back sees the same lines as before, while they are kept.
        if self.back > 0 {
            self.back = (self.back + came).min(self.lines.len().saturating_sub(1));
        }
        true
    }

    /// No more lines come. Returns whether it was this request.
    pub(super) fn end(&mut self, follow: u64, why: Option<String>) -> bool {
        if follow != self.follow {
            return false;
        }
        self.state = State::Ended(why);
        true
    }

    /// So many lines up (back in time), where `room` of them are shown.
    pub(super) fn up(&mut self, by: usize, room: usize) {
        let most = self.lines.len().saturating_sub(room.max(1));
        self.back = self.back.saturating_add(by).min(most);
    }

    pub(super) fn down(&mut self, by: usize) {
        self.back = self.back.saturating_sub(by);
    }

    pub(super) fn right(&mut self) {
        self.left = (self.left + 8).min(LONGEST);
    }

    pub(super) fn left(&mut self) {
        self.left = self.left.saturating_sub(8);
    }
}

/// A line that is not longer than anybody reads.
fn short(mut line: LogLine) -> LogLine {
    if let Some((end, _)) = line.line.char_indices().nth(LONGEST) {
        line.line.truncate(end);
        line.line.push('…');
    }
    line
}
