//! Looks at the home: nothing in it is changed, and no lock is touched.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::facts::{Home, Space};

/// Looks.
pub(super) fn look(path: &Path) -> Home {
    let found = fs::symlink_metadata(path).ok();
    // What is not there yet will be where its parent is.
    let nearest = path
        .ancestors()
        .find(|it| it.exists())
        .unwrap_or(Path::new("/"));
    let logs = path.join("logs");
    let with_logs = if logs.exists() {
        logs.as_path()
    } else {
        nearest
    };
    Home {
        path: path.to_owned(),
        found: found.map(|found| (found.uid(), found.mode())),
        uid: herder_sys::user::effective_uid(),
        filesystem: filesystem(nearest),
        space: space(with_logs),
        dead_sockets: dead_sockets(&path.join("run")),
        lost_orders: lost_orders(&path.join("state")),
    }
}

fn filesystem(path: &Path) -> Option<u64> {
    let found = rustix::fs::statfs(path).ok()?;
    #[expect(
        clippy::useless_conversion,
        reason = "the type differs between architectures"
    )]
    let kind = i64::from(found.f_type);
    // The kernel's numbers have 32 bits; here they may have a sign.
    u64::try_from(kind & 0xffff_ffff).ok()
}

fn space(path: &Path) -> Option<Space> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(Space {
        free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        all_bytes: found.f_blocks.saturating_mul(found.f_frsize),
        free_files: found.f_favail,
        all_files: found.f_files,
    })
}

/// The names in a directory with this ending, without it.
fn names(directory: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let stems = names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned));
    let mut stems: Vec<String> = stems.filter(|stem| !stem.starts_with('.')).collect();
    stems.sort();
    stems
}

fn dead_sockets(run: &Path) -> Vec<String> {
    let held = held(&fs::read_to_string("/proc/locks").unwrap_or_default());
    let sockets = names(run, ".sock").into_iter();
    let dead = sockets.filter(|name| {
        let lock = fs::metadata(run.join(format!("{name}.lock")));
        lock.map_or(true, |lock| !held.contains(&lock.ino()))
    });
    dead.map(|name| format!("{name}.sock")).collect()
}

/// The files on which somebody has a lock, by number. (Their devices are not always told as `stat` has
/// them; that two files of one number are both here is not worth a wrong alarm.)
fn held(locks: &str) -> BTreeSet<u64> {
    let lines = locks.lines().filter(|line| line.contains(" FLOCK "));
    let files = lines.filter_map(|line| {
        line.split_whitespace()
            .find(|word| word.matches(':').count() == 2)
    });
    files
        .filter_map(|file| file.rsplit(':').next()?.parse().ok())
        .collect()
}

fn lost_orders(state: &Path) -> Vec<String> {
    let list = fs::read(state.join("apps.json")).unwrap_or_default();
    // Without a list that can be read, nobody knows what is lost.
    let Ok(list) = serde_json::from_slice::<serde_json::Value>(&list) else {
        return Vec::new();
    };
    let apps = list["apps"].as_array().into_iter().flatten();
    let known: BTreeSet<&str> = apps.filter_map(|app| app["app"]["name"].as_str()).collect();
    let orders = names(&state.join("herds"), ".json").into_iter();
    let lost = orders.filter(|name| !known.contains(name.as_str()));
    lost.map(|name| format!("{name}.json")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_nobody_needs_are_found() {
        let home = std::env::temp_dir().join(format!("herder-stale-{}", std::process::id()));
        drop(fs::remove_dir_all(&home));
        for directory in ["run", "state/herds"] {
            fs::create_dir_all(home.join(directory)).expect("a directory");
        }
        for file in [
            "run/web.sock",
            "run/web.lock",
            "run/api.sock",
            "run/api.lock",
            "run/old.sock",
        ] {
            fs::write(home.join(file), "").expect("a file");
        }
        let lock = fs::File::open(home.join("run/web.lock")).expect("it is there");
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .expect("nobody has it");
        fs::write(home.join("state/herds/web.json"), "{}").expect("a file");
        fs::write(home.join("state/herds/gone.json"), "{}").expect("a file");
        fs::write(home.join("state/herds/.x.json"), "{}").expect("a file");
        assert!(look(&home).lost_orders.is_empty(), "there is no list");
        let list = r#"{"apps": [{"id": 0, "app": {"name": "web"}}]}"#;
        fs::write(home.join("state/apps.json"), list).expect("a file");
        let found = look(&home);
        assert_eq!(found.dead_sockets, ["api.sock", "old.sock"]);
        assert_eq!(found.lost_orders, ["gone.json"]);
        assert!(found.space.is_some_and(|space| space.all_bytes > 0));
        drop(lock);
        fs::remove_dir_all(&home).expect("it is ours");
    }

    #[test]
    fn locks_are_read_as_the_kernel_writes_them() {
        let text = "1: FLOCK  ADVISORY  WRITE 100 fe:00:4711 0 EOF\n\
                    1: -> FLOCK  ADVISORY  WRITE 101 fe:00:4711 0 EOF\n\
                    2: POSIX  ADVISORY  READ 5 fe:00:12 128 128\nnonsense\n";
        assert_eq!(held(text), BTreeSet::from([4711]));
    }
}
