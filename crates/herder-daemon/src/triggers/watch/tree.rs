//! The directories that are watched.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::rules::{GITIGNORE, Plan, Rules, Sort};

/// What is told of a directory. Not who opens or reads a file: an app at work reads all day.
const TOLD: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::EXCL_UNLINK);

/// Something that the kernel told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Told {
    pub(super) watch: i32,
    pub(super) what: ReadFlags,
    pub(super) name: Option<OsString>,
}

/// What follows from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    Nothing,
    /// A file that counts has changed.
    Changed(PathBuf),
    /// A directory is there that was not.
    Directory(PathBuf),
    /// All is to be looked at anew: what changed, if that is known.
    Anew(Option<PathBuf>),
}

/// A directory that is watched.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// Whether all of it counts, or only the roots that are in it.
    scope: Scope,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Scope {
    Roots,
    Whole,
}

/// The directories that are watched for one app.
#[derive(Debug)]
pub(super) struct Tree {
    plan: Arc<Plan>,
    inotify: Arc<OwnedFd>,
    rules: Rules,
    directories: HashMap<i32, Directory>,
    watches: BTreeMap<PathBuf, i32>,
}

impl Tree {
    /// Watches what there is. Takes as long as it takes to read all directories that count.
    ///
    /// # Errors
    /// A sentence: what the kernel does not watch, and what is not there.
    pub(super) fn new(plan: Arc<Plan>, inotify: Arc<OwnedFd>) -> Result<Tree, String> {
        let mut tree = Tree {
            rules: Rules::new(&plan),
            plan: Arc::clone(&plan),
            inotify,
            directories: HashMap::new(),
            watches: BTreeMap::new(),
        };
        for root in &plan.roots {
            let Some(parent) = root.parent() else {
                return Err(format!(
                    "{} is too much to be watched: name directories in watch.paths",
                    root.display()
                ));
            };
            // A root may vanish and come back; then the directory that it is in says so.
            let above = tree.watch(parent, Scope::Roots);
            match fs::metadata(root) {
                Ok(found) => {
                    tree.rules.learn_above(root);
                    if found.is_dir() {
                        tree.add(root)?;
                        if !tree.watches.contains_key(root) {
                            return Err(tree.why(root, &Errno::ACCESS.into()));
                        }
                    } else {
                        above.map_err(|error| tree.why(root, &error))?;
                    }
                }
                Err(_) if above.is_ok() => {}
                Err(error) => return Err(tree.why(root, &error)),
            }
        }
        Ok(tree)
    }

    /// Watches a directory and those in it. Returns a file that counts, if there is one.
    ///
    /// # Errors
    /// A sentence: why the kernel does not watch it.
    pub(super) fn add(&mut self, top: &Path) -> Result<Option<PathBuf>, String> {
        let mut first = None;
        let mut waiting = vec![top.to_owned()];
        while let Some(directory) = waiting.pop() {
            // First of all: what is made while it is read is told.
            match self.watch(&directory, Scope::Whole) {
                Ok(()) => {}
                Err(error) if is_gone(&error) => continue,
                Err(error) => return Err(self.why(&directory, &error)),
            }
            self.rules.learn(&directory);
            // What cannot be read is not watched.
            let entries = fs::read_dir(&directory).into_iter().flatten();
            for entry in entries.flatten() {
                let path = entry.path();
                let kind = entry.file_type();
                let sort = match kind {
                    Ok(kind) if kind.is_dir() => Sort::Directory,
                    Ok(_) | Err(_) => Sort::File,
                };
                match sort {
                    _ if self.rules.ignores(&path, sort) => {}
                    Sort::Directory => waiting.push(path),
                    Sort::File => {
                        first.get_or_insert(path);
                    }
                }
            }
        }
        Ok(first)
    }

    fn watch(&mut self, path: &Path, scope: Scope) -> io::Result<()> {
        let watch = inotify::add_watch(&self.inotify, path, TOLD)?;
        let known = self.directories.get(&watch).map(|it| it.scope);
        let directory = Directory {
            path: path.to_owned(),
            scope: known.map_or(scope, |known| known.max(scope)),
        };
        if let Some(old) = self.directories.insert(watch, directory)
            && old.path != path
        {
            self.watches.remove(&old.path);
        }
        self.watches.insert(path.to_owned(), watch);
        Ok(())
    }

