//! What workers read of requests, and clients of answers.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[test]
fn a_worker_reads_a_request_of_http_1() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.mirror(1);
        let mut caller = Caller::new(&rig).await;
        let request = Request::get("http://shop:80/a/b?c=d")
            .header("accept", "*/*")
            .header("cookie", "a=1")
            .header("x-forwarded-for", "1.2.3.4")
            .header("te", "trailers")
            .header("cookie", "b=2")
            .body(())
            .unwrap();
        let reply = caller.ask(request).await;
        assert_eq!(reply.status, 200);
        let lines: Vec<_> = reply.body.split("\r\n").collect();
        assert_eq!(
            lines[..4],
            [
                "GET /a/b?c=d HTTP/1.1",
                "Host: shop:80",
                "accept: */*",
                "cookie: a=1; b=2"
            ]
        );
        for line in [
            "X-Forwarded-For: 127.0.0.1",
            "X-Forwarded-Proto: http",
            "X-Forwarded-Host: shop:80",
            "TE: trailers",
        ] {
            assert!(lines.contains(&line), "{line}: {lines:?}");
        }
        assert!(
            !reply.body.contains("1.2.3.4") && !reply.body.contains("ransfer-"),
            "{lines:?}"
        );
        assert!(reply.headers.get("connection").is_none());
    });
}

#[test]
fn many_requests_go_by_one_connection_and_each_to_the_next_worker() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.steady(1, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
        rig.steady(2, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
        let mut caller = Caller::new(&rig).await;
        let mut answers = Vec::new();
        for _ in 0..50 {
            let mut requests = caller.requests.clone().ready().await.unwrap();
            answers.push(requests.send_request(get("/"), true).unwrap().0);
        }
        let mut counts = [0; 2];
        for answer in answers {
            let reply = read(answer.await.unwrap()).await;
            counts[usize::from(reply.body == "2")] += 1;
        }
        assert_eq!(counts, [25, 25]);
        // One after the other, too.
        assert_eq!(caller.ask(get("/")).await.status, 200);
    });
}

#[test]
fn answers_are_whole() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.worker(1, |mut stream, _| async move {
            while let Some(request) = read_request(&mut stream).await {
                let reply: &[u8] = match request.split(' ').nth(1).unwrap() {
                    "/none" => b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
                    "/head" => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                    "/empty" => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=5\r\n\r\n",
                    "/chunks" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
                    "/trailers" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nSum: 12\r\nCookie: x\r\n\r\n",
                    "/hints" => b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                    _ => b"HTTP/1.1 200 OK\r\n\r\nhello",
                };
                stream.write_all(reply).await.unwrap();
                if request.contains(" /close ") {
                    return;
                }
            }
        });
        let mut caller = Caller::new(&rig).await;
        let reply = caller.ask(get("/none")).await;
        assert_eq!((reply.status, reply.body.as_str()), (204, ""));
        assert_eq!(reply.headers["x"], "y");
        let head = Request::head("http://a/head").body(()).unwrap();
        let reply = caller.ask(head).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, ""));
        assert_eq!(reply.headers["content-length"], "5");
        let reply = caller.ask(get("/empty")).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, ""));
        assert!(reply.headers.get("keep-alive").is_none());
        for path in ["/chunks", "/close"] {
            let reply = caller.ask(get(path)).await;
            assert_eq!(
                (reply.status, reply.body.as_str()),
                (200, "hello"),
                "{path}"
            );
            assert!(reply.headers.get("transfer-encoding").is_none());
        }
        let reply = caller.ask(get("/trailers")).await;
        let trailers = reply.trailers.unwrap();
        assert_eq!((reply.body.as_str(), trailers.len()), ("hi", 1));
        assert_eq!(trailers["sum"], "12");
        assert_eq!(caller.ask(get("/hints")).await.body, "hi");
    });
}

#[test]
fn what_is_refused_is_refused_here_as_well() {
    play(async {
        let rig = Rig::new(|settings| settings.wait_timeout_millis = 1);
        let mut caller = Caller::new(&rig).await;
        let reply = caller.ask(get("/")).await;
        assert_eq!(reply.status, 503);
        assert_eq!(reply.headers["retry-after"], "1");
        rig.mirror(1);
        let with = |name: &str, value: &str| {
            Request::get("http://a/")
                .header(name, value)
                .body(())
                .unwrap()
        };
        assert_eq!(caller.ask(with("host", "b")).await.status, 400);
        assert_eq!(caller.ask(with("host", "A")).await.status, 200);
        assert_eq!(caller.ask(with("expect", "x")).await.status, 417);
        assert_eq!(caller.ask(with("x", &"y".repeat(12_000))).await.status, 200);
        let user = Request::get("http://u@a/").body(()).unwrap();
        assert_eq!(caller.ask(user).await.status, 400);
        let connect = Request::connect("a:80").body(()).unwrap();
        assert_eq!(caller.ask(connect).await.status, 501);
        // A value that would be another one in HTTP/1.1 is no request at all.
        let mut requests = caller.requests.clone().ready().await.unwrap();
        let (response, _) = requests.send_request(with("x", " y"), true).unwrap();
        let error = response.await.unwrap_err();
        assert_eq!(error.reason(), Some(h2::Reason::PROTOCOL_ERROR));
        assert_eq!(caller.ask(get("/")).await.status, 200);
    });
}

#[test]
fn a_request_that_nobody_has_seen_goes_to_another_worker() {
    play(async {
        let rig = Rig::new(|_| {});
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = gone.local_addr().unwrap();
        drop(gone);
        rig.admit(1, address);
        rig.steady(2, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        let mut caller = Caller::new(&rig).await;
        for _ in 0..4 {
            assert_eq!(caller.ask(get("/")).await.body, "hi");
        }
    });
}

#[test]
fn websocket_is_spoken_within_one_of_many() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.worker(1, |mut stream, _| async move {
            let Some(request) = read_request(&mut stream).await else { return };
            assert!(request.starts_with("GET /chat HTTP/1.1\r\nHost: a\r\n"), "{request}");
            assert!(request.contains("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"), "{request}");
            assert!(request.contains("\r\nsec-websocket-key: "), "{request}");
            if request.contains("sec-websocket-protocol: no") {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
                return;
            }
            let reply = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhi";
            stream.write_all(reply.as_bytes()).await.unwrap();
            let mut said = Vec::new();
            stream.read_to_end(&mut said).await.unwrap();
            stream.write_all(&said).await.unwrap();
        });
        let mut caller = Caller::new(&rig).await;
        // Not before the other side has said that it can.
        while !caller.requests.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        let request = |protocol: &str| {
            let mut request = Request::connect("http://a/chat")
                .header("sec-websocket-protocol", protocol)
                .body(())
                .unwrap();
            let websocket = h2::ext::Protocol::from_static("websocket");
            request.extensions_mut().insert(websocket);
            request
        };
        let (response, mut send) = caller.begin(request("yes")).await;
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.headers().get("sec-websocket-accept").is_none());
        send.send_data(Bytes::from_static(b"hello"), true).unwrap();
        assert_eq!(read(response).await.body, "hihello");
        // Who does not take it must not be taken for one who does.
        let (response, _send) = caller.begin(request("no")).await;
        let reply = read(response.await.unwrap()).await;
        assert_eq!((reply.status, reply.body.as_str()), (502, "no"));
    });
}
