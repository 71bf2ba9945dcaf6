//! What comes out of a decoder, at once and in pieces.

use std::fmt::Debug;

use herder_wire::control::Decoder;
use herder_wire::frame::{self, FrameError, Message};
use herder_wire::node::{self, Framing, FromNode, LineError};
use herder_wire::rpc::{self, CallError, Frame, Hello, MAX_FRAME, Signature, Welcome};

use super::SLACK;

/// Everything that came out of a decoder before it wanted more or failed.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Outcome<M, E = FrameError> {
    pub(super) messages: Vec<M>,
    pub(super) skipped: u64,
    pub(super) end: Result<End, E>,
}

#[derive(Debug, Eq, PartialEq)]
pub(super) enum End {
    Whole,
    Unfinished,
}

/// Gives a decoder its input, until that ends or is an error, which is final: what came out, and how it
/// ended. At no time does it hold more than `most` of what it was fed, and [`SLACK`].
macro_rules! feed {
    ($pieces:ident, $decoder:ident, |$piece:ident| $push:expr, |$fed:ident| $most:expr) => {{
        let mut messages = Vec::new();
        let mut $fed = 0;
        let mut end = None;
        'pieces: for $piece in $pieces {
            $push;
            $fed += $piece.len();
            loop {
                match $decoder.next() {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!($decoder.next().err(), Some(error), "an error is final");
                        end = Some(error);
                        break 'pieces;
                    }
                }
            }
            let held = $decoder.capacity();
            assert!(held <= $most + SLACK, "{held} bytes held");
        }
        let end = match end {
            Some(error) => Err(error),
            None if $decoder.is_empty() => Ok(End::Whole),
            None => Ok(End::Unfinished),
        };
        (messages, end)
    }};
}

pub(super) fn receipts<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Outcome<node::Receipt, node::ReceiptError> {
    let mut decoder = node::ReceiptDecoder::new();
    let mut messages = Vec::new();
    let mut end = Ok(());
    for piece in pieces {
        decoder.push(piece);
        while end.is_ok() {
            match decoder.next() {
                Ok(Some(receipt)) => messages.push(receipt),
                Ok(None) => break,
                Err(error) => end = Err(error),
            }
        }
    }
    let end = end.map(|()| match decoder.unfinished() {
        [] => End::Whole,
        _ => End::Unfinished,
    });
    Outcome {
        messages,
        skipped: 0,
        end,
    }
}

pub(super) fn frames<M: Message + PartialEq + Debug>(input: &[u8]) {
    let at_once = decode::<M>(std::iter::once(input));
    assert_eq!(decode::<M>(input.chunks(1)), at_once, "byte by byte");
    assert_eq!(decode::<M>(pieces(input)), at_once, "in pieces");

    let mut again = Vec::new();
    for message in &at_once.messages {
        frame::encode(message, &mut again).expect("what was decoded can be encoded");
    }
    assert!(
        again.len() <= input.len(),
        "a message's encoding never grows"
    );
    let reread = decode::<M>(std::iter::once(again.as_slice()));
    assert_eq!(reread.messages, at_once.messages);
    assert_eq!((reread.skipped, reread.end), (0, Ok(End::Whole)));
}

/// One packet is a frame, and nothing else.
pub(super) fn packet<M: Message + PartialEq + Debug>(input: &[u8]) {
    if let Ok(Some(message)) = frame::decode_one::<M>(input) {
        let mut again = Vec::new();
        frame::encode(&message, &mut again).expect("what was decoded can be encoded");
        assert_eq!(frame::decode_one(&again), Ok(Some(message)));
    }
}

pub(super) fn decode<'a, M: Message>(pieces: impl Iterator<Item = &'a [u8]>) -> Outcome<M> {
    let mut decoder = Decoder::<M>::new();
    let (messages, end) = feed!(pieces, decoder, |piece| decoder.push(piece), |fed| 4 * fed);
    Outcome {
        messages,
        skipped: decoder.skipped(),
        end,
    }
}

/// What a document in a frame says survives being written again.
pub(super) fn documents(frame: &Frame) {
    let body = frame.body();
    if let Ok(hello) = Hello::from_json(body) {
        let again = Hello::from_json(&hello.to_json());
        assert_eq!(again.expect("a hello is one"), hello);
    }
    if let Ok(welcome) = Welcome::from_json(body) {
        let again = Welcome::from_json(&welcome.to_json());
        assert_eq!(again.expect("a welcome is one"), welcome);
    }
    if let Ok(signature) = Signature::from_json(body) {
        let again = Signature::from_json(&signature.to_json());
        assert_eq!(again.expect("a signature is one"), signature);
    }
    let error = CallError::from_json(body);
    assert_eq!(CallError::from_json(&error.to_json()), error);
}

pub(super) fn rpc_decode<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Outcome<Frame, rpc::FrameError> {
    let mut decoder = rpc::Decoder::new(MAX_FRAME);
    let (messages, end) = feed!(
        pieces,
        decoder,
        |piece| decoder.space().extend_from_slice(piece),
        |fed| 4 * fed
    );
    Outcome {
        messages,
        skipped: decoder.skipped(),
        end,
    }
}

pub(super) fn node_messages<'a>(
    limit: usize,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Outcome<FromNode, LineError>, Framing) {
    let mut decoder = node::Decoder::with_limit(limit);
    let (messages, end) = feed!(pieces, decoder, |piece| decoder.push(piece), |fed| (4
        * fed)
        .min(2 * limit));
    let outcome = Outcome {
        messages,
        skipped: decoder.take_skipped(),
        end,
    };
    (outcome, decoder.framing())
}

/// Cuts `input` at places that its own bytes decide, so that a failing input fails again.
pub(super) fn pieces(mut input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut state = input.iter().fold(0x9e37_79b9_u32, |state, byte| {
        (state ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = (state >> 16) as usize % 40;
        let (piece, rest) = input.split_at(length.min(input.len()));
        // An empty piece is a legal push; the end is an empty input.
        let ended = input.is_empty();
        input = rest;
        (!ended).then_some(piece)
    })
}
