//! What a child shall become.

use std::fmt;
use std::str::FromStr;

use super::body;
use super::error::PlanError;
use super::header::PlanHeader;

/// What a child shall become, and what it gets for it. The child applies the plan to itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LaunchPlan {
    /// Name of the application.
    pub app: String,
    /// What the process is for.
    pub role: Role,
    /// Place of the worker within its application, from 0.
    pub slot: u16,
    /// Number of this process life within its application, from 1, never reused.
    pub incarnation: u64,
    /// What the process shows in `ps`.
    pub title: String,
    /// The program to execute; `None` goes on as what the executable itself is.
    pub program: Option<Program>,
    /// The whole environment, as names and values, in order.
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// The working directory; `None` keeps the master's.
    pub directory: Option<Vec<u8>>,
    /// The user to become; `None` stays who the master is.
    pub identity: Option<Identity>,
    /// The file mode mask; `None` keeps the master's.
    pub umask: Option<u32>,
    /// Resource limits to set; what is not named is inherited.
    pub limits: Vec<Limit>,
    /// What each descriptor is for, in the order in which they were sent.
    pub descriptors: Vec<DescriptorUse>,
}

/// What a process of the herd is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Role {
    /// Listens, dispatches, supervises.
    Master = 1,
    /// Serves; this executable's own code.
    Worker = 2,
    /// Becomes a foreign program.
    Launcher = 3,
    /// Terminates a protocol in front of workers.
    Gateway = 4,
    /// Holds what the workers share; this executable's own code.
    Library = 5,
    /// Finds out whether it could be the master of a herd that lives, says so, and ends.
    Probe = 6,
}

/// A foreign program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Program {
    /// The file to execute.
    pub path: Vec<u8>,
    /// Its arguments; the first is the name by which it is called.
    pub argv: Vec<Vec<u8>>,
    /// Whether it finds its listeners by the `LISTEN_FDS` protocol.
    pub listen_fds: ListenFds,
    /// What becomes of it when its master dies.
    pub orphaned: Orphaned,
}

/// What becomes of a program when its master dies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Orphaned {
    /// It lives on: who adopts it decides.
    LivesOn = 0,
    /// It gets SIGTERM.
    Terminated = 1,
}

/// Whether a program finds its listeners by the `LISTEN_FDS` protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum ListenFds {
    /// No variable is set.
    Absent = 0,
    /// The listeners stand from descriptor 3 on, in the order of the plan, and the child adds
    /// `LISTEN_FDS`, `LISTEN_FDNAMES` and, since only it knows its pid, `LISTEN_PID`.
    Announced = 1,
}

/// A user and the groups that it is in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// User number.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// A resource limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limit {
    /// What is limited.
    pub kind: LimitKind,
    /// What the kernel enforces, in the kind's unit; [`Limit::UNLIMITED`] for none.
    pub soft: u64,
    /// How far the process may raise `soft` by itself.
    pub hard: u64,
}

impl Limit {
    /// No limit.
    pub const UNLIMITED: u64 = u64::MAX;
}

/// What is limited, as in `setrlimit(2)`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum LimitKind {
    /// Size of the address space, in bytes.
    AddressSpace = 1,
    /// Size of a core file, in bytes.
    Core = 2,
    /// Processor time, in seconds.
    Cpu = 3,
    /// Size of the data segment, in bytes.
    Data = 4,
    /// Size of a file that is written, in bytes.
    FileSize = 5,
    /// Memory that is locked, in bytes.
    LockedMemory = 6,
    /// The highest descriptor number plus one.
    OpenFiles = 7,
    /// Processes and threads of the user.
    Processes = 8,
    /// Size of the stack, in bytes.
    Stack = 9,
}

/// What a descriptor of a plan is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DescriptorUse {
    /// A native worker's end of `conns`.
    Conns,
    /// A native worker's end of `control`.
    Control,
    /// The master's channel to the keeper.
    Keeper,
    /// The estate of a living herd: for its next image sockets in which the connections wait that it
    /// holds, for a probe its state as sealed memory.
    Estate,
    /// A listening socket.
    Listener {
        /// Its name, as `LISTEN_FDNAMES` gives it.
        name: String,
    },
    /// The open directory of the files that a gateway serves.
    Page,
    /// Whatever shall stand at this descriptor number: output, a protocol's fixed place.
    Place {
        /// The descriptor number.
        target: u16,
    },
}

/// A plan, ready to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EncodedPlan {
    /// The message's bytes.
    pub header: [u8; PlanHeader::SIZE],
    /// What the memory file holds.
    pub body: Vec<u8>,
}

impl LaunchPlan {
    /// This plan on the wire.
    ///
    /// # Errors
    ///
    /// [`PlanError::TooLong`], [`PlanError::TooManyDescriptors`], [`PlanError::NulByte`].
    pub fn encode(&self) -> Result<EncodedPlan, PlanError> {
        let body = body::encode(self)?;
        let header = PlanHeader::new(&body, self.descriptors.len())?.encode();
        Ok(EncodedPlan { header, body })
    }

    /// Reads the body that came with a header.
    ///
    /// # Errors
    ///
    /// Any [`PlanError`] that is not about the header itself.
    pub fn decode(header: &PlanHeader, body: &[u8]) -> Result<LaunchPlan, PlanError> {
        header.check(body)?;
        let plan = body::decode(body)?;
        if plan.descriptors.len() != usize::from(header.descriptors) {
            return Err(PlanError::Descriptors {
                stated: header.descriptors,
                listed: plan.descriptors.len(),
            });
        }
        Ok(plan)
    }
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 6] = [
        Role::Master,
        Role::Worker,
        Role::Launcher,
        Role::Gateway,
        Role::Library,
        Role::Probe,
    ];

    /// The word for this role, as the environment of a child has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Master => "master",
            Role::Worker => "worker",
            Role::Launcher => "launcher",
            Role::Gateway => "gateway",
            Role::Library => "library",
            Role::Probe => "probe",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A word is no role.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("role is none of master, worker, launcher, gateway, library, probe")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        Role::ALL
            .into_iter()
            .find(|role| role.as_str() == word)
            .ok_or(UnknownRole)
    }
}
