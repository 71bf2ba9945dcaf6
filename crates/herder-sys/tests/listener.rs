//! Listening: who is reachable where, who is refused, and what is left in the file system.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "support/directory.rs"]
mod directory;
#[path = "support/own_process.rs"]
mod own_process;

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use directory::Directory;
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::fd::{duplicate, null};
use herder_sys::listener::{
    AcceptError, Address, BoundAddress, ListenError, ListenOptions, Listener, accept, accept_error,
    accept_queue_length, connect_and_close, has_waiting, listen_again, local_address,
};
use own_process::in_own_process;

fn tcp(host: Option<&str>, port: u16) -> Result<Listener, ListenError> {
    Listener::bind(Address::Tcp { host, port }, &ListenOptions::default())
}

fn unix(path: &Path) -> Result<Listener, ListenError> {
    Listener::bind(Address::Unix(path), &ListenOptions::default())
}

fn socket_address(listener: &Listener) -> SocketAddr {
    match listener.local() {
        BoundAddress::Tcp(address) => *address,
        BoundAddress::Unix(path) => panic!("{}", path.display()),
    }
}

/// Waits until a connection is there, then takes it.
fn take(listener: &Listener) -> OwnedFd {
    let (epoll, mut events) = (Epoll::new().unwrap(), Events::with_capacity(1));
    epoll.add(listener.as_fd(), 0, Interest::READABLE).unwrap();
    epoll
        .wait(&mut events, Some(Duration::from_secs(10)))
        .unwrap();
    accept(listener.as_fd()).unwrap()
}

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

#[test]
fn no_host_is_reachable_by_both_families() {
    let listener = tcp(None, 0).unwrap();
    let port = socket_address(&listener).port();
    assert_ne!(port, 0);
    let mut hosts = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
    if has_ipv6() {
        assert!(socket_address(&listener).is_ipv6());
        hosts.push((Ipv6Addr::LOCALHOST, port).into());
    }
    for host in hosts {
        let mut client = TcpStream::connect(host).unwrap();
        let served = take(&listener);
        let flags = rustix::fs::fcntl_getfl(&served).unwrap();
        assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
        let flags = rustix::io::fcntl_getfd(&served).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        assert!(
            rustix::net::sockopt::tcp_nodelay(&served).unwrap(),
            "inherited"
        );
        File::from(served).write_all(b"hello").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "hello", "{host}");
    }
}

#[test]
fn hosts_by_name_and_by_number() {
    let listener = tcp(Some("localhost"), 0).unwrap();
    assert_eq!(socket_address(&listener).ip(), Ipv4Addr::LOCALHOST);
    assert!(listener.local().to_string().starts_with("127.0.0.1:"));
    if has_ipv6() {
        for host in ["::1", "[::1]"] {
            let listener = tcp(Some(host), 0).unwrap();
            assert!(listener.local().to_string().starts_with("[::1]:"), "{host}");
        }
    }
    let error = tcp(Some("192.0.2.1"), 0).unwrap_err();
    assert!(matches!(error, ListenError::NotHere { .. }));
    assert_eq!(
        error.to_string(),
        "cannot listen on 192.0.2.1:0: this machine has no such address"
    );
    let error = tcp(Some("no such host"), 80).unwrap_err();
    assert!(matches!(error, ListenError::UnknownHost { .. }), "{error}");
    let shown = Address::Tcp {
        host: Some("::1"),
        port: 1,
    }
    .to_string();
    assert_eq!(shown, "[::1]:1");
    assert_eq!(
        Address::Tcp {
            host: None,
            port: 1
        }
        .to_string(),
        "*:1"
    );
}

#[test]
fn a_stranger_on_the_port_is_a_clear_error() {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    for host in [Some("127.0.0.1"), Some("localhost"), None] {
        let error = tcp(host, port).unwrap_err();
        assert!(
            matches!(error, ListenError::InUse { .. }),
            "{host:?}: {error}"
        );
        let told = error.to_string();
        assert!(
            told.contains(&port.to_string()) && told.contains("another process"),
            "{told}"
        );
        assert_eq!(std::io::Error::from(error).kind(), ErrorKind::AddrInUse);
    }
    if has_ipv6() {
        let stranger = TcpListener::bind("[::1]:0").unwrap();
        let error = tcp(None, stranger.local_addr().unwrap().port()).unwrap_err();
        assert!(
            matches!(error, ListenError::InUse { .. }),
            "not evaded by IPv4 alone: {error}"
        );
    }
    let herd = tcp(None, 0).unwrap();
    let port = socket_address(&herd).port();
    assert!(
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err(),
        "nor may a stranger join"
    );
    assert!(tcp(None, port).is_err());
}

