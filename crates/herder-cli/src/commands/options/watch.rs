//! How an app is looked after from outside.

use herder_api::units::Period;

use super::{Table, units};

/// How an app is looked after from outside.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Watch and health")]
pub(super) struct Watch {
    /// Reload the app when files change: those of its directory, or --watch=PATHS, separated by commas.
    #[arg(long, value_name = "PATHS", num_args = 0..=1, require_equals = true, default_missing_value = ".", value_delimiter = ',')]
    watch: Vec<String>,

    /// Watch no files any more.
    #[arg(long, conflicts_with = "watch", hide_short_help = true)]
    no_watch: bool,

    /// Files that do not count, as in .gitignore, separated by commas.
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',')]
    ignore_watch: Vec<String>,

    /// How long nothing more may change before the app is reloaded; a number is milliseconds. [default: 200ms]
    #[arg(long, value_name = "MS", value_parser = units::millis, hide_short_help = true)]
    watch_delay: Option<Period>,

    /// What says whether the app works: a URL that answers, or HOST:PORT or unix:/path that takes a
    /// connection. Behind a proxy also a path, or `worker`: each worker is asked where it listens.
    #[arg(long, value_name = "URL|ADDRESS", hide_short_help = true)]
    health: Option<String>,

    /// How often it is asked. [default: 10s]
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    health_interval: Option<Period>,

    /// How long an answer may take. [default: 3s]
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    health_timeout: Option<Period>,

    /// So many failures in a row have the workers replaced. [default: 3]
    #[arg(long, value_name = "N", hide_short_help = true)]
    health_failures: Option<u32>,

    /// Failures do not count for so long after the start. [default: 30s]
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    health_start_period: Option<Period>,
}

impl Watch {
    pub(super) fn fill(&self, table: &mut Table) {
        if self.no_watch {
            table.forget("watch");
        }
        table.put_list("watch.paths", &self.watch);
        table.put_list("watch.ignore", &self.ignore_watch);
        table.put("watch.delay", self.watch_delay);
        if let Some(health) = &self.health {
            let kind = if health.contains("://") || health.starts_with('/') {
                "health.http"
            } else {
                "health.tcp"
            };
            table.put(kind, Some(health));
        }
        table.put("health.interval", self.health_interval);
        table.put("health.timeout", self.health_timeout);
        table.put("health.failures", self.health_failures);
        table.put("health.start_period", self.health_start_period);
    }
}
