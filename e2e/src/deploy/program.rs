//! What is deployed, and how it is started.

use crate::binary::Binary;
use crate::build;
use crate::herd::Setup;
use crate::interpreter::Node;
use crate::scene::Scene;
use std::path::{Path, PathBuf};

/// The native web server; see its `main.rs`.
pub const TEST_WEB: Binary = Binary::new("herder-e2e", "test-web");

/// How workers get listeners of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// A program in the kernel picks them in turn.
    Kernel,
    /// The kernel picks them by lot.
    Reuseport,
}

impl Own {
    /// As `--dispatch` has it.
    pub fn name(self) -> &'static str {
        match self {
            Own::Kernel => "kernel",
            Own::Reuseport => "reuseport",
        }
    }
}

/// A program that serves some version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// A Rust program that is its own master.
    Native,
    /// A Rust program whose workers have listeners of their own.
    NativeOwn(Own),
    /// A Rust program whose workers race on one listener.
    NativeShared,
    /// A Node program.
    Node(Node),
    /// A Node program whose workers have listeners of their own.
    NodeOwn(Node, Own),
    /// A Node program that ends by itself when it gets SIGINT, as other process managers want it.
    NodeWithHandler(Node),
    /// A Python program over `LISTEN_FDS`, with `READY=1`.
    Python,
    /// The same, with a listener for each worker.
    PythonOwn(Own),
}

impl Program {
    /// Whether it is a Rust program that is its own master.
    pub fn is_native(self) -> bool {
        match self {
            Program::Native | Program::NativeOwn(_) | Program::NativeShared => true,
            Program::Node(_)
            | Program::NodeOwn(..)
            | Program::NodeWithHandler(_)
            | Program::Python
            | Program::PythonOwn(_) => false,
        }
    }

    /// Whether its workers accept by themselves.
    pub fn accepts(self) -> bool {
        match self {
            Program::NativeOwn(_)
            | Program::NativeShared
            | Program::NodeOwn(..)
            | Program::Python
            | Program::PythonOwn(_) => true,
            Program::Native | Program::Node(_) | Program::NodeWithHandler(_) => false,
        }
    }

    /// Who accepts, where it is not the usual.
    fn mode(self) -> Vec<&'static str> {
        match self {
            Program::NativeOwn(own) | Program::NodeOwn(_, own) | Program::PythonOwn(own) => {
                vec!["--dispatch", own.name()]
            }
            Program::NativeShared => vec!["--dispatch", "shared"],
            Program::Native | Program::Node(_) | Program::NodeWithHandler(_) | Program::Python => {
                Vec::new()
            }
        }
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Program::Native => "native",
            Program::NativeOwn(Own::Kernel) => "native, kernel",
            Program::NativeOwn(Own::Reuseport) => "native, reuseport",
            Program::NativeShared => "native, shared",
            Program::Node(_) => "node",
            Program::NodeOwn(_, Own::Kernel) => "node, kernel",
            Program::NodeOwn(_, Own::Reuseport) => "node, reuseport",
            Program::NodeWithHandler(_) => "node, SIGINT",
            Program::Python => "python",
            Program::PythonOwn(Own::Kernel) => "python, kernel",
            Program::PythonOwn(Own::Reuseport) => "python, reuseport",
        }
    }

    /// Prepares its start in `scene` with two workers. `options` are those of `herder run`, times as `300ms`:
    /// the native program understands the same ones.
    pub fn setup(self, scene: &Scene, options: &[&str]) -> Setup {
        let directory = scene.directory();
        let (version, ledger) = (directory.join("version"), directory.join("ledger"));
        let setup = match self {
            Program::Native | Program::NativeOwn(_) | Program::NativeShared => {
                // A file of its own: what stands at its path is what a reload starts.
                let setup = scene.program(installed(scene));
                let setup = setup.args(options).arg("--version-file").arg(&version);
                let setup = setup.arg("--ledger").arg(&ledger);
                setup.args(self.mode())
            }
            Program::Node(node) | Program::NodeOwn(node, _) | Program::NodeWithHandler(node) => {
                scene
                    .herd(Binary::HERDER)
                    .arg("run")
                    .arg(script("serve.js"))
                    .args(["-i", "2", "--interpreter"])
                    .arg(node.program())
                    .args(self.mode())
                    .args(options)
            }
            Program::Python | Program::PythonOwn(_) => scene
                .herd(Binary::HERDER)
                .args(["run", "-i", "2", "-l", "127.0.0.1:0", "--ready", "notify"])
                .args(self.mode())
                .args(options)
                .args(["--", "python3"])
                .arg(script("serve.py")),
        };
        let setup = if let Program::NodeWithHandler(_) = self {
            setup.env("HANDLE_SIGINT", "1")
        } else {
            setup
        };
        // Reading the debug information for a backtrace would take longer than the test.
        let setup = setup.env("RUST_BACKTRACE", "0");
        setup.env("VERSION_FILE", version).env("LEDGER", ledger)
    }

    /// Puts a new file where the program lies, as an installation does. Programs that are read anew at each
    /// start need nothing.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn install(self, scene: &Scene) {
        if self.is_native() {
            installed(scene);
        }
    }
}

/// Puts the native program into the scene's directory, over what is there.
fn installed(scene: &Scene) -> PathBuf {
    let path = scene.directory().join(TEST_WEB.name());
    if let Err(error) = build::install(&TEST_WEB.path(), "", &path) {
        panic!("{} cannot be installed: {error}", path.display());
    }
    path
}

/// Where one of the scripts is.
pub fn script(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/deploy");
    directory.join(name)
}
