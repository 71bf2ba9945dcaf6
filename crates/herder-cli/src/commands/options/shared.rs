//! What the workers share.

use std::collections::BTreeMap;

use herder_api::Problem;
use herder_api::problem::ProblemKind;

use super::{Table, units};

/// What the workers share.
#[derive(clap::Args, Debug, Default)]
#[command(
    next_help_heading = "What the workers share (herder.state(), herder.jobs(), herder.bus())"
)]
pub(super) struct Shared {
    /// A process that the workers share: what SCRIPT exports are objects, which every worker calls. May be
    /// repeated.
    #[arg(long, value_name = "NAME=SCRIPT", value_parser = units::pair, hide_short_help = true)]
    library: Vec<(String, String)>,

    /// Values that all workers share: in memory, file:PATH or store. May be repeated.
    #[arg(long, value_name = "NAME=WHERE", value_parser = units::pair, hide_short_help = true)]
    state: Vec<(String, String)>,

    /// A Redis or Valkey: redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE].
    #[arg(long, value_name = "URL", hide_short_help = true)]
    store: Option<String>,

    /// A job that one worker runs at its times: nightly='0 3 * * *', poll='every 10s'. May be repeated.
    #[arg(long, value_name = "NAME=TIMING", value_parser = units::pair, hide_short_help = true)]
    job: Vec<(String, String)>,

    /// Where jobs are kept that are changed while the app runs.
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    jobs_file: Option<String>,

    /// Messages between the workers.
    #[arg(long, hide_short_help = true)]
    bus: bool,
}

impl Shared {
    pub(super) fn fill(&self, table: &mut Table) -> Result<(), Problem> {
        for (option, setting, pairs) in [
            ("--library", "libraries", &self.library),
            ("--state", "state", &self.state),
            ("--job", "jobs", &self.job),
        ] {
            let mut named = BTreeMap::new();
            for (name, value) in pairs {
                if named.insert(name, value).is_some() {
                    let message = format!("{name:?} is named twice.");
                    return Err(Problem::new(ProblemKind::Invalid, message).place(option));
                }
            }
            table.put(setting, (!named.is_empty()).then_some(named));
        }
        table.put("store", self.store.as_ref());
        table.put("jobs_file", self.jobs_file.as_ref());
        table.put_if(self.bus, "bus", true);
        Ok(())
    }
}
