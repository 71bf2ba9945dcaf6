//! The fields of an app that are one of a few things.

use serde::{Deserialize, Serialize};

use crate::units::Period;

/// How many workers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "use a number from 1 to 256, or \"max\" for one per CPU"
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Workers {
    /// So many, 1 to 256.
    Count(u16),
    /// One per CPU.
    Max(Max),
}

/// The word `max`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Max {
    /// As many as there are.
    Max,
}

impl Default for Workers {
    fn default() -> Workers {
        Workers::Count(1)
    }
}

/// A value of a variable: `PORT = 3000` is as good as `PORT = "3000"`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "use a text, a number, true or false")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Scalar {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
}

impl From<Scalar> for String {
    fn from(value: Scalar) -> String {
        match value {
            Scalar::Bool(value) => value.to_string(),
            Scalar::Integer(number) => number.to_string(),
            Scalar::Text(text) => text,
        }
    }
}

/// What the workers have of the environment of whoever starts the app.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum EnvMode {
    /// All of it.
    #[default]
    Inherit,
    /// HOME, LANG, LC_*, LOGNAME, PATH, SHELL, TERM, TMPDIR, TZ and USER.
    Clean,
}

/// Who accepts connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Dispatch {
    /// What suits the program.
    #[default]
    Auto,
    /// Each worker accepts from a listener of its own, which a program in the kernel picks in turn.
    Kernel,
    /// The master accepts and passes connections on.
    Pass,
    /// A gateway accepts, and forwards each request to a worker's own port, which it finds as PORT.
    Proxy,
    /// Each worker accepts from a listener of its own, which the kernel picks by lot.
    Reuseport,
    /// The workers accept from a shared listener.
    Shared,
}

/// What the workers find as their stdin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Stdin {
    /// Nothing: /dev/null.
    #[default]
    Null,
    /// A pipe, into which `herder send` writes.
    Pipe,
}

/// How a worker is known to be ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Ready {
    /// It said so, or it has been alive for a while (a guess, shown as one).
    #[default]
    Alive,
    /// It said so: READY=1, or by listening.
    Notify,
}

/// When a worker that ended by itself is started again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Restart {
    /// Always.
    #[default]
    Always,
    /// When it failed: by a signal, or with an exit code other than 0.
    OnFailure,
    /// Never: the app is a job that is done once.
    Never,
}

/// How long a failed worker's successor waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "use a duration, or { first = \"100ms\", max = \"30s\" }"
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Delay {
    /// Always as long.
    Fixed(Period),
    /// Twice as long each time.
    Growing {
        /// The first one.
        first: Period,
        /// The longest.
        max: Period,
    },
}
