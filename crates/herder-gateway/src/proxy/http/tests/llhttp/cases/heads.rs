//! First lines, header lines and their ends.

use super::List;

const METHODS: &str = "GET HEAD POST PUT DELETE OPTIONS TRACE PATCH COPY LOCK MKCOL MOVE PROPFIND PROPPATCH \
    SEARCH UNLOCK BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE \
    PURGE MKCALENDAR LINK UNLINK SOURCE QUERY CONNECT PRI DESCRIBE ANNOUNCE SETUP PLAY PAUSE TEARDOWN RECORD \
    get Get GETT GE G XGET GET- MKCOLA HEADER -GET 1GET PROPFINDX SEARCHES UNKNOWN";

const VERSIONS: &str = "HTTP/1.1 HTTP/1.0 HTTP/0.9 HTTP/1.2 HTTP/2.0 HTTP/2 HTTP/1 HTTP/9.9 HTTP/1.10 HTTP/01.1 \
    HTTP/11 HTTP/1,1 HTTP/1. HTTP/.1 HTTP/ HTTP HTT http/1.1 Http/1.1 HTTPS/1.1 HTTP1.1 HTTP//1.1 HTTP/1.1x XHTTP/1.1 \
    HTTP/-1.1 HTTP/+1.1 HTTP/a.1 HTTP/1.a IHTTP/1.0 ICE/1.0 RTSP/1.0 ICAP/1.0 SIP/2.0 1.1";

const TARGETS: &str = "/ /a /a/b/../c //a //a//b /? /?a=b&c /?a?b /;p=1 /%41 /%zz /%00 /%2e%2e/ /a:80 /http://b/ /@ /* /~ * ** a a/b ./a ../a \
    ?a a:80 a:b host:80 http://a http://a/ http://a:80/ http://a:80/?q http://a?q http://a/b?c http://A/ HTTP://a/ \
    https://a/ HtTpS://a/x http:///a http:// http://a:b/ http://b/ http://u@a/ http://u:p@a/ http://[::1]/ http://a. \
    http://a/#f ftp://a/ ws://a/ file:///etc/passwd http:a http:/a x://a/ /#f /a#b # /\\a \\a /<> /{} /| /^ /` /\" /'";

const NAMES: &str = "X x X-Y x_y X.Y X! X# X$ X% X& X' X* X+ X- X^ X` X| X~ 1 _ - Content_Length Transfer_Encoding X_Forwarded_For \
    X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Port X-Real-IP Forwarded X-Request-Id Proxy \
    Proxy-Connection Keep-Alive TE Trailer HTTP2-Settings Cookie Accept Via Date Content-Type X-Host Host-X Accept_ Cookie_X";

pub(super) fn add(list: &mut List) {
    first_lines(list);
    targets(list);
    every_byte(list);
    ends_of_lines(list);
    blanks(list);
    names(list);
    hosts(list);
    sizes(list);
    stops(list);
}

