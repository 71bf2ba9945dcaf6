//! A built-in library, and agents of several workers.

use std::time::Duration;

use herder_rpc::Part;
use herder_rpc::client::{Agent, Endpoint, Identity};
use herder_rpc::testing::RunningLibrary;
use herder_services::library::{Backend, NamespaceSettings, Settings, open};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Herd(pub(crate) RunningLibrary);

impl Herd {
    /// With the namespace `s` in memory.
    pub(crate) async fn new() -> Herd {
        Herd::with(memory(), "one").await
    }

    pub(crate) async fn with(settings: Settings, herd: &str) -> Herd {
        let library = open(settings, herd, 1).await.expect("it can be");
        Herd(RunningLibrary::start(library).expect("it starts"))
    }

    /// An agent of the worker at this place.
    pub(crate) fn worker(&self, slot: u32) -> Agent {
        self.agent(Part::Worker, slot)
    }

    pub(crate) fn agent(&self, part: Part, slot: u32) -> Agent {
        Agent::connect(Endpoint {
            library: "herder".to_owned(),
            path: self.0.socket().to_owned(),
            herd: self.0.herd().to_owned(),
            identity: Identity {
                app: "test".to_owned(),
                part,
                slot,
                worker: u64::from(slot) + 1,
                pid: std::process::id(),
            },
        })
    }
}

pub(crate) fn memory() -> Settings {
    Settings {
        state: vec![NamespaceSettings::new("s", Backend::Memory)],
        ..Settings::default()
    }
}

/// What comes, or a failed test.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}
