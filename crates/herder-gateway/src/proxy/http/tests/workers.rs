//! Workers that do not do what they should.

use super::*;

fn lonely(settings: &mut crate::proxy::settings::ProxySettings) {
    settings.wait_timeout_millis = 10;
    settings.balancer.ejection = None;
}

/// Has a worker say something and close the connection; returns all that the client reads.
async fn told(says: String) -> String {
    let rig = Rig::new(lonely);
    rig.worker(1, move |mut stream, _| {
        let says = says.clone();
        async move {
            read_request(&mut stream).await;
            let _gone = stream.write_all(says.as_bytes()).await;
        }
    });
    rig.all("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
}

#[test]
fn an_answer_that_is_cut_off_never_looks_whole() {
    let whole = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
    ];
    for answer in whole {
        let head = answer.find("\r\n\r\n").unwrap() + 4;
        for cut in 0..=answer.len() {
            let came = play(told(answer[..cut].to_owned()));
            if cut < head {
                assert!(came.starts_with("HTTP/1.1 502 "), "{cut}: {came:?}");
            } else if cut == answer.len() {
                let end = came.split("\r\n\r\n").nth(1);
                assert!(end.is_some_and(|end| end.contains("hello")), "{came:?}");
            } else {
                let is_whole = came.ends_with("0\r\nA: b\r\n\r\n")
                    || (came.contains("Content-Length: 5") && came.ends_with("hello"));
                assert!(!is_whole, "{cut}: {came:?}");
            }
        }
    }
}

#[test]
fn answers_that_are_no_http_are_not_passed_on() {
    for answer in [
        "hello\r\n\r\n",
        "\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 999 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    ] {
        let came = play(told(answer.to_owned()));
        assert!(came.starts_with("HTTP/1.1 502 "), "{answer:?}: {came:?}");
    }
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    assert!(play(told(long)).starts_with("HTTP/1.1 502 "));
}

#[test]
fn what_follows_an_answer_is_nobodys() {
    play(async {
        let rig = Rig::new(lonely);
        rig.worker(1, |mut stream, _| async move {
            read_request(&mut stream).await;
            let two = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\
                       Content-Length: 4\r\n\r\nevil";
            stream.write_all(two.as_bytes()).await.unwrap();
            read_request(&mut stream).await;
        });
        let mut client = rig.client().await;
        for _ in 0..5 {
            assert_eq!(client.ask(GET).await.body, "hello");
        }
    });
}

#[test]
fn who_promises_a_body_where_there_is_none_is_not_asked_again_by_that_connection() {
    for promise in [
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Content-Length: 0",
    ] {
        play(async {
            let rig = Rig::new(lonely);
            rig.worker(1, move |mut stream, number| async move {
                while read_request(&mut stream).await.is_some() {
                    let answer =
                        format!("HTTP/1.1 204 No Content\r\nX: {number}\r\n{promise}\r\n\r\n");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
            let mut client = rig.client().await;
            let [first, second] = [client.ask(GET).await, client.ask(GET).await];
            assert_eq!((first.status, second.status), (204, 204));
            let is_same = first.line("x") == second.line("x");
            assert_eq!(is_same, promise == "Content-Length: 0", "{promise}");
        });
    }
}

#[test]
fn interim_answers_pass_until_there_are_too_many() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let came = play(told(format!("{}{last}", hints.repeat(3))));
    let passed = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(3);
    assert_eq!(
        came,
        format!("{passed}HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    );
    let came = play(told(format!("{}{last}", hints.repeat(100))));
    assert!(came.contains("HTTP/1.1 502 "), "{came}");
    assert!(!came.contains("HTTP/1.1 200 "), "{came}");
}

#[test]
fn old_clients_get_no_interim_answers() {
    play(async {
        let rig = Rig::new(lonely);
        rig.steady(
            1,
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        );
        let came = rig.all("GET / HTTP/1.0\r\n\r\n").await;
        assert!(came.starts_with("HTTP/1.1 200 "), "{came}");
    });
}

#[test]
fn who_does_not_answer_in_time_is_not_waited_for() {
    play(async {
        let rig = Rig::new(|settings| {
            lonely(settings);
            settings.http.response_timeout_millis = 100;
        });
        rig.worker(1, |mut stream, _| async move {
            read_request(&mut stream).await;
            read_request(&mut stream).await;
        });
        let reply = rig.client().await.ask(GET).await;
        assert_eq!(reply.status, 504);
        assert!(
            reply.body.contains("did not answer in time"),
            "{}",
            reply.body
        );
        rig.hear(|news| {
            matches!(
                news,
                News::Failed {
                    kind: Failure::TimedOut,
                    ..
                }
            )
        })
        .await;
    });
}

#[test]
fn pages_are_json_for_those_who_ask() {
    play(async {
        let rig = Rig::new(lonely);
        let mut client = rig.client().await;
        let reply = client
            .ask("GET / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n")
            .await;
        assert_eq!(reply.status, 503);
        assert_eq!(reply.line("content-type"), Some("application/json"));
        assert_eq!(reply.line("retry-after"), Some("1"));
        let page: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(page["status"], 503);
        assert_eq!(page["detail"], "shop has no worker that takes requests now");
        // The connection goes on.
        let reply = client.ask(GET).await;
        assert_eq!(reply.status, 503);
        assert_eq!(
            reply.body,
            "503 Service Unavailable\nshop has no worker that takes requests now\n"
        );
        client.say("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.reply_to("HEAD").await.status, 503);
        assert_eq!(client.ask(GET).await.status, 503);
    });
}
