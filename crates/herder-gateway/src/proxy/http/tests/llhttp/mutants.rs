//! Requests that were fine before something happened to them.

use super::cases::LAST;

/// What everybody can read.
const PARENTS: [&str; 12] = [
    "GET /a?b=c HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nX-Y: z\r\n\r\n",
    "GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\n\r\nGET /b HTTP/1.1\r\nA: b",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n1\r\n!\r\n0\r\nT: u\r\n\r\n",
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiPOST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, X\r\nUpgrade: x\r\nX: y\r\n\r\n",
    "DELETE /a HTTP/1.1\r\nHost: a\r\nCookie: b=c\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
];

/// What is put in.
const BITS: [&str; 44] = [
    "\r",
    "\n",
    "\r\n",
    "\r\n\r\n",
    "\r\r\n",
    " ",
    "\t",
    "\0",
    "\u{b}",
    "\u{7f}",
    "\u{e9}",
    ":",
    ": ",
    ";",
    ",",
    "/",
    "?",
    "#",
    "%",
    "\"",
    "0",
    "5",
    "a",
    "G",
    "-",
    "_",
    "+",
    "chunked",
    "identity",
    "HTTP/1.0",
    "HTTP/1.1",
    " HTTP/1.1\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "Host: b\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: x\r\n",
    "Connection: close\r\n",
    "Connection: Content-Length\r\n",
    "X-Request-Id: 1\r\n",
    "\r\n X: y\r\n",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
];

/// A sequence that its seed decides.
struct Dice(u64);

impl Dice {
    /// Less than this.
    fn below(&mut self, limit: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % limit as u64).unwrap()
    }
}

/// A request to which one to three things happened, and another one behind it.
pub(super) fn mutant(seed: u64) -> Vec<u8> {
    let mut dice = Dice(seed);
    let mut bytes = PARENTS[dice.below(PARENTS.len())].as_bytes().to_vec();
    for _ in 0..=dice.below(3) {
        happen(&mut bytes, &mut dice);
    }
    bytes.extend_from_slice(LAST.as_bytes());
    bytes
}

fn happen(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let begin = dice.below(bytes.len() + 1);
    let end = (begin + 1 + dice.below(12)).min(bytes.len());
    match dice.below(7) {
        0 | 1 => {
            let bit = BITS[dice.below(BITS.len())];
            bytes.splice(begin..begin, bit.bytes());
        }
        2 => {
            let bit = BITS[dice.below(BITS.len())];
            bytes.splice(begin..end, bit.bytes());
        }
        3 => drop(bytes.drain(begin..end)),
        4 => {
            let twice = bytes[begin..end].to_vec();
            bytes.splice(begin..begin, twice);
        }
        5 if begin < bytes.len() => {
            bytes[begin] ^= 1 << dice.below(8);
        }
        _ => {
            let other = dice.below(bytes.len());
            if begin < bytes.len() {
                bytes.swap(begin, other);
            }
        }
    }
}
