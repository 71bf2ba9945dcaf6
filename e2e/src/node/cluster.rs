//! The same workers under either primary.

use crate::binary::Binary;
use crate::foreign::BOOT;
use crate::herd::{Herd, Setup, Signal};
use crate::interpreter::Node;
use crate::node::actor::{Actor, Control};
use crate::node::event::{End, Event};
use crate::node::programs;
use crate::scene::Scene;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};

/// Who is the primary of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Primary {
    /// `herder run`.
    Herder,
    /// Node's own: `primary.js`.
    Node,
}

/// Who accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduling {
    /// Whoever herder's `auto` chooses without the right to load programs into the kernel: the primary, for the
    /// workers in turn. Node's `rr`.
    Auto,
    /// The workers, each from a socket of its own that the kernel picks in turn: herder's `kernel`. For a worker
    /// that is as Node's `none`.
    Kernel,
    /// The workers, from one socket: Node's `none`, herder's `shared`.
    None,
    /// The primary, for the workers in turn: Node's `rr`, herder's `pass`.
    RoundRobin,
}

/// What a scenario is run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// Which Node the workers are, and the primary if it is Node's.
    pub node: Node,
    /// Who accepts.
    pub scheduling: Scheduling,
}

impl Primary {
    /// Node's own first: what it does is what is expected.
    pub const BOTH: [Primary; 2] = [Primary::Node, Primary::Herder];
}

impl Scheduling {
    /// What herder calls it.
    pub fn dispatch(self) -> &'static str {
        match self {
            Scheduling::Auto => "auto",
            Scheduling::Kernel => "kernel",
            Scheduling::None => "shared",
            Scheduling::RoundRobin => "pass",
        }
    }

    /// Whether the primary accepts, and gives each connection to the next worker.
    pub fn is_passed(self) -> bool {
        matches!(self, Scheduling::Auto | Scheduling::RoundRobin)
    }
}

impl Case {
    /// What `make test` runs.
    pub const USUAL: [Case; 4] = [
        Case::new(20, Scheduling::RoundRobin),
        Case::new(20, Scheduling::None),
        Case::new(24, Scheduling::RoundRobin),
        Case::new(24, Scheduling::None),
    ];

    /// What `make test-all` runs beside it.
    pub const OTHERS: [Case; 6] = [
        Case::new(18, Scheduling::RoundRobin),
        Case::new(18, Scheduling::None),
        Case::new(22, Scheduling::RoundRobin),
        Case::new(22, Scheduling::None),
        Case::new(26, Scheduling::RoundRobin),
        Case::new(26, Scheduling::None),
    ];

    /// What `make test` runs where the kernel takes programs, which these need.
    pub const KERNEL: [Case; 2] = [
        Case::new(20, Scheduling::Kernel),
        Case::new(24, Scheduling::Kernel),
    ];

    /// What `make test-all` runs beside it.
    pub const KERNEL_OTHERS: [Case; 3] = [
        Case::new(18, Scheduling::Kernel),
        Case::new(22, Scheduling::Kernel),
        Case::new(26, Scheduling::Kernel),
    ];

    /// The same without the right to load programs.
    pub const UNPRIVILEGED: [Case; 2] = [
        Case::new(20, Scheduling::Auto),
        Case::new(24, Scheduling::Auto),
    ];

    const fn new(major: u8, scheduling: Scheduling) -> Case {
        Case {
            node: Node::Version(major),
            scheduling,
        }
    }

    /// The major version of its Node; what is none of the installed counts as the oldest.
    pub fn major(self) -> u8 {
        match self.node {
            Node::Bun | Node::Deno | Node::Machine => 18,
            Node::Version(major) => major,
        }
    }
}

/// A cluster about to be started.
#[derive(Debug)]
pub struct ClusterSetup {
    primary: Primary,
    scheduling: Scheduling,
    interpreter: PathBuf,
    control: Control,
    setup: Setup,
}

