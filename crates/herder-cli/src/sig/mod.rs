//! `herder sig`: what a library offers, asked of the library itself.

mod names;
mod types;
mod typescript;

use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use herder_rpc::client::{Agent, AgentSettings, Endpoint, Identity};
use herder_rpc::{CallError, ErrorKind as CallErrorKind, Signature};

/// How long a library may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

const AFTER_HELP: &str = "\
The sockets are in the private directory of the herd. HERDER_LIBRARIES names them in the environment
of its processes: NAME=SOCKET, separated by colons.

With --ts the types go into a file of the program, and are used as
  import type { Core } from './core';
  const { kv } = await herder.agent<Core>();

Exit status: 0 printed, 1 no library answers there, 2 wrong arguments.";

#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct SigArgs {
    /// The socket of the library.
    #[arg(value_name = "SOCKET")]
    socket: PathBuf,

    /// Print types for TypeScript instead of JSON.
    #[arg(long)]
    ts: bool,
}

/// Why there is nothing to print.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SigError {
    #[error(
        "there is no {0:?}; the environment of a herd's processes names the sockets of its libraries \
         (HERDER_LIBRARIES)"
    )]
    Missing(PathBuf),
    #[error("{0:?} is no socket")]
    NoSocket(PathBuf),
    #[error("nobody listens at {0:?}: its herd has ended")]
    Abandoned(PathBuf),
    #[error("{0:?} is another user's; only that user and root may ask")]
    Forbidden(PathBuf),
    #[error("cannot connect to {path:?}: {source}")]
    System { path: PathBuf, source: io::Error },
    #[error("the library at {path:?} refuses: {reason}")]
    Refused { path: PathBuf, reason: String },
    #[error(
        "the library at {path:?} does not answer within {} s: {reason}",
        PATIENCE.as_secs()
    )]
    Silent { path: PathBuf, reason: String },
    #[error("cannot print: {0}")]
    Output(io::Error),
}

/// Asks the library, and prints its answer.
pub(crate) fn print(args: &SigArgs) -> Result<(), SigError> {
    let signature = ask(&args.socket)?;
    let text = if args.ts {
        typescript::declarations(&signature)
    } else {
        let text = serde_json::to_string_pretty(&*signature);
        text.expect("a signature's fields are text, numbers and JSON") + "\n"
    };
    let mut stdout = io::stdout();
    let printed = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    printed.map_err(SigError::Output)
}

fn ask(path: &Path) -> Result<Arc<Signature>, SigError> {
    look(path)?;
    let settings = AgentSettings {
        init: PATIENCE,
        ..AgentSettings::default()
    };
    let endpoint = Endpoint {
        library: name_of(path),
        path: path.to_owned(),
        herd: String::new(),
        identity: Identity::tool(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|source| system(path, source))?;
    let asked =
        runtime.block_on(async { Agent::with_settings(endpoint, settings).signature().await });
    asked.map_err(|error| unanswered(path, &error))
}

/// Agents wait for a library that may come; here it is there, or it is not.
fn look(path: &Path) -> Result<(), SigError> {
    let found = std::fs::metadata(path).map_err(|error| unreachable(path, error))?;
    if !found.file_type().is_socket() {
        return Err(SigError::NoSocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(unreachable(path, error)),
    }
}

fn unreachable(path: &Path, error: io::Error) -> SigError {
    let (kind, place) = (error.kind(), path.to_owned());
    if kind == ErrorKind::NotFound {
        SigError::Missing(place)
    } else if kind == ErrorKind::ConnectionRefused {
        SigError::Abandoned(place)
    } else if kind == ErrorKind::PermissionDenied {
        SigError::Forbidden(place)
    } else {
        system(path, error)
    }
}

fn unanswered(path: &Path, error: &CallError) -> SigError {
    let (path, reason) = (path.to_owned(), error.message.clone());
    if error.kind == CallErrorKind::Refused {
        SigError::Refused { path, reason }
    } else {
        SigError::Silent { path, reason }
    }
}

fn system(path: &Path, source: io::Error) -> SigError {
    SigError::System {
        path: path.to_owned(),
        source,
    }
}

fn name_of(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_told_apart() {
        let directory = std::env::temp_dir().join(format!("herder-sig-{}", std::process::id()));
        std::fs::create_dir(&directory).expect("a directory");
        let socket = directory.join("core.sock");
        let said = || ask(&socket).expect_err("nobody answers").to_string();
        assert!(said().contains("HERDER_LIBRARIES"), "{}", said());
        std::fs::write(&socket, "").expect("a file");
        assert!(said().ends_with("is no socket"), "{}", said());
        std::fs::remove_file(&socket).expect("ours");
        drop(std::os::unix::net::UnixListener::bind(&socket).expect("it listens"));
        assert!(said().ends_with("its herd has ended"), "{}", said());
        std::fs::remove_dir_all(&directory).expect("ours");
    }
}
