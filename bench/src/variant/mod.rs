//! What is compared, and how each is started.
//!
//! - [`Variant`]: what takes part, by name;
//! - [`Server`]: one of them that serves;
//! - `herds`: herds and bare loops; `peers`: everybody else.

mod herds;
mod peers;
mod server;

pub(crate) use herds::own_program;
pub use herds::start_herd;
pub use peers::versions;
pub(crate) use peers::{BACKLOG, installed, serve as serve_at, versions_of_proxies};
pub(crate) use server::announcement;
pub use server::{LeftOut, Server};

use crate::bare::Role;
use herder_e2e::scene::Scene;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A way to bring connections to workers, with the workers that it brings them to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variant {
    /// One process that sends every message back (tokio-tungstenite, one thread).
    BareEcho,
    /// A bare accept + sendmsg loop.
    BarePass,
    /// Workers race on one listener (`EPOLLEXCLUSIVE`), no master in the way.
    BareShared,
    /// granian with the ASGI program.
    Granian,
    /// gunicorn with the WSGI program: synchronous workers.
    GunicornSync,
    /// gunicorn with the WSGI program: workers of four threads.
    GunicornThreads,
    /// A herd whose gateway keeps the clients and gives each message to the next worker, which sends it back.
    HerderMessages,
    /// A herd of native workers.
    HerderNative(Dispatch),
    /// A herd of the same program that [`Variant::Node`] runs, by this version of Node.
    HerderNode(u8, Dispatch),
    /// A herd of uvicorns with the ASGI program, each of one process.
    HerderUvicorn(Dispatch),
    /// nginx that answers by itself.
    Nginx(Listeners),
    /// Node's own cluster, this version of Node.
    Node(u8, Policy),
    /// PM2's cluster mode, by Node 20.
    Pm2,
    /// Puma with workers of four threads.
    Puma,
    /// uvicorn with the ASGI program, and its own parent process.
    Uvicorn,
}

/// How a herd brings connections to its workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dispatch {
    /// The kernel gives each connection to a worker's own socket, by the master's program.
    Kernel,
    /// As `Kernel`, with the policy `least-loaded`.
    LeastLoaded,
    /// The master accepts and passes.
    Pass,
    /// The kernel gives each connection to a worker's own socket, by its hash.
    Reuseport,
    /// The workers race on one listener.
    Shared,
}

impl Dispatch {
    /// The name of the mode, as herder's options and its log have it.
    pub fn mode(self) -> &'static str {
        match self {
            Dispatch::Kernel | Dispatch::LeastLoaded => "kernel",
            Dispatch::Pass => "pass",
            Dispatch::Reuseport => "reuseport",
            Dispatch::Shared => "shared",
        }
    }

    /// The policy that is asked for, where it is not what holds unless said.
    pub fn policy(self) -> Option<&'static str> {
        (self == Dispatch::LeastLoaded).then_some("least-loaded")
    }
}

/// Who listens in nginx.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listeners {
    /// Each worker for itself (`reuseport`).
    Each,
    /// All workers on one.
    One,
}

/// Who accepts in Node's own cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// The workers (`SCHED_NONE`).
    None,
    /// The primary (`SCHED_RR`).
    RoundRobin,
}

/// Who is compared with whom: workers of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum League {
    /// Clients that keep their connections and send messages.
    Messages,
    /// Native programs.
    Native,
    /// Programs for Node.
    Node,
    /// Programs in Python and Ruby.
    Scripts,
}

impl League {
    /// All of them, in the order of the report.
    pub const ALL: [League; 4] = [
        League::Native,
        League::Node,
        League::Scripts,
        League::Messages,
    ];
}

/// All variants with their names, in the order of the tables.
const NAMES: [(Variant, &str); 30] = [
    (Variant::BareShared, "bare-shared"),
    (Variant::BarePass, "bare-pass"),
    (Variant::HerderNative(Dispatch::Kernel), "herder-kernel"),
    (
        Variant::HerderNative(Dispatch::LeastLoaded),
        "herder-least-loaded",
    ),
    (Variant::HerderNative(Dispatch::Pass), "herder-pass"),
    (Variant::HerderNative(Dispatch::Shared), "herder-shared"),
    (
        Variant::HerderNative(Dispatch::Reuseport),
        "herder-reuseport",
    ),
    (Variant::Nginx(Listeners::One), "nginx"),
    (Variant::Nginx(Listeners::Each), "nginx-reuseport"),
    (Variant::BareEcho, "bare-echo"),
    (Variant::HerderMessages, "herder-messages"),
    (Variant::Node(20, Policy::RoundRobin), "node-20-rr"),
    (Variant::Node(20, Policy::None), "node-20-none"),
    (Variant::Pm2, "pm2-node-20"),
    (
        Variant::HerderNode(20, Dispatch::Kernel),
        "herder-node-20-kernel",
    ),
    (
        Variant::HerderNode(20, Dispatch::Pass),
        "herder-node-20-pass",
    ),
    (
        Variant::HerderNode(20, Dispatch::Shared),
        "herder-node-20-shared",
    ),
    (Variant::Node(24, Policy::RoundRobin), "node-24-rr"),
    (Variant::Node(24, Policy::None), "node-24-none"),
    (
        Variant::HerderNode(24, Dispatch::Kernel),
        "herder-node-24-kernel",
    ),
    (
        Variant::HerderNode(24, Dispatch::Pass),
        "herder-node-24-pass",
    ),
    (
        Variant::HerderNode(24, Dispatch::Shared),
        "herder-node-24-shared",
    ),
    (Variant::Uvicorn, "uvicorn"),
    (
        Variant::HerderUvicorn(Dispatch::Kernel),
        "herder-uvicorn-kernel",
    ),
    (
        Variant::HerderUvicorn(Dispatch::Shared),
        "herder-uvicorn-shared",
    ),
    (
        Variant::HerderUvicorn(Dispatch::Reuseport),
        "herder-uvicorn-reuseport",
    ),
    (Variant::Granian, "granian"),
    (Variant::GunicornSync, "gunicorn-sync"),
    (Variant::GunicornThreads, "gunicorn-gthread"),
    (Variant::Puma, "puma"),
];

