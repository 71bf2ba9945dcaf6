//! What is planted in a home where a file will be: nothing is written through it, and nobody waits for it.
//! (What a log file may be, the tests of the logs show.)

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use rustix::fs::{CWD, FileType, Mode};

use super::kit::{Place, idle, script};
use super::strangers::set_mode;

/// What is planted where a file will be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Planted {
    /// A symbolic link to something precious.
    Link,
    /// One to nothing, which would be made.
    Dangling,
    /// Another name of something precious.
    HardLink,
    /// What holds up whoever opens it.
    Pipe,
    /// A directory with something in it.
    Directory,
}

const ALL: [Planted; 5] = [
    Planted::Link,
    Planted::Dangling,
    Planted::HardLink,
    Planted::Pipe,
    Planted::Directory,
];

/// Something planted, and what it leads to.
struct Trap {
    planted: Planted,
    path: PathBuf,
    target: PathBuf,
}

impl Trap {
    fn set(place: &Place, planted: Planted, name: &str) -> Trap {
        let path = place.home().join(name);
        let number = name.replace('/', "-");
        let target = place.root().join(format!("precious-{number}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if planted != Planted::Dangling {
            fs::write(&target, "precious").unwrap();
        }
        match planted {
            Planted::Link | Planted::Dangling => symlink(&target, &path).unwrap(),
            Planted::HardLink => fs::hard_link(&target, &path).unwrap(),
            Planted::Pipe => {
                let mode = Mode::RUSR | Mode::WUSR;
                rustix::fs::mknodat(CWD, &path, FileType::Fifo, mode, 0).unwrap();
            }
            Planted::Directory => fs::create_dir_all(path.join("within")).unwrap(),
        }
        Trap {
            planted,
            path,
            target,
        }
    }

    #[track_caller]
    fn assert_untouched(&self) {
        let target = fs::read_to_string(&self.target);
        if self.planted == Planted::Dangling {
            assert!(target.is_err(), "{}: it was made", self.path.display());
        } else {
            assert_eq!(target.unwrap(), "precious", "{}", self.path.display());
        }
    }
}

/// A home that is ours alone, and has its directories.
fn made(place: &Place) {
    for name in ["state/herds", "run", "logs"] {
        fs::create_dir_all(place.home().join(name)).unwrap();
    }
    for name in ["", "state", "state/herds", "run", "logs"] {
        set_mode(&place.home().join(name), 0o700);
    }
}

#[test]
fn r60_nothing_is_written_through_what_is_planted_for_the_daemon() {
    for name in [
        "daemon.lock",
        "daemon.log",
        "daemon.err",
        "herder.sock",
        "state/apps.json",
        "state/.apps.json.new",
    ] {
        for planted in ALL {
            let place = Place::new("s-planted");
            made(&place);
            let trap = Trap::set(&place, planted, name);
            let word = place.announced();
            let what = format!("{planted:?} as {name}: {word}");
            // Either it says why not, or it does without what is there.
            if word["is"] == "failed" {
                let file = name.rsplit('/').next().unwrap().trim_start_matches('.');
                let problem = word["problem"].to_string();
                assert!(
                    problem.contains(file) || problem.contains("apps.json"),
                    "{what}"
                );
            } else {
                assert_eq!(word["is"], "ready", "{what}");
                place.start(&[idle("web")]).done("web");
            }
            trap.assert_untouched();
        }
    }
}

#[test]
fn r60_nothing_is_written_through_what_is_planted_for_an_app() {
    let files = [
        "run/APP.lock",
        "run/APP.sock",
        "state/herds/APP.json",
        "state/herds/APP.err",
        "logs/APP-out.log",
        "logs/APP-error.log",
        "logs/APP-herder.jsonl",
    ];
    let place = Place::new("s-traps");
    place.daemon();
    for (number, file) in files.iter().enumerate() {
        for planted in ALL {
            let name = format!("{planted:?}-{number}").to_lowercase();
            let trap = Trap::set(&place, planted, &file.replace("APP", &name));
            let speaks = "echo word; echo trouble >&2; exec sleep 1000";
            let told = place.start(&[script(&name, speaks)]);
            let what = format!("{planted:?} as {file}: {told:?}");
            if told.end() == (0, 1) {
                // It says which file it is.
                let file = trap.path.file_name().unwrap().to_str().unwrap();
                let said = format!("{:?}", told.failed(&name));
                assert!(said.contains(file), "{what}");
            } else {
                // Its log is emptied and opened again, too.
                place.act(herder_api::control::Verb::ReopenLogs, &name);
                place.act(herder_api::control::Verb::Flush, &name);
            }
            trap.assert_untouched();
            place.act(herder_api::control::Verb::Delete, &name);
            trap.assert_untouched();
        }
    }
}

#[test]
fn r60_an_app_whose_log_file_is_a_pipe_or_lies_where_others_write_is_refused() {
    let place = Place::new("s-pipe");
    place.daemon();
    let pipe = place.root().join("pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let open = place.root().join("open");
    fs::create_dir(&open).unwrap();
    let logs_to = |name: &str, path: PathBuf| {
        let mut app = idle(name);
        app.logs.out = Some(path);
        app
    };
    let told = place.start(&[logs_to("pipe", pipe)]);
    assert!(format!("{:?}", told.failed("pipe")).contains("it is a pipe, no plain file"));
    set_mode(&open, 0o777);
    let told = place.start(&[logs_to("open", open.join("a.log"))]);
    assert!(format!("{:?}", told.failed("open")).contains("everybody may write to its directory"));
    // Where nobody can put another in its place, it may stand.
    set_mode(&open, 0o1777);
    place
        .start(&[logs_to("sticky", open.join("a.log"))])
        .done("sticky");
}
