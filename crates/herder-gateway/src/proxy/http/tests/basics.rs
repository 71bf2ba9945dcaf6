//! What a client and a worker see of each other.

use super::*;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_request_gets_its_answer() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.steady(1, HELLO);
        let mut client = rig.client().await;
        for _ in 0..3 {
            let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!((reply.status, reply.body.as_str()), (200, "hello"));
            assert_eq!(reply.line("connection"), None);
        }
    });
}

#[test]
fn each_request_of_a_connection_goes_to_the_next_worker() {
    play(async {
        let rig = Rig::new(|_| {});
        for (worker, reply) in [
            (1, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"),
            (2, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"),
            (3, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n3"),
        ] {
            rig.steady(worker, reply);
        }
        let mut client = rig.client().await;
        let mut counts = [0; 3];
        for _ in 0..999 {
            let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            let worker: usize = reply.body.parse().unwrap();
            counts[worker - 1] += 1;
        }
        assert_eq!(counts, [333, 333, 333]);
    });
}

#[test]
fn a_worker_reads_what_the_client_wrote() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.mirror(1);
        let mut client = rig.client().await;
        let reply = client
            .ask(
                "GET /a?b HTTP/1.1\r\nHost: shop:80\r\nX-ODD-Name:  spaced \r\nCookie: a=b\r\n\
                 Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\n\
                 X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n\
                 X_Forwarded_For: 6.6.6.6\r\nProxy: evil\r\nX-Request-Id: mine\r\n\r\n",
            )
            .await;
        let lines: Vec<_> = reply.body.split("\r\n").collect();
        assert_eq!(
            lines[..7],
            [
                "GET /a?b HTTP/1.1",
                "Host: shop:80",
                "X-ODD-Name:  spaced ",
                "Cookie: a=b",
                "X-Forwarded-For: 127.0.0.1",
                "X-Forwarded-Proto: http",
                "X-Forwarded-Host: shop:80",
            ]
        );
        let id = lines[7].strip_prefix("X-Request-Id: ").unwrap();
        assert!(id.len() == 32 && id.bytes().all(|it| it.is_ascii_hexdigit()));
        assert_eq!(lines[8..], ["", ""]);
    });
}

#[test]
fn trusted_peers_are_believed() {
    play(async {
        let rig = Rig::new(|settings| {
            settings.trusted = vec!["127.0.0.0/8".parse().unwrap()];
            settings.http.forwarded = true;
        });
        rig.mirror(1);
        let mut client = rig.client().await;
        let reply = client
            .ask(
                "GET / HTTP/1.1\r\nHost: in\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n\
                 X-Forwarded-Proto: https\r\nX-Forwarded-Host: out\r\nForwarded: for=1.1.1.1\r\n\
                 X-Real-IP: 1.1.1.1\r\nX-Request-Id: theirs\r\n\r\n",
            )
            .await;
        let has = |line: &str| reply.body.split("\r\n").filter(|it| *it == line).count();
        for line in [
            "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 127.0.0.1",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: out",
            "X-Real-IP: 1.1.1.1",
            "Forwarded: for=1.1.1.1, for=127.0.0.1;proto=http;host=\"in\"",
            "X-Request-Id: theirs",
        ] {
            assert_eq!(has(line), 1, "{line} in {}", reply.body);
        }
        assert_eq!(reply.body.matches("X-Forwarded-For").count(), 1);
        assert_eq!(reply.body.matches("X-Request-Id").count(), 1);
    });
}

#[test]
fn answers_end_as_they_should_for_every_client() {
    play(async {
        let rig = Rig::new(|_| {});
        // Without a length, until the end of the connection.
        rig.worker(1, |mut stream, _| async move {
            read_request(&mut stream).await;
            stream
                .write_all(b"HTTP/1.0 200 Fine\r\nX: y\r\n\r\nhello")
                .await
                .unwrap();
        });
        let mut client = rig.client().await;
        let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(
            reply.head,
            "HTTP/1.1 200 Fine\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        assert_eq!(reply.body, "5\r\nhello\r\n0\r\n\r\n");
        let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(reply.status, 200);
        let old = rig.all("GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!(
            old,
            "HTTP/1.1 200 Fine\r\nX: y\r\nConnection: close\r\n\r\nhello"
        );
    });
}

#[test]
fn chunks_reach_old_clients_without_their_frames() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.steady(
            1,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        );
        let old = rig
            .all("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .await;
        assert_eq!(old, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
    });
}

#[test]
fn some_answers_have_no_body_whatever_they_say() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.worker(1, |mut stream, _| async move {
            while let Some(request) = read_request(&mut stream).await {
                let reply = match request.split(' ').nth(1).unwrap() {
                    "/204" => "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
                    "/304" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
                    _ => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                };
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
        });
        let mut client = rig.client().await;
        let reply = client.ask("GET /204 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!((reply.status, reply.line("content-length")), (204, None));
        let reply = client.ask("GET /304 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(
            (reply.status, reply.line("content-length")),
            (304, Some("5"))
        );
        client.say("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let reply = client.reply_to("HEAD").await;
        assert_eq!(
            (reply.status, reply.line("content-length")),
            (200, Some("5"))
        );
        let reply = client.ask("GET /304 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(reply.status, 304);
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.mirror(1);
        let mut client = rig.client().await;
        let requests: String = (0..20)
            .map(|number| format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .collect();
        client.say(&requests).await;
        for number in 0..20 {
            let reply = client.reply().await;
            let expected = format!("GET /{number} HTTP/1.1");
            assert!(reply.body.starts_with(&expected), "{}", reply.body);
        }
    });
}

#[test]
fn a_client_says_when_it_is_done() {
    play(async {
        let rig = Rig::new(|settings| settings.http.max_requests = 2);
        rig.steady(1, HELLO);
        let last = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
        let closed = rig
            .all("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await;
        assert_eq!(closed, last);
        assert_eq!(rig.all("GET / HTTP/1.0\r\n\r\n").await, last);
        let old = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".repeat(2);
        let kept = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello";
        assert_eq!(rig.all(&old).await, format!("{kept}{last}"));
    });
}

#[test]
fn cookies_bring_clients_back() {
    play(async {
        let rig = Rig::new(|settings| settings.cookie = Some("herd".to_owned()));
        rig.steady(1, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
        rig.steady(2, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
        let mut client = rig.client().await;
        let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let cookie = reply.line("set-cookie").unwrap().split(';').next().unwrap();
        assert_eq!(cookie, format!("herd={}", reply.body));
        for _ in 0..5 {
            let request = format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n");
            let again = client.ask(&request).await;
            assert_eq!(again.body, reply.body);
            assert_eq!(again.line("set-cookie"), None);
        }
    });
}

#[test]
fn what_belongs_to_https_is_sent_there() {
    play(async {
        let rig = Rig::new(|settings| settings.http.https_port = Some(443));
        let mut client = rig.client().await;
        let reply = client
            .ask("GET /a?b HTTP/1.1\r\nHost: shop:80\r\n\r\n")
            .await;
        assert_eq!(reply.status, 308);
        assert_eq!(reply.line("location"), Some("https://shop/a?b"));
    });
}
