//! The decoder, with bytes in pieces of every kind.

use bytes::{Bytes, BytesMut};
use tungstenite::protocol::frame::coding::CloseCode;

use super::decoder::{Decoder, Item, Violation};
use crate::edge::testing::{BINARY, CLOSE, CONTINUE, PING, PONG, TEXT, frame, part};
use crate::hub::{Kind, Message};

const LIMIT: usize = 1000;

fn text(text: &str) -> Item {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    Item::Message(Message {
        kind: Kind::Text,
        bytes,
    })
}

/// What comes of these bytes, when they come in pieces of so many.
fn decode(input: &[u8], piece: usize) -> (Vec<Item>, Result<(), Violation>) {
    let (mut decoder, mut inbox, mut items) = (Decoder::new(LIMIT), BytesMut::new(), Vec::new());
    for piece in input.chunks(piece) {
        inbox.extend_from_slice(piece);
        loop {
            match decoder.next(&mut inbox) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(violation) => return (items, Err(violation)),
            }
        }
    }
    (items, Ok(()))
}

fn violation(input: &[u8]) -> Option<Violation> {
    let at_once = decode(input, input.len());
    assert_eq!(at_once, decode(input, 1), "the pieces make no difference");
    at_once.1.err()
}

#[test]
fn pieces_make_no_difference() {
    let long = "ä".repeat(LIMIT / 2);
    let input = [
        frame(TEXT, "hello €".as_bytes()),
        part(TEXT, &"€".as_bytes()[..1]),
        frame(PING, b"between"),
        part(CONTINUE, &"€".as_bytes()[1..2]),
        part(CONTINUE, b""),
        frame(CONTINUE, &"€".as_bytes()[2..]),
        frame(PONG, b""),
        frame(BINARY, b"\xff\x00"),
        frame(TEXT, b""),
        frame(TEXT, long.as_bytes()),
        frame(CLOSE, b"\x03\xe8bye"),
    ]
    .concat();
    let expected = [
        text("hello €"),
        Item::Ping(Bytes::from_static(b"between")),
        text("€"),
        Item::Pong,
        Item::Message(Message {
            kind: Kind::Bytes,
            bytes: Bytes::from_static(b"\xff\x00"),
        }),
        text(""),
        text(&long),
        Item::Close(Some(CloseCode::Normal)),
    ];
    for piece in [1, 2, 3, 5, 7, 11, 64, input.len()] {
        let (items, end) = decode(&input, piece);
        assert_eq!(
            (&items[..], end),
            (&expected[..], Ok(())),
            "pieces of {piece}"
        );
    }
}

/// Numbers without a pattern, the same in every run.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 32).unwrap() % limit
    }
}

#[test]
fn whatever_comes_pieces_make_no_difference() {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let text = "a€😀\u{7ff}".as_bytes();
    let opcodes = [CONTINUE, TEXT, BINARY, CLOSE, PING, PONG, 3, 0x42];
    for _ in 0..20_000 {
        let mut input = Vec::new();
        for _ in 0..noise.below(6) {
            let payload = &text.repeat(30)[..noise.below(300)];
            let opcode = opcodes[noise.below(opcodes.len())];
            input.extend(match noise.below(3) {
                0 => part(opcode, payload),
                _ => frame(opcode, payload),
            });
        }
        if noise.below(3) == 0 && !input.is_empty() {
            let place = noise.below(input.len());
            input[place] ^= 1 << noise.below(8);
        }
        let at_once = decode(&input, input.len().max(1));
        for piece in [1, 1 + noise.below(20)] {
            assert_eq!(decode(&input, piece), at_once, "{piece}: {input:?}");
        }
    }
}

#[test]
fn what_is_against_the_rules_is_refused() {
    let mut unmasked = frame(TEXT, b"");
    unmasked[1] &= 0x7f;
    let mut reserved = frame(TEXT, b"a");
    reserved[0] |= 0x40;
    for bad in [
        unmasked,
        reserved,
        frame(3, b"no such frame"),
        frame(11, b"no such frame"),
        frame(CONTINUE, b"of nothing"),
        [part(TEXT, b"a"), frame(TEXT, b"before the end")].concat(),
        part(PING, b"in parts"),
        frame(PING, &[0; 126]),
        frame(CLOSE, &[3]),
        frame(CLOSE, &[3, 0xed]),
        frame(CLOSE, &[0, 0]),
    ] {
        assert_eq!(violation(&bad), Some(Violation::Protocol), "{bad:?}");
    }
}

#[test]
fn text_is_utf8_and_found_wrong_as_soon_as_it_is() {
    let cut = &"€".as_bytes()[..2];
    for bad in [
        frame(TEXT, b"\xff"),
        frame(TEXT, cut),
        frame(TEXT, b"\xed\xa0\x80"),
        [part(TEXT, cut), frame(CONTINUE, b"a")].concat(),
        // The rest has not come.
        part(TEXT, b"wrong \xc0\xaf already"),
        frame(CLOSE, b"\x03\xe8\xff"),
    ] {
        assert_eq!(violation(&bad), Some(Violation::NotUtf8), "{bad:?}");
    }
    let early = frame(TEXT, b"\xff, and much more");
    assert_eq!(decode(&early[..7], 7).1, Err(Violation::NotUtf8));
    assert_eq!(violation(&frame(BINARY, b"\xff")), None);
}

#[test]
fn a_message_that_is_too_long_is_refused_by_its_head() {
    assert_eq!(violation(&frame(BINARY, &[0; LIMIT])), None);
    let long = frame(BINARY, &[0; LIMIT + 1]);
    assert_eq!(decode(&long[..8], 1).1, Err(Violation::TooLong));
    let parts = [
        part(BINARY, &[0; LIMIT]),
        part(CONTINUE, b""),
        frame(CONTINUE, b"1"),
    ]
    .concat();
    assert_eq!(violation(&parts), Some(Violation::TooLong));
    let huge = [&[0x82, 0xff][..], &[0xff; 8], &[0; 4]].concat();
    assert_eq!(violation(&huge), Some(Violation::TooLong));
}

#[test]
fn memory_grows_with_what_has_come_and_goes_with_it() {
    const CLAIM: usize = 16 * 1024 * 1024;
    let mut decoder = Decoder::new(CLAIM);
    let mut input = BytesMut::from(&frame(BINARY, &vec![7; CLAIM])[..]);
    let mut begin = input.split_to(14 + 1000);
    assert_eq!(decoder.next(&mut begin), Ok(None));
    assert!(decoder.held() <= 2000, "{}", decoder.held());
    assert_eq!(begin.len(), 0);
    let Ok(Some(Item::Message(message))) = decoder.next(&mut input) else {
        panic!("it is all there");
    };
    assert_eq!(message.bytes.len(), CLAIM);
    assert!(message.bytes.iter().all(|byte| *byte == 7));
    assert_eq!(decoder.held(), 0);
}

#[test]
fn many_small_parts_are_not_moved_each_time() {
    let mut decoder = Decoder::new(1 << 20);
    let mut input = BytesMut::from(&part(BINARY, b"")[..]);
    let mut grown = 0;
    let mut before = 0;
    for _ in 0..100_000 {
        input.extend_from_slice(&part(CONTINUE, b"12"));
        assert_eq!(decoder.next(&mut input), Ok(None));
        grown += usize::from(decoder.held() != before);
        before = decoder.held();
    }
    assert!(grown < 40, "{grown}");
}
