//! Listeners: real sockets, of both kinds.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

use herder_wire::gateway::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::LocalSet;

use crate::edge::testing::settings;
use crate::edge::{Door, Edge, Settings};
use crate::hub::CloseReason;
use crate::hub::loopback::{Answering, Loopback};

fn open(listeners: Vec<OwnedFd>, settings: Settings) -> (Edge, Rc<Loopback>) {
    let door = |listener| Door {
        name: "test".into(),
        listener,
        protocol: Protocol::Lines,
    };
    let loopback = Loopback::new(Answering::AtOnce);
    let doors = listeners.into_iter().map(door).collect();
    let edge = Edge::open(loopback.hub(), settings, doors, None).unwrap();
    (edge, loopback)
}

fn tcp() -> (OwnedFd, u16) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener.into(), port)
}

async fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

async fn echo(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) {
    stream.write_all(b"hello\n").await.unwrap();
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"hello\n");
}

#[tokio::test]
async fn clients_come_in_by_every_door() {
    let test = async {
        let path = format!("herder-door-{}", std::process::id());
        let path: PathBuf = std::env::temp_dir().join(path);
        let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let (one, port) = tcp();
        let (other, other_port) = tcp();
        let (edge, loopback) = open(vec![one, unix.into(), other], settings());
        let mut streams = [connect(port).await, connect(other_port).await];
        let mut unix = UnixStream::connect(&path).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        for stream in &mut streams {
            echo(stream).await;
        }
        echo(&mut unix).await;
        assert_eq!(loopback.places().len(), 3);
        drop((streams, unix));
        edge.empty().await;
        assert!(loopback.places().is_empty());
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn who_is_too_many_waits_until_somebody_leaves() {
    let test = async {
        let (listener, port) = tcp();
        let max_clients = 2;
        let limited = Settings {
            max_clients,
            ..settings()
        };
        let (_edge, loopback) = open(vec![listener], limited);
        let (mut one, mut two) = (connect(port).await, connect(port).await);
        echo(&mut one).await;
        echo(&mut two).await;
        let mut three = connect(port).await;
        three.write_all(b"hello\n").await.unwrap();
        for _ in 0..10 {
            echo(&mut one).await;
        }
        assert_eq!(loopback.places().len(), max_clients);
        drop(two);
        let mut answer = [0; 6];
        three.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello\n");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn a_closed_edge_keeps_its_clients_and_takes_no_more() {
    let test = async {
        let (listener, port) = tcp();
        let (edge, loopback) = open(vec![listener], settings());
        let mut client = connect(port).await;
        echo(&mut client).await;
        edge.close();
        while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {}
        echo(&mut client).await;
        loopback.places()[0].close(CloseReason::GoingAway);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
        drop(client);
        edge.empty().await;
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn what_is_no_listener_is_an_error() {
    let test = async {
        let no_listener = Door {
            name: "test".into(),
            listener: std::fs::File::open("/dev/null").unwrap().into(),
            protocol: Protocol::Lines,
        };
        let hub = Loopback::new(Answering::AtOnce).hub();
        assert!(Edge::open(hub, settings(), vec![no_listener], None).is_err());
    };
    LocalSet::new().run_until(test).await;
}
