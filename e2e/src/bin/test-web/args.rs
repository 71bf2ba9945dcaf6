//! What the herd can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use herder::{Cluster, Dispatch};

/// Those that `herder run` has too are called as there.
#[derive(Clone, Parser)]
pub(crate) struct Args {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    #[arg(long, default_value_t = 2)]
    workers: usize,
    #[arg(long, default_value = "pass")]
    dispatch: Mode,
    #[arg(long, default_value = "5s", value_parser = time)]
    grace: Duration,
    #[arg(long, default_value = "60s", value_parser = time)]
    boot_timeout: Duration,
    #[arg(long, value_parser = time)]
    max_lifetime: Option<Duration>,
    #[arg(long, default_value = "10s", value_parser = time)]
    soak: Duration,
    #[arg(long, default_value = "10s", value_parser = time)]
    master_watchdog: Duration,
    #[arg(long)]
    verdict_file: Option<PathBuf>,
    /// What is served.
    #[arg(long)]
    pub(crate) version_file: PathBuf,
    /// Where to note which requests were read (`saw ID PID`), and on whose connections (`got PORT PID`).
    #[arg(long)]
    pub(crate) ledger: PathBuf,
}

/// How connections reach the workers.
#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Kernel,
    Pass,
    Reuseport,
    Shared,
}

impl Args {
    pub(crate) fn cluster(&self) -> Cluster {
        let build = herder_e2e::build::own_name();
        let cluster = Cluster::new()
            .name(match build.as_str() {
                // A build that is somebody else's.
                "stranger" => "stranger",
                _ => "test-web",
            })
            .version(&build)
            .listen(&self.listen)
            .workers(self.workers)
            .dispatch(match self.dispatch {
                Mode::Kernel => Dispatch::Kernel,
                Mode::Pass => Dispatch::Pass,
                Mode::Reuseport => Dispatch::Reuseport,
                Mode::Shared => Dispatch::Shared,
            })
            .grace(self.grace)
            .boot_timeout(self.boot_timeout)
            .soak(self.soak)
            .master_watchdog(Some(self.master_watchdog))
            .max_restarts(Some(0));
        let cluster = match self.max_lifetime {
            Some(limit) => cluster.max_lifetime(limit),
            None => cluster,
        };
        match &self.verdict_file {
            Some(path) => cluster.verdict_file(path),
            None => cluster,
        }
    }
}

/// `300ms`, `5s`.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time such as 300ms or 5s");
    let number = |digits: &str| digits.parse().map_err(|_| wrong());
    if let Some(digits) = text.strip_suffix("ms") {
        return number(digits).map(Duration::from_millis);
    }
    let digits = text.strip_suffix('s').ok_or_else(wrong)?;
    number(digits).map(Duration::from_secs)
}
