//! Lengths, codings, chunks, and what goes with a connection.

use super::List;

const LENGTHS: [&str; 42] = [
    "0",
    "5",
    "05",
    "005",
    "00000000000000000005",
    "4",
    "6",
    "+5",
    "-5",
    "-0",
    "+0",
    "5.0",
    "5e0",
    "0x5",
    "5x",
    "x5",
    "x",
    "",
    " ",
    "\t",
    "5 5",
    "5,5",
    "5, 5",
    "5,",
    ",5",
    "5;5",
    "5 ,5",
    "'5'",
    "\"5\"",
    "5\t",
    "5\u{b}",
    "5\u{c}",
    "5\0",
    "\u{b}5",
    "\u{665}",
    "1_0",
    "18446744073709551615",
    "18446744073709551616",
    "18446744073709551621",
    "9223372036854775808",
    "99999999999999999999999",
    "-123456789123456789123456789",
];

const CODINGS: [&str; 40] = [
    "chunked",
    "Chunked",
    "CHUNKED",
    " chunked",
    "chunked ",
    "chunked\t",
    "\tchunked",
    "",
    " ",
    "identity",
    "gzip",
    "deflate",
    "compress",
    "x",
    "xchunked",
    "chunkedx",
    "chunke",
    "chunked-chunked",
    "chunked chunked",
    "chunked,chunked",
    "chunked, chunked",
    "gzip, chunked",
    "gzip,chunked",
    "chunked, gzip",
    "identity, chunked",
    "chunked, identity",
    "chunked,",
    ",chunked",
    ", chunked",
    "chunked;q=1",
    "chunked;",
    ";chunked",
    "\"chunked\"",
    "'chunked'",
    "\u{b}chunked",
    "chunked\u{b}",
    "chunked\0",
    "chunk\u{17f}",
    "chunKed",
    "c\thunked",
];

const CHUNKS: [&str; 74] = [
    "0\r\n\r\n",
    "00\r\n\r\n",
    "000000000000000000\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\n",
    "05\r\nhello\r\n0\r\n\r\n",
    "00000000005\r\nhello\r\n00\r\n\r\n",
    "a\r\n0123456789\r\n0\r\n\r\n",
    "A\r\n0123456789\r\n0\r\n\r\n",
    "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "5h\r\nhello\r\n0\r\n\r\n",
    "g\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "5\t\r\nhello\r\n0\r\n\r\n",
    " 5\r\nhello\r\n0\r\n\r\n",
    "\r\n5\r\nhello\r\n0\r\n\r\n",
    "\r\n",
    "5 5\r\nhello\r\n0\r\n\r\n",
    "5,5\r\nhello\r\n0\r\n\r\n",
    "4\r\nhello\r\n0\r\n\r\n",
    "6\r\nhello\r\n0\r\n\r\n",
    "5\nhello\r\n0\r\n\r\n",
    "5\rhello\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\r\nhello\r0\r\n\r\n",
    "5\r\nhello0\r\n\r\n",
    "5\r\nhello\r\n\r\n0\r\n\r\n",
    "5\r\n\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\n\r\n",
    "5\r\nhello\r\n0\r\n\n",
    "5\r\nhello\r\n0\n\n",
    "5\r\nhello\r\n0\r\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\r\n",
    "5\r\nhello\r\r\n0\r\n\r\n",
    "5\r\r\nhello\r\n0\r\n\r\n",
    "\n5\r\nhello\r\n0\r\n\r\n",
    "ffffffffffffffff\r\nhello",
    "10000000000000000\r\nhello",
    "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "7fffffffffffffff\r\nhello",
    "5;\r\nhello\r\n0\r\n\r\n",
    "5;a\r\nhello\r\n0\r\n\r\n",
    "5;a=b\r\nhello\r\n0\r\n\r\n",
    "5;a=\"b\"\r\nhello\r\n0\r\n\r\n",
    "5;a=\"b\\\"c\"\r\nhello\r\n0\r\n\r\n",
    "5;a=\"b\r\nhello\r\n0\r\n\r\n",
    "5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n",
    "5;a;b;c=d\r\nhello\r\n0\r\n\r\n",
    "5;a b\r\nhello\r\n0\r\n\r\n",
    "5 ;a\r\nhello\r\n0\r\n\r\n",
    "5; a\r\nhello\r\n0\r\n\r\n",
    "5;a =b\r\nhello\r\n0\r\n\r\n",
    "5;a= b\r\nhello\r\n0\r\n\r\n",
    "5;=b\r\nhello\r\n0\r\n\r\n",
    "5;a=\r\nhello\r\n0\r\n\r\n",
    "5;;a\r\nhello\r\n0\r\n\r\n",
    "5;a;\r\nhello\r\n0\r\n\r\n",
    "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "5;a\0\r\nhello\r\n0\r\n\r\n",
    "5;a\r\n;b\r\nhello\r\n0\r\n\r\n",
    "0;a\r\n\r\n",
    "0;a=b;c\r\n\r\n",
    "0 a\r\n\r\n",
    "5 a\r\nhello\r\n0\r\n\r\n",
    "5;a=\"\u{e9}\"\r\nhello\r\n0\r\n\r\n",
    "5;\u{e9}\r\nhello\r\n0\r\n\r\n",
    "5;a=b=c\r\nhello\r\n0\r\n\r\n",
    "5;\"a\"\r\nhello\r\n0\r\n\r\n",
    "5;a=\"b\"c\r\nhello\r\n0\r\n\r\n",
    "5;a=b\"c\"\r\nhello\r\n0\r\n\r\n",
];

