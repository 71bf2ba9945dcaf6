//! How `herder run` ends when it cannot do what it was told to, and what it says then.

use herder_e2e::foreign::{BOOT, address, examples, run, wait_for};
use herder_e2e::herd::{Herd, Stream};
use herder_e2e::scene::Scene;
use rustix::process::Signal;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

/// Waits for the end, and fails the test unless the status and the text on standard error are these.
#[track_caller]
fn assert_ends(herd: &Herd, status: i32, texts: &[&str]) {
    let code = herd.wait_for_exit(BOOT).code();
    let said = herd.texts(Stream::Stderr).join("\n");
    assert_eq!(code, Some(status), "{said}");
    for text in texts {
        assert!(said.contains(text), "{text:?} is missing in:\n{said}");
    }
}

#[track_caller]
fn refused(options: &[&str], program: &[&str], texts: &[&str]) {
    let scene = Scene::new("refused");
    let herd = run(&scene, options, program).start();
    assert_ends(&herd, 2, texts);
    assert!(herd.texts(Stream::Stdout).is_empty());
}

#[test]
fn a_wrong_option_ends_with_2_and_is_named() {
    refused(&["--grace", "soon"], &["true"], &["--grace", "500ms, 30s"]);
    refused(&["-i", "0"], &["true"], &["--workers", "256"]);
    refused(&["-i", "many"], &["true"], &["--workers", "max"]);
    refused(&["-l", "nonsense"], &["true"], &["--listen", "nonsense"]);
    refused(&["--bogus"], &["true"], &["--bogus"]);
    refused(&["--name", "a/b"], &["true"], &["--name"]);
    refused(&["--cwd", "/no/such"], &["true"], &["--cwd", "/no/such"]);
    refused(
        &["--user", "no-such-user"],
        &["true"],
        &["--user", "no-such-user"],
    );
}

#[test]
fn what_contradicts_itself_is_refused_and_named() {
    refused(
        &["--ready-after", "10s", "--boot-timeout", "1s"],
        &["sleep", "60"],
        &["--ready-after 10s", "--boot-timeout (1s)"],
    );
    refused(
        &["-l", "unix:/tmp/twice", "-l", "unix:/tmp/twice"],
        &["sleep", "60"],
        &["unix:/tmp/twice is given twice"],
    );
}

#[test]
fn what_a_foreign_program_cannot_have_is_refused_with_the_reason() {
    refused(
        &["--dispatch", "pass"],
        &["true"],
        &["--dispatch pass", "use --dispatch shared"],
    );
    refused(
        &["--policy", "round-robin"],
        &["true"],
        &["--policy", "shared mode"],
    );
    refused(
        &["--max-requests", "5"],
        &["true"],
        &["--max-requests", "--max-lifetime"],
    );
}

#[test]
fn a_program_that_is_not_there_ends_with_2_and_is_named() {
    refused(&[], &["no-such-program"], &["\"no-such-program\"", "PATH"]);
    refused(&[], &["./missing"], &["./missing", "No such file"]);
    refused(&[], &["/etc/passwd"], &["/etc/passwd", "chmod +x"]);
    refused(&[], &["/"], &["it is not a file"]);
    refused(&[], &[""], &["name is empty"]);
}

#[test]
fn a_program_that_the_kernel_will_not_run_ends_with_3_and_the_reason() {
    let scene = Scene::new("format");
    let file = scene.directory().join("program");
    std::fs::write(&file, "#!/no/such/interpreter\n").expect("a file in the scene");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&file, mode).expect("our own file");
    let options = ["-i", "1", "--ready", "notify", "--max-restarts", "1"];
    let herd = run(&scene, &options, &["./program"]).start();
    assert_ends(
        &herd,
        3,
        &["could not be launched", "program", "No such file"],
    );
}

