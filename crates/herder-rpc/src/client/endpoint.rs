//! Where a library is, and who calls it.

use std::path::PathBuf;

use herder_wire::rpc::Part;
use herder_wire::rpc::handshake::is_library_name;

use super::error::EnvironmentError;

/// The libraries of the herd, `core=/run/…/core.sock:herder=/run/…/herder.sock`.
pub const LIBRARIES_VARIABLE: &str = "HERDER_LIBRARIES";
/// The herd's id, in hex.
pub const HERD_VARIABLE: &str = "HERDER_HERD";

/// Where one library is reached, and who calls it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// The library's name, `[a-z0-9-]{1,32}`.
    pub library: String,
    /// Its socket.
    pub path: PathBuf,
    /// The herd's id in hex; empty for a tool, which belongs to none.
    pub herd: String,
    /// Who calls.
    pub identity: Identity,
}

/// Who calls, as it is told to the library.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The app's name; empty for a tool.
    pub app: String,
    /// Which part of the herd it is.
    pub part: Part,
    /// The worker's slot; 0 for the others.
    pub slot: u32,
    /// The incarnation of the worker or library, never the same for two lives of one herd.
    pub worker: u64,
    /// The process.
    pub pid: u32,
}

impl Identity {
    /// A command or a test, which belongs to no herd.
    #[must_use]
    pub fn tool() -> Self {
        Self {
            app: String::new(),
            part: Part::Tool,
            slot: 0,
            worker: 0,
            pid: std::process::id(),
        }
    }

    /// What the master wrote into this process's environment.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name| variable(name).and_then(|text| text.parse::<u64>().ok());
        let slot = number("HERDER_SLOT").and_then(|slot| u32::try_from(slot).ok());
        let (part, worker) = match variable("HERDER_LIBRARY") {
            Some(library) => (Part::Library(library), number("HERDER_EPOCH")),
            None if variable("HERDER_WORKER_ID").is_some() => {
                (Part::Worker, number("HERDER_WORKER_ID"))
            }
            None => (Part::Tool, None),
        };
        Self {
            app: variable("HERDER_APP").unwrap_or_default(),
            part,
            slot: slot.unwrap_or(0),
            worker: worker.unwrap_or(0),
            pid: std::process::id(),
        }
    }
}

/// The endpoints that the master wrote into this process's environment, in its order.
///
/// # Errors
///
/// When the variable is missing or is not a list of `NAME=PATH`.
pub fn endpoints_from_environment() -> Result<Vec<Endpoint>, EnvironmentError> {
    let list = std::env::var(LIBRARIES_VARIABLE).map_err(|_| EnvironmentError::NoLibraries)?;
    let herd = std::env::var(HERD_VARIABLE).unwrap_or_default();
    parse(&list, &herd, &Identity::from_environment())
}

fn parse(list: &str, herd: &str, identity: &Identity) -> Result<Vec<Endpoint>, EnvironmentError> {
    let entries = list.split(':').filter(|entry| !entry.is_empty());
    let endpoints = entries.map(|entry| {
        let bad = || EnvironmentError::BadEntry(entry.to_owned());
        let (library, path) = entry.split_once('=').ok_or_else(bad)?;
        if !is_library_name(library) || path.is_empty() || path.contains('=') {
            return Err(bad());
        }
        Ok(Endpoint {
            library: library.to_owned(),
            path: PathBuf::from(path),
            herd: herd.to_owned(),
            identity: identity.clone(),
        })
    });
    let endpoints: Vec<_> = endpoints.collect::<Result<_, _>>()?;
    if endpoints.is_empty() {
        Err(EnvironmentError::NoLibraries)
    } else {
        Ok(endpoints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(variables: &[(&str, &str)]) -> Identity {
        Identity::from_variables(|name| {
            let found = variables.iter().find(|(held, _)| *held == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_list_of_libraries_is_read_in_order() {
        let endpoints = parse(
            "core=/run/a/core.sock:herder=/run/a/h.sock",
            "00ff",
            &Identity::tool(),
        );
        let read: Vec<_> = endpoints
            .unwrap()
            .into_iter()
            .map(|e| (e.library, e.path))
            .collect();
        let expected = [
            ("core".to_owned(), PathBuf::from("/run/a/core.sock")),
            ("herder".to_owned(), PathBuf::from("/run/a/h.sock")),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_no_list_is_said() {
        for text in [
            "core",
            "=x",
            "Core=/x",
            "a b=/x",
            "core=",
            "core=/a=b",
            &"c".repeat(40),
        ] {
            let refused = parse(text, "", &Identity::tool());
            assert_eq!(
                refused,
                Err(EnvironmentError::BadEntry(text.to_owned())),
                "{text}"
            );
        }
        assert_eq!(
            parse("", "", &Identity::tool()),
            Err(EnvironmentError::NoLibraries)
        );
    }

    #[test]
    fn who_calls_is_read_from_the_environment() {
        let worker = identity(&[
            ("HERDER_APP", "web"),
            ("HERDER_SLOT", "2"),
            ("HERDER_WORKER_ID", "17"),
        ]);
        assert_eq!(
            (worker.part.to_string(), worker.slot, worker.worker),
            ("worker".into(), 2, 17)
        );
        assert_eq!(worker.app, "web");
        let library = identity(&[("HERDER_LIBRARY", "core"), ("HERDER_EPOCH", "4")]);
        assert_eq!(
            (library.part.to_string(), library.worker),
            ("library:core".into(), 4)
        );
        assert_eq!(identity(&[]), Identity::tool());
    }
}
