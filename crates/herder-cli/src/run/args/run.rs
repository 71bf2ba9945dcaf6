//! What `herder run` can be told.

use std::ffi::OsString;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use herder_api::app::{Dispatch, Max, Ready, Workers};
use herder_core::spec::{ListenAddress, PickerKind};
use herder_master::config::Format;

use super::library::LibraryArg;
use super::services::ServiceArgs;
use crate::run::error::RunError;
use crate::run::units::{self, Mode, OrNever, OrZero, Seconds, Size};

const AFTER_HELP: &str = "\
Durations are seconds, or have a unit: 500ms, 30s, 5m, 2h. Sizes are bytes, or have one: 300M, 2G.

A SCRIPT is run as by Node's cluster: the master is its primary. NODE_CLUSTER_SCHED_POLICY (rr or
none) is obeyed where --dispatch says nothing else.

Any other program finds its listeners by LISTEN_FDS, from descriptor 3 on, and may say READY=1 and
WATCHDOG=1 on NOTIFY_SOCKET, as under systemd. With --dispatch proxy it finds PORT instead, listens
there, and is ready when it does. All find HERDER_APP, HERDER_SLOT (0 to N-1)
and HERDER_WORKER_ID (1, 2, 3 ..., never reused).

Signals: TERM, INT and QUIT stop the herd in order, a second one at once; HUP replaces the workers
by new ones, from the program as it is then; TTIN and TTOU add and remove a worker.

Exit status: 0 stopped as asked, 2 wrong arguments, 3 no worker of the first start became ready,
4 cannot listen, 70 internal failure.";

