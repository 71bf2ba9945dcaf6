//! How an app is looked after from outside.

use serde::{Deserialize, Serialize};

use super::words::one_or_many;
use crate::units::Period;

/// Asks the app whether it works. Exactly one of `http`, `tcp` and `exec` is given.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Health {
    /// A URL, http://HOST:PORT/PATH, that answers with a status from 200 to 399. With `dispatch = "proxy"` also a path, /PATH, of which each worker is asked where it listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// HOST:PORT or unix:/path, that takes a connection. With `dispatch = "proxy"` also "worker": where each listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<String>,
    /// A program that ends with 0. It finds HERDER_APP and HERDER_PIDS. With `dispatch = "proxy"` it is run for each worker, and finds its HERDER_SLOT and PORT or HERDER_UNIX.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "super::words::OneOrMany"))]
    pub exec: Vec<String>,
    /// How often.
    pub interval: Period,
    /// How long an answer may take.
    pub timeout: Period,
    /// So many failures in a row make the app unhealthy: its workers are replaced.
    pub failures: u32,
    /// Failures do not count for so long after the app has started, unless it was healthy before.
    pub start_period: Period,
}

impl Default for Health {
    fn default() -> Health {
        Health {
            http: None,
            tcp: None,
            exec: Vec::new(),
            interval: Period::secs(10),
            timeout: Period::secs(3),
            failures: 3,
            start_period: Period::secs(30),
        }
    }
}

/// Reloads the app when files change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Watch {
    /// Files and directories, from `cwd` on.
    #[serde(deserialize_with = "one_or_many")]
    #[cfg_attr(feature = "schema", schemars(with = "super::words::OneOrMany"))]
    pub paths: Vec<String>,
    /// What does not count, as in .gitignore. (Neither do hidden files, node_modules, and what .gitignore names.)
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "super::words::OneOrMany"))]
    pub ignore: Vec<String>,
    /// How long nothing more may change before the app is reloaded.
    pub delay: Period,
}

impl Default for Watch {
    fn default() -> Watch {
        Watch {
            paths: vec![".".to_owned()],
            ignore: Vec::new(),
            delay: Period::millis(200),
        }
    }
}