#[test]
fn a_port_is_free_again_at_once() {
    let listener = tcp(Some("127.0.0.1"), 0).unwrap();
    let address = socket_address(&listener);
    let client = TcpStream::connect(address).unwrap();
    // Closed from this side first: TIME_WAIT stays here.
    drop(take(&listener));
    drop((listener, client));
    tcp(Some("127.0.0.1"), address.port()).unwrap();
}

#[test]
fn waiting_connections_are_counted() {
    let listener = tcp(Some("127.0.0.1"), 0).unwrap();
    let outside = duplicate(listener.as_fd()).unwrap();
    assert_eq!(accept_queue_length(outside.as_fd()).unwrap(), Some(0));
    assert!(!listener.has_waiting());
    let none = accept(listener.as_fd()).unwrap_err();
    assert_eq!(accept_error(&none), AcceptError::None);
    let clients: Vec<_> = (0..3)
        .map(|_| TcpStream::connect(socket_address(&listener)).unwrap())
        .collect();
    assert_eq!(accept_queue_length(outside.as_fd()).unwrap(), Some(3));
    assert!(has_waiting(outside.as_fd()));
    accept(listener.as_fd()).unwrap();
    assert_eq!(listener.accept_queue_length().unwrap(), Some(2));
    drop(clients);

    let directory = Directory::new();
    let listener = unix(&directory.file("s")).unwrap();
    let _client = UnixStream::connect(directory.file("s")).unwrap();
    assert_eq!(listener.accept_queue_length().unwrap(), None);
    assert!(listener.has_waiting());
    assert!(accept_queue_length(null().unwrap().as_fd()).is_err());
}

#[test]
fn the_backlog_is_the_length_of_the_queue() {
    let options = ListenOptions {
        backlog: 2,
        ..ListenOptions::default()
    };
    let directory = Directory::new();
    let listener = Listener::bind(Address::Unix(&directory.file("s")), &options).unwrap();
    let nudges = (0..10)
        .take_while(|_| connect_and_close(listener.local()).is_ok())
        .count();
    assert_eq!(nudges, 3, "the kernel lets in one more");
    let full = connect_and_close(listener.local()).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    listen_again(listener.as_fd(), 10).unwrap();
    connect_and_close(listener.local()).unwrap();
}

#[test]
fn a_nudge_is_a_connection_that_ends() {
    let directory = Directory::new();
    let all = tcp(None, 0).unwrap();
    for listener in [
        all,
        tcp(Some("127.0.0.1"), 0).unwrap(),
        unix(&directory.file("s")).unwrap(),
    ] {
        connect_and_close(listener.local()).unwrap();
        let mut connection = File::from(take(&listener));
        let end = loop {
            match connection.read(&mut [0; 1]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                end => break end,
            }
        };
        assert_eq!(end.unwrap(), 0);
    }
}

#[test]
fn a_listener_that_was_shut_down_is_broken_and_listens_again() {
    let listener = tcp(Some("127.0.0.1"), 0).unwrap();
    // The kernel may choose another port for one that it chose itself, so only the host is checked.
    let address = socket_address(&listener);
    herder_sys::socket::shutdown_both(listener.as_fd()).unwrap();
    let broken = accept(listener.as_fd()).unwrap_err();
    assert_eq!(accept_error(&broken), AcceptError::Broken);
    listen_again(listener.as_fd(), 16).unwrap();
    let BoundAddress::Tcp(now) = local_address(listener.as_fd()).unwrap() else {
        unreachable!()
    };
    assert_eq!(now.ip(), address.ip());
    TcpStream::connect(now).unwrap();
    take(&listener);
}

#[test]
fn an_inherited_listener_is_adopted_and_nothing_else() {
    let directory = Directory::new();
    let path = directory.file("s");
    let first = unix(&path).unwrap();
    let second = Listener::adopt(first.into_fd()).unwrap();
    assert_eq!(*second.local(), BoundAddress::Unix(path.clone()));
    let client = UnixStream::connect(&path).unwrap();
    take(&second);
    assert!(Listener::adopt(client.into()).is_err());
    assert!(Listener::adopt(null().unwrap()).is_err());
    second.unlink().unwrap();
    assert!(!path.exists());
}

