//! The settings of a herd as they were given, and their check.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::Duration;

use herder_core::spec::{
    AppName, AppSpec, LifePolicy, ListenAddress, PickerKind, ReloadPolicy, RestartPolicy,
    WorkerCount,
};
use herder_master::config::{Choice, Format, Titles, WATCHDOG};
use herder_sys::listener::ListenOptions;

use crate::cluster::error::ClusterError;
use crate::cluster::weights;
#[cfg(feature = "tokio")]
use crate::worker::farewell::CLOSE_RATE;
use crate::worker::link::Timing;

/// Heartbeats come four times as often, and the loop that sends them has other things to do.
const SHORTEST_HANG: Duration = Duration::from_millis(10);

/// How connections reach the workers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Dispatch {
    /// [`Kernel`](Dispatch::Kernel) for TCP listeners, where the kernel permits it when the herd starts and
    /// connections go in turns; else, and for Unix listeners, [`Pass`](Dispatch::Pass). The line at the start
    /// says which, and why.
    #[default]
    Auto,
    /// Each worker accepts from a listener of its own, and a program in the kernel gives every
    /// connection to the next of those that keep up: exactly even, and without any work in between.
    /// It needs the right to load such a program (`CAP_BPF`, or root), and has TCP listeners only.
    Kernel,
    /// The master accepts and passes each connection to a worker: exactly even, and what a dead or
    /// stopped worker had not received is given to another.
    Pass,
    /// Each worker accepts from a listener of its own, and the kernel draws one by lot: nearly even,
    /// without any right. TCP listeners only.
    Reuseport,
    /// The workers accept from the same listeners, whoever is first. Workers that block are woken
    /// one per connection; of those on a runtime, all that wait are, and one gets it.
    Shared,
}

/// Which worker gets the next connection, with [`Dispatch::Pass`] or [`Dispatch::Kernel`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Policy {
    /// The one to which the client's IP address belongs, for programs that keep something of a client
    /// between its connections. A replacement takes over the addresses of the worker before it; only
    /// while a slot has no worker that takes connections do the others serve its addresses.
    ///
    /// It is as even as the addresses are: clients behind one proxy are one address. What comes by a
    /// Unix listener has none, and goes to one worker after the other.
    IpHash,
    /// The one with the fewest open connections.
    LeastConnections,
    /// With [`Dispatch::Kernel`]: one after the other of those that have least to do. Who falls behind
    /// others is left out until it has caught up.
    LeastLoaded,
    /// One after the other; a worker that cannot take any is passed over.
    #[default]
    RoundRobin,
    /// Of two that are drawn by lot, the one with the fewer open connections: nearly as even as
    /// [`LeastConnections`](Policy::LeastConnections), without everybody's rushing to a worker that
    /// has just started.
    TwoChoices,
}

/// Where the workers live.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Place {
    /// Each in a process of its own.
    #[default]
    Processes,
    /// Each in a thread of this process.
    Threads,
}

/// Everything but the hooks.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: Option<String>,
    pub(crate) listen: Vec<String>,
    pub(crate) workers: Option<usize>,
    pub(crate) dispatch: Dispatch,
    pub(crate) policy: Policy,
    pub(crate) weights: Vec<u8>,
    pub(crate) life: LifePolicy,
    pub(crate) restart: RestartPolicy,
    pub(crate) max_requests: u64,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) max_memory: u64,
    pub(crate) close_timeout: Duration,
    #[cfg(feature = "tokio")]
    pub(crate) close_rate: NonZeroU32,
    pub(crate) listening: ListenOptions,
    pub(crate) titles: Titles,
    pub(crate) format: Format,
    pub(crate) place: Place,
    pub(crate) reload: ReloadPolicy,
    pub(crate) watchdog: Option<Duration>,
    pub(crate) version: String,
    pub(crate) verdict_file: Option<PathBuf>,
    #[cfg(feature = "tokio")]
    pub(crate) threads: Option<usize>,
    #[cfg(feature = "message")]
    pub(crate) messages: crate::cluster::message_settings::MessageSettings,
}

