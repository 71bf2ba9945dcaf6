//! Node, which reads requests by llhttp and tells what it has read.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A program of Node that listens twice. It ends with this.
pub(super) struct Node {
    child: Child,
    /// Where the front sends its requests.
    pub(super) worker: SocketAddr,
    /// Where others do.
    pub(super) direct: SocketAddr,
}

impl Node {
    /// Starts it.
    pub(super) fn start(major: u8) -> Node {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(program(major))
            .arg(root.join("src/proxy/http/tests/llhttp/recorder.js"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ports = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut ports).unwrap();
        let mut ports = ports.split_whitespace().map(|port| {
            let port: u16 = port.parse().unwrap();
            SocketAddr::from(([127, 0, 0, 1], port))
        });
        Node {
            child,
            worker: ports.next().expect("it prints two ports"),
            direct: ports.next().expect("it prints two ports"),
        }
    }
}

/// One of the versions that are installed for the tests of real processes.
pub(crate) fn program(major: u8) -> PathBuf {
    let suffix = if cfg!(target_arch = "aarch64") {
        "-arm64"
    } else {
        ""
    };
    let program = format!("../../e2e/node/node_modules/node{major}{suffix}/bin/node");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(program);
    assert!(
        program.is_file(),
        "{} is missing: run scripts/setup test",
        program.display()
    );
    program
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
