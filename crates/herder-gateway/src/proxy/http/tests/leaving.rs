//! Workers that leave, and the end of the front itself.

use std::rc::Rc;

use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;

/// Worker 1 tells of each request that came, and of each connection that was closed, and answers a request
/// when it is told to.
fn hesitant(rig: &Rig) -> (UnboundedReceiver<&'static str>, UnboundedSender<()>) {
    let (came, requests) = unbounded_channel();
    let (answer, answers) = unbounded_channel();
    let answers = Rc::new(Mutex::new(answers));
    rig.worker(1, move |mut stream, _| {
        let (came, answers) = (came.clone(), Rc::clone(&answers));
        async move {
            while read_request(&mut stream).await.is_some() {
                came.send("came").unwrap();
                answers.lock().await.recv().await.unwrap();
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
            // Who heard enough has gone.
            let _gone = came.send("closed");
        }
    });
    (requests, answer)
}

#[test]
fn a_worker_that_is_withdrawn_finishes_what_it_has() {
    play(async {
        let rig = Rig::new(|_| {});
        let (mut requests, answer) = hesitant(&rig);
        let mut client = rig.client().await;
        client.say(GET).await;
        assert_eq!(requests.recv().await, Some("came"));
        rig.steady(2, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother");
        rig.backends.withdraw(1);
        // Others are served by others meanwhile.
        let mut another = rig.client().await;
        for _ in 0..5 {
            assert_eq!(another.ask(GET).await.body, "other");
        }
        while let Ok(news) = rig.news.borrow_mut().try_recv() {
            assert_ne!(news, News::Drained { worker: 1 });
        }
        answer.send(()).unwrap();
        assert_eq!(client.reply().await.body, "ok");
        rig.hear(|news| matches!(news, News::Drained { worker: 1 }))
            .await;
        // Its connection is not kept.
        assert_eq!(requests.recv().await, Some("closed"));
    });
}

#[test]
fn kept_connections_are_closed_when_a_worker_is_withdrawn() {
    play(async {
        let rig = Rig::new(|_| {});
        let (closed, mut closings) = unbounded_channel();
        rig.worker(1, move |mut stream, _| {
            let closed = closed.clone();
            async move {
                while read_request(&mut stream).await.is_some() {
                    stream.write_all(OK.as_bytes()).await.unwrap();
                }
                closed.send(()).unwrap();
            }
        });
        assert_eq!(rig.client().await.ask(GET).await.status, 200);
        rig.backends.withdraw(1);
        assert_eq!(closings.recv().await, Some(()));
        rig.hear(|news| matches!(news, News::Drained { worker: 1 }))
            .await;
    });
}

#[test]
fn kept_connections_are_closed_before_the_worker_does() {
    play(async {
        let rig = Rig::new(|settings| settings.http.keep_millis = 100);
        let (closed, mut closings) = unbounded_channel();
        rig.worker(1, move |mut stream, _| {
            let closed = closed.clone();
            async move {
                read_request(&mut stream).await;
                stream.write_all(OK.as_bytes()).await.unwrap();
                read_request(&mut stream).await;
                closed.send(()).unwrap();
            }
        });
        assert_eq!(rig.client().await.ask(GET).await.status, 200);
        assert_eq!(closings.recv().await, Some(()));
    });
}

#[test]
fn twenty_generations_under_load_lose_nothing() {
    play(async {
        let rig = Rc::new(Rig::new(|_| {}));
        rig.steady(1, OK);
        let mut clients = tokio::task::JoinSet::new();
        for number in 0..8 {
            let rig = Rc::clone(&rig);
            clients.spawn_local(async move {
                let mut client = rig.client().await;
                let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
                for turn in 0..200 {
                    let request = if (turn + number) % 2 == 0 { GET } else { post };
                    assert_eq!(client.ask(request).await.status, 200);
                }
            });
        }
        for worker in 2..=20 {
            rig.steady(worker, OK);
            rig.backends.withdraw(worker - 1);
            let old = worker - 1;
            rig.hear(|news| *news == News::Drained { worker: old })
                .await;
            rig.backends.gone(old);
        }
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
    });
}

#[test]
fn a_front_that_closes_says_so_and_waits_for_who_is_late() {
    play(async {
        let rig = Rig::new(|settings| settings.http.keep_millis = 600_000);
        let (mut requests, answer) = hesitant(&rig);
        // One has a request under way, one is idle, and one is idle and never comes again.
        let (mut busy, mut late, mut idle) =
            (rig.client().await, rig.client().await, rig.client().await);
        for client in [&mut late, &mut idle] {
            answer.send(()).unwrap();
            assert_eq!(client.ask(GET).await.status, 200);
            requests.recv().await;
        }
        busy.say(GET).await;
        requests.recv().await;
        rig.house.close();
        late.say(GET).await;
        requests.recv().await;
        for _ in 0..2 {
            answer.send(()).unwrap();
        }
        for client in [&mut busy, &mut late] {
            let reply = client.reply().await;
            assert_eq!(
                (reply.status, reply.line("connection")),
                (200, Some("close"))
            );
            assert_eq!(client.rest().await, "");
        }
        assert_eq!(idle.rest().await, "");
        rig.house.fewer_than(1).await;
    });
}
