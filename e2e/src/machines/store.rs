//! A Redis or Valkey of the test's own.

use std::env;
use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::herd::Herd;
use crate::scene::Scene;

/// How long the start of the server may take on a busy machine.
const BOOT: Duration = Duration::from_secs(20);

/// A server that holds nothing at first, and keeps nothing.
#[derive(Debug)]
pub struct Store {
    process: Herd,
    url: String,
}

impl Store {
    /// One behind a Unix socket in the scene's directory.
    ///
    /// # Panics
    /// When there is no such server on this machine, or it does not start.
    #[track_caller]
    pub fn start(scene: &Scene) -> Store {
        let socket = scene.directory().join("store.sock");
        let path = socket.to_str().expect("plain");
        let options = ["--port", "0", "--unixsocket", path];
        Store::with(scene, &options, format!("redis+unix://{path}"))
    }

    /// One that listens on these addresses of this machine, all with the same port.
    ///
    /// # Panics
    /// As [`Store::start`].
    #[track_caller]
    pub fn at(scene: &Scene, addresses: &[IpAddr]) -> Store {
        let first = SocketAddr::new(addresses[0], 0);
        // The server cannot be given a socket: the port is free until somebody else takes it.
        let free = TcpListener::bind(first).and_then(|listener| listener.local_addr());
        let port = free.expect("an address of this machine").port().to_string();
        let mut options = vec!["--port", &port, "--protected-mode", "no", "--bind"];
        let texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        options.extend(texts.iter().map(String::as_str));
        Store::with(scene, &options, port.clone())
    }

    #[track_caller]
    fn with(scene: &Scene, options: &[&str], url: String) -> Store {
        let directory = scene.directory().join("store");
        // It may be there from a life before.
        let _there = fs::create_dir(&directory);
        let setup = scene.program(program()).directory(&directory);
        let setup = setup.args(["--save", "", "--appendonly", "no"]);
        let process = setup.args(options).start();
        process.wait_for_line("the store is there", BOOT, |line| {
            line.contains("eady to accept connections").then_some(())
        });
        Store { process, url }
    }

    /// Where it is, seen from a machine that reaches it at this address; `None` = by its socket.
    pub fn url(&self, address: Option<IpAddr>) -> String {
        match address {
            Some(address) => format!("redis://{address}:{}", self.url),
            None => self.url.clone(),
        }
    }

    /// Has it stand still, or go on.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Ends it at once.
    pub fn kill(self) {
        self.process.signal(Signal::KILL);
        self.process.end();
        // It had no time to remove its socket.
        if let Some(path) = self.url.strip_prefix("redis+unix://") {
            fs::remove_file(path).expect("ours");
        }
    }
}

/// Debian calls it by either name.
fn program() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let names = ["valkey-server", "redis-server"];
    let mut found = names.iter().flat_map(|name| {
        let folders = env::split_paths(&path).collect::<Vec<_>>().into_iter();
        folders.map(move |folder| folder.join(name))
    });
    found
        .find(|path| path.is_file())
        .expect("there is no valkey-server and no redis-server: run scripts/setup test")
}
