//! What the tests of this crate have in common.

mod checks;
mod ecosystem;
mod hostile;
mod javascript;
mod native;
mod proxies;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of a test's own.
pub(crate) struct Scene(PathBuf);

impl Scene {
    pub(crate) fn new(name: &str) -> Scene {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("herder-config-{}-{number}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a directory");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it is ours");
        Scene(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        let parent = path.parent().expect("it has one");
        std::fs::create_dir_all(parent).expect("a directory");
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("it is ours");
        path
    }

    pub(crate) fn executable(&self, name: &str) {
        let path = self.0.join(name);
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("it is ours");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

/// What is wrong, as people see it: place and message.
pub(crate) fn told(problems: Vec<herder_api::Problem>) -> Vec<String> {
    let told = problems.into_iter().map(|problem| {
        let place = problem.place.unwrap_or_default();
        let hint = problem
            .hint
            .map(|hint| format!(" {hint}"))
            .unwrap_or_default();
        format!("{place}: {}{hint}", problem.message)
    });
    told.collect()
}
