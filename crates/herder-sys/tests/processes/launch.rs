//! Starting children through a descriptor, and failing to.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;

use herder_sys::fd;
use herder_sys::process::{self, Child, Executable, Launch};

use crate::scene::{TempDir, act, role, start};

/// Prints its name, its path and its short name before and after it is restored.
pub(crate) fn show_self() {
    let comm = || fs::read_to_string("/proc/self/comm").unwrap();
    println!("{}", std::env::args().next().unwrap());
    println!("{}", Executable::current().unwrap().path().display());
    process::set_comm("wrong").unwrap();
    print!("{}", comm());
    process::restore_comm().unwrap();
    print!("{}", comm());
}

pub(crate) fn replaced_program() {
    let dir = TempDir::new("herder-sys-replaced");
    let path = dir.path().join("my-program");
    fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
    let opened = Executable::open(&path).unwrap();
    let newer = dir.path().join("newer");
    fs::write(&newer, "#!/bin/sh\necho replaced\n").unwrap();
    fs::set_permissions(&newer, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(newer, &path).unwrap();
    let text = start(&opened, "the name given", &[], role("show-self")).finish();
    let lines: Vec<&str> = text.lines().collect();
    let path = path.to_string_lossy().into_owned();
    assert_eq!(
        lines,
        ["the name given", path.as_str(), "wrong", "my-program"]
    );
    assert_eq!(opened.path().to_string_lossy(), path);
}

/// Goes on as a shell, first as what is none.
pub(crate) fn become_a_shell() {
    println!("{}", process::current_pid());
    let (stdin, input) = herder_sys::pipe::pipe().unwrap();
    fs::File::from(input).write_all(b"given").unwrap();
    let argv = |text: &str| ["sh", "-c", text].map(OsString::from);
    let environment = [("HERDER_SYS_ADDED".into(), "yes".into())];
    let passwd = Executable::open("/etc/passwd").unwrap();
    let error = passwd.replace_process(&stdin, &argv(""), &environment);
    assert_eq!(error.raw_os_error(), Some(libc::EACCES));
    let standard = fs::read_link("/proc/self/fd/0").unwrap();
    assert_eq!(standard, std::path::Path::new("/dev/null"));
    // Nobody holds a second thread against it.
    std::thread::spawn(|| {
        loop {
            std::thread::park();
        }
    });
    let text = "echo $$; cat; echo; echo $HERDER_SYS_ADDED; ls /proc/$$/fd";
    let sh = Executable::open("/bin/sh").unwrap();
    panic!("{}", sh.replace_process(&stdin, &argv(text), &environment));
}

pub(crate) fn replaced_process() {
    let text = act("become-a-shell", &[]).finish();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], lines[1], "the same process");
    assert_eq!(lines[2..], ["given", "yes", "0", "1", "2"]);
}

pub(crate) fn environment_is_laid_over() {
    let sh = Executable::open("/bin/sh").unwrap();
    let added: Vec<(OsString, OsString)> = vec![
        ("HERDER_SYS_ADDED".into(), "yes".into()),
        ("LC_ALL".into(), "C".into()),
    ];
    // The fifth field of `stat` is the process group.
    let script = "echo $HERDER_SYS_ADDED $LC_ALL ${PATH:+path}; \
                  [ $(cut -d' ' -f5 /proc/$$/stat) = $$ ] && echo own group";
    let text = start(&sh, "sh", &["-c", script], added).finish();
    assert_eq!(text, "yes C path\nown group\n");
}

fn try_launch(executable: &Executable, stdin: OwnedFd, stdout: OwnedFd) -> std::io::Result<Child> {
    process::launch(Launch {
        executable,
        argv0: "x".into(),
        args: &[],
        environment: role("show-self"),
        stdin,
        stdout: Some(stdout),
        stderr: None,
    })
}

pub(crate) fn r16_failed_launch() {
    let passwd = Executable::open("/etc/passwd").unwrap();
    let before = fd::open_count().unwrap();
    let error = try_launch(&passwd, fd::null().unwrap(), fd::null().unwrap()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EACCES));
    assert_eq!(fd::open_count().unwrap(), before);
    assert_eq!(process::children().unwrap(), []);
    assert!(Executable::open("/no/such/program").is_err());
}

/// Launches with every descriptor used up: the child runs, but no handle of it can be opened.
pub(crate) fn no_descriptor_left() {
    let own = Executable::current().unwrap();
    let (stdin, stdout) = (fd::null().unwrap(), fd::null().unwrap());
    let before = fd::open_count().unwrap();
    let mut filling = Vec::new();
    while let Ok(fd) = fd::null() {
        filling.push(fd);
    }
    let error = try_launch(&own, stdin, stdout).unwrap_err();
    drop(filling);
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    assert_eq!(process::children().unwrap(), []);
    assert_eq!(
        fd::open_count().unwrap(),
        before - 2,
        "those given for the child are closed"
    );
}

pub(crate) fn r16_without_descriptors() {
    assert_eq!(act("no-descriptor-left", &[]).finish(), "");
}
