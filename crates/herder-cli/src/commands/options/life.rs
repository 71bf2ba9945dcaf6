//! When workers are ready, how they leave, and when they are started again.

use clap::ValueEnum;
use herder_api::app::Delay;
use herder_api::units::{Period, Size};
use serde::Serialize;

use super::{Table, units};

/// The longest delay that `--exp-backoff-restart-delay` grows to, as PM2's.
const LONGEST_DELAY: Period = Period::secs(15);

/// When workers are ready, how they leave, and when they are started again.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Start, stop and restart")]
pub(super) struct Life {
    /// How a worker is known to be ready. [default: alive]
    #[arg(long, value_name = "HOW", hide_short_help = true)]
    ready: Option<Ready>,

    /// With --ready alive: how long a program must live to count as ready. [default: 1s]
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    ready_after: Option<Period>,

    /// A script is ready when it sends the message 'ready', not when it listens.
    #[arg(long)]
    wait_ready: bool,

    /// A script that has not said that it is ready by then is taken for ready; a number is milliseconds.
    /// [default: 3s]
    #[arg(long, value_name = "MS", value_parser = units::millis, hide_short_help = true)]
    listen_timeout: Option<Period>,

    /// A worker that is not ready by then is killed and counts as failed. [default: 60s]
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    boot_timeout: Option<Period>,

    /// How long a worker may take to finish what it has before it is killed; a number is milliseconds.
    /// [default: 30s]
    #[arg(short, long, value_name = "MS", value_parser = units::millis)]
    kill_timeout: Option<Period>,

    /// As --kill-timeout, but a number is seconds.
    #[arg(
        long,
        value_name = "DURATION",
        conflicts_with = "kill_timeout",
        hide_short_help = true
    )]
    grace: Option<Period>,

    /// The signal that asks a worker to leave. [default: TERM]
    #[arg(long, value_name = "SIGNAL", hide_short_help = true)]
    stop_signal: Option<String>,

    /// Send the message 'shutdown' to a worker of a script before it is disconnected.
    #[arg(long, hide_short_help = true)]
    shutdown_with_message: bool,

    /// When a worker that ended by itself is started again. [default: always]
    #[arg(long, value_name = "WHEN", hide_short_help = true)]
    restart: Option<Restart>,

    /// Never start a worker again that ended by itself.
    #[arg(long, conflicts_with = "restart")]
    no_autorestart: bool,

    /// Exit codes after which a worker is not started again, separated by commas.
    #[arg(
        long,
        value_name = "CODES",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    stop_exit_codes: Vec<i32>,

    /// More restarts of one slot than this within the window put the slot into quarantine; 0 = no limit.
    /// [default: 5]
    #[arg(long, value_name = "N")]
    max_restarts: Option<u32>,

    /// Over which time restarts are counted, and how long a quarantine lasts. [default: 60s]
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    restart_window: Option<Period>,

    /// Ready for so long, a worker counts as healthy; a number is milliseconds. [default: 10s]
    #[arg(long, value_name = "MS", value_parser = units::millis, hide_short_help = true)]
    min_uptime: Option<Period>,

    /// How long a failed worker's successor waits; a number is milliseconds. [default: it grows from 100ms to
    /// 30s]
    #[arg(long, value_name = "MS", value_parser = units::millis)]
    restart_delay: Option<Period>,

    /// How long the first failed worker's successor waits; the next waits twice as long, up to 15 s. A number
    /// is milliseconds.
    #[arg(long, value_name = "MS", value_parser = units::millis, conflicts_with = "restart_delay")]
    exp_backoff_restart_delay: Option<Period>,

    /// Replace a worker whose resident memory exceeds this: 300M, 1G.
    #[arg(long, visible_alias = "max-memory", value_name = "SIZE")]
    max_memory_restart: Option<Size>,

    /// Replace a worker after so many requests (only where they are counted).
    #[arg(long, value_name = "N", hide_short_help = true)]
    max_requests: Option<u64>,

    /// Replace a worker after this time.
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    max_lifetime: Option<Period>,

    /// Replace all workers at these times, one after the other: '0 3 * * *', with a time zone behind it; 0 =
    /// at none.
    #[arg(short, long, visible_alias = "cron", value_name = "TIMES")]
    cron_restart: Option<String>,

    /// Expect WATCHDOG=1 of a program at least this often; a silent worker is replaced.
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    watchdog: Option<Period>,

    /// Replace a worker that prints nothing for so long.
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    max_silence: Option<Period>,
}

#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Ready {
    /// It said READY=1, or it has been alive for a while (a guess, shown as one).
    Alive,
    /// It said READY=1, as under systemd.
    Notify,
}

#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Restart {
    /// Always.
    Always,
    /// When it failed.
    #[value(alias = "on_failure")]
    OnFailure,
    /// Never: it is a job that is done once.
    Never,
}

impl Life {
    pub(super) fn fill(&self, table: &mut Table) {
        table.put("ready", self.ready);
        table.put("ready_after", self.ready_after);
        table.put_if(self.wait_ready, "wait_ready", true);
        table.put("listen_timeout", self.listen_timeout);
        table.put("boot_timeout", self.boot_timeout);
        table.put("grace", self.kill_timeout.or(self.grace));
        table.put("stop_signal", self.stop_signal.as_ref());
        table.put_if(self.shutdown_with_message, "shutdown_with_message", true);
        table.put("restart", self.restart);
        table.put_if(self.no_autorestart, "restart", Restart::Never);
        table.put_list("stop_exit_codes", &self.stop_exit_codes);
        table.put("max_restarts", self.max_restarts);
        table.put("restart_window", self.restart_window);
        table.put("min_uptime", self.min_uptime);
        table.put("restart_delay", self.restart_delay.map(Delay::Fixed));
        let growing = self.exp_backoff_restart_delay.map(|first| Delay::Growing {
            first,
            max: LONGEST_DELAY.max(first),
        });
        table.put("restart_delay", growing);
        table.put("max_memory", self.max_memory_restart);
        table.put("max_requests", self.max_requests);
        table.put("max_lifetime", self.max_lifetime);
        match self.cron_restart.as_deref() {
            Some("0") => table.forget("cron_restart"),
            times => table.put("cron_restart", times),
        }
        table.put("watchdog", self.watchdog);
        table.put("max_silence", self.max_silence);
    }
}
