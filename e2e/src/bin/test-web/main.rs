//! A web server of some version, for tests that replace it: what the file `--version-file` says when a worker
//! starts, `VERSION [MISDEED [NUMBER]]`.
//!
//! | misdeed | what the worker does |
//! |---|---|
//! | `throw` | ends before it is ready |
//! | `mute` | never says that it is ready |
//! | `dies MS` | ends so many milliseconds after it is ready |
//!
//! A build named `hangs` or `crashes` does so before it is a herd, and `stranger` is another app.
//!
//! | request | answer |
//! |---|---|
//! | `/` | `pid:P worker:N version:V` |
//! | `/slow/MS` | the same after so many milliseconds |
//! | `/ws` | a WebSocket that echoes behind `pid:P: `, and closes with 1001 when the worker leaves |
//! | `POST` | the same and ` bytes:LENGTH` when the whole body is there |

mod args;
mod serve;
mod version;

use std::process::ExitCode;

use clap::Parser;
use herder::ClusterError;

use args::Args;

fn main() -> Result<ExitCode, ClusterError> {
    herder::init();
    let args = Args::parse();
    match herder_e2e::build::own_name().as_str() {
        "hangs" => loop {
            std::thread::park();
        },
        "crashes" => std::process::abort(),
        _ => {}
    }
    args.cluster()
        .run_async(move |worker| serve::serve(worker, args.clone()))
}
