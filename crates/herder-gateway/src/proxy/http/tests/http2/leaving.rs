//! Clients that leave, and a house that closes.

use tokio::io::AsyncWriteExt;

use super::*;

#[test]
fn a_request_that_is_given_up_is_given_up_at_the_worker() {
    play(async {
        let rig = Rig::new(|_| {});
        let (came, left) = mute(&rig);
        let mut caller = Caller::new(&rig).await;
        let (_response, mut send) = caller.begin(post("/")).await;
        send.send_data(Bytes::from_static(b"hello"), true).unwrap();
        // The worker reads a whole request, and has nothing to say.
        came.await.unwrap();
        send.send_reset(h2::Reason::CANCEL);
        left.await.unwrap();
    });
}

#[test]
fn a_client_that_has_gone_takes_all_its_requests_along() {
    play(async {
        let rig = Rig::new(|_| {});
        let (came, left) = mute(&rig);
        let caller = Caller::new(&rig).await;
        let mut requests = caller.requests.clone().ready().await.unwrap();
        let (response, _) = requests.send_request(get("/"), true).unwrap();
        came.await.unwrap();
        caller.ended.abort();
        drop(response);
        left.await.unwrap();
    });
}

#[test]
fn a_house_that_closes_has_open_requests_answered_and_no_others_begun() {
    play(async {
        let rig = Rig::new(|_| {});
        let (tell, answer) = oneshot::channel::<()>();
        let (come, came) = oneshot::channel();
        let both = std::cell::Cell::new(Some((answer, come)));
        rig.worker(1, move |mut stream, _| {
            let both = both.take();
            async move {
                read_request(&mut stream).await;
                let (answer, come) = both.expect("there is one request");
                come.send(()).unwrap();
                answer.await.unwrap();
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                    .await
                    .unwrap();
            }
        });
        let caller = Caller::new(&rig).await;
        let mut requests = caller.requests.clone().ready().await.unwrap();
        let (response, _) = requests.send_request(get("/"), true).unwrap();
        came.await.unwrap();
        rig.house.close();
        // The client hears of it while its request is open.
        let refused = loop {
            match caller.requests.clone().ready().await {
                Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                Err(error) => break error,
            }
        };
        assert!(refused.is_go_away(), "{refused}");
        assert_eq!(refused.reason(), Some(h2::Reason::NO_ERROR));
        tell.send(()).unwrap();
        assert_eq!(read(response.await.unwrap()).await.body, "hi");
        caller.ended.await.unwrap().unwrap();
        rig.house.fewer_than(1).await;
    });
}

#[test]
fn an_idle_client_is_told_to_leave() {
    play(async {
        let rig = Rig::new(|settings| settings.http.idle_timeout_millis = 50);
        rig.steady(1, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        let mut caller = Caller::new(&rig).await;
        assert_eq!(caller.ask(get("/")).await.body, "hi");
        caller.ended.await.unwrap().unwrap();
    });
}

#[test]
fn a_client_that_says_nothing_is_closed() {
    use tokio::io::AsyncReadExt;
    play(async {
        let rig = Rig::new(|settings| settings.http.header_timeout_millis = 50);
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        // The first line of what a client begins with, and not the rest of it.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM").await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        let mut silent = Caller::new(&rig).await;
        let ended = (&mut silent.ended).await.unwrap();
        assert!(ended.is_ok(), "{ended:?}");
    });
}

#[test]
fn a_connection_has_so_many_requests_at_most() {
    play(async {
        let rig = Rig::new(|settings| settings.http.max_requests = 3);
        rig.steady(1, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        let mut caller = Caller::new(&rig).await;
        for _ in 0..3 {
            assert_eq!(caller.ask(get("/")).await.body, "hi");
        }
        caller.ended.await.unwrap().unwrap();
    });
}
