//! What is given to another worker, and what is not.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

use super::*;

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

/// A port at which nobody listens.
fn closed_port() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A worker that reads a request, says this, and closes the connection.
fn breaking(rig: &Rig, worker: u64, says: &'static str) -> Rc<Cell<usize>> {
    let seen = Rc::new(Cell::new(0));
    let count = Rc::clone(&seen);
    rig.worker(worker, move |mut stream, _| {
        let count = Rc::clone(&count);
        async move {
            if read_request(&mut stream).await.is_some() {
                count.set(count.get() + 1);
                let _gone = stream.write_all(says.as_bytes()).await;
            }
        }
    });
    seen
}

#[test]
fn r23_what_no_worker_read_goes_to_another() {
    play(async {
        let rig = Rig::new(|settings| settings.balancer.ejection = None);
        rig.admit(1, closed_port());
        rig.steady(2, OK);
        let mut client = rig.client().await;
        for _ in 0..10 {
            assert_eq!(client.ask(POST).await.status, 200);
            assert_eq!(client.ask(GET).await.status, 200);
        }
        rig.hear(|news| {
            matches!(
                news,
                News::Failed {
                    worker: 1,
                    kind: Failure::Refused
                }
            )
        })
        .await;
    });
}

#[test]
fn r24_what_a_worker_read_goes_to_nobody_else() {
    play(async {
        let rig = Rig::new(|settings| settings.balancer.ejection = None);
        let broken = breaking(&rig, 1, "");
        let other = Rc::new(Cell::new(0));
        let count = Rc::clone(&other);
        rig.worker(2, move |mut stream, _| {
            let count = Rc::clone(&count);
            async move {
                while read_request(&mut stream).await.is_some() {
                    count.set(count.get() + 1);
                    stream.write_all(OK.as_bytes()).await.unwrap();
                }
            }
        });
        let mut client = rig.client().await;
        let mut statuses = Vec::new();
        for _ in 0..10 {
            statuses.push(client.ask(POST).await.status);
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [[200; 5], [502; 5]].concat());
        assert_eq!((broken.get(), other.get()), (5, 5));
    });
}

#[test]
fn what_may_be_repeated_is_repeated_without_a_byte_of_an_answer() {
    play(async {
        let rig = Rig::new(|settings| settings.balancer.ejection = None);
        breaking(&rig, 1, "");
        rig.steady(2, OK);
        let mut client = rig.client().await;
        for _ in 0..10 {
            assert_eq!(client.ask(GET).await.status, 200);
            let put = POST.replace("POST", "PUT");
            assert_eq!(client.ask(&put).await.status, 200);
        }
    });
}

#[test]
fn nothing_is_repeated_after_a_byte_of_an_answer() {
    play(async {
        let rig = Rig::new(|settings| settings.balancer.ejection = None);
        let seen = breaking(&rig, 1, "H");
        let interim = breaking(&rig, 2, "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n");
        let mut client = rig.client().await;
        let reply = client.ask(GET).await;
        assert_eq!(reply.status, 502);
        assert!(
            reply.body.contains("the worker had begun to answer"),
            "{}",
            reply.body
        );
        assert_eq!(client.ask(GET).await.status, 103);
        assert_eq!(client.reply().await.status, 502);
        assert_eq!((seen.get(), interim.get()), (1, 1));
    });
}

#[test]
fn a_long_body_is_not_repeated() {
    play(async {
        let rig = Rig::new(|settings| settings.balancer.ejection = None);
        breaking(&rig, 1, "");
        breaking(&rig, 2, "");
        let body = "x".repeat(100_000);
        let put = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{body}");
        let reply = rig.client().await.ask(&put).await;
        assert_eq!(reply.status, 502);
        assert!(reply.body.contains("a part of its body"), "{}", reply.body);
    });
}

#[test]
fn connections_that_ended_while_they_were_idle_cost_nothing() {
    play(async {
        let rig = Rig::new(|_| {});
        let closed = Rc::new(Notify::new());
        let says = Rc::clone(&closed);
        rig.worker(1, move |mut stream, _| {
            let says = Rc::clone(&says);
            async move {
                read_request(&mut stream).await;
                stream.write_all(OK.as_bytes()).await.unwrap();
                drop(stream);
                says.notify_one();
            }
        });
        let mut client = rig.client().await;
        for _ in 0..20 {
            assert_eq!(client.ask(GET).await.status, 200);
            closed.notified().await;
        }
        // The same holds for what may not be repeated, as the end was seen before.
        for _ in 0..20 {
            tokio::task::yield_now().await;
            assert_eq!(client.ask(POST).await.status, 200);
            closed.notified().await;
        }
    });
}

#[test]
fn a_request_races_with_the_end_of_its_connection() {
    play(async {
        let rig = Rig::new(|_| {});
        // Each connection has one request, and the second one is read and not answered.
        rig.worker(1, move |mut stream, _| async move {
            read_request(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
            read_request(&mut stream).await;
        });
        let mut client = rig.client().await;
        for _ in 0..10 {
            assert_eq!(client.ask(GET).await.status, 200);
        }
        assert_eq!(client.ask(GET).await.status, 200);
        while client.ask(POST).await.status == 200 {}
        rig.hear(|news| matches!(news, News::Counts { .. })).await;
    });
}

#[test]
fn when_all_refuse_the_client_is_told() {
    play(async {
        let rig = Rig::new(|settings| settings.wait_timeout_millis = 50);
        for worker in 1..=2 {
            rig.admit(worker, closed_port());
        }
        let mut client = rig.client().await;
        let reply = client.ask(GET).await;
        assert_eq!(reply.status, 502);
        assert_eq!(reply.line("retry-after"), Some("1"));
        assert!(
            reply.body.contains("did not take the connection"),
            "{}",
            reply.body
        );
    });
}

#[test]
fn a_worker_that_replaces_another_gets_what_waits() {
    play(async {
        let rig = Rig::new(|settings| settings.wait_timeout_millis = 60_000);
        rig.admit(1, closed_port());
        let mut client = rig.client().await;
        client.say(POST).await;
        rig.hear(|news| matches!(news, News::Failed { worker: 1, .. }))
            .await;
        rig.backends.gone(1);
        rig.steady(2, OK);
        assert_eq!(client.reply().await.status, 200);
    });
}

#[test]
fn what_is_repeated_has_its_trailers_again() {
    const END: &str = "0\r\nSum: 1\r\n\r\n";
    play(async {
        let rig = Rig::new(|settings| settings.balancer.ejection = None);
        let (read, mut came) = tokio::sync::mpsc::unbounded_channel();
        for worker in 1..=2 {
            let read = read.clone();
            rig.worker(worker, move |mut stream, _| {
                let read = read.clone();
                async move {
                    let request = read_to(&mut stream, END).await;
                    read.send((worker, request)).unwrap();
                }
            });
        }
        let put = format!(
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n{END}"
        );
        let mut client = rig.client().await;
        client.say(&put).await;
        let first = came.recv().await.unwrap();
        let second = came.recv().await.unwrap();
        assert_ne!(first.0, second.0);
        assert!(first.1.is_some());
        assert_eq!(first.1, second.1);
    });
}
