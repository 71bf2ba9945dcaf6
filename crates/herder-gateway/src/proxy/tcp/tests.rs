use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener};
use tokio::time::timeout;

use crate::proxy::backends::{BackendAddress, News};
use crate::proxy::settings::ProxyVersion;
use crate::proxy::testing::{Site, all_of, noise, run, say, settings};

#[test]
fn each_half_of_a_connection_ends_for_itself() {
    run(async {
        let site = Site::open(settings(), None);
        let listener = site.worker(1).await;
        let mut client = site.client().await;
        let (mut worker, _) = listener.accept().await.unwrap();
        // The worker first, then the client, and the other way round.
        say(&mut worker, b"good day").await;
        assert_eq!(all_of(&mut client).await, b"good day");
        say(&mut client, b"thank you").await;
        assert_eq!(all_of(&mut worker).await, b"thank you");

        let mut client = site.client().await;
        let (mut worker, _) = listener.accept().await.unwrap();
        say(&mut client, b"question").await;
        assert_eq!(all_of(&mut worker).await, b"question");
        say(&mut worker, b"answer").await;
        assert_eq!(all_of(&mut client).await, b"answer");
    });
}

#[test]
fn much_goes_both_ways_at_a_time_and_arrives_as_it_was_sent() {
    const MUCH: usize = 8 * 1024 * 1024;
    for splice_above in [0, 1024, 16 * 1024] {
        run(async {
            let mut settings = settings();
            settings.tcp.splice_above = splice_above;
            let site = Site::open(settings, None);
            let listener = site.worker(1).await;
            let client = site.client().await;
            let (worker, _) = listener.accept().await.unwrap();
            let (up, down) = (noise(MUCH), noise(MUCH + 77));
            let talk = |stream: TcpStream, bytes: Vec<u8>| async move {
                let (mut read, mut write) = stream.into_split();
                let (heard, ()) = tokio::join!(all_of(&mut read), say(&mut write, &bytes));
                heard
            };
            let (at_client, at_worker) =
                tokio::join!(talk(client, up.clone()), talk(worker, down.clone()));
            assert!(
                at_client == down,
                "what the client got is not what was sent"
            );
            assert!(at_worker == up, "what the worker got is not what was sent");
        });
    }
}

#[test]
fn small_pieces_after_large_ones_arrive_in_order() {
    run(async {
        let site = Site::open(settings(), None);
        let listener = site.worker(1).await;
        let mut client = site.client().await;
        let (mut worker, _) = listener.accept().await.unwrap();
        let body = noise(200_000);
        let mut got = vec![0; body.len()];
        for _ in 0..20 {
            for length in [body.len(), 1, 100, 1, 70_000, 3, 3, 3, 3, 3, 3] {
                client.write_all(&body[..length]).await.unwrap();
                worker.read_exact(&mut got[..length]).await.unwrap();
                assert!(got[..length] == body[..length]);
                worker.write_all(b"ok").await.unwrap();
                let mut answer = [0; 2];
                client.read_exact(&mut answer).await.unwrap();
                assert_eq!(&answer, b"ok");
            }
        }
    });
}

#[test]
fn r46_who_does_not_read_holds_up_who_writes() {
    run(async {
        let site = Site::open(settings(), None);
        let listener = site.worker(1).await;
        let mut client = site.client().await;
        let (mut worker, _) = listener.accept().await.unwrap();
        let piece = noise(1024 * 1024);
        let mut written = 0;
        // What lies in the kernel and with us is bounded, whatever the kernel allows for one socket.
        let bound = 256 * 1024 * 1024;
        while let Ok(count) = timeout(Duration::from_secs(2), worker.write(&piece)).await {
            written += count.unwrap();
            assert!(written < bound, "nobody holds up the writer");
        }
        worker.shutdown().await.unwrap();
        assert_eq!(all_of(&mut client).await.len(), written);
    });
}

#[test]
fn a_connection_that_one_worker_refuses_goes_to_another() {
    run(async {
        let site = Site::open(settings(), None);
        for worker in 1..=3 {
            drop(site.worker(worker).await);
        }
        let listener = site.worker(4).await;
        for _ in 0..4 {
            let mut client = site.client().await;
            let (mut worker, _) = listener.accept().await.unwrap();
            say(&mut worker, b"here").await;
            assert_eq!(all_of(&mut client).await, b"here");
        }
    });
}

