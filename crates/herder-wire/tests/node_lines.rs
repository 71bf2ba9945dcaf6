//! The stream of a worker's lines: cut anywhere, and hostile.

mod random;

use std::iter::once;

use herder_wire::node::{
    Accepted, Beginning, Decoder, Framing, FromNode, HandleKind, LineError, MAX_LINE, UserValue,
};
use random::Random;

/// The life of a worker, as Node 20 wrote it.
const LIFE: &str = concat!(
    r#"{"cmd":"NODE_CLUSTER","act":"online","seq":0}"#,
    "\n",
    r#"{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":null,"port":4781,"addressType":4,"backlog":0,"seq":1}"#,
    "\n",
    r#"{"cmd":"NODE_CLUSTER","act":"listening","index":0,"data":null,"address":null,"port":4781,"addressType":4,"backlog":0,"seq":2}"#,
    "\n",
    r#"{"cmd":"NODE_HANDLE_ACK"}"#,
    "\n",
    r#"{"cmd":"NODE_CLUSTER","ack":3,"accepted":true,"seq":3}"#,
    "\n\"über\\n🐎\"\n5\n",
    r#"{"cmd":"NODE_HANDLE","type":"net.Socket","msg":"take","key":"4:null:4790"}"#,
    "\n",
    r#"{"cmd":"NODE_CLUSTER","act":"close","key":"k\"1","seq":4}"#,
    "\n",
    r#"{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":5}"#,
    "\n",
);

/// The life of a worker that is Bun 1.4, whose program speaks first.
const BUN: &str = concat!(
    "\"ready\"\n",
    "\u{2}{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}\n",
    "\u{2}{\"cmd\":\"NODE_CLUSTER\",\"act\":\"listening\",\"port\":4792,\"data\":null,\"address\":null,\"addressType\":4}\n",
    "\u{2}{\"cmd\":\"NODE_HANDLE_ACK\"}\n",
    "\u{2}{\"own\":1}\n",
    "{\"act\":\"suicide\"}\n",
);

/// What came out, whether it ended whole, and as what the peer showed itself.
type Outcome = (Vec<FromNode>, Result<bool, LineError>, Framing);

fn decode_with<'a>(mut decoder: Decoder, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut messages = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => {
                    decoder.push(b"5\n");
                    assert_eq!(decoder.next(), Err(error), "an error is final");
                    assert!(decoder.capacity() == 0, "and costs nothing");
                    return (messages, Err(error), decoder.framing());
                }
            }
        }
    }
    (messages, Ok(decoder.is_empty()), decoder.framing())
}

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    decode_with(Decoder::new(), pieces)
}

fn failure(bytes: &[u8]) -> Option<LineError> {
    let at_once = decode(once(bytes));
    assert_eq!(decode(bytes.chunks(1)), at_once, "byte by byte");
    at_once.1.err()
}

#[test]
fn a_life_is_read_in_order() {
    let (messages, end, framing) = decode(once(LIFE.as_bytes()));
    assert_eq!((end, framing), (Ok(true), Framing::Node));
    assert_eq!(messages.len(), 10);
    assert_eq!(messages[0], FromNode::Online);
    assert_eq!(messages[3], FromNode::Acknowledged);
    let accepted = Accepted::Yes;
    assert_eq!(messages[4], FromNode::Verdict { ack: 3, accepted });
    assert_eq!(
        messages[7],
        FromNode::Handle {
            kind: HandleKind::Socket,
            inner: Box::new(FromNode::User(UserValue::from_text("take"))),
        }
    );
    assert_eq!(messages[9], FromNode::ExitedAfterDisconnect { seq: 5 });
}

