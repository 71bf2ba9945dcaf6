//! Bodies, both ways.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// Far more than may be under way.
const LONG: usize = 3 * 1024 * 1024;

/// Bytes that no two places of have alike.
fn noise(length: usize) -> Bytes {
    let mut state = 7_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next)
        .take(length)
        .collect::<Vec<_>>()
        .into()
}

/// Sends it as there is room for it.
async fn send_all(send: &mut SendStream<Bytes>, mut body: Bytes) {
    while !body.is_empty() {
        send.reserve_capacity(body.len());
        while send.capacity() == 0 {
            std::future::poll_fn(|context| send.poll_capacity(context))
                .await
                .unwrap()
                .unwrap();
        }
        let piece = body.split_to(send.capacity().min(body.len()));
        send.send_data(piece, body.is_empty()).unwrap();
    }
}

#[test]
fn long_bodies_pass_both_ways_at_the_same_time() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.worker(1, |mut stream, _| async move {
            read_to(&mut stream, "\r\n\r\n").await.unwrap();
            let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {LONG}\r\n\r\n");
            stream.write_all(reply.as_bytes()).await.unwrap();
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut (&mut from).take(LONG as u64), &mut to)
                .await
                .unwrap();
        });
        let mut caller = Caller::new(&rig).await;
        let request = Request::post("http://a/")
            .header("content-length", LONG)
            .body(())
            .unwrap();
        let (response, mut send) = caller.begin(request).await;
        let sent = noise(LONG);
        let receive = async {
            let mut body = response.await.unwrap().into_body();
            let mut came = Vec::new();
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                came.extend_from_slice(&data);
            }
            came
        };
        let ((), came) = tokio::join!(send_all(&mut send, sent.clone()), receive);
        assert!(came == sent, "{} bytes came", came.len());
    });
}

#[test]
fn a_body_without_a_length_comes_in_chunks_with_its_trailers() {
    play(async {
        let rig = Rig::new(|_| {});
        echo(&rig, "\r\n0\r\nsum: 12\r\n\r\n");
        let mut caller = Caller::new(&rig).await;
        let (response, mut send) = caller.begin(post("/")).await;
        send.send_data(Bytes::from_static(b"hello"), false).unwrap();
        send.send_data(Bytes::from_static(b""), false).unwrap();
        send.send_data(Bytes::from_static(b"0123456789abcdefg"), false)
            .unwrap();
        let mut trailers = sums();
        trailers.insert("x-forwarded-for", "1.2.3.4".parse().unwrap());
        send.send_trailers(trailers).unwrap();
        let reply = read(response.await.unwrap()).await;
        let (head, body) = reply.body.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("\r\nTransfer-Encoding: chunked"), "{head}");
        assert_eq!(
            body,
            "5\r\nhello\r\n11\r\n0123456789abcdefg\r\n0\r\nsum: 12\r\n\r\n"
        );
    });
}

/// A worker that answers with each request as it came, head and body.
fn echo(rig: &Rig, end: &'static str) {
    rig.worker(1, move |mut stream, _| async move {
        let request = read_to(&mut stream, end).await.unwrap();
        let length = request.len();
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{request}");
        stream.write_all(reply.as_bytes()).await.unwrap();
    });
}

fn sums() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("sum", "12".parse().unwrap());
    trailers
}

/// Posts five bytes, and a sum behind them.
async fn hello_with_sum(caller: &mut Caller, headers: &[(&str, &str)]) -> ResponseFuture {
    let mut request = Request::post("http://a/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (response, mut send) = caller.begin(request.body(()).unwrap()).await;
    send.send_data(Bytes::from_static(b"hello"), false).unwrap();
    send.send_trailers(sums()).unwrap();
    response
}

#[test]
fn trailers_that_were_announced_pass_behind_a_body_with_a_length() {
    play(async {
        let rig = Rig::new(|_| {});
        echo(&rig, "\r\n0\r\nsum: 12\r\n\r\n");
        let mut caller = Caller::new(&rig).await;
        let headers = [("content-length", "5"), ("trailer", "sum")];
        let response = hello_with_sum(&mut caller, &headers).await;
        let reply = read(response.await.unwrap()).await;
        let (head, body) = reply.body.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        assert!(head.contains("\r\ntransfer-encoding: chunked"), "{head}");
        assert!(head.contains("\r\ntrailer: sum"), "{head}");
        assert!(!head.contains("content-length"), "{head}");
        assert_eq!(body, "5\r\nhello\r\n0\r\nsum: 12\r\n\r\n");
    });
}

#[test]
fn trailers_that_nobody_announced_are_left_out_and_the_body_is_whole() {
    play(async {
        let rig = Rig::new(|_| {});
        echo(&rig, "\r\n\r\nhello");
        let mut caller = Caller::new(&rig).await;
        let response = hello_with_sum(&mut caller, &[("content-length", "5")]).await;
        let reply = read(response.await.unwrap()).await;
        assert_eq!(reply.status, 200);
        assert!(reply.body.ends_with("\r\n\r\nhello"), "{}", reply.body);
        assert!(!reply.body.contains("sum"), "{}", reply.body);
    });
}

#[test]
fn a_length_that_is_not_the_bodys_is_refused_with_trailers_too() {
    play(async {
        let rig = Rig::new(|_| {});
        let (tell, heard) = tokio::sync::oneshot::channel();
        let tell = std::cell::Cell::new(Some(tell));
        rig.worker(1, move |mut stream, _| {
            let tell = tell.take();
            async move {
                let mut heard = Vec::new();
                let _reset = stream.read_to_end(&mut heard).await;
                tell.unwrap().send(heard).unwrap();
            }
        });
        let mut caller = Caller::new(&rig).await;
        let headers = [("content-length", "9"), ("trailer", "sum")];
        let response = hello_with_sum(&mut caller, &headers).await;
        response.await.unwrap_err();
        // The worker does not take it for a whole one either.
        let heard = String::from_utf8(heard.await.unwrap()).unwrap();
        assert!(!heard.contains("\r\n0\r\n"), "{heard}");
    });
}

/// What a program needs that speaks gRPC by way of HTTP/1.1: `te: trailers`, and what stands behind answers.
#[test]
fn status_behind_an_answer_and_the_wish_for_it_pass() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.worker(1, |mut stream, _| async move {
            let request = read_to(&mut stream, "\r\n0\r\n\r\n").await.unwrap();
            assert!(request.contains("\r\nTE: trailers\r\n"), "{request}");
            let reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTrailer: grpc-status\r\n\
                Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\ngrpc-status: 0\r\ngrpc-message: fine\r\n\r\n";
            stream.write_all(reply).await.unwrap();
        });
        let mut caller = Caller::new(&rig).await;
        let request = Request::post("http://a/shop.Shop/Buy")
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        let (response, mut send) = caller.begin(request).await;
        send.send_data(Bytes::from_static(b"question"), true)
            .unwrap();
        let reply = read(response.await.unwrap()).await;
        let trailers = reply.trailers.unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (200, "hello"));
        assert_eq!(trailers["grpc-status"], "0");
        assert_eq!(trailers["grpc-message"], "fine");
        assert_eq!(reply.headers["trailer"], "grpc-status");
    });
}

