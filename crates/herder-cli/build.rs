//! Puts the files of the Node package into the command, which writes them where libraries find them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?)
        .join("../../sdk/node")
        .canonicalize()?;
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let mut text = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&root).map_err(io::Error::other)?;
        writeln!(text, "    ({name:?}, include_str!({file:?})),").map_err(io::Error::other)?;
    }
    text.push(']');
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("host.rs"), text)
}

/// The scripts below `directory`, and what says of which kind they are.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", directory.display());
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            if !["fixtures", "node_modules", "test"].contains(&&*name.to_string_lossy()) {
                collect(&path, files)?;
            }
        } else if name == "package.json"
            || path
                .extension()
                .is_some_and(|kind| kind == "js" || kind == "mjs")
        {
            files.push(path);
        }
    }
    Ok(())
}
