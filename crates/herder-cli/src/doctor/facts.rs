//! What was found, before anybody judges it. None = it could not be found out.

use std::path::PathBuf;

use herder_api::App;
use herder_master::GatewayUser;

/// What was found.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Facts {
    /// What the kernel calls itself: `6.1.0-26-amd64`.
    pub(crate) kernel: String,
    /// Whether processes can be held by descriptors.
    pub(crate) has_pidfd: bool,
    pub(crate) cgroup: Cgroup,
    /// The effective capabilities, a bit each.
    pub(crate) capabilities: u64,
    /// Why the kernel takes no program of ours; None = it does.
    pub(crate) no_kernel_dispatch: Option<String>,
    /// The first port that everybody may listen at.
    pub(crate) first_free_port: Option<u64>,
    pub(crate) somaxconn: Option<u64>,
    /// The limits of open files: soft and hard.
    pub(crate) open_files: (u64, u64),
    pub(crate) datagrams: Option<u64>,
    /// How many files, and by how many descriptors, a user may watch.
    pub(crate) watches: (Option<u64>, Option<u64>),
    /// Where short-lived files belong, and whether we may write there.
    pub(crate) runtime: Option<(PathBuf, bool)>,
    pub(crate) home: Home,
    /// Now, and when this command was built or installed, in seconds since 1970.
    pub(crate) clock: (u64, Option<u64>),
    /// Of each, where it is and what it calls itself.
    pub(crate) nodes: Vec<(PathBuf, String)>,
    /// The daemon and its herds; None = no daemon answers.
    pub(crate) daemon: Option<Answered>,
    pub(crate) ours: Build,
    pub(crate) proxies: Proxies,
    pub(crate) services: Vec<Service>,
    /// Whether something here starts services.
    pub(crate) has_init: bool,
}

/// What this process has of control groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Cgroup {
    /// Not version 2.
    #[default]
    Absent,
    /// Groups cannot be made in ours.
    Closed,
    /// They can.
    Open,
}

/// What there is of the home.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Home {
    pub(crate) path: PathBuf,
    /// Owner and mode; None = it is not there.
    pub(crate) found: Option<(u32, u32)>,
    /// As whom this command runs.
    pub(crate) uid: u32,
    /// What the kernel calls the kind of its file system, by number.
    pub(crate) filesystem: Option<u64>,
    /// Of the file system with the logs: free and all bytes, free and all files.
    pub(crate) space: Option<Space>,
    /// Sockets of herds whose locks nobody holds.
    pub(crate) dead_sockets: Vec<String>,
    /// Orders of apps that are not in the list.
    pub(crate) lost_orders: Vec<String>,
}

/// How full a file system is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Space {
    pub(crate) free_bytes: u64,
    pub(crate) all_bytes: u64,
    pub(crate) free_files: u64,
    pub(crate) all_files: u64,
}

/// A build of herder, as a file and by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Build {
    pub(crate) version: String,
    /// Which file it is: device and number. None = that cannot be seen.
    pub(crate) file: Option<(u64, u64)>,
}

/// What the daemon said.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Answered {
    pub(crate) daemon: Build,
    /// The herds that run, by name.
    pub(crate) herds: Vec<(String, Build)>,
    /// The definitions of all apps.
    pub(crate) apps: Vec<App>,
}

/// A service that `herder startup` wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Service {
    pub(crate) file: PathBuf,
    /// What it runs, and whether that is there.
    pub(crate) program: Option<(PathBuf, Option<(u64, u64)>)>,
    /// Its `HERDER_HOME`.
    pub(crate) home: Option<PathBuf>,
}

/// What gateways that forward have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Proxies {
    /// Whose rights a gateway would have.
    pub(super) user: GatewayUser,
    /// The ports for connections of this machine's own: the first and the last.
    pub(super) ports: Option<(u64, u64)>,
    pub(super) apps: Vec<ProxyApp>,
}

/// An app behind a proxy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ProxyApp {
    pub(super) name: String,
    pub(super) max_clients: u64,
    /// How many workers are reached by ports.
    pub(super) by_port: Option<u64>,
    pub(super) certificates: Vec<Paper>,
}

/// A file of a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Paper {
    pub(super) path: PathBuf,
    /// Why it cannot be read.
    pub(super) problem: Option<String>,
    /// Until when it is valid, in seconds since 1970, if it is known and no key.
    pub(super) ends: Option<u64>,
}