/// Settings that were found right.
pub(crate) struct Checked {
    pub(crate) spec: AppSpec,
    pub(crate) listen: Vec<ListenAddress>,
    pub(crate) timing: Timing,
    pub(crate) choice: Choice,
    pub(crate) dispatch_reason: String,
    #[cfg(feature = "tokio")]
    pub(crate) threads: crate::asynchronous::run::Threads,
    #[cfg(feature = "message")]
    pub(crate) messages: Option<herder_master::config::Messages>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            name: None,
            listen: Vec::new(),
            workers: None,
            dispatch: Dispatch::default(),
            policy: Policy::default(),
            weights: Vec::new(),
            life: LifePolicy::default(),
            restart: RestartPolicy::default(),
            max_requests: 0,
            max_lifetime: None,
            max_memory: 0,
            close_timeout: Duration::from_secs(5),
            #[cfg(feature = "tokio")]
            close_rate: CLOSE_RATE,
            listening: ListenOptions::default(),
            titles: Titles::default(),
            format: Format::default(),
            place: Place::default(),
            reload: ReloadPolicy::default(),
            watchdog: Some(WATCHDOG),
            version: String::new(),
            verdict_file: None,
            #[cfg(feature = "tokio")]
            threads: None,
            #[cfg(feature = "message")]
            messages: Default::default(),
        }
    }
}

impl Settings {
    /// How many restarts a window may hold; 0 = any number.
    pub(crate) fn set_max_restarts(&mut self, max: Option<u32>) {
        self.restart.max_restarts = max.and_then(NonZeroU32::new);
    }

    /// Over what time restarts are counted, and how long a quarantine lasts.
    pub(crate) fn set_restart_window(&mut self, time: Duration) {
        self.restart.window = time;
        self.restart.retry = time;
    }

    /// How long a worker may be silent: until it is suspect, and then until it is killed.
    pub(crate) fn set_hang(&mut self, time: Option<Duration>) {
        self.life.hang = time;
        if let Some(time) = time {
            self.life.hang_kill = time;
        }
    }

    /// How many replacements are started at a time in a reload; at least one.
    pub(crate) fn set_surge(&mut self, workers: u16) {
        self.reload.surge = NonZeroU16::new(workers).unwrap_or(NonZeroU16::MIN);
    }

    /// How many generations may be leaving at a time; at least one.
    pub(crate) fn set_max_generations(&mut self, generations: u16) {
        self.reload.max_generations = NonZeroU16::new(generations).unwrap_or(NonZeroU16::MIN);
    }

    /// Finds the first setting that cannot be.
    pub(crate) fn check(&self) -> Result<Checked, ClusterError> {
        self.check_times()?;
        self.check_dispatch()?;
        let mut spec = AppSpec::new(self.app_name()?, self.worker_count()?);
        spec.life = self.life.clone();
        spec.restart = self.restart.clone();
        spec.reload = self.reload.clone();
        spec.recycle.max_requests = NonZeroU64::new(self.max_requests);
        spec.recycle.max_lifetime = self.max_lifetime;
        spec.recycle.max_memory = NonZeroU64::new(self.max_memory);
        let (mode, reason) = self.mode();
        spec.dispatch.mode = mode;
        spec.dispatch.picker = match self.policy {
            Policy::IpHash => PickerKind::IpHash,
            Policy::LeastConnections => PickerKind::LeastConnections,
            Policy::LeastLoaded => PickerKind::LeastLoaded,
            Policy::RoundRobin => PickerKind::RoundRobin,
            Policy::TwoChoices => PickerKind::TwoChoices,
        };
        spec.dispatch.weights = weights::checked(&self.weights, self.dispatch)?;
        Ok(Checked {
            spec,
            choice: self.choice(mode),
            listen: self.addresses()?,
            timing: self.timing(),
            dispatch_reason: reason.to_owned(),
            #[cfg(feature = "tokio")]
            threads: match self.threads {
                None => None,
                Some(0) => {
                    return Err(wrong("threads", "0 threads can do nothing; 1 is the least"));
                }
                Some(threads) => std::num::NonZeroUsize::new(threads),
            },
            #[cfg(feature = "message")]
            messages: self.checked_messages()?,
        })
    }

