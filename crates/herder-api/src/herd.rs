//! What the daemon and the master of a herd say to each other, over the herd's socket
//! (`HERDER_HOME/run/NAME.sock`): one JSON object a line, both ways.
//!
//! The master greets with [`FromHerd::Hello`], tells events as they happen and its status when it has
//! changed (at most every 100 ms). Requests are answered in any order. Any number of clients may be
//! connected; all are told everything. A line has at most 1 MiB.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::problem::Problem;
use crate::status::{HerdStatus, Verdict};

/// Version of this protocol.
pub const PROTOCOL: u32 = 1;

/// The longest line, in bytes.
pub const MAX_LINE: usize = 1 << 20;

/// What a herd is run from: `herder herd FILE` reads it, at each start of a master and at each reload.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HerdOrder {
    /// What to run.
    pub app: App,
    /// The environment of whoever started the app, as it was then.
    pub inherited: BTreeMap<String, String>,
    /// Which profile of variables is chosen.
    pub profile: Option<String>,
    /// Where the herd's socket is to be.
    pub socket: PathBuf,
    /// The directory of log files.
    pub log_dir: PathBuf,
    /// Where the herd's own events are written to, one JSON object a line.
    pub event_log: PathBuf,
}

/// Said by the daemon.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ToHerd {
    /// Comes back with the answer.
    pub id: u64,
    /// What is asked for.
    pub request: HerdRequest,
}

/// What a herd can be asked for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verb")]
pub enum HerdRequest {
    /// The status, now.
    Status,
    /// A new generation, from the order as it is now. Answered with its verdict.
    Reload,
    /// Ends in order; `fast` = at once. Answered when it has begun.
    Stop {
        /// At once.
        fast: bool,
    },
    /// Another number of workers. Answered when the new ones are ready, or begin to leave.
    Scale {
        /// 1 to 256.
        workers: u16,
    },
    /// A signal to the workers (to those of one slot). Answered with how many got it.
    Signal {
        /// Its number.
        signal: i32,
        /// A slot, or all.
        slot: Option<u16>,
    },
    /// A line to the stdin of the workers that have one (`slot` or all).
    Send {
        /// Without its newline.
        line: String,
        /// A slot, or all.
        slot: Option<u16>,
    },
    /// Kills one worker as hung, or all: they are replaced by the restart policy.
    Fail {
        /// A slot, or all.
        slot: Option<u16>,
        /// For the log.
        reason: String,
    },
    /// Sets the counters of restarts to 0.
    Reset,
    /// Opens the log files again.
    ReopenLogs,
    /// Empties the log files.
    FlushLogs,
    /// The master becomes the build that is installed. Answered with its verdict, on this connection.
    Upgrade,
}

/// Said by the master.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum FromHerd {
    /// First of all.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// The app's name.
        app: String,
        /// How it stands.
        status: Box<HerdStatus>,
    },
    /// Something changed.
    Status {
        /// How it stands now.
        status: Box<HerdStatus>,
    },
    /// Something happened: the object of the JSON log.
    Event {
        /// With `time`, `app`, `event`, `level`, `message` and what belongs to the event.
        event: BTreeMap<String, serde_json::Value>,
    },
    /// The answer to a request.
    Answer {
        /// The request's.
        id: u64,
        /// What became of it.
        answer: Result<HerdAnswer, Problem>,
    },
}

/// What became of a request.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum HerdAnswer {
    /// It is done.
    Done {
        /// How many processes it concerned, where that says something.
        count: u32,
    },
    /// A reload or an upgrade has its verdict, good or bad.
    Verdict {
        /// What became of it.
        verdict: Verdict,
    },
    /// The status.
    Status {
        /// How it stands.
        status: Box<HerdStatus>,
    },
}
