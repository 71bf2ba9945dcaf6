//! Connections on which something else is spoken from some moment on.

use super::*;

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";

/// A worker that agrees, says something at once, and then returns what it is told.
fn echo(rig: &Rig) {
    rig.worker(1, |mut stream, _| async move {
        let request = read_request(&mut stream).await.unwrap();
        assert!(request.contains("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"));
        assert!(request.contains("\r\nSec-WebSocket-Key: x\r\n"));
        let says = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                    Connection: Upgrade\r\nSec-WebSocket-Accept: y\r\n\r\nwelcome";
        stream.write_all(says.as_bytes()).await.unwrap();
        let mut bytes = [0; 1000];
        while let Ok(count @ 1..) = stream.read(&mut bytes).await {
            stream.write_all(&bytes[..count]).await.unwrap();
        }
        stream.write_all(b"goodbye").await.unwrap();
    });
}

#[test]
fn upgraded_connections_carry_bytes_both_ways() {
    play(async {
        let rig = Rig::new(|_| {});
        echo(&rig);
        let mut client = rig.client().await;
        // With something behind it, which is for the worker as well.
        client.say(&format!("{UPGRADE}early ")).await;
        let head = client.until("\r\n\r\n").await;
        assert_eq!(
            head,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: y\r\nConnection: Upgrade\r\n\r\n"
        );
        assert_eq!(client.until("welcomeearly ").await, "welcomeearly ");
        for number in 100..120 {
            client.say(&number.to_string()).await;
            assert_eq!(client.exactly(3).await, number.to_string());
        }
        // One side may stop before the other.
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.rest().await, "goodbye");
        rig.backends.withdraw(1);
        rig.hear(|news| matches!(news, News::Drained { worker: 1 }))
            .await;
    });
}

#[test]
fn a_worker_with_an_upgraded_connection_has_not_drained() {
    play(async {
        let rig = Rig::new(|_| {});
        echo(&rig);
        let mut client = rig.client().await;
        client.say(UPGRADE).await;
        client.until("welcome").await;
        rig.backends.withdraw(1);
        client.say("still here").await;
        assert_eq!(client.exactly(10).await, "still here");
        while let Ok(news) = rig.news.borrow_mut().try_recv() {
            assert_ne!(news, News::Drained { worker: 1 });
        }
        drop(client);
        rig.hear(|news| matches!(news, News::Drained { worker: 1 }))
            .await;
    });
}

#[test]
fn an_upgrade_may_be_declined() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.steady(
            1,
            "HTTP/1.1 426 Upgrade Required\r\nUpgrade: other\r\nConnection: Upgrade\r\n\
             Content-Length: 2\r\n\r\nno",
        );
        let mut client = rig.client().await;
        for _ in 0..2 {
            let reply = client.ask(UPGRADE).await;
            assert_eq!((reply.status, reply.body.as_str()), (426, "no"));
            assert_eq!(reply.line("upgrade"), Some("other"));
        }
    });
}

#[test]
fn an_upgrade_with_a_body_is_none() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.mirror(1);
        let mut client = rig.client().await;
        let request = UPGRADE.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello");
        let reply = client.ask(&request).await;
        assert!(!reply.body.contains("Upgrade"), "{}", reply.body);
        assert!(reply.body.ends_with("hello"), "{}", reply.body);
    });
}