/// A cluster that runs.
#[derive(Debug)]
pub struct Cluster {
    primary: Primary,
    control: Control,
    herd: Herd,
}

/// Clusters made by this process, for the names of their sockets.
static MADE: AtomicU32 = AtomicU32::new(0);

impl ClusterSetup {
    /// Prepares `count` workers that run `program`: the name of a script of this kit, or a path.
    pub fn new(
        scene: &Scene,
        primary: Primary,
        case: Case,
        program: impl AsRef<Path>,
        count: usize,
    ) -> ClusterSetup {
        let program = programs().join(program);
        let count = count.to_string();
        let setup = match primary {
            Primary::Herder => {
                let dispatch = case.scheduling.dispatch();
                let setup = match case.scheduling {
                    Scheduling::Auto => scene.unprivileged(Binary::HERDER),
                    Scheduling::Kernel | Scheduling::None | Scheduling::RoundRobin => {
                        scene.herd(Binary::HERDER)
                    }
                };
                let setup = setup.arg("run").arg(program);
                let setup = setup.args(["--json", "--grace", "12s", "--dispatch", dispatch]);
                setup.args(["-i", &count])
            }
            Primary::Node => {
                let policy = match case.scheduling {
                    Scheduling::Kernel | Scheduling::None => "none",
                    Scheduling::Auto | Scheduling::RoundRobin => "rr",
                };
                let setup = scene.program(case.node.program());
                let setup = setup.arg(programs().join("primary.js")).arg(count);
                setup.arg(program).env("NODE_CLUSTER_SCHED_POLICY", policy)
            }
        };
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let socket = scene.directory().join(format!("control-{number}"));
        ClusterSetup {
            primary,
            scheduling: case.scheduling,
            interpreter: case.node.program(),
            control: Control::at(&socket),
            setup: setup.env("CONTROL", socket),
        }
    }

    /// Puts `tap.py` between each worker and its primary. It writes what they say into `directory`, for [`Wire`].
    ///
    /// [`Wire`]: crate::node::Wire
    #[must_use]
    pub fn tapped(mut self, directory: &Path) -> ClusterSetup {
        let node = std::mem::replace(&mut self.interpreter, programs().join("tap.py"));
        self.setup = self.setup.env("TAP", directory).env("TAP_NODE", node);
        self
    }

    /// Sets a variable of everybody's environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> ClusterSetup {
        self.setup = self.setup.env(name, value);
        self
    }

    /// Starts primary and workers in another directory than the scene's.
    #[must_use]
    pub fn directory(mut self, directory: impl AsRef<Path>) -> ClusterSetup {
        self.setup = self.setup.directory(directory);
        self
    }

    /// Adds options of `herder run`. Node's own primary gets none of them.
    #[must_use]
    pub fn options(mut self, options: &[&str]) -> ClusterSetup {
        if self.primary == Primary::Herder {
            self.setup = self.setup.args(options);
        }
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn start(self) -> Cluster {
        let setup = match self.primary {
            Primary::Herder => self.setup.arg("--interpreter").arg(self.interpreter),
            Primary::Node => self.setup.env("WORKERS_BY", self.interpreter),
        };
        let cluster = Cluster {
            primary: self.primary,
            control: self.control,
            herd: setup.start(),
        };
        if self.primary == Primary::Herder {
            cluster.assert_dispatch(self.scheduling);
        }
        cluster
    }
}

impl Cluster {
    /// The start names the mode; and why it is not the kernel's, if it was left to herder.
    #[track_caller]
    fn assert_dispatch(&self, scheduling: Scheduling) {
        let [mode, reason] = self.wait_for("the mode", |event| {
            if let Event::Other(value) = event
                && value["event"] == "dispatch_chosen"
            {
                let text = |name: &str| value[name].as_str().map(str::to_owned);
                return Some([text("mode")?, text("reason")?]);
            }
            None
        });
        match scheduling {
            Scheduling::Auto => {
                assert_eq!(mode, "pass", "{reason}");
                assert!(reason.contains("kernel needs CAP_BPF"), "{reason}");
            }
            Scheduling::Kernel | Scheduling::None | Scheduling::RoundRobin => {
                assert_eq!(mode, scheduling.dispatch(), "{reason}");
            }
        }
    }

