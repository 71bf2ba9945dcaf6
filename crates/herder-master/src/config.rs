//! What a master is to run.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use herder_core::spec::{AppSpec, LibraryName, ListenAddress};
use herder_sys::user::Identity;
use herder_wire::gateway::GatewayConfig;
use serde::{Deserialize, Serialize};

use crate::event::HerdEvent;

/// Called for every event of the herd, in order, on the output thread. It may print and may be
/// slow; it never delays a hand-over or a reap.
pub type Observer = Box<dyn FnMut(&HerdEvent) + Send>;

/// Where a configuration comes from that can change while its herd runs: a reload reads it again. (One that
/// was only [given](crate::run) stands, and a reload starts the same program anew.)
pub trait Source: Send {
    /// The configuration as it is now.
    ///
    /// # Errors
    /// When it is none, why: with the place, for people. Nothing changes then.
    fn read(&mut self) -> Result<Config, String>;

    /// Whether reading takes no longer than a small file does. If not, it is done on another thread, and the
    /// reload begins when it is over.
    fn is_prompt(&self) -> bool;

    /// The configuration that had this [definition](Config::definition), whatever has become of it where it
    /// came from. It is asked for by a master that goes on with a herd: what it needs that is not there (a
    /// program, a directory) is to be an error of those that are started, and not of this.
    ///
    /// # Errors
    /// When it is no definition of this kind.
    fn recall(&mut self, definition: &str) -> Result<Config, String>;
}

/// Everything a master needs to run one app.
pub struct Config {
    /// What the decisions depend on.
    pub spec: AppSpec,
    /// What a [`Source`] makes this configuration from once more; empty where there is none. A library
    /// that is this executable finds it as `HERDER_DEFINITION`.
    pub definition: String,
    /// Settings that only a restart can change, beside those that are known to the master: their names, and
    /// what they are. (They are not shown.)
    pub restart_only: Vec<(&'static str, String)>,
    /// Where the app listens. Empty when a gateway does.
    pub listen: Vec<ListenAddress>,
    /// A gateway that makes a job of each message of a client. Its workers are this executable,
    /// and the dispatch mode is `message`.
    pub messages: Option<Messages>,
    /// A gateway that forwards to workers which listen by themselves, each where it is told to. It
    /// listens at `listen`, and the dispatch mode is `proxy`.
    pub proxy: Option<Proxy>,
    /// The herd's libraries, in the order in which they are named. At most [`MAX_LIBRARIES`], no two
    /// of one name. The workers are started when all of them are ready for the first time.
    pub libraries: Vec<Library>,
    /// How many connections the kernel queues per listener.
    pub backlog: u32,
    /// The permission bits of a Unix listener.
    pub unix_mode: u32,
    /// What a worker is.
    pub program: Program,
    /// What the processes of the herd inherit; `None` = the master's own environment.
    pub environment: Option<Vec<(OsString, OsString)>>,
    /// Variables that tell the workers of a foreign program their slots.
    pub numbering: Numbering,
    /// How events and the workers' lines are written.
    pub format: Format,
    /// Who else is told.
    pub observer: Option<Observer>,
    /// How processes are called in `ps`.
    pub titles: Titles,
    /// Whose choice the dispatch mode is.
    pub choice: Choice,
    /// Why the dispatch mode is what it is, for the line at the start.
    pub dispatch_reason: String,
    /// What the operator should know of these settings. Each is told as a warning at the start.
    pub hints: Vec<String>,
    /// A master whose loop stands still for this long is ended by the keeper, and another one takes
    /// over; `None` = never.
    pub watchdog: Option<Duration>,
    /// What this build of the program calls itself; empty when it has no name. It is said in an
    /// upgrade.
    pub version: String,
    /// Where the verdict of the last reload or upgrade is written to, as JSON.
    pub verdict_file: Option<PathBuf>,
    /// Where the herd's socket is to be, in a directory that is the herd's user's alone: who asks
    /// there is told how the herd stands, and obeyed (see `herder_api::herd`). `None` = there is none.
    pub control: Option<PathBuf>,
    /// What workers that are a program of their own find as their stdin.
    pub stdin: Stdin,
    /// The files for what the workers print; `None` = our stdout and stderr.
    pub logs: Option<herder_logs::Settings>,
    /// The file for the herd's events, one JSON object a line, whatever `format` says. (Reports of
    /// single jobs and messages of programs are not written there.)
    pub event_log: Option<PathBuf>,
}

/// Whose choice the dispatch mode is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Choice {
    /// It was asked for, or nothing else can be.
    #[default]
    Said,
    /// `kernel`, if the kernel takes a program from the first master of the herd, wherever each worker can have a
    /// listener of its own; else what the spec says. The reason is the master's then. Who follows keeps to it.
    KernelFirst,
}

/// What workers that are a program of their own find as their stdin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stdin {
    /// `/dev/null`.
    #[default]
    Null,
    /// A pipe, into which lines can be written by way of the herd's socket.
    Pipe,
}

/// Variables that tell each worker its slot, beside `HERDER_SLOT` and `NODE_APP_INSTANCE`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Numbering {
    /// Its value is the slot, from 0.
    pub slot: Option<String>,
    /// Its value is this number and the slot.
    pub added: Option<(String, i64)>,
}

/// How long a master may stand still when nothing else is said.
pub const WATCHDOG: Duration = Duration::from_secs(10);

