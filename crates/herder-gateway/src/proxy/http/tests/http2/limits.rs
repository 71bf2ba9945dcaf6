//! Clients that have others work for nobody, or that send without an end.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// What a client begins with, and settings with nothing in them.
const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Sends this over and over until the other side has had enough, and returns the reason that it gives.
async fn until_calm(rig: &Rig, first: &[u8], flood: &[u8]) -> u32 {
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let first = [BEGIN, first].concat();
    let flood = flood.to_vec();
    let sending = spawn_local(async move {
        to.write_all(&first).await.unwrap();
        while to.write_all(&flood).await.is_ok() {}
    });
    let reason = loop {
        let mut head = [0; 9];
        if from.read_exact(&mut head).await.is_err() {
            break u32::MAX;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        from.read_exact(&mut payload).await.unwrap();
        if head[3] == GO_AWAY {
            break u32::from_be_bytes(payload[4..8].try_into().unwrap());
        }
    };
    sending.abort();
    reason
}

#[test]
fn who_gives_up_more_than_was_answered_is_closed() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.worker(1, |mut stream, _| async move {
            while read_request(&mut stream).await.is_some() {}
        });
        let mut caller = Caller::new(&rig).await;
        let ended = loop {
            let Ok(mut requests) = caller.requests.clone().ready().await else {
                break (&mut caller.ended).await.unwrap();
            };
            let Ok((_response, mut send)) = requests.send_request(post("/"), false) else {
                break (&mut caller.ended).await.unwrap();
            };
            // It is open at the other side by then.
            send.send_data(Bytes::from_static(b"hello"), false).unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            send.send_reset(h2::Reason::CANCEL);
        };
        let reason = ended.unwrap_err().reason();
        assert_eq!(reason, Some(h2::Reason::ENHANCE_YOUR_CALM));
        // Others are served all the same.
        rig.backends.withdraw(1);
        rig.steady(2, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        let mut other = Caller::new(&rig).await;
        assert_eq!(other.ask(get("/")).await.body, "hi");
    });
}

#[test]
fn a_head_without_an_end_is_not_read_for_ever() {
    play(async {
        let rig = Rig::new(|_| {});
        // `x: ` and sixty bytes, written out each time.
        let mut line = vec![0, 1, b'x', 60];
        line.extend([b'y'; 60]);
        let first = frame(HEADERS, 0, 1, &line);
        let more = frame(CONTINUATION, 0, 1, &line.repeat(100));
        let reason = until_calm(&rig, &first, &more).await;
        assert!(reason != 0, "it has had enough");
    });
}

#[test]
fn settings_without_an_end_are_not_answered_for_ever() {
    play(async {
        let rig = Rig::new(|settings| settings.http.header_timeout_millis = 500);
        let settings = frame(SETTINGS, 0, 0, &[]).repeat(100);
        // Whether it is closed for that or because it asks for nothing: it is closed.
        until_calm(&rig, b"", &settings).await;
    });
}

#[test]
fn a_client_has_so_many_requests_at_a_time() {
    play(async {
        let rig = Rig::new(|settings| settings.max_clients = 2);
        rig.worker(1, |mut stream, _| async move {
            while read_request(&mut stream).await.is_some() {}
        });
        let mut caller = Caller::new(&rig).await;
        let mut open = Vec::new();
        for _ in 0..2 {
            open.push(caller.begin(post("/")).await);
        }
        let (response, _send) = caller.begin(post("/")).await;
        let error = response.await.unwrap_err();
        assert_eq!(error.reason(), Some(h2::Reason::REFUSED_STREAM));
        drop(open);
    });
}

#[test]
fn a_client_that_does_not_take_its_answer_is_given_up() {
    play(async {
        let rig = Rig::new(|settings| settings.http.body_timeout_millis = 200);
        let (tell, left) = oneshot::channel();
        let tell = std::cell::Cell::new(Some(tell));
        rig.worker(1, move |mut stream, _| {
            let tell = tell.take();
            async move {
                read_request(&mut stream).await;
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                    .await
                    .unwrap();
                while stream.write_all(&[b'x'; 16 * 1024]).await.is_ok() {}
                tell.expect("there is one request").send(()).unwrap();
            }
        });
        let mut caller = Caller::new(&rig).await;
        let response = caller.send(get("/")).await;
        left.await.unwrap();
        drop(response);
    });
}
