use std::path::PathBuf;

use herder_master::GatewayUser;

use super::super::Level;
use super::super::facts::Space;
use super::super::facts::{Paper, Proxies, ProxyApp};
use super::*;

/// An app behind a proxy, with a certificate.
fn shop() -> ProxyApp {
    let paper = |path: &str, ends| Paper {
        path: PathBuf::from(path),
        problem: None,
        ends,
    };
    ProxyApp {
        name: "shop".to_owned(),
        max_clients: 1000,
        by_port: Some(1),
        certificates: vec![
            paper("/etc/shop.crt", Some(1_900_000_000)),
            paper("/etc/shop.key", None),
        ],
    }
}

/// A machine with nothing to complain of.
fn fine() -> Facts {
    let file = Some((1, 2));
    let ours = Build {
        version: "1.0.0".to_owned(),
        file,
    };
    Facts {
        kernel: "6.1.0-26-amd64".to_owned(),
        has_pidfd: true,
        cgroup: Cgroup::Open,
        capabilities: NET_BIND_SERVICE,
        no_kernel_dispatch: None,
        first_free_port: Some(1024),
        somaxconn: Some(4096),
        open_files: (65_536, 524_288),
        datagrams: Some(512),
        watches: (Some(524_288), Some(512)),
        runtime: Some((PathBuf::from("/run/user/1000"), true)),
        home: Home {
            path: PathBuf::from("/home/me/.herder"),
            found: Some((1000, 0o40700)),
            uid: 1000,
            filesystem: Some(0xef53),
            space: Some(Space {
                free_bytes: 20 << 30,
                all_bytes: 100 << 30,
                free_files: 1 << 20,
                all_files: 1 << 22,
            }),
            ..Home::default()
        },
        clock: (1_800_000_000, Some(1_700_000_000)),
        nodes: vec![(PathBuf::from("/usr/bin/node"), "v22.1.0".to_owned())],
        daemon: Some(Answered {
            daemon: ours.clone(),
            herds: vec![("web".to_owned(), ours.clone())],
            apps: Vec::new(),
        }),
        services: vec![Service {
            file: PathBuf::from("/etc/systemd/system/herder-me.service"),
            program: Some((PathBuf::from("/usr/bin/herder"), file)),
            home: Some(PathBuf::from("/home/me/.herder")),
        }],
        ours,
        proxies: Proxies {
            user: GatewayUser::Nobody,
            ports: Some((32_768, 60_999)),
            apps: vec![shop()],
        },
        has_init: true,
    }
}

fn level(facts: &Facts, subject: &str) -> Level {
    let found = check(facts);
    let one = found.into_iter().find(|finding| finding.subject == subject);
    one.unwrap_or_else(|| panic!("{subject} is checked")).level
}

/// What a change of the machine does to one finding.
fn changed(subject: &str, change: impl FnOnce(&mut Facts)) -> Level {
    let mut facts = fine();
    change(&mut facts);
    for finding in check(&facts) {
        assert!(
            finding.subject == subject || finding.level == Level::Ok,
            "{subject}: {finding:?}"
        );
        assert_eq!(
            finding.level == Level::Ok,
            finding.cure.is_none(),
            "{finding:?}"
        );
    }
    level(&facts, subject)
}

#[test]
fn a_fine_machine_is_fine_in_everything() {
    let found = check(&fine());
    assert_eq!(found.len(), 19);
    assert!(found.iter().all(|it| it.level == Level::Ok), "{found:?}");
}

#[test]
fn kernels_are_told_apart() {
    for (name, expected) in [
        ("4.19.0", Level::Problem),
        ("5.8.18", Level::Problem),
        ("5.10.0-30-amd64", Level::Warning),
        ("5.14.0", Level::Ok),
        ("7.0-rc1", Level::Ok),
        ("who knows", Level::Warning),
    ] {
        assert_eq!(
            changed("kernel", |it| it.kernel = name.to_owned()),
            expected,
            "{name}"
        );
    }
    assert_eq!(changed("pidfd", |it| it.has_pidfd = false), Level::Problem);
    assert_eq!(
        changed("cgroup", |it| it.cgroup = Cgroup::Closed),
        Level::Warning
    );
    assert_eq!(
        changed("cgroup", |it| it.cgroup = Cgroup::Absent),
        Level::Warning
    );
}

#[test]
fn limits_have_bounds() {
    assert_eq!(changed("ports", |it| it.capabilities = 0), Level::Warning);
    let free = |facts: &mut Facts| (facts.capabilities, facts.first_free_port) = (0, Some(80));
    assert_eq!(changed("ports", free), Level::Ok);
    assert_eq!(
        changed("somaxconn", |it| it.somaxconn = Some(128)),
        Level::Warning
    );
    assert_eq!(changed("somaxconn", |it| it.somaxconn = None), Level::Ok);
    assert_eq!(
        changed("open files", |it| it.open_files = (1024, 4096)),
        Level::Warning
    );
    assert_eq!(
        changed("open files", |it| it.open_files = (256, 65_536)),
        Level::Warning
    );
    assert_eq!(
        changed("open files", |it| it.open_files = (1024, 65_536)),
        Level::Ok
    );
    assert_eq!(
        changed("datagrams", |it| it.datagrams = Some(5)),
        Level::Warning
    );
    assert_eq!(
        changed("inotify", |it| it.watches.0 = Some(8192)),
        Level::Warning
    );
    assert_eq!(
        changed("inotify", |it| it.watches.1 = Some(16)),
        Level::Warning
    );
    assert_eq!(changed("runtime", |it| it.runtime = None), Level::Warning);
}

