//! What of the watched files counts.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use herder_api::App;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The file that says what git leaves out.
pub(super) const GITIGNORE: &str = ".gitignore";

/// The same for one copy of a repository.
const EXCLUDE: &str = ".git/info/exclude";

/// What is watched of an app.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::triggers) struct Plan {
    /// Where paths begin.
    pub(in crate::triggers) cwd: PathBuf,
    /// Files and directories, absolute.
    pub(in crate::triggers) roots: Vec<PathBuf>,
    /// Lines as in `.gitignore`.
    pub(in crate::triggers) ignore: Vec<String>,
    /// The app's own log files.
    pub(in crate::triggers) logs: Vec<PathBuf>,
}

impl Plan {
    /// None: it is not watched.
    pub(in crate::triggers) fn of(app: &App) -> Option<Plan> {
        let watch = app.watch.as_ref()?;
        let cwd = app.cwd.clone().unwrap_or_else(|| PathBuf::from("/"));
        let roots = watch.paths.iter().map(|path| plain(&cwd.join(path)));
        let logs = [&app.logs.out, &app.logs.error].into_iter().flatten();
        Some(Plan {
            roots: roots.collect(),
            ignore: watch.ignore.clone(),
            logs: logs.map(|path| plain(&cwd.join(path))).collect(),
            cwd: plain(&cwd),
        })
    }

    /// As somebody calls it who is in `cwd`.
    pub(super) fn shown(&self, path: &Path) -> String {
        let short = path.strip_prefix(&self.cwd).unwrap_or(path);
        let is_all = short.as_os_str().is_empty();
        let path = if is_all { path } else { short };
        path.display().to_string()
    }
}

/// Without `.`, and without `..` where that can be known.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(part),
        }
    }
    plain
}

/// What something is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    File,
    Directory,
}

impl Sort {
    /// Of something at that path.
    pub(super) fn at(path: &Path) -> Sort {
        if path.is_dir() {
            Sort::Directory
        } else {
            Sort::File
        }
    }
}

/// What of the watched files counts.
#[derive(Debug)]
pub(super) struct Rules {
    extra: Gitignore,
    logs: Vec<PathBuf>,
    /// Those of each directory that has some.
    git: BTreeMap<PathBuf, Gitignore>,
    /// Named by the app although git leaves them out: what is said above them does not count.
    freed: BTreeSet<PathBuf>,
}

impl Rules {
    pub(super) fn new(plan: &Plan) -> Rules {
        let mut builder = GitignoreBuilder::new(&plan.cwd);
        for line in &plan.ignore {
            // A line that is no pattern leaves nothing out.
            drop(builder.add_line(None, &from_cwd(line, &plan.cwd)));
        }
        Rules {
            extra: builder.build().unwrap_or_else(|_| Gitignore::empty()),
            logs: plan.logs.clone(),
            git: BTreeMap::new(),
            freed: BTreeSet::new(),
        }
    }

    /// Reads what the directories above a root say, up to the top of its repository.
    pub(super) fn learn_above(&mut self, root: &Path) {
        let is_top = |path: &&Path| path.join(".git").exists();
        let Some(top) = root.ancestors().find(is_top) else {
            return;
        };
        let above = root.ancestors().skip(1);
        for directory in above.take_while(|path| path.starts_with(top)) {
            self.learn(directory);
        }
        if self.git_ignores(root, Sort::at(root)) {
            self.freed.insert(root.to_owned());
        }
    }

    /// Reads what a directory says, if it says something.
    pub(super) fn learn(&mut self, directory: &Path) {
        if self.git.contains_key(directory) {
            return;
        }
        let mut builder = GitignoreBuilder::new(directory);
        // The later one wins. Lines that are no patterns leave nothing out.
        for file in [EXCLUDE, GITIGNORE] {
            let file = directory.join(file);
            if file.is_file() {
                drop(builder.add(file));
            }
        }
        if let Ok(rules) = builder.build()
            && !rules.is_empty()
        {
            self.git.insert(directory.to_owned(), rules);
        }
    }

