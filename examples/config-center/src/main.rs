#![forbid(unsafe_code)]
//! Many workers, one connection to the configuration server.
//!
//! The library `config` holds the connection and follows the server. Each worker has an agent: it
//! calls the library's object, and follows its values by a stream.

mod args;
mod copy;
mod log;
mod object;
mod upstream;
mod worker;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use herder::{Cluster, ClusterError, Library, LibrarySetup};

use args::Args;
use object::{Center, ConfigObject};
use upstream::Upstream;

fn main() -> Result<ExitCode, ClusterError> {
    herder::init();
    let args = Args::parse();
    let mut cluster = Cluster::new()
        .name("config-center")
        .listen(args.listen)
        .library("config", move |setup| build(setup, args.server.clone()));
    if let Some(workers) = args.workers {
        cluster = cluster.workers(workers);
    }
    cluster.run_async(worker::serve)
}

/// Builds the library. It is ready when it has all values.
async fn build(setup: LibrarySetup, server: String) -> io::Result<Library> {
    let upstream = Upstream::connect(server).await?;
    let object = ConfigObject::new(Center(upstream));
    log::offers("the library offers", "config", &object);
    Ok(setup.library().object(object))
}