    /// Each report wakes the master, and takes the processor from those who serve; so where none of its decisions
    /// hangs on the counters, they are told less often.
    fn timing(&self) -> Timing {
        const FOR_PEOPLE: Duration = Duration::from_millis(50);
        let timing = Timing {
            #[cfg(feature = "tokio")]
            close_rate: self.close_rate,
            ..Timing::of(&self.life, self.close_timeout)
        };
        match self.policy {
            Policy::IpHash | Policy::RoundRobin if self.max_requests == 0 => Timing {
                report: FOR_PEOPLE,
                ..timing
            },
            Policy::IpHash
            | Policy::LeastConnections
            | Policy::LeastLoaded
            | Policy::RoundRobin
            | Policy::TwoChoices => timing,
        }
    }

    fn check_times(&self) -> Result<(), ClusterError> {
        let (life, restart) = (&self.life, &self.restart);
        for (method, time) in [
            ("boot_timeout", Some(life.boot_timeout)),
            ("hang", life.hang),
            ("max_lifetime", self.max_lifetime),
            ("restart_window", Some(restart.window)),
            ("master_watchdog", self.watchdog),
        ] {
            if time.is_some_and(|time| time.is_zero()) {
                return Err(wrong(method, "a time limit of zero leaves no time"));
            }
        }
        match life.hang {
            Some(hang) if hang < SHORTEST_HANG => Err(wrong(
                "hang",
                format!("{hang:?} is too short to show a sign of life in; 10ms is the least"),
            )),
            _ => Ok(()),
        }
    }

    /// Finds a setting that has no meaning for a function that blocks.
    pub(crate) fn check_blocking(&self) -> Result<(), ClusterError> {
        #[cfg(feature = "tokio")]
        if self.threads.is_some() {
            return Err(wrong(
                "threads",
                "a function that blocks has no runtime; threads are for run_async",
            ));
        }
        Ok(())
    }

    /// Finds a setting that has no meaning for a function that serves connections.
    pub(crate) fn check_for_connections(&self) -> Result<(), ClusterError> {
        #[cfg(feature = "message")]
        self.check_no_messages()?;
        Ok(())
    }

    fn app_name(&self) -> Result<AppName, ClusterError> {
        match &self.name {
            Some(name) => name.parse().map_err(|error| wrong("name", error)),
            None => default_name().parse().map_err(|error| wrong("name", error)),
        }
    }

    fn worker_count(&self) -> Result<WorkerCount, ClusterError> {
        match self.workers {
            Some(count) => WorkerCount::new(count).map_err(|error| wrong("workers", error)),
            None => {
                // Knows of the affinity mask and of the cgroup's quota.
                let cpus = std::thread::available_parallelism().map_or(1, usize::from);
                WorkerCount::new(cpus.min(WorkerCount::MAX.into()))
                    .map_err(|error| wrong("workers", error))
            }
        }
    }

    pub(super) fn addresses(&self) -> Result<Vec<ListenAddress>, ClusterError> {
        let mut addresses = Vec::with_capacity(self.listen.len());
        for text in &self.listen {
            add_address("listen", text, &mut addresses)?;
        }
        Ok(addresses)
    }
}

/// Adds an address that was given to this method.
pub(crate) fn add_address(
    method: &'static str,
    text: &str,
    addresses: &mut Vec<ListenAddress>,
) -> Result<(), ClusterError> {
    let address: ListenAddress = text.parse().map_err(|error| wrong(method, error))?;
    let any_port = matches!(address, ListenAddress::Tcp { port: 0, .. });
    if addresses.contains(&address) && !any_port {
        return Err(wrong(method, format!("{text:?} is given twice")));
    }
    addresses.push(address);
    Ok(())
}

pub(crate) fn wrong(method: &'static str, problem: impl ToString) -> ClusterError {
    ClusterError::Setting {
        method,
        problem: problem.to_string(),
    }
}