    /// Forgets what directories from there on say.
    pub(super) fn forget(&mut self, directory: &Path) {
        self.git.retain(|path, _| !path.starts_with(directory));
    }

    /// Whether it does not count. The directories that it is in do.
    pub(super) fn ignores(&self, path: &Path, sort: Sort) -> bool {
        match self.extra.matched(path, sort == Sort::Directory) {
            Match::Ignore(_) => return true,
            Match::Whitelist(_) => return false,
            Match::None => {}
        }
        let name = path.file_name().unwrap_or_default();
        is_usual(name) || self.is_log(path) || self.git_ignores(path, sort)
    }

    /// The nearest that says something holds.
    fn git_ignores(&self, path: &Path, sort: Sort) -> bool {
        if self.freed.contains(path) {
            return false;
        }
        for directory in path.ancestors().skip(1) {
            let rules = self.git.get(directory);
            match rules.map(|rules| rules.matched(path, sort == Sort::Directory)) {
                Some(Match::Ignore(_)) => return true,
                Some(Match::Whitelist(_)) => return false,
                Some(Match::None) | None => {}
            }
            if self.freed.contains(directory) {
                return false;
            }
        }
        false
    }

    /// The app's own log files, those of its workers, and what became of them when they were put away.
    fn is_log(&self, path: &Path) -> bool {
        let bytes = path.as_os_str().as_bytes();
        self.logs.iter().any(|log| {
            let stem = [log.with_extension("").as_os_str().as_bytes(), b"-"].concat();
            let extension = log.extension().unwrap_or_default().as_bytes();
            let is_of_worker = bytes.starts_with(&stem)
                && bytes[stem.len()..]
                    .split(|byte| *byte == b'.')
                    .any(|part| part == extension);
            bytes.starts_with(log.as_os_str().as_bytes()) || is_of_worker
        })
    }
}

/// Hidden files, modules, and what editors leave while somebody types.
fn is_usual(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let is_draft = name.ends_with(b"~") || (name.starts_with(b"#") && name.ends_with(b"#"));
    name.starts_with(b".") || name == b"node_modules" || is_draft
}

