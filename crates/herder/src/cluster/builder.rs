//! [`Cluster`]: a method for each setting.

#[cfg(feature = "tokio")]
use std::num::NonZeroU32;
use std::time::Duration;

use herder_core::Exit;
use herder_master::config::Format;
use herder_master::event::{HerdEvent, WorkerInfo};

use crate::cluster::settings::{Dispatch, Place, Policy, Settings};

/// Called for each event of the herd.
pub(crate) type Hook = Box<dyn FnMut(&HerdEvent) + Send>;

/// A herd: one master that listens, and workers that serve.
///
/// Every process of the herd runs `main` up to [`run`](Cluster::run), so the settings must come out
/// the same in each; see [what re-execution means](crate#what-re-execution-means).
///
/// ```no_run
/// use std::io::{self, Write};
/// use std::process::ExitCode;
/// use std::time::Duration;
///
/// use herder::{Cluster, ClusterError, Policy, Worker};
///
/// fn main() -> Result<ExitCode, ClusterError> {
///     herder::init();
///     Cluster::new()
///         .name("hello")
///         .listen("127.0.0.1:8080")
///         .listen("unix:/run/hello.sock")
///         .workers(4)
///         .policy(Policy::LeastConnections)
///         .grace(Duration::from_secs(10))
///         .max_requests(100_000)
///         .on_online(|worker| println!("worker {} is there: {}", worker.slot, worker.pid))
///         .on_exit(|worker, exit| println!("worker {} is gone: {exit}", worker.slot))
///         .run(serve)
/// }
///
/// fn serve(worker: Worker) -> io::Result<()> {
///     while let Some(mut connection) = worker.accept()? {
///         connection.write_all(b"hello\n")?;
///     }
///     Ok(())
/// }
/// ```
#[must_use = "a herd does nothing until it is run"]
pub struct Cluster {
    pub(super) settings: Settings,
    pub(super) hooks: Vec<Hook>,
    #[cfg(feature = "library")]
    pub(super) libraries: Vec<crate::cluster::libraries::Given>,
    #[cfg(feature = "services")]
    pub(super) services: Option<crate::cluster::services::Services>,
}

impl Cluster {
    /// A herd with every default: named like the executable, one worker per CPU (of the cgroup's
    /// quota, where there is one).
    pub fn new() -> Cluster {
        Cluster {
            settings: Settings::default(),
            hooks: Vec::new(),
            #[cfg(feature = "library")]
            libraries: Vec::new(),
            #[cfg(feature = "services")]
            services: None,
        }
    }