impl Variant {
    /// All of them, in the order of the tables.
    pub fn all() -> impl Iterator<Item = Variant> + Clone {
        NAMES.iter().map(|(variant, _)| *variant)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let named = NAMES.iter().find(|(variant, _)| *variant == self);
        named.map_or("a variant without a name", |(_, name)| name)
    }

    /// Who it is compared with.
    pub fn league(self) -> League {
        match self {
            Variant::BareEcho | Variant::HerderMessages => League::Messages,
            Variant::BarePass
            | Variant::BareShared
            | Variant::HerderNative(_)
            | Variant::Nginx(_) => League::Native,
            Variant::HerderNode(..) | Variant::Node(..) | Variant::Pm2 => League::Node,
            Variant::Granian
            | Variant::GunicornSync
            | Variant::GunicornThreads
            | Variant::HerderUvicorn(_)
            | Variant::Puma
            | Variant::Uvicorn => League::Scripts,
        }
    }

    /// What it is measured by: the least that can be done, or who does the same without a herd.
    pub fn base(self) -> Variant {
        match (self.league(), self) {
            (League::Messages, _) => Variant::BareEcho,
            (League::Native, _) => Variant::BareShared,
            (League::Node, Variant::HerderNode(version, _) | Variant::Node(version, _)) => {
                Variant::Node(version, Policy::RoundRobin)
            }
            (League::Node, _) => Variant::Node(20, Policy::RoundRobin),
            (League::Scripts, _) => Variant::Uvicorn,
        }
    }

    /// How its herd is to bring connections to workers; `None` for what is no herd, or has a gateway.
    pub fn dispatch(self) -> Option<Dispatch> {
        match self {
            Variant::HerderNative(dispatch)
            | Variant::HerderNode(_, dispatch)
            | Variant::HerderUvicorn(dispatch) => Some(dispatch),
            Variant::BareEcho
            | Variant::BarePass
            | Variant::BareShared
            | Variant::Granian
            | Variant::GunicornSync
            | Variant::GunicornThreads
            | Variant::HerderMessages
            | Variant::Nginx(_)
            | Variant::Node(..)
            | Variant::Pm2
            | Variant::Puma
            | Variant::Uvicorn => None,
        }
    }

    /// Whether it is a herd.
    pub fn is_ours(self) -> bool {
        self.dispatch().is_some() || self == Variant::HerderMessages
    }

    /// Starts it in `scene`, with two workers, and waits until both serve.
    ///
    /// # Errors
    /// When it is not installed, does not start, or does not do what it is named after.
    pub fn start(self, scene: &Scene) -> Result<Server, LeftOut> {
        match self {
            Variant::BareEcho => herds::start_echo(scene),
            Variant::BarePass => herds::start_bare(scene, Role::Master),
            Variant::BareShared => herds::start_bare(scene, Role::Shared),
            Variant::Granian => peers::start_granian(scene),
            Variant::GunicornSync => peers::start_gunicorn(scene, &["-k", "sync"]),
            Variant::GunicornThreads => {
                peers::start_gunicorn(scene, &["-k", "gthread", "--threads", "4"])
            }
            Variant::HerderMessages => herds::start_messages(scene),
            Variant::HerderNative(dispatch) => herds::start_native(scene, dispatch),
            Variant::HerderNode(version, dispatch) => herds::start_node(scene, version, dispatch),
            Variant::HerderUvicorn(dispatch) => herds::start_uvicorn(scene, dispatch),
            Variant::Nginx(listeners) => peers::start_nginx(scene, listeners),
            Variant::Node(version, policy) => peers::start_node(scene, version, policy),
            Variant::Pm2 => peers::start_pm2(scene),
            Variant::Puma => peers::start_puma(scene),
            Variant::Uvicorn => peers::start_uvicorn(scene),
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Variant {
    type Err = String;

    fn from_str(name: &str) -> Result<Variant, String> {
        let named = NAMES.iter().find(|(_, known)| *known == name);
        named.map(|(variant, _)| *variant).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(_, name)| *name).collect();
            format!("there are {}", names.join(", "))
        })
    }
}

impl Serialize for Variant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_say_whose_they_are() {
        for variant in Variant::all() {
            assert_eq!(variant.name().parse(), Ok(variant));
            assert_eq!(variant.base().league(), variant.league(), "{variant}");
            assert_eq!(variant.is_ours(), variant.name().starts_with("herder-"));
            if let Some(dispatch) = variant.dispatch() {
                let named = dispatch.policy().unwrap_or(dispatch.mode());
                assert!(variant.name().ends_with(named), "{variant}");
            }
        }
        let error = "herder".parse::<Variant>().unwrap_err();
        assert!(
            error.starts_with("there are bare-shared, bare-pass, herder-kernel,"),
            "{error}"
        );
    }
}