#[test]
fn a_home_is_ours_closed_and_here() {
    let found = |owner, mode| {
        changed("home", move |it: &mut Facts| {
            it.home.found = Some((owner, mode));
        })
    };
    assert_eq!(found(0, 0o40700), Level::Problem);
    assert_eq!(found(1000, 0o40755), Level::Problem);
    assert_eq!(
        found(1000, 0o40710),
        Level::Ok,
        "a read group passes through"
    );
    assert_eq!(changed("home", |it| it.home.found = None), Level::Ok);
    let on = |kind| {
        changed("file system", move |it: &mut Facts| {
            it.home.filesystem = Some(kind);
        })
    };
    assert_eq!((on(0x6969), on(TMPFS)), (Level::Problem, Level::Warning));
    let free = |bytes, files| {
        changed("disk", move |it: &mut Facts| {
            it.home.space = Some(Space {
                free_bytes: bytes,
                all_bytes: 1 << 40,
                free_files: files,
                all_files: 1 << 20,
            });
        })
    };
    assert_eq!(free(1 << 20, 1 << 20), Level::Problem);
    assert_eq!(free(500 << 20, 1 << 20), Level::Warning);
    assert_eq!(free(1 << 39, 10), Level::Problem);
    assert_eq!(
        changed("stale files", |it| it
            .home
            .dead_sockets
            .push("web.sock".to_owned())),
        Level::Warning
    );
    assert_eq!(
        changed("stale files", |it| it
            .home
            .lost_orders
            .push("old.json".to_owned())),
        Level::Warning
    );
}

#[test]
fn times_programs_and_builds() {
    assert_eq!(changed("clock", |it| it.clock.0 = 0), Level::Problem);
    assert_eq!(changed("clock", |it| it.clock.1 = None), Level::Ok);
    let node = |version: &str| {
        let version = version.to_owned();
        changed("node", move |it: &mut Facts| it.nodes[0].1 = version)
    };
    assert_eq!(
        (node("v16.20.2"), node("v18.0.0")),
        (Level::Warning, Level::Ok)
    );
    assert_eq!(node(""), Level::Warning);
    assert_eq!(changed("node", |it| it.nodes.clear()), Level::Ok);
    assert_eq!(changed("builds", |it| it.daemon = None), Level::Ok);
    let other = Build {
        version: "1.0.0".to_owned(),
        file: Some((1, 3)),
    };
    let herd = other.clone();
    let of_herd = |it: &mut Facts| it.daemon.as_mut().expect("it answers").herds[0].1 = herd;
    assert_eq!(changed("builds", of_herd), Level::Warning);
    // Where files cannot be seen, names decide.
    let unseen = Build {
        file: None,
        ..other
    };
    let of_daemon = |it: &mut Facts| it.daemon.as_mut().expect("it answers").daemon = unseen;
    assert_eq!(changed("builds", of_daemon), Level::Ok);
}

#[test]
fn a_service_starts_this_build_in_this_home() {
    assert_eq!(changed("startup", |it| it.services.clear()), Level::Warning);
    let container = |it: &mut Facts| {
        it.services.clear();
        it.has_init = false;
    };
    assert_eq!(changed("startup", container), Level::Ok);
    let other = |it: &mut Facts| it.services[0].home = Some(PathBuf::from("/root/.herder"));
    assert_eq!(changed("startup", other), Level::Warning);
    let runs = |file: Option<(u64, u64)>| {
        changed("startup", move |it: &mut Facts| {
            it.services[0].program = Some((PathBuf::from("/opt/herder"), file));
        })
    };
    assert_eq!(
        (runs(Some((9, 9))), runs(None)),
        (Level::Warning, Level::Problem)
    );
    assert_eq!(
        changed("startup", |it| it.services[0].program = None),
        Level::Warning
    );
}

#[test]
fn proxies_have_what_they_need() {
    let app = |change: fn(&mut ProxyApp)| {
        changed("proxy", move |it: &mut Facts| {
            change(&mut it.proxies.apps[0]);
        })
    };
    let root = |it: &mut Facts| it.proxies.user = GatewayUser::Root;
    assert_eq!(changed("proxy", root), Level::Warning);
    let unused = |it: &mut Facts| (it.proxies.user, it.proxies.apps) = (GatewayUser::Root, vec![]);
    assert_eq!(changed("proxy", unused), Level::Ok);
    // 2 * 300,000 and some are more than the 524,288 that are permitted.
    assert_eq!(
        app(|it| (it.max_clients, it.by_port) = (300_000, None)),
        Level::Warning
    );
    assert_eq!(
        app(|it| (it.max_clients, it.by_port) = (260_000, None)),
        Level::Ok
    );
    assert_eq!(app(|it| it.max_clients = 30_000), Level::Warning);
    assert_eq!(
        app(|it| (it.max_clients, it.by_port) = (30_000, Some(2))),
        Level::Ok
    );
    // It is 1,800,000,000.
    let ends = |at: u64| {
        changed("proxy", move |it: &mut Facts| {
            it.proxies.apps[0].certificates[0].ends = Some(at);
        })
    };
    assert_eq!(ends(1_799_999_999), Level::Problem);
    assert_eq!(ends(1_800_000_000 + 13 * 86_400), Level::Warning);
    assert_eq!(ends(1_800_000_000 + 15 * 86_400), Level::Ok);
    let unread = |it: &mut ProxyApp| it.certificates[1].problem = Some("denied".to_owned());
    assert_eq!(app(unread), Level::Problem);
}
