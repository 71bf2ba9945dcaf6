//! The versions of Node that `scripts/setup` has installed for the tests, beside the machine's own.
//!
//! They are npm packages with nothing but the program in them: 20 and 24 in `e2e/node`, for every run of
//! the tests; 18, 22 and 26 in `e2e/node/more`, for `make test-all` (a test of these is ignored otherwise).
//! There are Deno and Bun as well, and TypeScript's compiler.

use std::path::{Path, PathBuf};

/// Which Node runs a program, or who does in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// The installed Bun.
    Bun,
    /// The installed Deno. (There is none for ARM.)
    Deno,
    /// The machine's own: the first in `PATH`.
    Machine,
    /// The installed one of this major version.
    Version(u8),
}

impl Node {
    /// What to start it by.
    ///
    /// # Panics
    /// When this version is not installed; the message says what to do.
    pub fn program(self) -> PathBuf {
        match self {
            Node::Bun => in_more(if cfg!(target_arch = "aarch64") {
                "bun-arm64/bin/bun"
            } else {
                "bun/bin/bun"
            }),
            Node::Deno => in_more("deno/deno"),
            Node::Machine => PathBuf::from("node"),
            Node::Version(major) => installed(major),
        }
    }
}

/// The script that is TypeScript's compiler, and the directory of the types of Node.
///
/// # Panics
/// When it is not installed; the message says what to do.
pub fn typescript() -> (PathBuf, PathBuf) {
    let compiler = within("node", "typescript/bin/tsc", "test");
    let types = Path::new(env!("CARGO_MANIFEST_DIR")).join("node/node_modules/@types");
    (compiler, types)
}

fn installed(major: u8) -> PathBuf {
    let suffix = if cfg!(target_arch = "aarch64") {
        "-arm64"
    } else {
        ""
    };
    let program = format!("node{major}{suffix}/bin/node");
    match major {
        20 | 24 => within("node", &program, "test"),
        _ => in_more(&program),
    }
}

fn in_more(program: &str) -> PathBuf {
    within("node/more", program, "test-all")
}

fn within(directory: &str, program: &str, task: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(directory)
        .join("node_modules")
        .join(program);
    assert!(
        path.is_file(),
        "{} is missing: run scripts/setup {task}",
        path.display()
    );
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn what_is_installed_is_what_it_is_called() {
        for major in [20, 24] {
            let output = Command::new(Node::Version(major).program())
                .arg("--version")
                .output()
                .expect("it can be started");
            let version = String::from_utf8(output.stdout).expect("digits");
            assert!(version.starts_with(&format!("v{major}.")), "{version}");
        }
    }

    #[test]
    #[should_panic(expected = "node_modules/node7")]
    fn what_is_missing_is_named() {
        Node::Version(7).program();
    }
}
