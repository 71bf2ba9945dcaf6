//! What stands before everything else, until it is answered.

use herder_api::control::{Action, ScaleTo, Verb};

use super::log::Filter;

/// The most workers that an app can have.
pub(in crate::monit) const MOST_WORKERS: u16 = 256;

/// What stands before everything else.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::monit) enum Dialog {
    /// What keys do.
    Help,
    /// Whether it is to be done.
    Confirm(Proposal),
    /// Which lines are wanted.
    Filter(Filter),
}

/// Something that could be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::monit) struct Proposal {
    pub(in crate::monit) app: String,
    pub(in crate::monit) what: What,
}

/// What could be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::monit) enum What {
    Reload,
    Restart,
    Stop,
    Start,
    Scale { from: u16, to: u16 },
}

impl Proposal {
    /// What would be done, as a question.
    pub(in crate::monit) fn question(&self) -> String {
        let verb = match self.what {
            What::Reload => "Reload",
            What::Restart => "Restart",
            What::Stop => "Stop",
            What::Start => "Start",
            What::Scale { to, .. } => {
                let workers = if to == 1 { "worker" } else { "workers" };
                return format!("Scale {} to {to} {workers}?", self.app);
            }
        };
        format!("{verb} {}?", self.app)
    }

    /// What that means.
    pub(in crate::monit) fn meaning(&self) -> String {
        match self.what {
            What::Reload => "New workers take over; no connection is lost.".to_owned(),
            What::Restart => "Its workers stop, and then it starts anew.".to_owned(),
            What::Stop => "Its workers finish what they do, and leave.".to_owned(),
            What::Start => "Its workers are started.".to_owned(),
            What::Scale { from, .. } => format!("It has {from} now. + and - change the number."),
        }
    }

    pub(super) fn action(&self) -> Action {
        let verb = match self.what {
            What::Reload => Verb::Reload,
            What::Restart => Verb::Restart,
            What::Stop => Verb::Stop { now: false },
            What::Start => Verb::Start,
            What::Scale { to, .. } => Verb::Scale(ScaleTo::To(to)),
        };
        Action {
            verb,
            targets: vec![self.app.clone()],
            environment: None,
            profile: None,
            settings: serde_json::Map::new(),
        }
    }

    /// The word for it while it is under way.
    pub(super) fn under_way(&self) -> &'static str {
        match self.what {
            What::Reload => "reloading",
            What::Restart => "restarting",
            What::Stop => "stopping",
            What::Start => "starting",
            What::Scale { .. } => "scaling",
        }
    }

    /// One worker more, or one fewer.
    pub(super) fn scale(&mut self, by: i16) {
        if let What::Scale { to, .. } = &mut self.what {
            *to = to.saturating_add_signed(by).clamp(1, MOST_WORKERS);
        }
    }
}
