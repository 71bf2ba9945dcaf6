//! Tests that need a process to themselves.

use std::process::Command;

/// Runs `body` in a process of its own, because it changes limits or counts descriptors, which
/// belong to the whole process. `test` is the full name of the calling test function, which the
/// child enters once more.
pub(crate) fn in_own_process(test: &str, body: impl FnOnce()) {
    const MARK: &str = "HERDER_SYS_OWN_PROCESS";
    if std::env::var_os(MARK).is_some_and(|mark| mark == test) {
        return body();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(MARK, test)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
