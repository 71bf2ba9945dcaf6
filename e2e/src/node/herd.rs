//! `herder run SCRIPT`.

use crate::binary::Binary;
use crate::foreign::BOOT;
use crate::herd::{Herd, Setup, Signal};
use crate::scene::Scene;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

/// Prepares `herder run SCRIPT OPTIONS` for one of the scripts of this kit.
pub fn run(scene: &Scene, script: &str, options: &[&str]) -> Setup {
    let setup = scene.herd(Binary::HERDER).arg("run");
    setup.arg(programs().join(script)).args(options)
}

/// Where the scripts are.
pub fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/node")
}

/// An address that was free a moment ago.
///
/// # Panics
/// When there is none.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound")
}

/// What `listen` takes in JavaScript.
pub fn listen_at(address: SocketAddr) -> String {
    format!(r#"{{"port":{},"host":"{}"}}"#, address.port(), address.ip())
}

/// Ends the herd, and returns the numbers of the line that tells what became of all connections:
/// accepted, handed to workers, taken back, closed.
///
/// # Panics
/// When it does not end well.
#[track_caller]
pub fn end(herd: Herd) -> [u64; 4] {
    herd.signal(Signal::TERM);
    let totals = herd.wait_for_line("the totals", BOOT, |line| {
        let told = line.split_once("connections: ")?.1;
        let numbers = told
            .split(", ")
            .filter_map(|part| part.split_once(' ')?.0.parse().ok());
        numbers.collect::<Vec<u64>>().try_into().ok()
    });
    assert!(herd.end().success());
    totals
}
