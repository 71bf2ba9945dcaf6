//! What was shown once and found good.

use std::path::PathBuf;

/// Compares with `tests/snapshots/NAME.txt`. `UPDATE_SNAPSHOTS=1 cargo test -p herder-cli` writes it anew.
pub(crate) fn check(name: &str, found: &str) {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let path = directory.join(format!("{name}.txt"));
    // Escapes are visible in the file.
    let found = found.replace('\x1b', "␛");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(&directory).expect("the directory can be made");
        std::fs::write(&path, &found).expect("the snapshot can be written");
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, recorded, "it has changed: update {}", path.display());
}