#[test]
fn r05_a_client_for_whom_there_is_nobody_is_reset() {
    run(async {
        let site = Site::open(settings(), None);
        let mut client = site.client().await;
        let ended = client.read(&mut [0]).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_client_that_comes_before_its_worker_waits_for_it() {
    run(async {
        let mut settings = settings();
        settings.wait_timeout_millis = 30_000;
        let site = Site::open(settings, None);
        let mut client = site.client().await;
        client.write_all(b"anybody?").await.unwrap();
        // It has come in and found nobody.
        while site.house.present() == 0 {
            tokio::task::yield_now().await;
        }
        let listener = site.worker(1).await;
        let (mut worker, _) = listener.accept().await.unwrap();
        let mut heard = [0; 8];
        worker.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"anybody?");
    });
}

#[test]
fn what_a_reset_cuts_off_does_not_look_whole() {
    run(async {
        let site = Site::open(settings(), None);
        let listener = site.worker(1).await;
        let mut client = site.client().await;
        let (mut worker, _) = listener.accept().await.unwrap();
        worker.write_all(b"half of").await.unwrap();
        client.read_exact(&mut [0; 7]).await.unwrap();
        worker.set_zero_linger().unwrap();
        drop(worker);
        let ended = client.read(&mut [0]).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);

        let client = site.client().await;
        let (mut worker, _) = listener.accept().await.unwrap();
        client.set_zero_linger().unwrap();
        drop(client);
        let ended = worker.read(&mut [0]).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn r46_a_silent_connection_is_closed() {
    run(async {
        let mut settings = settings();
        settings.tcp.idle_timeout_millis = 200;
        let site = Site::open(settings, None);
        let listener = site.worker(1).await;
        let mut client = site.client().await;
        let (mut worker, _) = listener.accept().await.unwrap();
        client.write_all(b"!").await.unwrap();
        worker.read_exact(&mut [0]).await.unwrap();
        assert_eq!(all_of(&mut client).await, b"");
        assert_eq!(all_of(&mut worker).await, b"");
    });
}

#[test]
fn a_worker_behind_a_unix_socket_is_one_too() {
    run(async {
        let site = Site::open(settings(), None);
        let name = format!("herder-proxy-{}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        site.admit(1, BackendAddress::Unix(path.clone()));
        let mut client = site.client().await;
        let (mut worker, _) = listener.accept().await.unwrap();
        std::fs::remove_file(&path).unwrap();
        let much = noise(1024 * 1024);
        tokio::join!(say(&mut worker, &much), async {
            assert!(all_of(&mut client).await == much);
        });
        let much = noise(1024 * 1024 + 1);
        tokio::join!(say(&mut client, &much), async {
            assert!(all_of(&mut worker).await == much);
        });
    });
}

#[test]
fn a_worker_is_told_who_its_client_is() {
    for version in [ProxyVersion::V1, ProxyVersion::V2] {
        run(async {
            let mut settings = settings();
            settings.tcp.proxy_protocol = Some(version);
            let site = Site::open(settings, None);
            let listener = site.worker(1).await;
            let mut client = site.client().await;
            let (mut worker, _) = listener.accept().await.unwrap();
            say(&mut client, b"then this").await;
            let heard = all_of(&mut worker).await;
            let (header, length) = super::Header::decode(&heard).unwrap().unwrap();
            let origin = super::Origin {
                client: client.local_addr().unwrap(),
                server: site.address,
                tls: None,
            };
            assert_eq!(header, super::Header::Client(origin));
            assert_eq!(&heard[length..], b"then this");
            assert_eq!(
                heard.starts_with(b"PROXY TCP4 "),
                version == ProxyVersion::V1
            );
        });
    }
}

#[test]
fn when_the_house_closes_nobody_comes_and_nobody_is_cut_off() {
    run(async {
        let site = Site::open(settings(), None);
        let mut news = site.backends.news().unwrap();
        let listener = site.worker(1).await;
        let mut client = site.client().await;
        let (mut worker, _) = listener.accept().await.unwrap();
        site.house.close();
        site.backends.withdraw(1);
        // The listener is gone when connecting is refused.
        while let Ok(late) = TcpStream::connect(site.address).await {
            drop(late);
            tokio::task::yield_now().await;
        }
        client.write_all(b"still").await.unwrap();
        worker.read_exact(&mut [0; 5]).await.unwrap();
        assert!(!site.served.is_finished());
        say(&mut worker, b"bye").await;
        assert_eq!(all_of(&mut client).await, b"bye");
        drop(client);
        site.served.await.unwrap();
        while news.recv().await.unwrap() != (News::Drained { worker: 1 }) {}
    });
}
