//! What a daemon is told when it is started.

use std::path::PathBuf;

use herder_api::Problem;
use herder_api::problem::ProblemKind;
use serde::{Deserialize, Serialize};

/// What a daemon is told when it is started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// `HERDER_HOME`: an absolute path. Made if it is missing; else it must be ours, and closed to others.
    pub home: PathBuf,
    /// A group, by name or number, whose members may look, and do nothing else.
    pub read_group: Option<String>,
    /// Whether it stays where it was started.
    pub manner: Manner,
    /// Whether apps that ended with the daemon before are started, and those of the saved list when nothing
    /// is known of any (`herder resurrect` does the same later).
    pub resurrect: bool,
}

impl Settings {
    /// The number of the group whose members may look.
    ///
    /// # Errors
    /// There is no such group.
    pub(crate) fn read_group_id(&self) -> Result<Option<u32>, Problem> {
        let Some(name) = &self.read_group else {
            return Ok(None);
        };
        let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
        let mut groups = groups.lines().map(|line| line.split(':'));
        let named = groups.find_map(|mut fields| {
            let is_it = fields.next() == Some(name);
            fields.nth(1).filter(|_| is_it)?.parse().ok()
        });
        let found = named.or_else(|| name.parse().ok());
        found.map(Some).ok_or_else(|| {
            let text = format!("there is no group {name:?}");
            let problem = Problem::new(ProblemKind::Invalid, text).place("read_group");
            problem.hint("name one of /etc/group, or give its number")
        })
    }
}

/// Whether a daemon stays where it was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Manner {
    /// It stays, and tells its events on stderr too.
    #[default]
    Foreground,
    /// It leaves terminal and session, and says one [`Announcement`] on stdout.
    Background,
}

/// Said once on stdout by a daemon in the background, as one line of JSON.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Announcement {
    /// It answers at its socket.
    Ready {
        /// The guard's process.
        pid: i32,
    },
    /// Another one has this home.
    Held {
        /// Its process; 0 = it has not said yet.
        pid: i32,
    },
    /// It cannot be.
    Failed {
        /// Why.
        problem: Problem,
    },
}
