//! Why the front and llhttp differ. The front is the stricter one; each difference has one of these reasons.

/// After a request that asks for an upgrade Node forgets what came with it, whether it upgrades or not. The front
/// passes it on once the worker has answered without one, as RFC 9110, 7.8 has it.
pub(super) const FORGOTTEN: &str = "what came with a request that asks for an upgrade";

/// llhttp reads `Connection` among the trailers as if it stood in the head, and ends the connection. The front
/// leaves it out.
pub(super) const TRAILER: &str = "a trailer does not end a connection";

/// In HTTP/1.0 llhttp keeps the connection then.
pub(super) const BOTH: &str = "who asks for a connection's end gets it, whatever else is said";

/// llhttp 8 does not see a `keep-alive` with a tab behind it. To the front that is no part of the value.
pub(super) const TAB: &str = "blanks around a value are none of it";

/// What the front says when it refuses, and why it does where llhttp does not mind.
const REASONS: [(&str, &str); 21] = [
    (
        "it does not begin with a method",
        "empty lines ahead of a request end as others do; llhttp takes a return or a line feed alone",
    ),
    (
        "its head is no HTTP: invalid token",
        "one blank between the words of a first line, which are three; llhttp takes several, and HTTP/0.9",
    ),
    (
        "its head is no HTTP: invalid HTTP version",
        "HTTP/1.1 and 1.0; llhttp takes 0.9 and 2.0, and RTSP for HTTP",
    ),
    (
        "its host has bytes that a host cannot have",
        "llhttp does not look at it; programs build addresses and rules of it",
    ),
    (
        "its `Host` is not that of its target",
        "one program looks at the one, another at the other",
    ),
    ("there are two `Host` lines", "the same"),
    ("its target names no host", "the same"),
    (
        "its target is neither a path nor an address",
        "llhttp takes what begins with a letter or a star for one",
    ),
    (
        "its target has bytes that a target cannot have",
        "a fragment is for the client alone (RFC 9112, 3.2)",
    ),
    (
        "its `Connection` names what others must see",
        "a client could hide a line from the worker that the front has written or read",
    ),
    (
        "its `Connection` names too much",
        "each name costs a look at each line",
    ),
    (
        "its `Content-Length` is no number",
        "18 digits; llhttp takes any number of zeros, and what 64 bits can hold",
    ),
    (
        "its only transfer coding can be `chunked`",
        "another one would have to be undone by the worker, and hardly any can",
    ),
    (
        "HTTP/1.0 knows no `Transfer-Encoding`",
        "programs differ in what they make of it (RFC 9112, 6.1)",
    ),
    (
        "the size of a chunk is not a number as it must be written",
        "15 digits; llhttp takes 64 bits of them",
    ),
    (
        "an extension of a chunk is longer than 256 bytes, or malformed",
        "nobody uses them; llhttp takes bytes that are no text within quotes, and names that are empty",
    ),
    (
        "the lines after the last chunk are longer than 8192 bytes, or malformed",
        "64 lines and 8 KiB; llhttp leaves that to Node, which counts them with the head",
    ),
    (
        "what it expects is not `100-continue`",
        "Node looks for the words anywhere within, and not at all in HTTP/1.0",
    ),
    (
        "it has more than 100 header lines",
        "the limit, which can be set, is another one",
    ),
    (
        "there are two `Transfer-Encoding` lines",
        "llhttp 8 takes one beside one that is empty",
    ),
    (
        "a line ends with a line feed alone",
        "llhttp takes that for the end of a request of HTTP/0.9",
    ),
];

/// The reason for a difference in which the front says this.
pub(super) fn of(why: &str) -> Option<&'static str> {
    let found = REASONS.iter().find(|(said, _)| why.contains(said));
    found.map(|(said, _)| *said)
}

/// All that there are.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    let said = REASONS.iter().map(|(said, _)| *said);
    said.chain([FORGOTTEN, TRAILER, BOTH, TAB])
}
