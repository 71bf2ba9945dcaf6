//! The script that a directory stands for, as for Node: `herder run .` is what `node .` is.

use std::path::{Path, PathBuf};

use super::error::NodeError;
use super::program::within;

/// The script itself, or what a directory's `package.json` calls `main`, or its `index.js`. `directory`
/// is where it will run.
pub(super) fn resolve(script: &Path, directory: Option<&Path>) -> Result<PathBuf, NodeError> {
    let is_file = |path: &PathBuf| within(directory, path).is_file();
    if !within(directory, script).is_dir() {
        return Ok(script.to_owned());
    }
    let main = main_of(&within(directory, script)).map(|main| script.join(main));
    let main = main.into_iter().flat_map(|main| {
        let with_extension = [main.display().to_string() + ".js"].map(PathBuf::from);
        let inside = main.join("index.js");
        [main].into_iter().chain(with_extension).chain([inside])
    });
    let mut candidates = main.chain([script.join("index.js")]);
    candidates
        .find(is_file)
        .ok_or_else(|| NodeError::NoEntry(script.to_owned()))
}

fn main_of(directory: &Path) -> Option<String> {
    let text = std::fs::read_to_string(directory.join("package.json")).ok()?;
    let package: serde_json::Value = serde_json::from_str(&text).ok()?;
    package.get("main")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_what_it_is_for_node() {
        let scene = std::env::temp_dir().join(format!("herder-entry-{}", std::process::id()));
        std::fs::create_dir_all(scene.join("web/lib")).expect("a directory");
        let at = |name: &str| resolve(Path::new(name), Some(&scene)).ok();
        let write = |name: &str, text: &str| {
            std::fs::write(scene.join(name), text).expect("a file");
        };
        assert_eq!(at("web"), None);
        assert_eq!(
            at("missing.js"),
            Some("missing.js".into()),
            "not ours to say"
        );
        write("web/index.js", "");
        assert_eq!(at("web"), Some("web/index.js".into()));
        for (main, file, expected) in [
            ("gone.js", "web/index.js", "web/index.js"),
            ("server.mjs", "web/server.mjs", "web/server.mjs"),
            ("app", "web/app.js", "web/app.js"),
            ("./lib", "web/lib/index.js", "web/./lib/index.js"),
        ] {
            write(file, "");
            write("web/package.json", &format!(r#"{{"main":"{main}"}}"#));
            assert_eq!(at("web"), Some(expected.into()), "{main}");
        }
        let here = resolve(Path::new("."), Some(&scene.join("web")));
        assert_eq!(here.ok(), Some("./lib/index.js".into()));
        write("web/package.json", "{");
        assert_eq!(at("web/"), Some("web/index.js".into()));
        std::fs::remove_dir_all(&scene).expect("ours");
    }
}