/// A pattern that is an absolute or a dotted path, as one that begins where the app does.
fn from_cwd(line: &str, cwd: &Path) -> String {
    let (not, line) = match line.strip_prefix('!') {
        Some(line) => ("!", line),
        None => ("", line),
    };
    if let Some(rest) = line.strip_prefix("./") {
        return format!("{not}/{rest}");
    }
    let cwd = cwd.to_string_lossy();
    match line.strip_prefix(&*cwd) {
        Some(rest) if rest.starts_with('/') => format!("{not}{rest}"),
        _ => format!("{not}{line}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::triggers::tests::Place;

    fn plan(place: &Place, ignore: &[&str]) -> Plan {
        Plan {
            cwd: place.path().to_owned(),
            roots: vec![place.path().to_owned()],
            ignore: ignore.iter().map(|line| (*line).to_owned()).collect(),
            logs: vec![place.path().join("log/web.log")],
        }
    }

    #[test]
    fn the_usual_does_not_count() {
        let place = Place::new("usual");
        let rules = Rules::new(&plan(&place, &[]));
        let ignores = |path: &str| rules.ignores(&place.path().join(path), Sort::File);
        for path in [
            ".env",
            "node_modules",
            "server.js~",
            "#server.js#",
            "log/web.log",
            "log/web.log.2026-11-21T10-00-00Z.gz",
            "log/web-3.log",
        ] {
            assert!(ignores(path), "{path}");
        }
        for path in [
            "server.js",
            "a/b.ts",
            "log/web.js",
            "log/other.log",
            "log/web-3.js",
        ] {
            assert!(!ignores(path), "{path}");
        }
    }

    /// What is advised to who knows `--ext js`.
    #[test]
    fn only_some_endings_may_count() {
        let place = Place::new("endings");
        let rules = Rules::new(&plan(&place, &["*.*", "!*.js"]));
        let ignores = |path: &str, sort| rules.ignores(&place.path().join(path), sort);
        assert!(!ignores("a.js", Sort::File) && !ignores("src/a.js", Sort::File));
        assert!(!ignores("src", Sort::Directory));
        assert!(ignores("a.css", Sort::File) && ignores("src/a.json", Sort::File));
    }

    #[test]
    fn what_the_app_says_holds_before_all_else() {
        let place = Place::new("says");
        let absolute = format!("{}/cache", place.path().display());
        let lines = ["*.tmp", "./public/up", "!.env", "data/", &absolute];
        let rules = Rules::new(&plan(&place, &lines));
        let ignores = |path: &str, sort| rules.ignores(&place.path().join(path), sort);
        assert!(ignores("a/b.tmp", Sort::File));
        assert!(ignores("public/up", Sort::Directory) && !ignores("a/public/up", Sort::Directory));
        assert!(!ignores(".env", Sort::File) && ignores(".other", Sort::File));
        assert!(ignores("data", Sort::Directory) && !ignores("data", Sort::File));
        assert!(ignores("cache", Sort::Directory) && !ignores("a/cache", Sort::Directory));
    }

    #[test]
    fn git_is_heard_the_nearest_first_and_up_to_the_top() {
        let place = Place::new("git");
        let root = place.path();
        fs::create_dir_all(root.join("top/.git/info")).unwrap();
        fs::create_dir_all(root.join("top/web/src")).unwrap();
        fs::write(root.join(".gitignore"), "*.js\n").unwrap();
        fs::write(root.join("top/.git/info/exclude"), "mine\n").unwrap();
        fs::write(root.join("top/.gitignore"), "*.log\n/web/dist\nbuilt\n").unwrap();
        fs::write(root.join("top/web/src/.gitignore"), "!kept.log\n").unwrap();
        let mut rules = Rules::new(&plan(&place, &[]));
        let web = root.join("top/web");
        rules.learn_above(&web);
        rules.learn(&web);
        rules.learn(&web.join("src"));
        let ignores = |path: &str, sort| rules.ignores(&web.join(path), sort);
        assert!(ignores("a.log", Sort::File) && ignores("src/a.log", Sort::File));
        assert!(!ignores("src/kept.log", Sort::File));
        assert!(
            ignores("dist", Sort::Directory)
                && ignores("src/built", Sort::Directory)
                && ignores("mine", Sort::File)
        );
        // Above the top of the repository nobody is asked.
        assert!(!ignores("a.js", Sort::File));
    }

    #[test]
    fn who_names_what_git_leaves_out_means_it() {
        let place = Place::new("named");
        let root = place.path();
        fs::create_dir_all(root.join(".git")).unwrap();
        fs::create_dir_all(root.join("dist")).unwrap();
        fs::write(root.join(".gitignore"), "/dist\n*.map\n").unwrap();
        let mut rules = Rules::new(&plan(&place, &[]));
        rules.learn_above(&root.join("dist"));
        assert!(!rules.ignores(&root.join("dist/a.js"), Sort::File));
        assert!(!rules.ignores(&root.join("dist/a.map"), Sort::File));
    }

    #[test]
    fn paths_are_plain() {
        for (path, expected) in [("/a/./b", "/a/b"), ("/a/b/../c", "/a/c"), ("/..", "/")] {
            assert_eq!(plain(Path::new(path)), Path::new(expected));
        }
        let mut app = App {
            cwd: Some("/srv/app".into()),
            watch: Some(herder_api::app::Watch::default()),
            ..App::default()
        };
        app.logs.out = Some("logs/out.log".into());
        let plan = Plan::of(&app).unwrap();
        assert_eq!(plan.roots, [Path::new("/srv/app")]);
        assert_eq!(plan.logs, [Path::new("/srv/app/logs/out.log")]);
        assert_eq!(plan.shown(Path::new("/srv/app/a/b.js")), "a/b.js");
        assert_eq!(plan.shown(Path::new("/srv/shared/x")), "/srv/shared/x");
    }
}
