//! Who gets in, and what nobody is told.

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::{Gid, Uid};

use super::super::Door;
use super::stage::{Stage, status};

/// A user that is neither us nor root.
const NOBODY: u32 = 65534;

/// A group that is nobody's.
const GROUP: u32 = 54321;

/// A connection of somebody else. The kernel knows threads: only this one is somebody else.
async fn connected(socket: &Path, groups: &'static [u32]) -> std::io::Result<UnixStream> {
    let socket = socket.to_owned();
    let connecting = tokio::task::spawn_blocking(move || {
        let thread = std::thread::spawn(move || {
            let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            let groups: Vec<Gid> = groups.iter().map(|group| Gid::from_raw(*group)).collect();
            rustix::thread::set_thread_groups(&groups).unwrap();
            rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
            rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
            UnixStream::connect(&socket)
        });
        thread.join().unwrap()
    });
    connecting.await.unwrap()
}

/// What somebody else is told who says this.
async fn told(socket: &Path, groups: &'static [u32], request: &'static str) -> String {
    let mut stream = connected(socket, groups).await.unwrap();
    let asking = tokio::task::spawn_blocking(move || {
        // Whoever is turned away may be so before it has said everything.
        drop(stream.write_all(request.as_bytes()));
        let mut answer = String::new();
        drop(stream.read_to_string(&mut answer));
        answer
    });
    asking.await.unwrap()
}

/// Opens what protects the socket beside the daemon itself.
fn expose(stage: &Stage) {
    let set = |path: &Path, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, mode).unwrap();
    };
    set(&stage.directory, 0o755);
    set(&stage.socket, 0o666);
}

fn is_root() -> bool {
    let root = herder_sys::user::is_root();
    if !root {
        eprintln!("only root can be somebody else: not tested");
    }
    root
}

const DAEMON: &str = "GET /v1/daemon HTTP/1.1\r\nhost: x\r\n\r\n";
const SAVE: &str = "POST /v1/save HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn r57_the_socket_is_for_its_owner() {
    let stage = Stage::new();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(&stage.socket), 0o600);
    assert_eq!(status(&stage.get("/v1/daemon").await), 200);
}

#[tokio::test]
async fn r57_a_stranger_is_turned_away_before_a_byte_is_read() {
    if !is_root() {
        return;
    }
    let stage = Stage::new();
    let refused = connected(&stage.socket, &[]).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);

    expose(&stage);
    for request in [DAEMON, SAVE, "", "no HTTP\r\n\r\n", "GET /v1/dae"] {
        let answer = told(&stage.socket, &[], request).await;
        assert_eq!(status(&answer), 403, "{request:?}: {answer}");
        assert!(answer.contains("another user's"), "{answer}");
        assert!(!answer.contains("4711"), "{answer}");
    }
    // Also when there is a group, and it is not in it.
    let stage = Stage::with(Some(GROUP));
    expose(&stage);
    assert_eq!(
        status(&told(&stage.socket, &[GROUP + 1], DAEMON).await),
        403
    );
}

#[tokio::test]
async fn r57_a_group_may_look_and_nothing_else() {
    if !is_root() {
        return;
    }
    let stage = Stage::with(Some(GROUP));
    let socket = std::fs::metadata(&stage.socket).unwrap();
    assert_eq!((socket.mode() & 0o7777, socket.gid()), (0o660, GROUP));
    let home = std::fs::metadata(&stage.directory).unwrap();
    assert_eq!((home.mode() & 0o7777, home.gid()), (0o710, GROUP));
    let stranger = connected(&stage.socket, &[GROUP + 1]).await.unwrap_err();
    assert_eq!(stranger.kind(), std::io::ErrorKind::PermissionDenied);
    let answer = told(&stage.socket, &[GROUP], DAEMON).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.contains("4711"), "{answer}");
    for request in [
        SAVE,
        "POST /v1/daemon/stop HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}",
        "POST /v1/actions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
    ] {
        let answer = told(&stage.socket, &[1, GROUP], request).await;
        assert_eq!(status(&answer), 403, "{request:?}: {answer}");
    }
    assert_eq!(
        status(&stage.post("/v1/save", "").await),
        200,
        "its owner may"
    );
}

#[tokio::test]
async fn r57_a_group_cannot_keep_the_owner_out() {
    if !is_root() {
        return;
    }
    let stage = Stage::with(Some(GROUP));
    let mut inside = Vec::new();
    for _ in 0..8 {
        inside.push(connected(&stage.socket, &[GROUP]).await.unwrap());
    }
    assert_eq!(status(&told(&stage.socket, &[GROUP], DAEMON).await), 503);
    assert_eq!(status(&stage.get("/v1/daemon").await), 200);
    drop(inside);
}

#[tokio::test]
async fn r57_a_socket_is_bound_where_a_dead_one_was_and_over_nothing_else() {
    let directory = std::env::temp_dir().join(format!("herder-door-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let socket = directory.join("herder.sock");
    drop(Door::open(&socket, None).unwrap());
    assert!(socket.exists(), "its process died");
    let door = Door::open(&socket, None).unwrap();
    let error = Door::open(&socket, None).unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    drop(door);
    std::fs::remove_file(&socket).unwrap();
    std::fs::write(&socket, "mine").unwrap();
    let error = Door::open(&socket, None).unwrap_err();
    assert!(error.to_string().contains("a regular file"), "{error}");
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "mine");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn r61_metrics_show_no_environment_argument_or_path() {
    let stage = Stage::new();
    let answer = stage.get("/metrics").await;
    assert_eq!(status(&answer), 200, "{answer}");
    for secret in ["canary", "/srv", "server.js", "4711", "PORT", "production"] {
        assert!(!answer.contains(secret), "{secret}: {answer}");
    }
}
