//! Where a herd can listen, and what it leaves there.

use herder_e2e::binary::Binary;
use herder_e2e::client::{Load, Target};
use herder_e2e::foreign::{BOOT, pid_of_body, wait_for};
use herder_e2e::herd::{Herd, Stream};
use herder_e2e::native::{TEST_HERD, herd};
use herder_e2e::scene::Scene;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Both workers answer there.
fn serves(target: impl Into<Target>) {
    let load = Load::http(target, "/").count(10).timeout(BOOT);
    let load = load.worker_from(pid_of_body);
    load.run_until("both answer", |it| it.per_worker().len() == 2);
}

fn addresses(herd: &Herd) -> Vec<SocketAddr> {
    wait_for(herd, 0, 2, "ready", BOOT);
    let lines = herd.texts(Stream::Stderr);
    lines
        .iter()
        .filter_map(|line| line.split_once("listening on ")?.1.parse().ok())
        .collect()
}

fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

fn is_socket(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|it| it.file_type().is_socket())
}

#[test]
fn a_unix_listener_serves_and_its_file_goes_with_the_herd() {
    for mode in ["pass", "shared"] {
        let scene = Scene::new("unix");
        let path = scene.directory().join("it.sock");
        let options = ["--listen", &unix(&path), "--dispatch", mode];
        let herd = herd(&scene, &options).start();
        wait_for(&herd, 0, 2, "ready", BOOT);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let load = Load::http(Target::Unix(path.clone()), "/slow/20")
            .clients(8)
            .count(32);
        let load = load.timeout(BOOT).worker_from(pid_of_body);
        load.run_until(mode, |it| it.per_worker().len() == 2);
        assert!(herd.end().success());
        assert!(!path.exists(), "{mode}");
    }
}

#[test]
fn r41_a_stale_socket_file_is_replaced_and_a_living_one_is_not() {
    let scene = Scene::new("stale");
    let path = scene.directory().join("it.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let refused = herd(&scene, &["--listen", &unix(&path)]).start();
    assert_eq!(
        refused.wait_for_exit(BOOT).code(),
        Some(4),
        "somebody listens there"
    );
    assert!(is_socket(&path), "and still does");
    drop(listener);
    let herd = herd(&scene, &["--listen", &unix(&path)]).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    serves(Target::Unix(path.clone()));
    assert!(herd.end().success());
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let scene = Scene::new("file");
    let path = scene.directory().join("precious");
    std::fs::write(&path, "text").unwrap();
    let herd = herd(&scene, &["--listen", &unix(&path)]).start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(4));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "text");
}

#[test]
fn several_listeners_are_served_by_all_workers() {
    let scene = Scene::new("several");
    let path = scene.directory().join("it.sock");
    let unix = unix(&path);
    let mut options = vec![
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "127.0.0.1:0",
        "--listen",
        &unix,
    ];
    let with_ipv6 = TcpListener::bind("[::1]:0").is_ok();
    if with_ipv6 {
        options.extend(["--listen", "[::1]:0"]);
    } else {
        println!("without IPv6, which this machine does not have");
    }
    let herd = herd(&scene, &options).start();
    let addresses = addresses(&herd);
    let ports: BTreeSet<u16> = addresses.iter().map(SocketAddr::port).collect();
    assert_eq!(addresses.len(), 2 + usize::from(with_ipv6));
    assert!(
        ports.len() == addresses.len() && !ports.contains(&0),
        "{addresses:?}"
    );
    for address in addresses {
        serves(address);
    }
    serves(Target::Unix(path));
    assert!(herd.end().success());
}

#[test]
fn a_port_in_use_is_said_so() {
    let scene = Scene::new("in_use");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let herd = herd(&scene, &["--listen", &address]).start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(4));
    let said = herd.texts(Stream::Stderr).join("\n");
    assert!(
        said.contains(&address) && said.contains("another process listens there"),
        "{said}"
    );
}

#[test]
fn a_port_is_free_again_when_the_herd_has_ended() {
    let scene = Scene::new("again");
    let first = herd(&scene, &[]).start();
    let address = addresses(&first)[0];
    serves(address);
    first.signal(Signal::TERM);
    assert!(first.wait_for_exit(BOOT).success());
    let second = herd(&scene, &["--listen", &address.to_string()]).start();
    assert_eq!(addresses(&second), [address]);
    serves(address);
    assert!(second.end().success());
}

#[test]
fn threads_before_init_are_refused_with_the_cure() {
    let scene = Scene::new("threads");
    let herd = scene.herd(TEST_HERD).arg("--early-thread").start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(70));
    let said = herd.texts(Stream::Stderr).join("\n");
    for word in ["2 threads", "herder::init()", "#[tokio::main]", "run_async"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn titles_name_the_members_of_the_herd() {
    let scene = Scene::new("titles");
    let options = ["--listen", "127.0.0.1:0", "--workers", "2"];
    let herd = scene.herd(Binary::NET_CLUSTER).args(options).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    let titles: BTreeSet<String> = herd.descendants().into_iter().map(|it| it.title).collect();
    let expected = [
        "herder: keeper net-cluster",
        "herder: master net-cluster",
        "herder: worker net-cluster/0",
        "herder: worker net-cluster/1",
    ];
    assert_eq!(titles, expected.map(str::to_owned).into());
    assert!(herd.end().success());
}