const TRAILERS: [&str; 34] = [
    "T: u\r\n",
    "T:u\r\n",
    "T:\r\n",
    "T: u\r\nV: w\r\n",
    "T: u\r\nT: v\r\n",
    "T : u\r\n",
    "T\r\n",
    ": u\r\n",
    " T: u\r\n",
    "T: u\r\n v\r\n",
    "T: u\n",
    "T: u\r",
    "T: u\r\r\n",
    "T: \0\r\n",
    "T: \u{7f}\r\n",
    "T: \u{e9}\r\n",
    "T(: u\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Host: b\r\n",
    "Connection: close\r\n",
    "X-Forwarded-For: 1.2.3.4\r\n",
    "X_Forwarded_For: 1.2.3.4\r\n",
    "Content_Length: 5\r\n",
    "Cookie: a\r\n",
    "Trailer: T\r\n",
    "Upgrade: x\r\n",
    "Expect: 100-continue\r\n",
    "TE: trailers\r\n",
    "Proxy: x\r\n",
    "GET / HTTP/1.1\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n",
    "T:\t u \t\r\n",
    "t: u\r\nContent-Length: 5\r\nV: w\r\n",
];

pub(super) fn add(list: &mut List) {
    lengths(list);
    codings(list);
    connections(list);
    pipelines(list);
}

fn lengths(list: &mut List) {
    list.idea("lengths");
    for length in LENGTHS {
        list.body(&format!("Content-Length: {length}"), "hello");
        list.lines(format!("Content-Length: {length}"));
    }
    list.idea("lengths twice");
    for (one, other) in [
        ("5", "5"),
        ("5", "6"),
        ("6", "5"),
        ("0", "5"),
        ("5", "0"),
        ("5", "05"),
        ("5", ""),
        ("", "5"),
        ("5", "x"),
    ] {
        list.body(
            &format!("Content-Length: {one}\r\nContent-Length: {other}"),
            "hello",
        );
        list.body(
            &format!("Content-Length: {one}\r\ncontent-length: {other}"),
            "hello",
        );
        list.body(
            &format!("Content-Length: {one}\r\nX: y\r\nContent-Length: {other}"),
            "hello",
        );
    }
    list.idea("names like that of a length");
    for name in [
        "Content_Length",
        "Content-Lengt",
        "Content-Lengthx",
        "xContent-Length",
        "Content Length",
        "Content\rLength",
        "Content-Length\0",
        "CONTENT-LENGTH",
        "conTENT-Length",
    ] {
        list.body(&format!("{name}: 5"), "hello");
    }
    list.idea("lengths of what has no body as a rule");
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"] {
        for version in ["1.1", "1.0"] {
            let head =
                format!("{method} / HTTP/{version}\r\nHost: a\r\nConnection: keep-alive\r\n");
            list.push(format!("{head}Content-Length: 5\r\n\r\nhello"));
            list.push(format!("{head}Content-Length: 0\r\n\r\n"));
            list.push(format!(
                "{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            ));
        }
    }
}

fn codings(list: &mut List) {
    list.idea("codings");
    for coding in CODINGS {
        for body in ["0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"] {
            list.body(&format!("Transfer-Encoding: {coding}"), body);
        }
        list.body(
            &format!("Transfer-Encoding:{coding}\r\nContent-Length: 5"),
            "hello",
        );
    }
    list.idea("codings twice");
    for one in ["chunked", "identity", "gzip", "", "x"] {
        for other in ["chunked", "identity", "gzip", "", "x"] {
            list.body(
                &format!("Transfer-Encoding: {one}\r\nTransfer-Encoding: {other}"),
                "0\r\n\r\n",
            );
        }
    }
    list.idea("names like that of a coding");
    for name in [
        "Transfer_Encoding",
        "Transfer-Encodin",
        "Transfer-Encodingx",
        "xTransfer-Encoding",
        "Transfer Encoding",
        "Transfer\u{b}-Encoding",
        "Transfer-Encoding\0",
        "Transfer\rEncoding",
        "TRANSFER-ENCODING",
        "X:\r\nTransfer-Encoding",
        "transfer-encoding",
        "Content-Encoding",
    ] {
        list.body(&format!("{name}: chunked"), "0\r\n\r\n");
        list.body(
            &format!("Content-Length: 5\r\n{name}: chunked"),
            "0\r\n\r\n",
        );
    }
}

pub(super) fn chunks(list: &mut List) {
    list.idea("chunks");
    for body in CHUNKS {
        list.chunks(body);
    }
    list.idea("each byte in chunks");
    for byte in 0..=u8::MAX {
        let with =
            |before: &str, after: &str| [before.as_bytes(), &[byte], after.as_bytes()].concat();
        list.chunks(with("", "5\r\nhello\r\n0\r\n\r\n"));
        list.chunks(with("1", "\r\nhello world, hello world\r\n0\r\n\r\n"));
        list.chunks(with("5;a", "\r\nhello\r\n0\r\n\r\n"));
        list.chunks(with("5;a=", "\r\nhello\r\n0\r\n\r\n"));
        list.chunks(with("5;a=\"", "\"\r\nhello\r\n0\r\n\r\n"));
        list.chunks(with("5\r\nhello\r\n0", "\r\n\r\n"));
        list.chunks(with("5\r\nhello", "\n0\r\n\r\n"));
        list.chunks(with("5\r", "hello\r\n0\r\n\r\n"));
        list.chunks(with("0\r\nT", ": u\r\n\r\n"));
        list.chunks(with("0\r\nT: u", "v\r\n\r\n"));
    }
    list.idea("long extensions");
    for length in [10, 200, 255, 257, 1000, 20_000] {
        list.chunks(format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(length)));
    }
    list.idea("trailers");
    for trailer in TRAILERS {
        list.chunks(format!("0\r\n{trailer}\r\n"));
        list.chunks(format!("5\r\nhello\r\n0\r\n{trailer}\r\n"));
    }
    list.chunks(format!("0\r\n{}\r\n", "T: u\r\n".repeat(70)));
    list.chunks(format!("0\r\nT: {}\r\n\r\n", "u".repeat(9000)));
}

