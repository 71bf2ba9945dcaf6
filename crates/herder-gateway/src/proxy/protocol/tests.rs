use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::proxy::settings::ProxyVersion;
use crate::proxy::testing::{Site, all_of, run, settings};

/// A front that trusts these networks, and passes on what it was told.
fn site(trusted: &[&str]) -> Site {
    let mut settings = settings();
    settings.proxy_protocol = true;
    settings.trusted = trusted.iter().map(|it| it.parse().unwrap()).collect();
    settings.tcp.proxy_protocol = Some(ProxyVersion::V1);
    Site::open(settings, None)
}

#[test]
fn a_trusted_proxy_says_for_whom_it_comes() {
    run(async {
        let site = site(&["10.0.0.0/8", "127.0.0.1"]);
        let listener = site.worker(1).await;
        let mut client = site.client().await;
        client.set_nodelay(true).unwrap();
        let said = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nthe rest";
        // In pieces, as far as the kernel makes it so; the last one has more than the header.
        for piece in said.chunks(11) {
            client.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        let (mut worker, _) = listener.accept().await.unwrap();
        client.shutdown().await.unwrap();
        let heard = all_of(&mut worker).await;
        assert_eq!(
            String::from_utf8_lossy(&heard),
            String::from_utf8_lossy(said)
        );
    });
}

#[test]
fn r65_who_is_not_listed_is_not_believed() {
    run(async {
        let site = site(&["10.0.0.0/8"]);
        let listener = site.worker(1).await;
        let mut client = site.client().await;
        let said = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";
        client.write_all(said).await.unwrap();
        client.shutdown().await.unwrap();
        let (mut worker, _) = listener.accept().await.unwrap();
        let heard = all_of(&mut worker).await;
        let ours = client.local_addr().unwrap().port();
        let expected = format!(
            "PROXY TCP4 127.0.0.1 127.0.0.1 {ours} {}\r\n",
            site.address.port()
        );
        // What it said is data, behind the truth.
        assert_eq!(heard, [expected.as_bytes(), said].concat());
    });
}

#[test]
fn r65_a_missing_or_bad_header_closes_the_connection() {
    run(async {
        let site = site(&["127.0.0.0/8"]);
        let listener = site.worker(1).await;
        for bad in [
            b"GET / HTTP/1.1\r\n\r\n".as_slice(),
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0",
        ] {
            let mut client = site.client().await;
            client.write_all(bad).await.unwrap();
            // The end or a reset, by what was unread.
            let ended = client.read(&mut [0; 1]).await;
            assert_eq!(ended.unwrap_or(0), 0, "{bad:?}");
        }
        let mut client = site.client().await;
        client.write_all(b"PROXY UNKNOWN\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        // The first whom the worker sees is the first who said it well.
        let (mut worker, _) = listener.accept().await.unwrap();
        assert_eq!(all_of(&mut worker).await, b"PROXY UNKNOWN\r\n");
    });
}

#[test]
fn r65_timed_a_header_that_does_not_come_closes_the_connection() {
    run(async {
        let site = site(&["127.0.0.0/8"]);
        let mut client = site.client().await;
        client.write_all(b"PROXY TCP4 ").await.unwrap();
        let ended = client.read(&mut [0; 1]).await;
        assert_eq!(ended.unwrap_or(0), 0);
    });
}