    /// How it is called in logs and titles: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub fn name(mut self, name: impl Into<String>) -> Cluster {
        self.settings.name = Some(name.into());
        self
    }

    /// Listens here: `8080` (every address), `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`,
    /// `unix:/path/to.sock`. Port 0 lets the kernel choose. Call it again for more.
    pub fn listen(mut self, address: impl ToString) -> Cluster {
        self.settings.listen.push(address.to_string());
        self
    }

    /// How many connections the kernel queues per listener, as far as it allows. Default: 4096.
    pub fn backlog(mut self, connections: u32) -> Cluster {
        self.settings.listening.backlog = connections;
        self
    }

    /// The permission bits of Unix listeners. Default: `0o600`, the user alone.
    pub fn unix_mode(mut self, mode: u32) -> Cluster {
        self.settings.listening.unix_mode = mode;
        self
    }

    /// How many workers: 1 to 256.
    pub fn workers(mut self, count: usize) -> Cluster {
        self.settings.workers = Some(count);
        self
    }

    /// How connections reach the workers.
    pub fn dispatch(mut self, dispatch: Dispatch) -> Cluster {
        self.settings.dispatch = dispatch;
        self
    }

    /// Which worker gets the next connection, with [`Dispatch::Pass`].
    pub fn policy(mut self, policy: Policy) -> Cluster {
        self.settings.policy = policy;
        self
    }

    /// How often each worker gets a connection compared to the others, with [`Dispatch::Kernel`]: 1 to
    /// 16, in the order of their slots. Those that are not named have 1.
    pub fn weights(mut self, weights: &[u8]) -> Cluster {
        self.settings.weights = weights.to_vec();
        self
    }

    /// How long a worker may take to finish what it has before it is killed. Default: 30 s.
    pub fn grace(mut self, time: Duration) -> Cluster {
        self.settings.life.grace = time;
        self
    }

    /// How long a worker may take to get ready before it is killed. Default: 60 s.
    pub fn boot_timeout(mut self, time: Duration) -> Cluster {
        self.settings.life.boot_timeout = time;
        self
    }

    /// After how long without a heartbeat a worker counts as hung: it gets no connections, and
    /// after the same time again it is killed. `None` = never; at least 10 ms. Default: 10 s.
    pub fn hang(mut self, time: Option<Duration>) -> Cluster {
        self.settings.set_hang(time);
        self
    }

    /// How many restarts of one place the [window](Cluster::restart_window) may hold before the
    /// place is put to rest for a while. `None` or 0 = any number. Default: 5.
    pub fn max_restarts(mut self, restarts: Option<u32>) -> Cluster {
        self.settings.set_max_restarts(restarts);
        self
    }

    /// Over what time restarts are counted, and how long a place rests that was restarted too
    /// often. Default: 60 s.
    pub fn restart_window(mut self, time: Duration) -> Cluster {
        self.settings.set_restart_window(time);
        self
    }

    /// Replaces a worker after it has served so many connections, or requests where it
    /// [reports](crate::Counters::request) them. 0 = never, the default.
    pub fn max_requests(mut self, requests: u64) -> Cluster {
        self.settings.max_requests = requests;
        self
    }

    /// Replaces a worker that has been ready for so long. Default: never.
    pub fn max_lifetime(mut self, time: Duration) -> Cluster {
        self.settings.max_lifetime = Some(time);
        self
    }

    /// Replaces a worker whose resident memory exceeds so many bytes. 0 = never, the default.
    pub fn max_memory(mut self, bytes: u64) -> Cluster {
        self.settings.max_memory = bytes;
        self
    }

    /// How long the open connections of a worker that panicked may go on. Default: 5 s.
    pub fn close_timeout(mut self, time: Duration) -> Cluster {
        self.settings.close_timeout = time;
        self
    }

    /// How many long connections a worker that leaves closes in a second, at most: see
    /// [`WorkerHandle::farewell`](crate::WorkerHandle::farewell). Default: 1000; 0 is taken for 1.
    #[cfg(feature = "tokio")]
    pub fn close_rate(mut self, connections: u32) -> Cluster {
        self.settings.close_rate = NonZeroU32::new(connections).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// How the master is called in `ps`. Default: `herder: master NAME`.
    pub fn title_master(mut self, title: impl Into<String>) -> Cluster {
        self.settings.titles.master = Some(title.into());
        self
    }

    /// How a worker is called in `ps`. Default: `herder: worker NAME/slot`.
    pub fn title_worker(mut self, title: impl Into<String>) -> Cluster {
        self.settings.titles.worker = Some(title.into());
        self
    }

    /// How events and the workers' output are written. Default: as text.
    pub fn log(mut self, format: Format) -> Cluster {
        self.settings.format = format;
        self
    }

    /// Calls this in the master when a worker is up.
    ///
    /// Hooks run in order on a thread that does nothing else, so they may print and be slow. In
    /// them [`is_master`](crate::is_master) is true.
    pub fn on_online(self, mut hook: impl FnMut(&WorkerInfo) + Send + 'static) -> Cluster {
        self.hook(move |event| {
            if let HerdEvent::Online { worker } = event {
                hook(worker);
            }
        })
    }

    /// Calls this in the master when a worker is gone.
    #[doc(alias = "died")]
    pub fn on_exit(self, mut hook: impl FnMut(&WorkerInfo, &Exit) + Send + 'static) -> Cluster {
        self.hook(move |event| {
            if let HerdEvent::Exited { worker, exit, .. } = event {
                hook(worker, exit);
            }
        })
    }

    /// Calls this in the master for everything that happens to the herd.
    pub fn on_event(self, hook: impl FnMut(&HerdEvent) + Send + 'static) -> Cluster {
        #[cfg(feature = "message")]
        return self.hears_each_job().hook(hook);
        #[cfg(not(feature = "message"))]
        self.hook(hook)
    }

    /// Adds a hook.
    pub(super) fn hook(mut self, hook: impl FnMut(&HerdEvent) + Send + 'static) -> Cluster {
        self.hooks.push(Box::new(hook));
        self
    }

    /// Runs everything in this process, each worker in a thread, for debugging and tests.
    ///
    /// What differs: no [`init`](crate::init) is needed; the workers share listeners, whatever
    /// [`dispatch`](Cluster::dispatch) says; a worker cannot be killed, so limits of memory, boot
    /// time and hanging do not apply, and recycling does not happen; a worker that is restarted
    /// too often ends the herd with an error. See also
    /// [`start_in_process`](Cluster::start_in_process).
    pub fn in_process(mut self) -> Cluster {
        self.settings.place = Place::Threads;
        self
    }

    /// How many threads the runtime of [`run_async`](Cluster::run_async) has. Default: one, without
    /// the cost of sharing: the workers are what uses the CPUs.
    #[cfg(feature = "tokio")]
    pub fn threads(mut self, threads: usize) -> Cluster {
        self.settings.threads = Some(threads);
        self
    }
}

impl Default for Cluster {
    fn default() -> Cluster {
        Cluster::new()
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Cluster {
            settings, hooks, ..
        } = self;
        f.debug_struct("Cluster")
            .field("settings", settings)
            .field("hooks", &hooks.len())
            .finish_non_exhaustive()
    }
}
