//! [`Cluster::soak`] and the like: how a new version takes over.

use std::path::PathBuf;
use std::time::Duration;

use crate::cluster::builder::Cluster;

/// # Reload
///
/// On SIGHUP the master starts the executable anew, from its path, and has the new workers take over
/// from the old ones, one after the other; nobody who is being served notices. If the new version
/// fails within its [soak](Cluster::soak), the old one serves on, and the log says why.
impl Cluster {
    /// How long the workers of a new version have to prove themselves, all of them ready; those of the
    /// old version wait so long. Default: 10 s.
    pub fn soak(mut self, time: Duration) -> Cluster {
        self.settings.reload.soak = time;
        self
    }

    /// How many replacements a reload starts at a time, beyond the workers there are. Default: 1, which
    /// is also the least.
    pub fn surge(mut self, workers: u16) -> Cluster {
        self.settings.set_surge(workers);
        self
    }

    /// How many more workers a reload may replace at a time, at the price of as many fewer that serve.
    /// Default: 0.
    pub fn max_unavailable(mut self, workers: u16) -> Cluster {
        self.settings.reload.max_unavailable = workers;
        self
    }

    /// How long planned replacements (by [`max_requests`](Cluster::max_requests) and the like) rest
    /// after a reload that was rolled back, unless a reload succeeds before. Default: 10 min.
    pub fn reload_latch(mut self, time: Duration) -> Cluster {
        self.settings.reload.latch = time;
        self
    }

    /// How many versions may be leaving at a time; of the oldest beyond, the workers are killed.
    /// Default: 3; 1 is the least.
    pub fn max_generations(mut self, generations: u16) -> Cluster {
        self.settings.set_max_generations(generations);
        self
    }

    /// What this build of the program calls itself; `env!("CARGO_PKG_VERSION")` will do. It is said
    /// when SIGUSR2 has the master go on as the build that is installed then.
    pub fn version(mut self, version: impl Into<String>) -> Cluster {
        self.settings.version = version.into();
        self
    }

    /// Writes to this file, as JSON, what became of the last reload or upgrade.
    pub fn verdict_file(mut self, path: impl Into<PathBuf>) -> Cluster {
        self.settings.verdict_file = Some(path.into());
        self
    }

    /// For how long the master may stand still before it is ended, and another one takes the workers
    /// over. `None` = for ever. Default: 10 s.
    pub fn master_watchdog(mut self, time: Option<Duration>) -> Cluster {
        self.settings.watchdog = time;
        self
    }
}
