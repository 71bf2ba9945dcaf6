//! What others might read otherwise is refused, before a worker sees any of it.

use std::cell::Cell;
use std::rc::Rc;

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Sends each request with another one behind it, and returns the statuses of all answers.
async fn statuses(rig: &Rig, request: &str) -> Vec<String> {
    let second = "GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let all = rig.all(&format!("{request}{second}")).await;
    let heads = all.split("HTTP/1.1 ").skip(1);
    heads.map(|head| head[..3].to_owned()).collect()
}

/// A worker that counts what it reads.
fn counting(rig: &Rig) -> Rc<Cell<usize>> {
    let seen = Rc::new(Cell::new(0));
    let count = Rc::clone(&seen);
    rig.worker(1, move |mut stream, _| {
        let count = Rc::clone(&count);
        async move {
            while read_request(&mut stream).await.is_some() {
                count.set(count.get() + 1);
                if stream.write_all(OK).await.is_err() {
                    return;
                }
            }
        }
    });
    seen
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table: a case a line")]
fn ambiguous_requests_are_refused() {
    let refused: &[(&str, &str)] = &[
        // Two lengths.
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\nhello",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\nhello",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 5\r\n\r\nhello",
            "400",
        ),
        // 5 more than 64 bits can tell.
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
            "400",
        ),
        // Codings that one reads and another does not.
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "501",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "501",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "501",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "501",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
            "501",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n",
            "501",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
            "501",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked \t\r\n\r\n0\r\n\r\n",
            "501",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nX: y\r\r\nTransfer-Encoding: chunked\r\n\r\n",
            "400",
        ),
        // Names and lines.
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX(y): z\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n", "400"),
        ("GET / HTTP/1.1\nHost: a\n\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", "400"),
        // Whom it is for.
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET http://a/ HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400"),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", "400"),
        // The first line.
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400 or 505"),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400 or 505"),
        ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "400 or 505"),
        ("GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", "400 or 505"),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 or 505"),
        ("GET /\r\nHost: a\r\n\r\n", "400 or 505"),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", "400 or 505"),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", "400 or 505"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "400 or 505"),
        ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", "400 or 505"),
        ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", "400 or 505"),
        ("GET HTTP/1.1\r\nHost: a\r\n\r\n", "400 or 505"),
        ("/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 or 505"),
        ("GET / ICAP/1.0\r\nHost: a\r\n\r\n", "400 or 505"),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", "400 or 505"),
        ("PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 or 505"),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "501"),
        ("\x16\x03\x01\x02\0", "400 or 505"),
        // What would hide lines from others.
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n",
            "400",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Forwarded-For\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhello",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nExpect: something\r\n\r\n",
            "417",
        ),
    ];
    play(async {
        let rig = Rig::new(|_| {});
        let seen = counting(&rig);
        for (request, status) in refused {
            let came = statuses(&rig, request).await;
            assert_eq!(came.len(), 1, "{request:?}");
            assert!(status.contains(&came[0]), "{request:?}: {came:?}");
            assert_eq!(seen.get(), 0, "{request:?}");
        }
    });
}

#[test]
fn chunks_that_others_might_read_otherwise_are_refused() {
    play(async {
        let rig = Rig::new(|_| {});
        // It answers whatever it reads.
        let seen = counting(&rig);
        for body in [
            "5\nhello\r\n0\r\n\r\n",
            "5 \r\nhello\r\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5;a\nb\r\nhello\r\n0\r\n\r\n",
            "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
            "-5\r\nhello\r\n0\r\n\r\n",
            "+5\r\nhello\r\n0\r\n\r\n",
            " 5\r\nhello\r\n0\r\n\r\n",
            "5\rhello\r\n0\r\n\r\n",
            "5;a\rb\r\nhello\r\n0\r\n\r\n",
            // 5 more than 64 bits can tell.
            "10000000000000005\r\nhello\r\n0\r\n\r\n",
            "3\r\nhello\r\n0\r\n\r\n",
            "6\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello\r\n0\n\n",
            "0\r\nX: y\r\n z\r\n\r\n",
            "0\r\nX\r\n\r\n",
            "0\r\nContent-Length: 5\r\n\r\n",
            "5;\r\nhello\r\n0\r\n\r\n",
            "5; a\r\nhello\r\n0\r\n\r\n",
            "5;a=\"b\r\nhello\r\n0\r\n\r\n",
            "0\r\nX: y\n\r\n",
            "\r\nhello\r\n0\r\n\r\n",
        ] {
            let request =
                format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
            assert_eq!(statuses(&rig, &request).await, ["400"], "{body:?}");
        }
        assert_eq!(seen.get(), 0);
    });
}

/// What h1spec and llhttp's corpus hold to be fine.
#[test]
fn unusual_requests_are_served() {
    let served = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhOsT:a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:   a   \r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \u{e9}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-1!#$%&'*+.^`|~: y\r\n\r\n",
        "GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET HTTP://A HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /?q=<a>|{b}\"^` HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n",
        "query / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n005;x=y\r\nhello\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: , ,keep-alive,,\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\nTransfer_Encoding: chunked\r\n\r\n",
    ];
    play(async {
        let rig = Rig::new(|_| {});
        let seen = counting(&rig);
        for (number, request) in served.iter().enumerate() {
            assert_eq!(statuses(&rig, request).await, ["200", "200"], "{request:?}");
            assert_eq!(seen.get(), 2 * (number + 1), "{request:?}");
        }
    });
}

#[test]
fn what_a_worker_reads_has_one_meaning() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.mirror(1);
        let mut client = rig.client().await;
        let reply = client
            .ask(
                "POST http://A:80?x HTTP/1.1\r\nHost: a:80\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                 HTTP2-Settings: AA\r\nTransfer_Encoding: x\r\nTransfer-Encoding: CHUNKED\r\nTE: trailers\r\n\r\n\
                 5;ext=1\r\nhello\r\n0\r\n\r\n",
            )
            .await;
        let body = reply.body.as_str();
        assert!(
            body.starts_with("POST /?x HTTP/1.1\r\nHost: A:80\r\n"),
            "{body}"
        );
        for (line, count) in [
            ("\r\nTransfer-Encoding: chunked\r\n", 1),
            ("\r\nConnection: TE\r\nTE: trailers\r\n", 1),
            ("Upgrade", 0),
            ("Settings", 0),
            ("Transfer_Encoding", 0),
        ] {
            assert_eq!(body.matches(line).count(), count, "{line:?} in {body}");
        }
        assert!(body.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{body}");
    });
}