/// A gateway: clients stay connected to it, and each of their messages is a job for the next worker.
#[derive(Clone, Debug)]
pub struct Messages {
    /// Where it listens.
    pub listen: Vec<ListenAddress>,
    /// The directory of the app's own page, if it has one.
    pub page: Option<PathBuf>,
    /// How it works. Its protocols stand parallel to `listen`; how often it beats is the master's
    /// choice.
    pub gateway: GatewayConfig,
}

/// A gateway that forwards each request, or connection, to a worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proxy {
    /// How it works, as JSON that the gateway understands (`herder_gateway::proxy`); at most
    /// [`MAX_SETTINGS`](herder_wire::proxy::MAX_SETTINGS) bytes.
    pub settings: String,
    /// How many gateways there are, which the settings say, too. At least one.
    pub gateways: u16,
    /// Where the workers are to listen.
    pub via: Via,
    /// When a worker is ready.
    pub ready: ProxyReady,
    /// The certificates that its settings name, in their order. The master opens the files, with its own
    /// rights, and the gateway reads them.
    pub certificates: Vec<Certificate>,
}

/// The files of a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// The certificate, with its chain.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Where the workers behind a proxy listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Via {
    /// On a port of 127.0.0.1, which each finds as `PORT`.
    #[default]
    Port,
    /// On a Unix socket, whose path each finds as `HERDER_UNIX`.
    Unix,
}

/// When a worker behind a proxy is ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum ProxyReady {
    /// It listens.
    #[default]
    Listens,
    /// It listens, and has said `READY=1`.
    ListensAndSaysSo,
}

/// The most libraries of a herd.
pub const MAX_LIBRARIES: usize = 32;

/// A library: a process of the herd with which every worker is connected, for what only one can hold.
#[derive(Clone, Debug)]
pub struct Library {
    /// How agents ask for it.
    pub name: LibraryName,
    /// What it is.
    pub program: LibraryProgram,
    /// How long one life of it may take until it is ready.
    pub boot_timeout: Duration,
    /// Without a heartbeat for this long it is suspect; `None` = it sends none.
    pub hang: Option<Duration>,
    /// What a reload does with it.
    pub on_reload: OnReload,
}

/// What a reload does with a library.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnReload {
    /// It stays: what it holds, nobody else has.
    Keep,
    /// It is replaced before the workers are. The next life begins when the one before it has ended.
    #[default]
    Replace,
}

/// What a library is.
#[derive(Clone, Debug)]
pub enum LibraryProgram {
    /// This executable again, with the same arguments.
    Itself,
    /// A program that finds its listener by `LISTEN_FDS`, and writes `READY=1` to the descriptor
    /// `HERDER_NOTIFY_FD`.
    Command(Command),
    /// A script that is run by a host of ours, which does what [`Command`](LibraryProgram::Command)
    /// asks for: the host is put before the last of its arguments, the script.
    Hosted(Command, Host),
}

/// A program of ours that runs a script. It is written to the herd's private directory.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// The file that is executed, and the directory in which the files stand.
    pub main: &'static str,
    /// Its files: their paths within that directory, and their texts.
    pub files: &'static [(&'static str, &'static str)],
}

/// What a worker is.
#[derive(Clone, Debug)]
pub enum Program {
    /// This executable again, with the same arguments.
    Itself,
    /// A program that knows nothing of herder.
    Command(Command),
    /// A program whose workers speak with the primary of Node's `cluster`, which the master is then.
    Node(NodeProgram),
}

/// A program of Node's `cluster`, or of an engine that speaks its protocol. The dispatch mode is
/// `pass`, or `shared` for Node's `SCHED_NONE`; there is no heartbeat.
#[derive(Clone, Debug)]
pub struct NodeProgram {
    /// The interpreter, with its arguments, the script and the script's.
    pub command: Command,
    /// When a worker is ready. (What happens if it never says so, the app's policy decides.)
    pub ready: NodeReady,
    /// How a worker is told to leave.
    pub farewell: Farewell,
    /// Whether keep-alive connections are looked after when a worker leaves.
    pub shim: Shim,
    /// The workers are to have inspectors, on the ports above this one.
    pub inspect: Option<u16>,
}

/// When a worker is ready.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NodeReady {
    /// It has taken the herd's own listeners, which are sent to it with this message.
    Handle(String),
    /// It listens.
    Listening,
    /// It says `ready`.
    Message,
}

/// How a worker is told to leave. All are told by Node's own `disconnect`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Farewell {
    /// In no other way.
    #[default]
    Disconnect,
    /// By the message `shutdown` before it.
    Message,
}

/// A module of ours that Node loads before the program: while a worker leaves, requests on its
/// keep-alive connections are answered, and told that they are the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Shim {
    /// Not loaded.
    Off,
    /// Loaded by `--require`.
    #[default]
    Preloaded,
}

/// A program that knows nothing of herder.
#[derive(Clone, Debug)]
pub struct Command {
    /// The file to execute, already found.
    pub path: PathBuf,
    /// By which name it was found: a reload [looks it up](crate::find::look_up) again. `None` = the
    /// path stands.
    pub sought: Option<OsString>,
    /// Its arguments, `argv[0]` included.
    pub argv: Vec<OsString>,
    /// Its working directory; `None` = the master's.
    pub directory: Option<PathBuf>,
    /// Whose rights it has; `None` = the master's.
    pub identity: Option<Identity>,
}

/// How events and lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Nothing is written; the observer alone is told. Workers' lines are passed on as they are.
    Quiet,
    /// For people.
    #[default]
    Text,
}

/// How processes are called in `ps`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Titles {
    /// The master; `None` = `herder: master NAME`.
    pub master: Option<String>,
    /// A worker; `None` = `herder: worker NAME/slot`.
    pub worker: Option<String>,
}
