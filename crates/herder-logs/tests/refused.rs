//! What is no log file is not written to.

mod bench;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use bench::{Bench, Directory, settings};
use herder_logs::{Desk, News, Writer};

fn refusal(path: &Path) -> String {
    Writer::check(path).expect_err("it is refused").to_string()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn r60_what_is_no_plain_file_of_ours_is_refused() {
    let directory = Directory::new();
    fs::write(directory.path("secret"), "secret").expect("a file");
    let path = |name: &str| directory.path(name);
    symlink("secret", path("link.log")).expect("a link");
    symlink("nothing", path("dangling.log")).expect("a link");
    fs::write(path("hard.log"), "").expect("a file");
    fs::hard_link(path("hard.log"), path("other name")).expect("a link");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path("fifo.log"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("a fifo");
    fs::create_dir(path("directory.log")).expect("a directory");
    let _listener = UnixListener::bind(path("socket.log")).expect("a socket");
    for (name, why) in [
        ("link.log", "it is a symbolic link: name the file itself"),
        (
            "dangling.log",
            "it is a symbolic link: name the file itself",
        ),
        (
            "hard.log",
            "it has other names as well (hard links), so it could be any file",
        ),
        ("fifo.log", "it is a pipe, no plain file"),
        ("directory.log", "it is a directory, no plain file"),
        ("socket.log", "it is a socket, no plain file"),
    ] {
        let shown = path(name).display().to_string();
        let expected = format!("the log file {shown} cannot be opened: {why}");
        assert_eq!(refusal(&path(name)), expected);
        // The same when it appears later: nothing is written through, and it is told.
        let logs = format!(r#""out":"{name}""#);
        let settings = settings(&directory.0, &logs);
        assert!(Desk::check(&settings).is_err());
        let mut bench = Bench::new(&settings);
        let (mut out, _error) = bench.worker(1, 0);
        bench.say(&mut out, b"lost\n");
        let news = bench.news();
        assert!(
            matches!(&news[..], [News::Warning(text), ..] if text.contains(why)),
            "{news:?}"
        );
    }
    assert!(refusal(Path::new("/dev/full")).contains("it is a device, no plain file"));
    assert_eq!(directory.text("secret"), "secret");
    assert!(!path("nothing").exists());
}

#[test]
fn r60_files_and_links_of_others_are_refused() {
    if !is_root() {
        return; // Only root can make something that is somebody else's.
    }
    let directory = Directory::new();
    let path = |name: &str| directory.path(name);
    fs::write(path("theirs.log"), "").expect("a file");
    chown(path("theirs.log"), Some(65534), None).expect("root may");
    assert!(
        refusal(&path("theirs.log"))
            .ends_with("it belongs to user 65534, and would have to be ours or root's")
    );
    fs::create_dir(path("real")).expect("a directory");
    symlink("real", path("ours")).expect("a link");
    symlink("real", path("theirs")).expect("a link");
    std::os::unix::fs::lchown(path("theirs"), Some(65534), None).expect("root may");
    Writer::check(&path("ours/a.log")).expect("our own link may lead there");
    let why = refusal(&path("theirs/b.log"));
    assert!(
        why.contains("is a symbolic link of user 65534, who could let it lead elsewhere"),
        "{why}"
    );
    assert!(path("real/a.log").exists() && !path("real/b.log").exists());
}

#[test]
fn r60_a_directory_for_everybody_is_refused_unless_it_is_sticky() {
    let directory = Directory::new();
    let set =
        |mode| fs::set_permissions(&directory.0, fs::Permissions::from_mode(mode)).expect("ours");
    set(0o777);
    let why = refusal(&directory.path("a.log"));
    assert!(
        why.contains("everybody may write to its directory: chmod o-w"),
        "{why}"
    );
    set(0o1777);
    Writer::check(&directory.path("a.log")).expect("nobody can put another in its place");
    set(0o700);
}

#[test]
fn r60_what_is_swapped_between_looks_is_never_written_through() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::sync::atomic::{AtomicBool, Ordering};
    let directory = Directory::new();
    let path = |name: &str| directory.path(name);
    fs::write(path("secret"), "secret").expect("a file");
    fs::write(path("a.log"), "").expect("a file");
    symlink("secret", path("link")).expect("a link");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, path("a.log"), CWD, path("link"), RenameFlags::EXCHANGE)
                    .expect("both are there");
            }
        });
        let settings = settings(&directory.0, r#""out":"a.log""#);
        let mut bench = Bench::new(&settings);
        let (mut out, _error) = bench.worker(1, 0);
        for _ in 0..2000 {
            bench.desk.reopen();
            bench.say(&mut out, b"line\n");
        }
        bench.say(&mut out, bench::lines(0, 500).as_bytes());
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(directory.text("secret"), "secret");
}
