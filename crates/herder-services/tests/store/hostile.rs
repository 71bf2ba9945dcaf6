//! A store, or whoever stands between, that sends what it should not.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use herder_services::redis::News;
use herder_services::state::{Condition, Put};

use crate::host::Host;
use crate::proxy::{Conduct, Proxy};
use crate::server::Server;

const SECOND: Duration = Duration::from_secs(1);

pub(crate) async fn works(host: &Host) {
    let put = Put {
        value: Bytes::from_static(b"1"),
        ttl: None,
        condition: Condition::Always,
    };
    let end = Instant::now() + 30 * SECOND;
    while let Err(error) = host.space.put("works", put.clone()).await {
        assert!(Instant::now() < end, "{error}");
        tokio::time::sleep(SECOND / 100).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r49_a_connection_that_brings_garbage_or_too_much_is_closed_and_another_made() {
    let server = Server::start();
    let proxy = Proxy::start(&server);
    let host = proxy.host().await;
    for hostile in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "\0\0\0",
        "$1073741824\r\n",
        ">1000000000\r\n",
        "*9\r\n$30000000\r\n",
        // A message without an end, of parts that are short enough.
        ">3\r\n$7\r\nmessage\r\n$8\r\ntest:bus\r\n$33000000\r\n",
    ] {
        host.forget_news();
        proxy.taken.store(0, Ordering::SeqCst);
        proxy.conduct.send_replace(Conduct::Send(hostile));
        host.until(|news| news.contains(&News::Down)).await;
        proxy.conduct.send_replace(Conduct::Pass);
        works(&host).await;
        let taken = proxy.taken.load(Ordering::SeqCst);
        assert!(taken < 64 << 20, "{taken} bytes after {hostile:?}");
    }
}

#[tokio::test]
async fn r48_a_store_that_breaks_every_connection_gets_few() {
    let server = Server::start();
    let proxy = Proxy::start(&server);
    let host = proxy.host().await;
    works(&host).await;
    proxy.conduct.send_replace(Conduct::Break);
    host.until(|news| news.contains(&News::Down)).await;
    proxy.connections.store(0, Ordering::SeqCst);
    let callers = async {
        loop {
            // Whoever calls meanwhile makes it no worse.
            let _down = host.space.get_fresh("a").await;
        }
    };
    let _elapsed = tokio::time::timeout(3 * SECOND, callers).await;
    let connections = proxy.connections.load(Ordering::SeqCst);
    assert!((3..=30).contains(&connections), "{connections} in 3 s");
    proxy.conduct.send_replace(Conduct::Pass);
    works(&host).await;
}