#[test]
fn a_unix_socket_has_the_mode_whatever_the_umask() {
    in_own_process("a_unix_socket_has_the_mode_whatever_the_umask", || {
        let directory = Directory::new();
        for umask in [0, 0o022, 0o077, 0o777] {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
            for unix_mode in [0o600, 0o660, 0o666] {
                let path = directory.file("s");
                let options = ListenOptions {
                    unix_mode,
                    ..ListenOptions::default()
                };
                let listener = Listener::bind(Address::Unix(&path), &options).unwrap();
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
                assert_eq!(mode, unix_mode, "umask {umask:o}");
                listener.unlink().unwrap();
            }
        }
    });
}

#[test]
fn a_stale_socket_is_replaced() {
    let directory = Directory::new();
    let path = directory.file("s");
    drop(UnixListener::bind(&path).unwrap());
    let listener = unix(&path).unwrap();
    assert_eq!(
        listener.local().to_string(),
        format!("unix:{}", path.display())
    );
    UnixStream::connect(&path).unwrap();
    take(&listener);
    drop(listener);
    assert!(path.exists(), "dropping leaves the file");
    unix(&path).unwrap();
}

#[test]
fn a_living_socket_is_refused_and_lives_on() {
    let directory = Directory::new();
    let path = directory.file("s");
    let stranger = UnixListener::bind(&path).unwrap();
    let error = unix(&path).unwrap_err();
    assert!(matches!(error, ListenError::InUse { .. }), "{error}");
    UnixStream::connect(&path).unwrap();
    stranger.accept().unwrap();

    let path = directory.file("datagrams");
    let _stranger = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    assert!(
        matches!(unix(&path).unwrap_err(), ListenError::InUse { .. }),
        "of another type"
    );
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let directory = Directory::new();
    let file = directory.file("file");
    fs::write(&file, "precious").unwrap();
    let error = unix(&file).unwrap_err();
    assert!(matches!(error, ListenError::NotASocket { .. }));
    assert!(error.to_string().contains("a regular file"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");

    let target = directory.file("target");
    drop(UnixListener::bind(&target).unwrap());
    let missing = directory.file("missing");
    for target in [&file, &target, &missing] {
        let link = directory.file("link");
        symlink(target, &link).unwrap();
        let error = unix(&link).unwrap_err();
        assert!(error.to_string().contains("a symbolic link"), "{error}");
        assert!(link.is_symlink());
        fs::remove_file(link).unwrap();
    }
    assert!(target.exists() && !missing.exists());
    let inner = directory.file("directory");
    fs::create_dir(&inner).unwrap();
    let error = unix(&inner).unwrap_err();
    assert!(error.to_string().contains("a directory"), "{error}");
}

#[test]
fn the_left_over_socket_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can make a file of another user");
    }
    let directory = Directory::new();
    let path = directory.file("s");
    drop(UnixListener::bind(&path).unwrap());
    std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
    let error = unix(&path).unwrap_err();
    assert!(
        matches!(error, ListenError::NotOurs { owner: 12_345, .. }),
        "{error}"
    );
    assert!(path.exists());
}

#[test]
fn paths_that_cannot_be() {
    let directory = Directory::new();
    let long = directory.file(&"x".repeat(108));
    let error = unix(&long).unwrap_err();
    assert!(
        matches!(error, ListenError::PathTooLong { max: 107, .. }),
        "{error}"
    );
    let error = unix(&directory.file("no/such")).unwrap_err();
    assert!(matches!(error, ListenError::System { .. }), "{error}");
    assert!(error.to_string().contains("no/such"), "{error}");
}

#[test]
fn a_directory_without_the_right_to_write_is_a_clear_error() {
    in_own_process(
        "a_directory_without_the_right_to_write_is_a_clear_error",
        || {
            let directory = Directory::new();
            let closed = directory.file("closed");
            fs::create_dir(&closed).unwrap();
            fs::set_permissions(&closed, Permissions::from_mode(0o555)).unwrap();
            let user = rustix::process::geteuid();
            let other = rustix::process::Uid::from_raw(64_321);
            let somebody = if user.is_root() { other } else { user };
            rustix::thread::set_thread_res_uid(somebody, somebody, user).unwrap();
            let error = unix(&closed.join("s")).unwrap_err();
            rustix::thread::set_thread_res_uid(user, user, user).unwrap();
            assert!(matches!(error, ListenError::Permission { .. }), "{error}");
        },
    );
}

#[test]
fn only_the_own_file_is_unlinked() {
    let directory = Directory::new();
    let path = directory.file("s");
    let first = unix(&path).unwrap();
    fs::remove_file(&path).unwrap();
    first.unlink().unwrap();
    let second = UnixListener::bind(&path).unwrap();
    first.unlink().unwrap();
    assert!(path.exists(), "another has come in its place");
    drop(second);
    tcp(Some("127.0.0.1"), 0).unwrap().unlink().unwrap();
}