#[expect(clippy::too_many_lines, reason = "a list: a case after the other")]
fn connections(list: &mut List) {
    list.idea("connections");
    for value in [
        "close",
        "Close",
        "keep-alive",
        "Keep-Alive",
        "upgrade",
        "close, keep-alive",
        "keep-alive, close",
        "",
        ",",
        ", ,",
        "X",
        "x, y",
        "close,",
        "keep-alive\t",
        "X, close",
        "closed",
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "X-Forwarded-For",
        "Cookie",
        "TE",
        "Connection",
        "\"close\"",
        "close;q=1",
        "Accept",
        "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r",
    ] {
        for version in ["1.1", "1.0"] {
            list.push(format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: {value}\r\nX: y\r\nCookie: c\r\n\r\n"));
        }
    }
    list.lines("Connection: keep-alive\r\nConnection: close");
    list.lines("Connection: X\r\nX: y\r\nConnection: Y\r\nY: z\r\nx: w");
    list.idea("upgrades");
    for value in [
        "websocket",
        "WebSocket",
        "h2c",
        "h2c, websocket",
        "websocket, h2c",
        "x",
        "",
        "x/1, y/2",
        "TLS/1.0",
        "foo/2,bar",
    ] {
        for connection in [
            "Upgrade",
            "keep-alive, Upgrade",
            "keep-alive",
            "Upgrade, HTTP2-Settings",
        ] {
            list.lines(format!(
                "Connection: {connection}\r\nUpgrade: {value}\r\nHTTP2-Settings: AA"
            ));
        }
        list.body(
            &format!("Connection: Upgrade\r\nUpgrade: {value}\r\nContent-Length: 5"),
            "hello",
        );
        list.body(
            &format!("Connection: Upgrade\r\nUpgrade: {value}\r\nTransfer-Encoding: chunked"),
            "0\r\n\r\n",
        );
    }
    list.idea("expectations");
    for value in [
        "100-continue",
        "100-Continue",
        "100-continue ",
        "",
        "x",
        "100-continue, x",
        "100-continue;q=1",
        "200-ok",
    ] {
        list.body(&format!("Expect: {value}\r\nContent-Length: 5"), "hello");
        list.body(
            &format!("Expect: {value}\r\nTransfer-Encoding: chunked"),
            "0\r\n\r\n",
        );
        list.lines(format!("Expect: {value}"));
        list.push(format!(
            "GET / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: {value}\r\n\r\n"
        ));
    }
    list.idea("TE");
    for value in [
        "trailers",
        "Trailers",
        "trailers, deflate",
        "deflate",
        "",
        "trailers;q=0",
        "chunked",
    ] {
        list.lines(format!("TE: {value}"));
        list.lines(format!("TE: {value}\r\nConnection: TE"));
    }
}

fn pipelines(list: &mut List) {
    list.idea("pipelines");
    let get = "GET /get HTTP/1.1\r\nHost: a\r\n\r\n";
    let head = "HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = "POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let none = "POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let chunks = "POST /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let kinds = [get, head, post, none, chunks];
    for one in kinds {
        for other in kinds {
            for between in ["", "\r\n", "\n", "x", "\0", " "] {
                list.push(format!("{one}{between}{other}"));
            }
        }
    }
    list.push(get.repeat(30));
    list.push(format!("{post}{}", chunks.repeat(10)));
    list.push("POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello");
    list.push("POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello");
    list.push("POST / HTTP/1.0\r\n\r\nhello");
}
