//! Bodies pass by as they come.

use std::rc::Rc;

use tokio::sync::Notify;

use super::*;

#[test]
fn both_sides_may_speak_at_the_same_time() {
    play(async {
        let rig = Rig::new(|_| {});
        // An echo that answers each piece before it has seen the next one.
        rig.worker(1, |mut stream, _| async move {
            read_to(&mut stream, "\r\n\r\n").await.unwrap();
            let says = b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n";
            stream.write_all(says).await.unwrap();
            let mut piece = [0; 3];
            for _ in 0..10 {
                stream.read_exact(&mut piece).await.unwrap();
                stream.write_all(&piece).await.unwrap();
            }
        });
        let mut client = rig.client().await;
        client
            .say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n")
            .await;
        client.until("\r\n\r\n").await;
        for number in 100..110 {
            client.say(&number.to_string()).await;
            assert_eq!(client.exactly(3).await, number.to_string());
        }
        rig.mirror(1);
        let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(reply.status, 200);
    });
}

#[test]
fn long_bodies_arrive_whole() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.mirror(1);
        let body: String = (0..50_000).map(|number| format!("{number:07} ")).collect();
        let mut client = rig.client().await;
        for _ in 0..3 {
            let head = format!(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let reply = client.ask(&format!("{head}{body}")).await;
            assert!(reply.body.ends_with(&body), "{} bytes", reply.body.len());
            let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            let chunks: String = body
                .as_bytes()
                .chunks(7777)
                .map(|it| format!("{:x}\r\n{}\r\n", it.len(), str::from_utf8(it).unwrap()))
                .collect();
            let reply = client.ask(&format!("{head}{chunks}0\r\n\r\n")).await;
            let passed = format!("\r\n\r\n{chunks}0\r\n\r\n");
            assert!(reply.body.ends_with(&passed), "{} bytes", reply.body.len());
        }
    });
}

#[test]
fn trailers_pass_both_ways() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.worker(1, |mut stream, _| async move {
            let request = read_to(&mut stream, "0\r\nSum: 1\r\n\r\n").await;
            assert!(request.is_some());
            let says = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n\
                        1\r\nx\r\n0\r\nSum: 2\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(says.as_bytes()).await.unwrap();
            read_request(&mut stream).await;
        });
        let mut client = rig.client().await;
        client
            .say(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                 1\r\nx\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nSum: 1\r\n\r\n",
            )
            .await;
        let head = client.until("\r\n\r\n").await;
        assert!(head.contains("\r\nTrailer: Sum\r\n"), "{head}");
        let body = client.until("\r\n\r\n").await;
        assert_eq!(body, "1\r\nx\r\n0\r\nSum: 2\r\n\r\n");
    });
}

#[test]
fn a_client_may_ask_before_it_sends_its_body() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.worker(1, |mut stream, _| async move {
            let head = read_to(&mut stream, "\r\n\r\n").await.unwrap();
            assert!(head.contains("\r\nExpect: 100-continue\r\n"), "{head}");
            stream
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await
                .unwrap();
            let mut body = [0; 5];
            stream.read_exact(&mut body).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
                .await
                .unwrap();
            stream.write_all(&body).await.unwrap();
            read_request(&mut stream).await;
        });
        let mut client = rig.client().await;
        let head =
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
        assert_eq!(client.ask(head).await.status, 100);
        assert_eq!(client.ask("hello").await.body, "hello");
    });
}

#[test]
fn an_answer_may_come_before_the_request_is_whole() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.worker(1, |mut stream, _| async move {
            let mut head = [0; 64];
            stream.read_exact(&mut head).await.unwrap();
            let says = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n";
            stream.write_all(says).await.unwrap();
        });
        // More than there is room for on the way.
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n";
        let mut client = rig.client().await;
        client.say(head).await;
        client.say(&"x".repeat(50_000)).await;
        assert_eq!(client.reply().await.status, 413);
        assert_eq!(client.rest().await, "");
    });
}

#[test]
fn a_client_that_goes_takes_its_request_along() {
    let long = "x".repeat(60_000);
    let post = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n{long}");
    for request in [GET, &post] {
        play(async {
            let (ended, mut end) = tokio::sync::mpsc::unbounded_channel();
            let rig = Rig::new(|_| {});
            rig.worker(1, move |mut stream, _| {
                let ended = ended.clone();
                async move {
                    read_request(&mut stream).await;
                    ended.send("came").unwrap();
                    read_request(&mut stream).await;
                    ended.send("went").unwrap();
                }
            });
            let mut client = rig.client().await;
            client.say(request).await;
            assert_eq!(end.recv().await, Some("came"));
            drop(client);
            assert_eq!(end.recv().await, Some("went"));
        });
    }
}

#[test]
fn what_follows_the_last_request_does_not_cost_the_client_its_answer() {
    play(async {
        let rig = Rig::new(|_| {});
        let (came, mut requests) = tokio::sync::mpsc::unbounded_channel();
        let answer = Rc::new(Notify::new());
        let may = Rc::clone(&answer);
        rig.worker(1, move |mut stream, _| {
            let (came, may) = (came.clone(), Rc::clone(&may));
            async move {
                read_request(&mut stream).await;
                came.send(()).unwrap();
                may.notified().await;
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        });
        let mut client = rig.client().await;
        client
            .say("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await;
        requests.recv().await;
        client.say("\r\n").await;
        answer.notify_one();
        // A close with bytes unread is a reset, which may destroy the answer.
        let mut came = String::new();
        client.stream.read_to_string(&mut came).await.unwrap();
        assert!(came.ends_with("Connection: close\r\n\r\nok"), "{came:?}");
    });
}

#[test]
fn half_a_body_is_never_a_whole_one() {
    play(async {
        let (read, mut came) = tokio::sync::mpsc::unbounded_channel();
        let rig = Rig::new(|_| {});
        rig.worker(1, move |mut stream, _| {
            let read = read.clone();
            async move { read.send(read_request(&mut stream).await).unwrap() }
        });
        for body in [
            "Content-Length: 10\r\n\r\nhello",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        ] {
            let mut client = rig.client().await;
            client
                .say(&format!("POST / HTTP/1.1\r\nHost: a\r\n{body}"))
                .await;
            drop(client);
            assert_eq!(came.recv().await, Some(None), "{body:?}");
        }
    });
}

#[test]
fn a_client_that_reads_at_last_reads_why_its_body_was_refused() {
    play(async {
        let says = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n";
        for (most, length) in [(10, 0), (0, 64)] {
            let rig = Rig::new(|settings| settings.http.max_body = most);
            rig.worker(1, move |mut stream, _| async move {
                let mut head = vec![0; length];
                stream.read_exact(&mut head).await.unwrap();
                stream.write_all(says.as_bytes()).await.unwrap();
                std::future::pending::<()>().await;
            });
            // More than the sockets have room for.
            let body = "x".repeat(32 * 1024 * 1024);
            let mut client = rig.client().await;
            client
                .say(&format!(
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                ))
                .await;
            client.say(&body).await;
            let reply = client.reply().await;
            assert_eq!(reply.status, 413);
            assert_eq!(reply.line("connection"), Some("close"));
            assert_eq!(client.rest().await, "");
        }
    });
}