#[expect(clippy::too_many_lines, reason = "a list: a case after the other")]
fn first_lines(list: &mut List) {
    list.idea("methods");
    for method in METHODS.split_whitespace() {
        list.line(format!("{method} / HTTP/1.1"));
    }
    list.line("CONNECT a:80 HTTP/1.1");
    list.idea("versions");
    for version in VERSIONS.split_whitespace() {
        list.line(format!("GET / {version}"));
    }
    for line in [
        "GET /",
        "GET / ",
        "GET",
        "GET ",
        "",
        " ",
        "/ HTTP/1.1",
        "GET HTTP/1.1",
        "HTTP/1.1 200 OK",
        "HTTP/1.1",
    ] {
        list.line(line);
    }
    list.idea("blanks in first lines");
    for line in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/1.1  ",
        "GET / HTTP/1.1\t",
        " GET / HTTP/1.1",
        "\tGET / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET / a HTTP/1.1",
        "GET / HTTP/1.1 HTTP/1.1",
        "GET / HTTP /1.1",
        "GET / HTTP/ 1.1",
        "GET / HTTP/1 .1",
        "GET / HTTP/1. 1",
        "GET\u{a0}/ HTTP/1.1",
        "GET \u{b}/ HTTP/1.1",
        "GET \u{c}/ HTTP/1.1",
    ] {
        list.line(line);
    }
    list.idea("what is ahead of a request");
    for before in [
        "\r\n",
        "\r\n\r\n",
        "\r\n\r\n\r\n\r\n",
        "\n",
        "\n\n",
        "\r",
        "\r\r\n",
        " \r\n",
        "\0",
        "\u{feff}",
        "x\r\n",
        "\t\r\n",
        "0\r\n\r\n",
    ] {
        list.push(format!("{before}GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    list.push("\u{16}\u{3}\u{1}\0\u{5}hello\r\n\r\n");
    list.push("PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n");
    // What begins HTTP/2 is known by the feature of that name.
    if !cfg!(feature = "http2") {
        list.push("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    }
}

fn targets(list: &mut List) {
    list.idea("targets");
    for target in TARGETS.split_whitespace() {
        for method in ["GET", "OPTIONS"] {
            list.line(format!("{method} {target} HTTP/1.1"));
        }
    }
    list.line(format!("GET /{} HTTP/1.1", "long/".repeat(1000)));
    for (target, host) in [
        ("http://a/", "A"),
        ("http://A/", "a"),
        ("http://a/", "a:80"),
        ("http://a:80/", "a"),
        ("http://a/", ""),
        ("http://a", "b"),
        ("https://a/", "a"),
        ("http://[::1]:80/", "[::1]:80"),
    ] {
        list.push(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }
    list.push("GET http://a/b HTTP/1.1\r\n\r\n");
    list.push("GET http://a/b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
}

/// Each byte that there is, at each place of a head.
fn every_byte(list: &mut List) {
    for byte in 0..=u8::MAX {
        let with =
            |before: &str, after: &str| [before.as_bytes(), &[byte], after.as_bytes()].concat();
        list.idea("each byte in a method");
        list.line(with("GE", "T / HTTP/1.1"));
        list.idea("each byte in a target");
        list.line(with("GET /a", "b HTTP/1.1"));
        list.idea("each byte ahead of a version");
        list.line(with("GET /", "HTTP/1.1"));
        list.idea("each byte in a name");
        list.lines(with("X", "Y: z"));
        list.idea("each byte ahead of a colon");
        list.lines(with("X", ": z"));
        list.idea("each byte behind a colon");
        list.lines(with("X:", "z"));
        list.idea("each byte in a value");
        list.lines(with("X: y", "z"));
        list.idea("each byte at the end of a value");
        list.lines(with("X: y", ""));
        list.idea("each byte ahead of a name");
        list.lines(with("", "X: y"));
        list.idea("each byte in a host");
        list.push(
            [
                b"GET / HTTP/1.1\r\nHost: a".as_slice(),
                &[byte],
                b"b\r\n\r\n",
            ]
            .concat(),
        );
    }
}

fn ends_of_lines(list: &mut List) {
    for end in [
        "\n",
        "\r",
        "\r\r\n",
        "\n\r",
        "\n\n",
        "\r\n\r",
        "\r\n\n",
        "\0\r\n",
        "\u{b}\r\n",
        "\u{85}\r\n",
        "\u{2028}\r\n",
        "\r \n",
        "\r\0\n",
    ] {
        list.idea("ends of lines");
        list.push(format!("GET /{end}Host: a\r\n\r\n"));
        list.push(format!("GET / HTTP/1.1{end}Host: a\r\n\r\n"));
        list.push(format!("GET / HTTP/1.1\r\nHost: a{end}X: y\r\n\r\n"));
        list.push(format!(
            "GET / HTTP/1.1\r\nHost: a{end}Content-Length: 5\r\n\r\nhello"
        ));
        list.push(format!("GET / HTTP/1.1\r\nHost: a\r\nX: y{end}\r\n"));
        list.push(format!("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n{end}"));
        list.push(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX:{end}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ));
        list.push(format!("GET / HTTP/1.1\r\nHost: a\r\nX{end}: y\r\n\r\n"));
        list.push(format!("GET / HTTP/1.1\r\nHost: a\r\n{end}X: y\r\n\r\n"));
        list.push(format!("GET / HTTP/1.1{end}Host: a{end}{end}"));
    }
    list.idea("lines that go on");
    for fold in [" ", "\t", "  ", " \t", " \r\n ", "\t\r\n\t"] {
        list.lines(format!("X: y\r\n{fold}z"));
        list.lines(format!("X:\r\n{fold}z"));
        list.lines(format!("X: y\r\n{fold}"));
        list.lines(format!("X: y\r\n{fold}Content-Length: 5"));
        list.push(format!("GET / HTTP/1.1\r\n{fold}Host: a\r\n\r\n"));
        list.push(format!("GET / HTTP/1.1\r\nHost: a\r\n{fold}b\r\n\r\n"));
        list.body(&format!("Content-Length:\r\n{fold}5"), "hello");
        list.body(&format!("Transfer-Encoding:\r\n{fold}chunked"), "0\r\n\r\n");
        list.body(
            &format!("Transfer-Encoding: chunked\r\n{fold}, identity"),
            "0\r\n\r\n",
        );
    }
}

fn blanks(list: &mut List) {
    list.idea("blanks around colons and values");
    for before in ["", " ", "\t", "  "] {
        for after in ["", " ", "\t", "  ", " \t "] {
            for end in ["", " ", "\t", " \t"] {
                list.lines(format!("X{before}:{after}y{end}"));
                list.body(&format!("Content-Length{before}:{after}5{end}"), "hello");
                list.body(
                    &format!("Transfer-Encoding{before}:{after}chunked{end}"),
                    "0\r\n\r\n",
                );
            }
        }
    }
    for line in [
        "X:", "X: ", "X:\t", "X::", "X: :", "X", ":", ": y", " : y", "X y", "X Y: z", "=: y",
        "X=y", "X: y: z",
    ] {
        list.lines(line);
    }
}

fn names(list: &mut List) {
    list.idea("names");
    for name in NAMES.split_whitespace() {
        list.lines(format!("{name}: y"));
        list.lines(format!("Connection: {name}\r\n{name}: y"));
    }
    list.idea("names twice");
    for name in [
        "X",
        "Cookie",
        "Accept",
        "Via",
        "Content-Type",
        "Connection",
        "Expect",
        "Upgrade",
    ] {
        list.lines(format!("{name}: y\r\n{name}: z"));
    }
}

fn hosts(list: &mut List) {
    list.idea("hosts");
    for host in [
        "",
        "a",
        "A",
        "a:80",
        "a:",
        ":80",
        "a:b",
        "a:80:80",
        "[::1]",
        "[::1]:80",
        "::1",
        "127.0.0.1",
        "a.b.",
        "a,b",
        "a, b",
        "a b",
        "a;b",
        "a@b",
        "u:p@a",
        "a/b",
        "a\\b",
        "a?b",
        "a#b",
        "http://a",
        "a%41",
        "\"a\"",
        "<a>",
        "*",
        "_",
        "-",
        "\u{e9}",
    ] {
        list.push(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }
    for lines in [
        "",
        "X: y\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nhost: a\r\n",
        "Host:\r\nHost: a\r\n",
        "Host : a\r\n",
        "Host\r\n",
        "Hos: a\r\n",
        "HOST: a\r\n",
        "hOsT:a\r\n",
        "X: y\r\nHost: a\r\n",
    ] {
        for version in ["1.1", "1.0"] {
            list.push(format!(
                "GET / HTTP/{version}\r\nConnection: keep-alive\r\n{lines}\r\n"
            ));
        }
    }
}

fn sizes(list: &mut List) {
    list.idea("sizes");
    list.lines(format!("{}: y", "X".repeat(300)));
    list.lines(format!("X: {}", "y".repeat(8000)));
    list.lines(format!("X: {}", "y".repeat(20_000)));
    list.lines(format!("X: {}", "y".repeat(40_000)));
    list.lines(format!("X: {}y", " ".repeat(500)));
    list.lines(vec!["X: y"; 90].join("\r\n"));
    list.lines(vec!["X: y"; 150].join("\r\n"));
    list.line(format!("GET /{} HTTP/1.1", "a".repeat(20_000)));
    list.line(format!("{} / HTTP/1.1", "G".repeat(40)));
}

/// Requests that stop at every place.
fn stops(list: &mut List) {
    list.idea("stops");
    for whole in [
        "GET /stop HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: u\r\n\r\n",
    ] {
        // Where the first of them differs from the others, or has a body.
        let from = if whole.starts_with("GET") {
            0
        } else {
            whole.find("\r\nH").unwrap()
        };
        for length in from..whole.len() {
            list.alone(&whole.as_bytes()[..length]);
        }
    }
}
