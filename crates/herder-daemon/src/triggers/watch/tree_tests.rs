//! Real files, and the kernel's word on them.

use std::fs;
use std::path::Path;

use tokio::sync::mpsc;
use tokio::time::{Duration, timeout};

use super::{Plan, Word, watch};
use crate::triggers::tests::Place;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

struct Watched {
    place: Place,
    words: mpsc::UnboundedReceiver<Word>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watched {
    async fn new(name: &str, roots: &[&str], prepare: impl FnOnce(&Path)) -> Watched {
        let place = Place::new(name);
        prepare(place.path());
        let plan = Plan {
            cwd: place.path().to_owned(),
            roots: roots.iter().map(|root| place.path().join(root)).collect(),
            ignore: vec!["*.tmp".to_owned()],
            logs: Vec::new(),
        };
        let (sender, words) = mpsc::unbounded_channel();
        let task = tokio::spawn(watch(plan, move |word| drop(sender.send(word))));
        let mut watched = Watched { place, words, task };
        assert_eq!(watched.word().await, Word::Watching);
        watched
    }

    async fn word(&mut self) -> Word {
        let word = timeout(LIMIT, self.words.recv()).await;
        word.expect("a word in time").expect("it watches")
    }

    /// Reads until a file is told of; only those may be told of before that were named.
    async fn until(&mut self, path: &str, before: &[&str]) {
        loop {
            match self.word().await {
                Word::Changed(paths) => {
                    for told in &paths {
                        let is_named = told == path || before.contains(&told.as_str());
                        assert!(is_named, "{told} of {paths:?}");
                    }
                    if paths.iter().any(|told| told == path) {
                        return;
                    }
                }
                Word::Watching => {}
                Word::Broken(why) => panic!("{why}"),
            }
        }
    }

    fn write(&self, path: &str) {
        fs::write(self.place.path().join(path), "x").unwrap();
    }
}

#[tokio::test]
async fn only_what_counts_is_told() {
    let mut watched = Watched::new("counts", &[""], |root| {
        fs::create_dir_all(root.join("src/deep")).unwrap();
        fs::create_dir_all(root.join("node_modules/a")).unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
        fs::create_dir_all(root.join("dist")).unwrap();
        fs::write(root.join(".gitignore"), "/dist\n*.log\n").unwrap();
        fs::write(root.join("src/read.js"), "x").unwrap();
    })
    .await;
    let root = watched.place.path().to_owned();
    for path in [
        "node_modules/a/b.js",
        ".git/index",
        "dist/a.js",
        "src/a.log",
        "src/.hidden",
        "src/a.tmp",
    ] {
        watched.write(path);
    }
    fs::read(root.join("src/read.js")).unwrap();
    watched.write("src/deep/a.js");
    watched.until("src/deep/a.js", &[]).await;
    fs::remove_file(root.join("src/deep/a.js")).unwrap();
    watched.until("src/deep/a.js", &[]).await;
    // As editors write: another file that takes the name.
    watched.write("src/b.tmp");
    fs::rename(root.join("src/b.tmp"), root.join("src/read.js")).unwrap();
    watched.until("src/read.js", &[]).await;
}

#[tokio::test]
async fn directories_that_are_made_later_are_seen_with_what_is_in_them() {
    let mut watched = Watched::new("later", &[""], |_| {}).await;
    let root = watched.place.path().to_owned();
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    watched.write("a/b/c/one.js");
    watched.until("a/b/c/one.js", &[]).await;
    fs::rename(root.join("a"), root.join("z")).unwrap();
    watched.until("z/b/c/one.js", &["a", "a/b/c/one.js"]).await;
    watched.write("z/b/c/two.js");
    watched
        .until("z/b/c/two.js", &["z/b/c/one.js", "a/b/c/one.js"])
        .await;
}

#[tokio::test]
async fn a_directory_that_is_made_anew_is_seen_again() {
    let mut watched = Watched::new("anew", &["dist"], |root| {
        fs::create_dir(root.join("dist")).unwrap();
        fs::write(root.join("dist/a.js"), "x").unwrap();
    })
    .await;
    let root = watched.place.path().to_owned();
    watched.write("beside.js");
    fs::remove_dir_all(root.join("dist")).unwrap();
    watched.until("dist/a.js", &[]).await;
    fs::create_dir(root.join("dist")).unwrap();
    watched.write("dist/b.js");
    watched.until("dist/b.js", &["dist/a.js"]).await;
    watched.write("dist/c.js");
    watched.until("dist/c.js", &["dist/b.js"]).await;
}

#[tokio::test]
async fn a_file_alone_can_be_watched_and_replaced() {
    let mut watched = Watched::new("file", &["app.json"], |root| {
        fs::write(root.join("app.json"), "x").unwrap();
    })
    .await;
    let root = watched.place.path().to_owned();
    watched.write("other.json");
    fs::rename(root.join("other.json"), root.join("app.json")).unwrap();
    watched.until("app.json", &[]).await;
    watched.write("app.json");
    watched.until("app.json", &[]).await;
}

#[tokio::test]
async fn what_git_leaves_out_may_change() {
    let mut watched = Watched::new("gitignore", &[""], |root| {
        fs::create_dir(root.join("out")).unwrap();
    })
    .await;
    watched.write("out/a.js");
    watched.until("out/a.js", &[]).await;
    fs::write(watched.place.path().join(".gitignore"), "out\n").unwrap();
    assert_eq!(watched.word().await, Word::Watching);
    watched.write("out/b.js");
    watched.write("c.js");
    watched.until("c.js", &[]).await;
}

#[tokio::test]
async fn what_cannot_be_watched_is_said() {
    let place = Place::new("missing");
    let missing = place.path().join("no/such");
    for (root, expected) in [
        (missing.as_path(), "no/such cannot be watched"),
        (Path::new("/"), "/ is too much"),
    ] {
        let plan = Plan {
            cwd: place.path().to_owned(),
            roots: vec![root.to_owned()],
            ignore: Vec::new(),
            logs: Vec::new(),
        };
        let (sender, mut words) = mpsc::unbounded_channel();
        watch(plan, move |word| drop(sender.send(word))).await;
        let Some(Word::Broken(why)) = words.recv().await else {
            panic!("it cannot be watched");
        };
        assert!(why.contains(expected), "{why}");
    }
}
