//! A herd of job handlers for tests: it answers messages, and does whatever harm a message asks for.
//!
//! A message is `COMMAND ID` or `COMMAND/NUMBER ID`. Every reply is `ID PART/OF pid:P worker:N`.
//!
//! | command | what the worker does with it |
//! |---|---|
//! | `echo` | one reply |
//! | `twice` | a reply at once, and a second one after `--think` |
//! | `slow/MS` | one reply after so many milliseconds, others meanwhile (unless `--blocking`) |
//! | `block/MS` | the same, and nothing else meanwhile |
//! | `many/N` | so many replies |
//! | `big/BYTES` | one reply, and a binary message of so many bytes |
//! | `length` | one reply that ends with the length of the whole message |
//! | `none` | no reply |
//! | `watch` | a reply at once; then waits until the client has gone, and prints `cancelled ID` |
//! | `fail` | says that it cannot |
//! | `panic` | panics |
//! | `exit/CODE` | ends the process |
//! | `hang` | computes for ever |
//! | `retire` | announces its own end, and replies |
//!
//! A binary message is sent back as it is; with `--echo` every message is.
//! The hooks print as the calculator's log does: `Dispatch to 1`, `worker 1 success!`, `worker 8792 died`.

mod args;
mod blocking;
mod order;
mod tasks;

use std::process::ExitCode;

use clap::Parser;
use herder::ClusterError;

use args::{Args, Kind};

fn main() -> Result<ExitCode, ClusterError> {
    herder::init();
    let args = Args::parse();
    let cluster = args.cluster();
    match args.kind() {
        Kind::Async => cluster.run_jobs_async(move |worker| tasks::serve(worker, args.clone())),
        Kind::Blocking => cluster.run_jobs(move |worker| blocking::serve(&worker, &args)),
    }
}