#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct RunArgs {
    /// Where to listen: PORT, HOST:PORT, [IPV6]:PORT or unix:/path/to.sock. May be repeated.
    #[arg(short, long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<ListenAddress>,

    /// How many workers: a number, or max for one per CPU. [default: max]
    #[arg(
        short = 'i',
        long,
        alias = "instances",
        value_name = "N|max",
        allow_negative_numbers = true
    )]
    pub(crate) workers: Option<WorkersArg>,

    /// How the herd is called in logs and titles. [default: the program's name]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Who accepts connections. [default: auto]
    #[arg(long, value_name = "MODE")]
    pub(crate) dispatch: Option<DispatchArg>,

    /// Which worker gets a connection: round-robin, or least-connections, two-choices or ip-hash (in pass
    /// and proxy mode), or least-loaded (in kernel mode).
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: Option<PickerKind>,

    /// With --dispatch proxy: how many processes forward, up to 64. [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) gateways: Option<u16>,

    /// In kernel and reuseport mode: a program that has accepted nobody for so long, while others keep
    /// up, is replaced; or never. [default: 10s]
    #[arg(long, value_name = "DURATION|never")]
    pub(crate) hang: Option<OrNever>,

    /// How a worker is known to be ready. [default: alive]
    #[arg(long, value_name = "HOW")]
    pub(crate) ready: Option<ReadyArg>,

    /// With --ready alive: how long a worker must live to count as ready. [default: 1s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) ready_after: Option<Seconds>,

    /// A worker that is not ready by then is killed and counts as failed. [default: 60s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) boot_timeout: Option<Seconds>,

    /// How long a worker may take to finish what it has before it is killed. [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) grace: Option<Seconds>,

    /// Expect WATCHDOG=1 at least this often; a worker that stays silent as long again (10 s at
    /// most) is replaced.
    #[arg(long, value_name = "DURATION")]
    pub(crate) watchdog: Option<Seconds>,

    /// More restarts of one slot than this within the window put the slot into quarantine; 0 = no
    /// limit. [default: 5]
    #[arg(long, value_name = "N", value_parser = units::restarts, allow_negative_numbers = true)]
    pub(crate) max_restarts: Option<u32>,

    /// Over which time restarts are counted, and how long a quarantine lasts. [default: 60s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) restart_window: Option<Seconds>,

    /// Replace a worker after so many requests (only where they are counted).
    #[arg(long, value_name = "N", value_parser = units::requests, allow_negative_numbers = true)]
    pub(crate) max_requests: Option<u64>,

    /// Replace a worker after this time.
    #[arg(long, value_name = "DURATION")]
    pub(crate) max_lifetime: Option<Seconds>,

    /// Replace a worker whose resident memory exceeds this.
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_memory: Option<Size>,

    /// Run the workers as this user (name or number), with its groups. Only root can.
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,

    /// The workers' working directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,

    /// A process that the workers share: what SCRIPT exports are objects, which every worker calls by
    /// herder.agent(). It is ready before the workers are started. (Any other FILE that can be
    /// executed finds its listener by LISTEN_FDS, and writes READY=1 to descriptor
    /// HERDER_NOTIFY_FD.) May be repeated.
    #[arg(long, value_name = "NAME=SCRIPT")]
    pub(crate) library: Vec<LibraryArg>,

    /// How many connections the kernel queues per --listen. [default: 4096]
    #[arg(long, value_name = "N", value_parser = units::backlog, allow_negative_numbers = true)]
    pub(crate) backlog: Option<u32>,

    /// The permission bits of --listen unix:PATH, in octal. [default: 600]
    #[arg(long, value_name = "MODE")]
    pub(crate) unix_mode: Option<Mode>,

    /// With a file that defines several apps: which one to run.
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Option<String>,

    /// With a file: which profile of variables the app gets.
    #[arg(long, value_name = "PROFILE")]
    pub(crate) env: Option<String>,

    /// Log as JSON, one object a line.
    #[arg(long)]
    pub(crate) json: bool,

    /// A Node program: it listens by itself, as a worker of Node's cluster. The interpreter is chosen
    /// by the file's name (.js, .ts and the like) or its first line. A directory is what it is for Node.
    /// Its arguments stand behind --. Or a file that defines an app: herder.toml, or one of PM2's
    /// (ecosystem.config.js, .json, .yaml). HUP reads it again, and what is wrong then changes nothing.
    #[arg(value_name = "SCRIPT")]
    pub(crate) script: Option<PathBuf>,

    /// Any other program and its arguments. One argument with blanks in it is run by `sh -c`.
    #[arg(last = true, value_name = "PROGRAM [ARGS]")]
    pub(crate) program: Vec<OsString>,

    // Last: their headings hold for whatever follows.
    #[command(flatten)]
    pub(crate) reload: ReloadArgs,

    #[command(flatten)]
    pub(crate) services: ServiceArgs,

    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// How a new version takes over.
#[derive(Args, Debug)]
#[command(next_help_heading = "Reload (HUP), and a master that dies")]
pub(crate) struct ReloadArgs {
    /// How many replacements are started at a time, beyond the workers there are. [default: 1]
    #[arg(long, value_name = "N", value_parser = units::at_least_one, allow_negative_numbers = true)]
    pub(crate) surge: Option<NonZeroU16>,

    /// How many more workers may be replaced at a time, at the price of as many fewer that serve.
    /// [default: 0]
    #[arg(long, value_name = "N", value_parser = units::count, allow_negative_numbers = true)]
    pub(crate) max_unavailable: Option<u16>,

    /// How long the workers of the new version have to prove themselves, all of them ready. If one
    /// fails by then, those of the old version, which wait so long, serve on. [default: 10s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) soak: Option<OrZero>,

    /// After a reload that was rolled back, planned replacements (--max-lifetime and the like) rest for
    /// so long, or until a reload succeeds. [default: 10m]
    #[arg(long, value_name = "DURATION")]
    pub(crate) reload_latch: Option<OrZero>,

    /// How many versions may be leaving at a time; of the oldest beyond, the workers are killed.
    /// [default: 3]
    #[arg(long, value_name = "N", value_parser = units::at_least_one, allow_negative_numbers = true)]
    pub(crate) max_generations: Option<NonZeroU16>,

    /// Write to this file, as JSON, what became of the last reload or upgrade.
    #[arg(long, value_name = "FILE")]
    pub(crate) verdict_file: Option<PathBuf>,