#[test]
fn bun_shows_itself_with_its_first_mark() {
    let mut decoder = Decoder::new();
    decoder.push(BUN.as_bytes());
    assert!(matches!(decoder.next(), Ok(Some(FromNode::User(_)))));
    assert_eq!(decoder.framing(), Framing::Node);
    assert_eq!(decoder.next(), Ok(Some(FromNode::Online)));
    assert_eq!(decoder.framing(), Framing::Bun);
    assert!(matches!(
        decoder.next(),
        Ok(Some(FromNode::Listening { .. }))
    ));
    assert_eq!(decoder.next(), Ok(Some(FromNode::Acknowledged)));
    assert_eq!(decoder.next(), Ok(Some(FromNode::Internal)));
    assert!(matches!(decoder.next(), Ok(Some(FromNode::User(_)))));
    assert_eq!(
        decoder.framing(),
        Framing::Bun,
        "plain lines change nothing"
    );
    assert_eq!(decoder.next(), Ok(None));
}

#[test]
fn a_life_in_two_pieces_is_the_same_life() {
    for life in [LIFE, BUN] {
        let whole = decode(once(life.as_bytes()));
        for cut in 0..=life.len() {
            let (head, tail) = life.as_bytes().split_at(cut);
            assert_eq!(decode([head, tail].into_iter()), whole, "cut at {cut}");
        }
        assert_eq!(decode(life.as_bytes().chunks(1)), whole);
    }
}

#[test]
fn r18_random_cuts_and_merges_change_nothing() {
    let lives = [LIFE, BUN, LIFE, LIFE].concat();
    let whole = decode(once(lives.as_bytes()));
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let longest = random.pick(&[2, 10, 100, 1000]);
        let mut rest = lives.as_bytes();
        let pieces = std::iter::from_fn(|| {
            let ended = rest.is_empty();
            let (piece, left) = rest.split_at(random.below(longest).min(rest.len()));
            rest = left;
            (!ended).then_some(piece)
        });
        assert_eq!(decode(pieces), whole, "seed {seed}");
    }
}

#[test]
fn a_line_that_is_cut_by_the_end_is_seen() {
    for cut in 1..LIFE.len() {
        let (_, end, _) = decode(once(&LIFE.as_bytes()[..cut]));
        let whole = LIFE.as_bytes()[cut - 1] == b'\n';
        assert_eq!(end, Ok(whole), "cut at {cut}");
    }
}

#[test]
fn r18_a_blank_line_is_fatal_and_named() {
    for blank in ["\n", " \t\r\n", "\u{2}\n", "5\n\n6\n"] {
        assert_eq!(failure(blank.as_bytes()), Some(LineError::Blank));
    }
}

#[test]
fn r18_what_is_not_json_is_fatal_and_named() {
    for line in [
        "{\n",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\"\n",
        "{}{}\n",
        "ready\n",
        "\"a\u{1}\"\n",
        "\u{feff}5\n",
        "\u{2}\u{2}{\"cmd\":\"NODE_HANDLE_ACK\"}\n",
        "{\"cmd\":\"NODE_CLUSTER\",\"ack\":01,\"accepted\":true,\"seq\":3}\n",
        "{\"cmd\":\"NODE_CLUSTER\",\"ack\":1,\"accepted\":true,\"seq\":3}}\n",
    ] {
        let failure = failure(line.as_bytes());
        assert!(matches!(failure, Some(LineError::Json(_))), "{line:?}");
    }
}

#[test]
fn r18_what_is_not_utf8_is_fatal_and_named() {
    for (line, column) in [
        (&b"\"\xff\"\n"[..], 2),
        (b"\"\xed\xa0\x80\"\n", 2),
        (b"\"\xc3\n", 2),
        (b"\xfe\n", 1),
    ] {
        assert_eq!(failure(line), Some(LineError::NotUtf8 { column }));
    }
}

#[test]
fn r18_a_failure_says_which_message_was_the_last_good_one() {
    let (messages, end, _) = decode(once(&b"5\n{\n6\n"[..]));
    assert_eq!(messages.len(), 1);
    assert!(end.is_err());
}

#[test]
fn r18_depth_costs_neither_stack_nor_a_worker() {
    let depth = 2_000_000;
    let nested = format!("{}{}\n", "[".repeat(depth), "]".repeat(depth));
    let (messages, end, _) = decode(nested.as_bytes().chunks(65_536));
    assert_eq!(end, Ok(true));
    let [FromNode::User(value)] = messages.as_slice() else {
        panic!("one value of the program");
    };
    assert_eq!(value.as_json(), nested.trim_end());

    let open = format!("{}\n", "{\"a\":".repeat(depth));
    let (_, end, _) = decode(open.as_bytes().chunks(65_536));
    assert!(matches!(end, Err(LineError::Json(_))));
}

