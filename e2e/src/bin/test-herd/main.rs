//! A herd for tests: it serves, keeps a ledger, and does whatever harm a request asks for.
//!
//! | request | what the worker does with it |
//! |---|---|
//! | `/` | answers `pid:P worker:N` |
//! | `/slow/MS` | answers after so many milliseconds, serving others meanwhile (unless `--blocking`) |
//! | `/block/MS` | the same, and does nothing else meanwhile |
//! | `/child` | answers, and leaves a process running |
//! | `/hang` | computes for ever |
//! | `/panic` | answers, then panics |
//! | `/exit/CODE` | ends the process without an answer |
//! | `/eat/MIB` | answers, and keeps so much memory |
//! | `/print/LINES` | answers, and prints so many lines |
//! | `/beats/MS` | answers, and floods the master with heartbeats for so long |
//! | `/shut` | shuts the listener down, which it can when it shares it, and answers |
//! | `/garbage`, `/half`, `/oversize`, `/descriptors` | answers what came of sending that to the master |

mod args;
mod channel;
mod deed;
mod ledger;
mod request;
mod serve;

use std::process::ExitCode;

use clap::Parser;
use herder::ClusterError;

use args::{Args, Kind};

fn main() -> Result<ExitCode, ClusterError> {
    if std::env::args_os().any(|argument| argument == args::EARLY_THREAD) {
        std::thread::spawn(std::thread::park);
    }
    herder::init();
    let args = Args::parse();
    let cluster = args.cluster();
    match args.kind() {
        Kind::Async => cluster.run_async(move |worker| serve::tasks(worker, args.clone())),
        Kind::Blocking => cluster.run(move |worker| serve::blocking(&worker, &args)),
    }
}
