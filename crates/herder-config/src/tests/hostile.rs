//! Files that nobody would write in good faith.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use herder_api::problem::ProblemKind;

use super::{Scene, told};
use crate::{Options, load, load_text};

const FORMATS: [&str; 4] = ["a.toml", "a.json", "a.yaml", "-"];

/// Whatever becomes of it, it is soon.
fn survives(name: &str, text: &str) {
    let begun = Instant::now();
    let read = load_text(text, Path::new(name), Path::new("/"), &Options::default());
    let took = begun.elapsed();
    let start: String = text.chars().take(40).collect();
    assert!(
        took < Duration::from_secs(10),
        "{name}: {took:?} for {start:?}…"
    );
    if let Err(problems) = read {
        assert!(!problems.is_empty() && problems.len() <= 100);
        for problem in problems {
            assert!(!problem.message.contains(char::is_control), "{problem:?}");
        }
    }
}

#[test]
fn r56_what_is_nested_without_end_is_refused_soon() {
    const DEEP: usize = 100_000;
    let blocks: String = (0..2_000)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    let texts = [
        "[".repeat(DEEP),
        "{".repeat(DEEP),
        "[{a:".repeat(DEEP),
        "{\"a\":".repeat(DEEP),
        "{a: ".repeat(DEEP),
        format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP)),
        format!("a = {}", "[".repeat(DEEP)),
        format!("a = {}", "{a=".repeat(DEEP)),
        format!("a{} = 1", ".a".repeat(DEEP)),
        format!("[a{}]", ".a".repeat(DEEP)),
        "- ".repeat(DEEP),
        "? ".repeat(DEEP),
        "a: ".repeat(DEEP),
        "&a ".repeat(DEEP),
        "!a ".repeat(DEEP),
        blocks,
    ];
    for text in &texts {
        for name in FORMATS {
            let refused = load_text(text, Path::new(name), Path::new("/"), &Options::default());
            assert!(refused.is_err());
            survives(name, text);
        }
    }
}

#[test]
fn r56_what_is_long_takes_as_long_as_it_is() {
    const MANY: usize = 50_000;
    let keys: String = (0..MANY)
        .map(|number| format!("k{number} = {number}\n"))
        .collect();
    let entries: String = (0..MANY)
        .map(|number| format!("\"k{number}\": {number},"))
        .collect();
    let lines: String = (0..MANY)
        .map(|number| format!("k{number}: {number}\n"))
        .collect();
    let texts = [
        format!("[apps.web]\n{keys}"),
        format!("[apps.web.env]\n{keys}"),
        format!("{{\"script\": \"x\", {entries}}}"),
        format!("{{\"script\": \"/bin/sh\", \"env\": {{{entries}}}}}"),
        lines,
        format!("\"{}\" = 1", "k".repeat(1_000_000)),
        format!("{{\"script\": \"{}\"}}", "\\u0041".repeat(100_000)),
        format!("[{}]", "1,".repeat(100_000)),
        format!("args: {}", "\"a b\" ".repeat(100_000)),
        "#".repeat(1_000_000),
        "\n".repeat(1_000_000),
        " ".repeat(1_000_000),
        "/*".repeat(500_000),
        "'".repeat(500_000),
        "ü".repeat(500_000),
    ];
    for text in &texts {
        for name in FORMATS {
            survives(name, text);
        }
    }
}

/// Aliases of aliases stand for more than there is room for.
#[test]
fn r56_a_few_lines_cannot_become_millions_of_values() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        let all = vec![before; 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{all}]\n"));
    }
    let wrong = load_text(
        &text,
        Path::new("a.yaml"),
        Path::new("/"),
        &Options::default(),
    );
    let wrong = told(wrong.unwrap_err());
    assert!(wrong[0].contains("too many values"), "{wrong:?}");
    let wrong = load_text(
        "a: &a [*a]",
        Path::new("a.yaml"),
        Path::new("/"),
        &Options::default(),
    );
    assert!(told(wrong.unwrap_err())[0].contains("alias"));
}

/// Pieces of all formats.
const PIECES: [&str; 40] = [
    "[apps.web]",
    "\n",
    " ",
    "=",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "script",
    "\\",
    "\\u",
    "d83d",
    "#",
    "//",
    "/*",
    "*/",
    "- ",
    "&a",
    "*a",
    "<<",
    "!!int",
    "|",
    ">",
    "%",
    "---",
    "...",
    "1e999",
    "0x",
    "-",
    "\u{0}",
    "\u{feff}",
    "ü",
    "🦀",
    "apps",
    "null",
    "\r\n",
];

#[test]
fn random_texts_are_read_or_refused() {
    let mut seed: u64 = 0x1234_5678_9abc_def1;
    let mut next = |below: usize| {
        // xorshift
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).expect("it is less than a usize")
    };
    for round in 0..10_000 {
        let text: String = match round % 2 {
            0 => (0..next(40)).map(|_| PIECES[next(PIECES.len())]).collect(),
            _ => {
                let bytes: Vec<u8> = (0..next(200))
                    .map(|_| u8::try_from(next(256)).unwrap())
                    .collect();
                String::from_utf8_lossy(&bytes).into_owned()
            }
        };
        survives(FORMATS[round % 4], &text);
    }
}

#[test]
fn a_file_that_is_none_is_refused_at_once() {
    let scene = Scene::new("kinds");
    let fifo = scene.path().join("fifo.toml");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let link = scene.path().join("link.toml");
    symlink("/dev/zero", &link).unwrap();
    let large = scene.write("large.toml", &"#\n".repeat(3 << 20));
    for (path, part) in [(fifo, "is no file"), (link, "is no file"), (large, "4 MiB")] {
        let wrong = told(load(&path, &Options::default()).unwrap_err());
        assert!(wrong[0].contains(part), "{wrong:?}");
    }
}

/// What root runs, only root (or who calls root) may have written.
#[test]
fn a_file_that_others_can_write_is_refused_to_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let scene = Scene::new("trust");
    let path = scene.write("herder.toml", "[apps.a]\ncommand = 'sleep 1'\n");
    let read = || load(&path, &Options::default()).map_err(|problems| problems[0].clone());
    assert!(read().is_ok());
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    set(&path, 0o646);
    let refused = read().unwrap_err();
    assert_eq!(refused.kind, ProblemKind::Forbidden);
    assert!(refused.hint.unwrap().contains("chmod go-w"));
    set(&path, 0o644);
    set(scene.path(), 0o777);
    assert_eq!(read().unwrap_err().kind, ProblemKind::Forbidden);
    set(scene.path(), 0o755);
    chown(&path, Some(65534), None).unwrap();
    assert!(
        read()
            .unwrap_err()
            .message
            .contains("belongs to user 65534")
    );
    chown(&path, Some(0), Some(65534)).unwrap();
    set(&path, 0o664);
    assert_eq!(read().unwrap_err().kind, ProblemKind::Forbidden);
    set(&path, 0o644);
    assert!(read().is_ok());
    // The place of a link counts as well.
    let open = Scene::new("open");
    set(open.path(), 0o777);
    symlink(&path, open.path().join("herder.toml")).unwrap();
    let refused = load(&open.path().join("herder.toml"), &Options::default()).unwrap_err();
    assert_eq!(refused[0].kind, ProblemKind::Forbidden);
    set(open.path(), 0o755);
}
