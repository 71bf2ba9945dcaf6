//! A server of a test's own, behind a Unix socket, gone with it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Server {
    pub(crate) directory: PathBuf,
    pub(crate) child: Child,
}

/// Debian calls it by either name.
fn program() -> &'static str {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let exists = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).exists());
    let names = ["valkey-server", "redis-server"];
    let found = names.into_iter().find(|name| exists(name));
    found.expect("a server: `make test` installs it")
}

impl Server {
    pub(crate) fn start() -> Server {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("herder-redis-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).expect("a directory");
        let child = spawn(&directory);
        Server { directory, child }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.directory.join("socket").display())
    }
}

pub(crate) fn spawn(directory: &PathBuf) -> Child {
    let socket = directory.join("socket");
    Command::new(program())
        .args(["--port", "0", "--save", "", "--appendonly", "no"])
        .arg("--unixsocket")
        .arg(socket)
        .current_dir(directory)
        .stdout(Stdio::null())
        .spawn()
        .expect("the server starts")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _dead = self.child.kill();
        let _reaped = self.child.wait();
        std::fs::remove_dir_all(&self.directory).expect("it is ours");
    }
}
