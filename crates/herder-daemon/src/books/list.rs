//! The list of apps, as it is written down.

use serde::{Deserialize, Serialize};

use super::word::{AppId, Definition};

/// The version of the file.
pub(crate) const VERSION: u32 = 1;

/// The list, as `state/apps.json` and `state/saved.json` have it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct List {
    /// [`VERSION`].
    pub(crate) version: u32,
    /// The start of the machine in which this was written.
    pub(crate) boot: String,
    /// The number of the next app.
    pub(crate) next_id: AppId,
    /// By number.
    pub(crate) apps: Vec<Listed>,
}

/// What an app is to be when a reload is done that goes on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Trial {
    /// What it is to be.
    pub(crate) next: Definition,
    /// When the herd's last verdict before it was given.
    pub(crate) verdict_before: Option<String>,
}

/// An app of the list.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Listed {
    /// Its number.
    pub(crate) id: AppId,
    /// What it is.
    #[serde(flatten)]
    pub(crate) definition: Definition,
    /// What it shall do.
    pub(crate) rest: Rest,
    /// Whether it was ready once since somebody started it.
    #[serde(default)]
    pub(crate) proven: bool,
    /// Since when it is as it is, in milliseconds since 1970.
    #[serde(default)]
    pub(crate) since: Option<u64>,
    /// Why it rests, if that needs saying.
    #[serde(default)]
    pub(crate) note: Option<String>,
    /// What it is to be when the reload is done that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trial: Option<Box<Trial>>,
}

/// Why an app does not run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rest {
    /// It does, or shall.
    #[default]
    None,
    /// Somebody stopped it, or did not start it yet.
    Stopped,
    /// It was ended together with the daemon. The next start of the machine starts it.
    Ended,
    /// It has done what it was to do. The next start of the machine starts it.
    Done,
    /// It did not start. The next start of the machine tries again.
    Errored,
}

impl Rest {
    /// What is to become of it after the machine was started again. `autostart`: the app's wish.
    pub(crate) fn after_boot(self, autostart: bool) -> Rest {
        match self {
            Rest::Stopped => Rest::Stopped,
            Rest::None | Rest::Ended | Rest::Done | Rest::Errored if autostart => Rest::None,
            Rest::None | Rest::Ended | Rest::Done | Rest::Errored => Rest::Stopped,
        }
    }
}
