//! How much, how long, how many.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn heads_have_a_size() {
    play(async {
        let rig = Rig::new(|settings| {
            settings.http.max_head = 1000;
            settings.http.max_headers = 10;
        });
        rig.steady(1, OK);
        let long = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "x".repeat(1000)
        );
        assert!(rig.all(&long).await.starts_with("HTTP/1.1 431 "));
        let endless = "x".repeat(1001);
        assert!(rig.all(&endless).await.starts_with("HTTP/1.1 431 "));
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(10));
        assert!(rig.all(&many).await.starts_with("HTTP/1.1 431 "));
        let fits = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(9));
        assert_eq!(rig.client().await.ask(&fits).await.status, 200);
    });
}

#[test]
fn as_many_lines_as_there_can_be() {
    play(async {
        let rig = Rig::new(|settings| settings.http.max_headers = u16::MAX);
        rig.steady(1, OK);
        let lines = |count| {
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
                "X: y\r\n".repeat(count)
            )
        };
        assert_eq!(rig.client().await.ask(&lines(255)).await.status, 200);
        assert!(rig.all(&lines(256)).await.starts_with("HTTP/1.1 431 "));
    });
}

#[test]
fn bodies_have_a_size() {
    play(async {
        let rig = Rig::new(|settings| settings.http.max_body = 10);
        rig.mirror(1);
        let long = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n";
        assert!(rig.all(long).await.starts_with("HTTP/1.1 413 "));
        let long = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                    a\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n";
        assert!(rig.all(long).await.starts_with("HTTP/1.1 413 "));
        let fits = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                    a\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(rig.client().await.ask(fits).await.status, 200);
    });
}

#[test]
fn a_head_has_a_time() {
    play(async {
        let rig = Rig::new(|settings| {
            settings.http.header_timeout_millis = 300;
            settings.http.idle_timeout_millis = 300;
        });
        rig.steady(1, OK);
        // Nothing at all.
        assert_eq!(rig.client().await.rest().await, "");
        // Some of it.
        let came = rig.all("GET / HTTP/1.1\r\n").await;
        assert!(came.starts_with("HTTP/1.1 408 "), "{came}");
        // Nothing any more.
        let mut client = rig.client().await;
        assert_eq!(client.ask(GET).await.status, 200);
        assert_eq!(client.rest().await, "");
        // Always a little more: that helps nobody.
        let mut client = rig.client().await;
        let begun = Instant::now();
        let drip = async {
            let head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(100_000));
            for byte in head.as_bytes() {
                if client.stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        drip.await;
        // A byte each 5 ms would be 500 s.
        assert!(begun.elapsed() < Duration::from_secs(50));
    });
}

#[test]
fn a_body_has_a_time() {
    play(async {
        let rig = Rig::new(|settings| settings.http.body_timeout_millis = 200);
        rig.mirror(1);
        let half = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello";
        let came = rig.all(half).await;
        assert!(came.starts_with("HTTP/1.1 408 "), "{came}");
    });
}

#[test]
fn a_body_has_a_rate() {
    play(async {
        let rig = Rig::new(|settings| {
            settings.http.body_timeout_millis = 300;
            settings.http.body_rate = 100_000;
        });
        rig.mirror(1);
        let mut client = rig.client().await;
        client
            .say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
            .await;
        // Something always comes, but too little.
        while client.stream.write_all(b"x").await.is_ok() {
            tokio::select! {
                came = client.stream.readable() => {
                    came.unwrap();
                    break;
                }
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
        }
        assert!(client.rest().await.starts_with("HTTP/1.1 408 "));
    });
}

/// Time that passed before a worker was there is not the client's.
#[test]
fn a_body_has_a_rate_from_when_it_is_wanted() {
    play(async {
        let rig = Rig::new(|settings| {
            settings.http.body_timeout_millis = 1_000;
            settings.http.body_rate = 100_000;
            settings.wait_timeout_millis = 60_000;
        });
        let mut client = rig.client().await;
        client
            .say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1")
            .await;
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        rig.mirror(1);
        // The worker has the first half of it by then.
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.say("2").await;
        assert_eq!(client.reply().await.status, 200);
    });
}

/// Whoever says in pieces what has no known end may have nothing to say for now.
#[test]
fn a_body_without_a_length_has_no_rate() {
    play(async {
        let rig = Rig::new(|settings| {
            settings.http.body_timeout_millis = 300;
            settings.http.body_rate = 100_000;
        });
        rig.mirror(1);
        let mut client = rig.client().await;
        client
            .say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        for _ in 0..20 {
            client.say("1\r\nx\r\n").await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        client.say("0\r\n\r\n").await;
        assert_eq!(client.reply().await.status, 200);
    });
}

#[test]
fn r46_who_says_nothing_takes_nothing_from_others() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.steady(1, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
        rig.steady(2, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
        let mut silent = Vec::new();
        for number in 0..300 {
            let mut client = rig.client().await;
            // One half has begun to speak.
            if number % 2 == 0 {
                client.say("GET / HTTP/1.1\r\nX: ").await;
            }
            silent.push(client);
        }
        let mut client = rig.client().await;
        let mut counts = [0; 2];
        for _ in 0..100 {
            let worker: usize = client.ask(GET).await.body.parse().unwrap();
            counts[worker - 1] += 1;
        }
        assert_eq!(counts, [50, 50]);
    });
}

#[test]
fn r25a_who_finds_no_worker_waits_for_one_but_not_all_do() {
    play(async {
        let rig = Rig::new(|settings| {
            settings.wait_timeout_millis = 50_000;
            settings.max_waiting = 2;
        });
        let mut waiting = Vec::new();
        for _ in 0..3 {
            let mut client = rig.client().await;
            client.say(GET).await;
            waiting.push(client);
        }
        // One of them was one too many.
        let mut statuses = Vec::new();
        let (first, rest) = waiting.split_at_mut(1);
        let (second, third) = rest.split_at_mut(1);
        tokio::select! {
            reply = first[0].reply() => statuses.push(reply.status),
            reply = second[0].reply() => statuses.push(reply.status),
            reply = third[0].reply() => statuses.push(reply.status),
        }
        assert_eq!(statuses, [503]);
        rig.steady(1, OK);
        rig.hear(|news| matches!(news, News::Counts { served: 2, .. }))
            .await;
    });
}

#[test]
fn r05_without_any_worker_the_client_is_told_when_to_come_again() {
    play(async {
        let rig = Rig::new(|settings| {
            settings.wait_timeout_millis = 20;
            settings.http.retry_after_seconds = 7;
        });
        let mut client = rig.client().await;
        let reply = client.ask(GET).await;
        assert_eq!((reply.status, reply.line("retry-after")), (503, Some("7")));
        rig.steady(1, OK);
        assert_eq!(client.ask(GET).await.status, 200);
    });
}