/// How many messages came out of lines by this limit, and how many were left out.
fn skipping<'a>(limit: usize, pieces: impl Iterator<Item = &'a [u8]>) -> (usize, u64, bool) {
    let mut decoder = Decoder::with_limit(limit);
    let (mut messages, mut skipped) = (0, 0);
    for piece in pieces {
        decoder.push(piece);
        while let Some(_message) = decoder.next().expect("lines of a program") {
            messages += 1;
        }
        skipped += decoder.take_skipped();
    }
    (messages, skipped, decoder.is_empty())
}

#[test]
fn r18_a_line_of_100_megabytes_costs_no_more_than_the_limit() {
    for (start, ends) in [("", false), (r#"{"cmd":"NODE_X","#, true)] {
        let mut decoder = Decoder::new();
        decoder.push(start.as_bytes());
        let piece = vec![b'x'; 65_536];
        let mut most = 0;
        for _ in 0..1600 {
            decoder.push(&piece);
            most = most.max(decoder.capacity());
            if let Err(error) = decoder.next() {
                assert_eq!(error, LineError::TooLong { limit: MAX_LINE });
            }
        }
        assert!(most <= MAX_LINE + piece.len(), "{most} bytes were held");
        assert_eq!(decoder.capacity(), 0);
        assert!(!decoder.is_empty() || ends);
        decoder.push(b"\n5\n");
        assert_eq!(decoder.next().is_err(), ends);
        assert_eq!(decoder.take_skipped(), u64::from(!ends));
    }
}

#[test]
fn a_limit_is_exact_in_any_pieces() {
    for limit in [0, 1, 10, 100] {
        for length in [1, limit.max(1), limit + 1, limit + 2] {
            let line = ["1".repeat(length).as_bytes(), b"\n"].concat();
            let expected = if length <= limit {
                (1, 0, true)
            } else {
                (0, 1, true)
            };
            for chunk in [1, 3, 7, 200] {
                let found = skipping(limit, line.chunks(chunk));
                assert_eq!(found, expected, "{length} of {limit} by {chunk}");
            }
        }
    }
}

#[test]
fn a_message_that_is_too_long_is_left_out_between_others() {
    let long = "7".repeat(50);
    let stream = format!("5\n6\n{long}\n{long}\n8\n{long}\n9\n{long}");
    for chunk in [1, 2, 3, 5, 60, 1000] {
        let found = skipping(10, stream.as_bytes().chunks(chunk));
        assert_eq!(found, (4, 4, false), "by {chunk}");
    }
    // Whatever else it is: it is not read.
    for other in [
        " ",
        "{\"cmd\":\"NODE-",
        "{\"msg\":1,\"cmd\":\"NODE_X",
        "\"\u{fc}",
    ] {
        let stream = format!("{other}{}\n5\n", "-".repeat(50));
        for chunk in [1, 2, 60, 1000] {
            let found = skipping(20, stream.as_bytes().chunks(chunk));
            assert_eq!(found, (1, 1, true), "{other:?} by {chunk}");
        }
    }
}

#[test]
fn r18_a_message_of_nodes_own_that_is_too_long_is_fatal() {
    for (limit, start) in [(20, "{\"cmd\":\"NODE_"), (20, "\u{2}{"), (3, "{\"cm-")] {
        let stream = format!("5\n6\n{start}{}", "-".repeat(50));
        for end in ["", "\n7\n"] {
            let stream = format!("{stream}{end}");
            for chunk in [1, 2, 3, 5, 60, 1000] {
                let pieces = stream.as_bytes().chunks(chunk);
                let (messages, end, _) = decode_with(Decoder::with_limit(limit), pieces);
                assert_eq!(messages.len(), 2, "{start} by {chunk}");
                assert_eq!(end, Err(LineError::TooLong { limit }), "{start} by {chunk}");
            }
        }
    }
}

#[test]
fn nobody_may_ask_for_more_than_the_longest_line() {
    let mut decoder = Decoder::with_limit(usize::MAX);
    decoder.push(&vec![b'1'; MAX_LINE + 1]);
    assert_eq!(decoder.next(), Ok(None));
    assert_eq!(decoder.take_skipped(), 1);
}

#[test]
fn a_large_line_is_paid_for_once() {
    let mut decoder = Decoder::new();
    let large = format!("\"{}\"\n5\n\"unfin", "x".repeat(4_000_000));
    for piece in large.as_bytes().chunks(65_536) {
        decoder.push(piece);
        while decoder.next().is_ok_and(|message| message.is_some()) {}
    }
    assert!(!decoder.is_empty());
    assert!(decoder.capacity() <= 4096, "{}", decoder.capacity());
}

#[test]
fn many_lines_in_one_piece_are_many_messages() {
    let stream = LIFE.repeat(20_000);
    let (messages, end, _) = decode(once(stream.as_bytes()));
    assert_eq!((messages.len(), end), (200_000, Ok(true)));
}

#[test]
fn what_a_worker_says_can_be_played() {
    for (life, framing) in [(LIFE, Framing::Node), (BUN, Framing::Bun)] {
        let (messages, ..) = decode(once(life.as_bytes()));
        let mut played = Vec::new();
        for message in &messages {
            message.encode(framing, &mut played);
        }
        let again = decode(once(played.as_slice()));
        assert_eq!(again, (messages, Ok(true), framing));
    }
}

/// All that a decoder makes of these bytes, given at once.
fn resumed(beginning: Beginning, bytes: &str) -> Outcome {
    let decoder = Decoder::resuming(Framing::Node, beginning);
    decode_with(decoder, once(bytes.as_bytes()))
}

#[test]
fn who_goes_on_reading_skips_to_the_next_line() {
    let (whole, _, _) = resumed(Beginning::Line, LIFE);
    let ends: Vec<usize> = LIFE.match_indices('\n').map(|(at, _)| at).collect();
    for cut in (0..LIFE.len()).filter(|at| LIFE.is_char_boundary(*at)) {
        let lines_gone = ends.iter().filter(|end| **end < cut).count();
        let at_begin = cut == 0 || LIFE.as_bytes()[cut - 1] == b'\n';
        let left = if at_begin {
            &whole[lines_gone..]
        } else {
            let (messages, outcome, _) = resumed(Beginning::Within, &LIFE[cut..]);
            assert_eq!(messages, whole[lines_gone + 1..], "cut at {cut}");
            assert_eq!(outcome, Ok(true));
            &whole[lines_gone + 1..]
        };
        let (messages, outcome, _) = resumed(Beginning::Unknown, &LIFE[cut..]);
        assert!(messages.ends_with(left), "cut at {cut}: {messages:?}");
        assert_eq!(outcome, Ok(true), "cut at {cut}");
    }
}

#[test]
fn only_the_first_line_may_be_cut() {
    let (messages, outcome, _) = resumed(Beginning::Unknown, "true}\n5\ntrue}\n");
    assert_eq!(messages.len(), 1);
    assert!(outcome.is_err());
}

#[test]
fn what_came_of_a_line_goes_to_the_next_reader() {
    let mut first = Decoder::new();
    first.push(b"5\n{\"cmd\":\"NODE_HAN");
    assert!(matches!(first.next(), Ok(Some(FromNode::User(_)))));
    assert_eq!(first.next(), Ok(None));
    let tail = first.unfinished_line().expect("a line");
    let mut second = Decoder::resuming(first.framing(), Beginning::Line);
    second.push(tail);
    second.push(b"DLE_ACK\"}\n");
    assert_eq!(second.next(), Ok(Some(FromNode::Acknowledged)));
    let behind = Decoder::resuming(Framing::Node, Beginning::Within);
    assert_eq!(behind.unfinished_line(), None);
}