/// The file name of the executable, with what a name cannot hold replaced.
fn default_name() -> String {
    // The file may have been replaced since: the kernel then adds " (deleted)".
    let path = std::env::current_exe().unwrap_or_default();
    let file = path
        .file_name()
        .unwrap_or_else(|| Path::new("app").as_os_str())
        .to_string_lossy();
    let file = file.strip_suffix(" (deleted)").unwrap_or(&file);
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name: String = file
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .take(64)
        .collect();
    if matches!(name.as_str(), "" | "." | "..") {
        "app".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use herder_core::spec::DispatchMode;

    use super::*;

    fn problem(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check().err().expect("a wrong setting").to_string()
    }

    #[test]
    fn the_defaults_are_right() {
        let checked = Settings::default().check().unwrap();
        assert_eq!(checked.spec.dispatch.mode, DispatchMode::Pass);
        assert_eq!(checked.timing.beat, Some(Duration::from_secs(1)));
        assert!(checked.spec.recycle.max_requests.is_none());
    }

    #[test]
    fn counters_are_told_in_time_for_who_decides_by_them() {
        let report = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.timing().report
        };
        let (soon, later) = (Duration::from_millis(10), Duration::from_millis(50));
        assert_eq!(report(|_| ()), later);
        assert_eq!(report(|it| it.policy = Policy::LeastLoaded), soon);
        assert_eq!(report(|it| it.policy = Policy::LeastConnections), soon);
        assert_eq!(report(|it| it.max_requests = 1000), soon);
    }

    #[test]
    fn a_wrong_setting_names_the_method_and_what_would_be_right() {
        let cases = [
            (
                problem(|s| s.workers = Some(0)),
                "Cluster::workers: an app has 1 to 256",
            ),
            (
                problem(|s| s.name = Some("a/b".into())),
                "Cluster::name: \"a/b\" is not an app name",
            ),
            (
                problem(|s| s.listen = vec!["x".into()]),
                "Cluster::listen: \"x\" is not an address",
            ),
            (
                problem(|s| s.listen = vec!["80".into(), ":80".into()]),
                "given twice",
            ),
            (
                problem(|s| s.life.hang = Some(Duration::ZERO)),
                "Cluster::hang: a time limit of zero",
            ),
            (
                problem(|s| s.life.hang = Some(Duration::from_nanos(1))),
                "Cluster::hang: 1ns is too short",
            ),
            (
                problem(|s| {
                    s.dispatch = Dispatch::Shared;
                    s.policy = Policy::LeastConnections;
                }),
                "Cluster::policy: with Dispatch::Shared",
            ),
            (
                problem(|s| {
                    s.dispatch = Dispatch::Shared;
                    s.policy = Policy::IpHash;
                }),
                "IpHash needs Dispatch::Pass",
            ),
        ];
        for (text, expected) in cases {
            assert!(text.contains(expected), "{text:?} lacks {expected:?}");
        }
    }

    #[test]
    fn zero_means_no_limit_where_a_number_is_asked() {
        let mut settings = Settings::default();
        settings.set_max_restarts(Some(0));
        assert_eq!(settings.check().unwrap().spec.restart.max_restarts, None);
    }

    #[test]
    fn a_quarantine_lasts_as_long_as_the_window() {
        let mut settings = Settings::default();
        settings.set_restart_window(Duration::from_secs(2));
        let restart = settings.check().unwrap().spec.restart;
        assert_eq!([restart.window, restart.retry], [Duration::from_secs(2); 2]);
    }

    #[test]
    fn a_suspect_is_killed_after_the_same_time_again() {
        let mut settings = Settings::default();
        settings.set_hang(Some(Duration::from_secs(3)));
        let life = settings.check().unwrap().spec.life;
        assert_eq!(life.hang_kill, Duration::from_secs(3));
    }

    #[test]
    fn the_heartbeat_comes_four_times_before_a_hang() {
        let mut settings = Settings::default();
        settings.life.hang = Some(Duration::from_millis(400));
        assert_eq!(
            settings.check().unwrap().timing.beat,
            Some(Duration::from_millis(100))
        );
        settings.life.hang = None;
        assert_eq!(settings.check().unwrap().timing.beat, None);
    }

    #[test]
    fn the_default_name_is_a_name() {
        assert!(default_name().parse::<AppName>().is_ok());
    }
}
