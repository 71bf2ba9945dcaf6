//! What an app is to be: values that are valid by construction.

mod address;
mod dispatch;
mod library;
mod name;
mod policy;
mod signal;

pub use address::{AddressError, ListenAddress, Listens};
pub use dispatch::{DispatchMode, DispatchSpec, PickerKind, Recall};
pub use library::{LibraryName, LibraryNameError};
pub use name::{AppName, NameError};
pub use policy::{
    BootFailure, DelayGrowth, LifePolicy, Readiness, RecyclePolicy, ReloadPolicy, RestartPolicy,
    RestartWhen, WorkerCount, WorkerCountError,
};
pub use signal::{StopSignal, StopSignalError};

use serde::{Deserialize, Serialize};

/// Everything the decisions about one app depend on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AppSpec {
    /// How it is called in logs and titles.
    pub name: AppName,
    /// How many slots it has.
    pub workers: WorkerCount,
    /// When a worker that died is replaced.
    pub restart: RestartPolicy,
    /// When a healthy worker is replaced.
    pub recycle: RecyclePolicy,
    /// How one generation takes another's place.
    pub reload: ReloadPolicy,
    /// The time limits of a worker's life.
    pub life: LifePolicy,
    /// Who gets a connection.
    pub dispatch: DispatchSpec,
}

/// What may change while an app runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Policies {
    /// When a worker that died is replaced.
    pub restart: RestartPolicy,
    /// When a healthy worker is replaced.
    pub recycle: RecyclePolicy,
    /// How one generation takes another's place.
    pub reload: ReloadPolicy,
    /// The time limits of a worker's life.
    pub life: LifePolicy,
}

impl AppSpec {
    /// The part of it that may change while the app runs.
    #[must_use]
    pub fn policies(&self) -> Policies {
        Policies {
            restart: self.restart.clone(),
            recycle: self.recycle.clone(),
            reload: self.reload.clone(),
            life: self.life.clone(),
        }
    }

    /// From now on these hold.
    pub fn adopt(&mut self, policies: Policies) {
        let Policies {
            restart,
            recycle,
            reload,
            life,
        } = policies;
        self.restart = restart;
        self.recycle = recycle;
        self.reload = reload;
        self.life = life;
    }

    /// An app of this name and size with every default.
    #[must_use]
    pub fn new(name: AppName, workers: WorkerCount) -> AppSpec {
        AppSpec {
            name,
            workers,
            restart: RestartPolicy::default(),
            recycle: RecyclePolicy::default(),
            reload: ReloadPolicy::default(),
            life: LifePolicy::default(),
            dispatch: DispatchSpec::default(),
        }
    }
}