#[test]
fn an_answer_that_breaks_off_never_looks_whole() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.worker(1, |mut stream, number| async move {
            read_request(&mut stream).await;
            let reply: &[u8] = match number % 2 {
                0 => b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
                _ => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            };
            stream.write_all(reply).await.unwrap();
        });
        let caller = Caller::new(&rig).await;
        for _ in 0..4 {
            let mut requests = caller.requests.clone().ready().await.unwrap();
            let (response, _) = requests.send_request(get("/"), true).unwrap();
            // It may be told so early that there is no head either.
            let error = match response.await {
                Ok(response) => until_error(response).await,
                Err(error) => error,
            };
            assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
        }
    });
}

/// Reads an answer that does not end well.
async fn until_error(response: Response<RecvStream>) -> h2::Error {
    let mut body = response.into_body();
    loop {
        match body.data().await.expect("it does not end well") {
            Ok(data) => body.flow_control().release_capacity(data.len()).unwrap(),
            Err(error) => return error,
        }
    }
}

#[test]
fn a_slow_client_slows_the_worker_down() {
    play(async {
        let rig = Rig::new(|_| {});
        let (tell, mut written) = tokio::sync::watch::channel(0_usize);
        rig.worker(1, move |mut stream, _| {
            let tell = tell.clone();
            async move {
                read_request(&mut stream).await;
                let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 * LONG);
                stream.write_all(reply.as_bytes()).await.unwrap();
                let piece = noise(16 * 1024);
                for count in 1..=64 * LONG / piece.len() {
                    if stream.write_all(&piece).await.is_err() {
                        return;
                    }
                    tell.send(count * piece.len()).unwrap();
                }
            }
        });
        // All of its requests together have room for more than one of them has.
        let mut builder = h2::client::Builder::new();
        builder.initial_connection_window_size(1024 * 1024);
        let mut caller = Caller::with(&rig, &builder).await;
        let response = caller.send(get("/")).await;
        // Nobody reads: what was written stays what the kernel and the windows hold.
        let mut last = 0;
        while let Ok(changed) =
            tokio::time::timeout(std::time::Duration::from_secs(1), written.changed()).await
        {
            changed.unwrap();
            last = *written.borrow();
        }
        assert!(last < 32 * LONG, "{last} bytes");
        // Others are served meanwhile.
        rig.backends.withdraw(1);
        rig.steady(2, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(caller.ask(get("/")).await.body, "hi");
        drop(response);
    });
}

#[test]
fn an_answer_may_come_before_the_request_is_over() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.worker(1, |mut stream, _| async move {
            read_to(&mut stream, "\r\n\r\n").await.unwrap();
            stream
                .write_all(b"HTTP/1.1 413 No\r\nContent-Length: 4\r\n\r\nlong")
                .await
                .unwrap();
            // Until it is left alone.
            while matches!(stream.read(&mut [0; 1024]).await, Ok(1..)) {}
        });
        let mut caller = Caller::new(&rig).await;
        let (response, mut send) = caller.begin(post("/")).await;
        let reply = read(response.await.unwrap()).await;
        assert_eq!((reply.status, reply.body.as_str()), (413, "long"));
        let reason = std::future::poll_fn(|context| send.poll_reset(context))
            .await
            .unwrap();
        assert_eq!(reason, h2::Reason::NO_ERROR);
    });
}