#[test]
fn r12_a_first_start_that_fails_ends_with_3_and_the_last_words() {
    let scene = Scene::new("boot_failed");
    let program = [
        "sh",
        "-c",
        "echo reading the settings; echo cannot find the database >&2; exit 7",
    ];
    let options = ["-i", "2", "--ready", "notify", "--max-restarts", "2"];
    let herd = run(&scene, &options, &program).start();
    assert_ends(
        &herd,
        3,
        &[
            "died: exit status 7 (crash)",
            "no worker became ready",
            "the worker printed last:",
        ],
    );
    let said = herd.texts(Stream::Stderr).join("\n");
    let (_, last) = said
        .split_once("the worker printed last:")
        .expect("asserted above");
    assert!(
        last.contains("cannot find the database") && last.contains("reading the settings"),
        "{last}"
    );
}

#[test]
fn r12_a_program_that_fails_in_silence_ends_with_3() {
    let scene = Scene::new("silent");
    let options = ["-i", "3", "--ready", "notify", "--max-restarts", "1"];
    let herd = run(&scene, &options, &["false"]).start();
    assert_ends(
        &herd,
        3,
        &["died: exit status 1 (crash)", "no worker became ready"],
    );
}

#[test]
fn a_worker_that_was_ready_never_ends_the_herd() {
    let scene = Scene::new("quarantine");
    // Lives just long enough to count as ready, then fails, again and again.
    let program = ["sh", "-c", "sleep 0.3; exit 1"];
    let options = [
        "-i",
        "1",
        "--ready-after",
        "100ms",
        "--max-restarts",
        "2",
        "--restart-window",
        "60s",
    ];
    let herd = run(&scene, &options, &program).start();
    herd.wait_for_line("its quarantine", BOOT, |line| {
        line.contains("slot 0 is quarantined: 2 restarts within 60s")
            .then_some(())
    });
    herd.signal(Signal::TERM);
    assert_ends(&herd, 0, &[]);
}

#[test]
fn an_address_that_is_taken_ends_with_4_and_is_named() {
    let scene = Scene::new("taken");
    let blocker = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = blocker.local_addr().expect("it is bound").to_string();
    let herd = run(&scene, &["-l", &taken], &["sleep", "600"]).start();
    assert_ends(&herd, 4, &[&taken, "another process listens there"]);
    drop(blocker);

    let path = scene.directory().join("taken.sock");
    let blocker = UnixListener::bind(&path).expect("a socket in the scene");
    let herd = run(&scene, &["-l", "unix:taken.sock"], &["sleep", "600"]).start();
    assert_ends(&herd, 4, &["taken.sock", "another process listens there"]);
    drop(blocker);
    std::fs::remove_file(path).expect("it is still there: it was not ours to remove");

    let herd = run(
        &scene,
        &["-l", "unix:no/such/dir/x.sock"],
        &["sleep", "600"],
    )
    .start();
    assert_ends(&herd, 4, &["no/such/dir/x.sock"]);
    let herd = run(&scene, &["-l", "no-such-host.invalid:80"], &["true"]).start();
    assert_ends(&herd, 4, &["no-such-host.invalid"]);
}

#[test]
fn a_stale_unix_socket_is_taken_over() {
    let scene = Scene::new("stale");
    let path = scene.directory().join("stale.sock");
    drop(UnixListener::bind(&path).expect("a socket in the scene"));
    let options = ["-l", "unix:stale.sock", "-i", "1"];
    let herd = run(&scene, &options, &["sleep", "600"]).start();
    wait_for(&herd, 0, 1, "ready", BOOT);
    assert!(herd.end().success());
    assert!(!path.exists());
}

#[test]
fn a_herd_may_have_no_listener_and_a_port_from_the_kernel() {
    let scene = Scene::new("no_listener");
    let herd = run(&scene, &["-i", "1"], &["sleep", "600"]).start();
    wait_for(&herd, 0, 1, "ready", BOOT);
    assert!(herd.end().success());
    let options = ["-l", "[::1]:0", "-l", "127.0.0.1:0", "-i", "1"];
    let herd = run(&scene, &options, &["sleep", "600"]).start();
    assert_ne!(address(&herd).port(), 0);
    assert!(herd.end().success());
}

#[test]
fn a_program_without_its_listener_says_what_is_wrong() {
    let scene = Scene::new("without");
    let options = ["-i", "1", "--ready", "notify", "--max-restarts", "1"];
    let herd = run(&scene, &options, &["python3", "plain.py"])
        .directory(examples())
        .start();
    assert_ends(&herd, 3, &["plain.py needs one listener"]);
}