    fn why(&self, path: &Path, error: &io::Error) -> String {
        let path = path.display();
        match Errno::from_io_error(error) {
            Some(Errno::NOSPC) => format!(
                "{path} and {} other directories are more than this user may watch (fs.inotify.max_user_watches): name in watch.ignore what does not count, or raise that limit",
                self.watches.len()
            ),
            _ => format!("{path} cannot be watched: {error}"),
        }
    }

    /// How many directories are watched.
    pub(super) fn len(&self) -> usize {
        self.watches.len()
    }

    /// What follows from what the kernel told.
    pub(super) fn hear(&mut self, told: &Told) -> Heard {
        if told.what.contains(ReadFlags::QUEUE_OVERFLOW) {
            return Heard::Anew(Some(self.plan.cwd.clone()));
        }
        let Some(directory) = self.directories.get(&told.watch) else {
            return Heard::Nothing;
        };
        if told.what.contains(ReadFlags::IGNORED) {
            // The kernel has forgotten it: it was removed.
            let path = directory.path.clone();
            self.directories.remove(&told.watch);
            if self.watches.get(&path) == Some(&told.watch) {
                self.watches.remove(&path);
            }
            return Heard::Nothing;
        }
        let Some(name) = &told.name else {
            return Heard::Nothing;
        };
        let path = directory.path.join(name);
        let is_whole = directory.scope == Scope::Whole;
        if is_whole && name == GITIGNORE && told.what.intersects(writes()) {
            return Heard::Anew(None);
        }
        let is_root = self.plan.roots.contains(&path);
        let sort = if told.what.contains(ReadFlags::ISDIR) {
            Sort::Directory
        } else {
            Sort::File
        };
        let counts = is_root || (is_whole && !self.rules.ignores(&path, sort));
        match (counts, sort) {
            (false, _) => Heard::Nothing,
            (true, Sort::Directory) => self.hear_of_directory(told.what, path),
            (true, Sort::File) if !is_change(told.what, &path) => Heard::Nothing,
            // A link to another directory than before.
            (true, Sort::File) if is_root && path.is_dir() => Heard::Anew(Some(path)),
            (true, Sort::File) => Heard::Changed(path),
        }
    }

    fn hear_of_directory(&mut self, what: ReadFlags, path: PathBuf) -> Heard {
        if what.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
            return Heard::Directory(path);
        }
        if what.contains(ReadFlags::MOVED_FROM) {
            self.leave(&path);
            return Heard::Changed(path);
        }
        self.rules.forget(&path);
        Heard::Nothing
    }

    /// A directory is somewhere else: what happens there is nobody's business.
    fn leave(&mut self, path: &Path) {
        self.rules.forget(path);
        let below = self.watches.range(path.to_owned()..);
        let below = below.take_while(|(it, _)| it.starts_with(path));
        let below: Vec<(PathBuf, i32)> = below.map(|(it, watch)| (it.clone(), *watch)).collect();
        for (path, watch) in below {
            self.watches.remove(&path);
            self.directories.remove(&watch);
            // One that was removed meanwhile is not watched either.
            let _gone = inotify::remove_watch(&self.inotify, watch);
        }
    }
}

/// The ways in which a file becomes another one.
fn writes() -> ReadFlags {
    ReadFlags::CLOSE_WRITE | ReadFlags::DELETE | ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO
}

/// A link is there as soon as it is made; a file when it has been written.
fn is_change(what: ReadFlags, path: &Path) -> bool {
    what.intersects(writes()) || (what.contains(ReadFlags::CREATE) && is_link(path))
}

fn is_link(path: &Path) -> bool {
    let found = fs::symlink_metadata(path);
    found.is_ok_and(|it| it.file_type().is_symlink() || it.nlink() > 1)
}

/// Removed while it was looked at, or not ours to read.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
    )
}