    /// Who its primary is.
    pub fn primary(&self) -> Primary {
        self.primary
    }

    /// The process that was started, with all below it: herder's keeper, or Node's primary.
    pub fn herd(&self) -> &Herd {
        &self.herd
    }

    /// The process that the workers talk to.
    ///
    /// # Panics
    /// When it has gone.
    pub fn primary_pid(&self) -> i32 {
        match self.primary {
            Primary::Herder => self.herd.master().expect("it lives").pid,
            Primary::Node => self.herd.pid(),
        }
    }

    /// The worker `id`, or Node's own primary (0), as one who does what it is told to. It must run `actor.js`; each
    /// can be asked for once.
    ///
    /// # Panics
    /// When it does not report within [`BOOT`].
    #[track_caller]
    pub fn actor(&self, id: u64) -> Actor {
        self.control.actor(id)
    }

    /// Everything said so far, in order.
    pub fn events(&self) -> Vec<Event> {
        let lines = self.herd.lines();
        lines.iter().map(|line| Event::of(&line.text)).collect()
    }

    /// Waits for an event that `pick` has an answer for, those that were already included, and returns the answer.
    ///
    /// # Panics
    /// When there is none within [`BOOT`].
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        self.herd
            .wait_for_line(what, BOOT, |line| pick(Event::of(line)))
    }

    /// Waits until so many workers were online, and returns their ids and processes in that order.
    ///
    /// # Panics
    /// As [`Cluster::wait_for`].
    #[track_caller]
    pub fn wait_online(&self, count: usize) -> Vec<(u64, i32)> {
        let mut online = Vec::new();
        self.wait_for("workers are online", |event| {
            if let Event::Online { worker, pid } = event {
                online.push((worker, pid));
            }
            (online.len() == count).then_some(())
        });
        online
    }

    /// Waits until so many workers listen.
    ///
    /// # Panics
    /// As [`Cluster::wait_for`].
    #[track_caller]
    pub fn wait_listening(&self, count: usize) {
        let mut listening = 0;
        let primary = self.primary;
        self.wait_for("workers listen", |event| {
            listening += match (primary, event) {
                (Primary::Node, Event::Listening(_)) => 1,
                (Primary::Herder, Event::Other(value)) if value["event"] == "ready" => 1,
                _ => 0,
            };
            (listening == count).then_some(())
        });
    }

    /// The first address that a worker listens at.
    ///
    /// # Panics
    /// As [`Cluster::wait_for`].
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        self.wait_for("the address", |event| {
            if let Event::Listening(address) = event {
                return address.parse().ok();
            }
            None
        })
    }

    /// How the worker ended.
    ///
    /// # Panics
    /// As [`Cluster::wait_for`].
    #[track_caller]
    pub fn end_of(&self, id: u64) -> End {
        self.wait_for(&format!("worker {id} has ended"), |event| {
            if let Event::Ended { worker, end } = event {
                return (worker == id).then_some(end);
            }
            None
        })
    }

    /// Tells all workers to finish and leave: `cluster.disconnect()`, or herder's way to stop.
    ///
    /// # Panics
    /// When Node's primary cannot be told.
    #[track_caller]
    pub fn disconnect(&self) {
        match self.primary {
            Primary::Herder => self.herd.signal(Signal::TERM),
            Primary::Node => {
                self.actor(0).run("cluster.disconnect();");
            }
        }
    }

    /// Ends it: herder in order, Node's primary at once. Both must end well, with all of their workers.
    ///
    /// # Panics
    /// When they do not.
    #[track_caller]
    pub fn end(self) {
        let status: ExitStatus = self.herd.end();
        assert!(status.success(), "{:?} ended with {status}", self.primary);
    }
}