    /// A master that stands still for so long is ended, and another one takes the workers over; or
    /// never. [default: 10s]
    #[arg(long, value_name = "DURATION|never")]
    pub(crate) master_watchdog: Option<OrNever>,
}

/// What only a script can be told.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of a SCRIPT")]
pub(crate) struct NodeArgs {
    /// What runs the script: node, deno or bun, by its name or path.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) interpreter: Option<OsString>,

    /// Arguments for the interpreter, separated by blanks. May be repeated.
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub(crate) node_args: Vec<String>,

    /// A worker is ready when it sends the message 'ready', not when it listens.
    #[arg(long)]
    pub(crate) wait_ready: bool,

    /// A worker that has not said that it is ready by then is taken for ready all the same (with
    /// --ready alive, which is the default). [default: 3s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) listen_timeout: Option<Seconds>,

    /// Listen at --listen, and send the listeners to each worker with the message NAME, as
    /// process.send(NAME, server) does.
    #[arg(long, value_name = "NAME")]
    pub(crate) send_handle: Option<String>,

    /// Send the message 'shutdown' to a worker before it is disconnected.
    #[arg(long)]
    pub(crate) shutdown_with_message: bool,

    /// Do not load herder's module into the workers. It answers requests on keep-alive connections
    /// while a worker leaves.
    #[arg(long)]
    pub(crate) no_node_shim: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum DispatchArg {
    /// What suits the program.
    Auto,
    /// Each worker accepts from a listener of its own, which a program in the kernel picks in turn.
    Kernel,
    /// The master accepts and passes connections on.
    Pass,
    /// A gateway forwards each request to a worker's own port, which it finds as PORT.
    Proxy,
    /// Each worker accepts from a listener of its own, which the kernel picks by lot.
    Reuseport,
    /// The workers accept from a shared listener.
    Shared,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum ReadyArg {
    /// It said READY=1, or it has been alive for a while (a guess, shown as one).
    Alive,
    /// It said READY=1.
    Notify,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WorkersArg {
    Count(u16),
    Max,
}

impl RunArgs {
    /// How events and lines are written.
    pub(crate) fn format(&self) -> Format {
        if self.json {
            Format::Json
        } else {
            Format::Text
        }
    }

    /// Whether nothing is said that only a file can be told.
    pub(crate) fn without_file(&self) -> Result<(), RunError> {
        let given = [
            ("--only", self.only.is_some()),
            ("--env", self.env.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(RunError::NoFile(option)),
            None => Ok(()),
        }
    }
}

impl WorkersArg {
    pub(crate) fn wanted(self) -> Workers {
        match self {
            WorkersArg::Count(count) => Workers::Count(count),
            WorkersArg::Max => Workers::Max(Max::Max),
        }
    }
}

impl DispatchArg {
    pub(crate) fn wanted(self) -> Dispatch {
        match self {
            DispatchArg::Auto => Dispatch::Auto,
            DispatchArg::Kernel => Dispatch::Kernel,
            DispatchArg::Pass => Dispatch::Pass,
            DispatchArg::Proxy => Dispatch::Proxy,
            DispatchArg::Reuseport => Dispatch::Reuseport,
            DispatchArg::Shared => Dispatch::Shared,
        }
    }
}

impl ReadyArg {
    pub(crate) fn wanted(self) -> Ready {
        match self {
            ReadyArg::Alive => Ready::Alive,
            ReadyArg::Notify => Ready::Notify,
        }
    }
}

impl FromStr for WorkersArg {
    type Err = String;

    fn from_str(text: &str) -> Result<WorkersArg, String> {
        match text {
            "max" => Ok(WorkersArg::Max),
            // As PM2 counts.
            "0" => Err("use 1 to 256, or max for one worker per CPU".to_owned()),
            _ => match text.parse() {
                Ok(count) => Ok(WorkersArg::Count(count)),
                Err(_) => Err("use a number from 1 to 256, or max for one per CPU".to_owned()),
            },
        }
    }
}
