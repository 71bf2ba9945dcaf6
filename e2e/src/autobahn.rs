//! Autobahn's cases for WebSocket servers, played by kosoku.

use crate::foreign::installed;
use crate::scene::Scene;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

/// Plays the cases of these chapters against a server that answers each message with itself.
///
/// # Panics
/// When one of them fails, or fewer than `least` were played.
#[track_caller]
#[expect(clippy::print_stdout, reason = "what a failure is judged by")]
pub fn play(scene: &Scene, address: SocketAddr, chapters: &[&str], least: usize) {
    let mut kosoku = Command::new(installed("kosoku"));
    for chapter in chapters {
        kosoku.args(["--include", &format!("{chapter}.*")]);
    }
    let played = kosoku
        .args(["--parallelism", "4", "--outdir"])
        .arg(scene.directory().join("reports"))
        .arg(address.to_string())
        .stdin(Stdio::null())
        .output()
        .expect("it was installed");
    let said = String::from_utf8_lossy(&played.stdout);
    let failures = String::from_utf8_lossy(&played.stderr);
    println!("{said}");
    assert!(played.status.success(), "{said}{failures}");
    let passed = said.lines().find_map(|line| {
        let count = line.strip_suffix(" cases passed")?;
        count.parse::<usize>().ok()
    });
    assert!(passed.is_some_and(|count| count >= least), "{said}");
}
