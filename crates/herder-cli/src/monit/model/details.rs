//! All that is known of one app.

use herder_api::control::Incident;
use herder_api::status::AppDetail;

/// All that is known of one app, once it is known.
#[derive(Debug)]
pub(in crate::monit) struct Details {
    pub(in crate::monit) name: String,
    pub(in crate::monit) detail: Option<Box<AppDetail>>,
    pub(in crate::monit) past: Vec<Incident>,
    /// How many rows are above what is shown.
    pub(in crate::monit) top: usize,
}

impl Details {
    pub(super) fn of(name: &str) -> Details {
        Details {
            name: name.to_owned(),
            detail: None,
            past: Vec::new(),
            top: 0,
        }
    }
}
