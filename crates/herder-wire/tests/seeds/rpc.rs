//! What an agent and a library say to each other, good and bad.

use bytes::{Bytes, BytesMut};
use herder_wire::rpc::{Codec, Delivery, Frame, ItemKind, MAX_FRAME, Position, Target};

use super::{Seed, seed};

const TARGET: &str = "rpc_frames";

const METHOD: Target = Target {
    object: 0,
    method: 1,
};

pub(super) fn all() -> Vec<Seed> {
    let mut seeds = vec![
        seed(TARGET, "agent-says", good(&what_an_agent_says())),
        seed(TARGET, "library-says", good(&what_a_library_says())),
        seed(
            TARGET,
            "body-shared",
            good(&[Frame::Ok {
                id: 1,
                codec: Codec::Json,
                value: vec![b' '; 5000].into(),
            }]),
        ),
        seed(TARGET, "empty", []),
    ];
    seeds.extend(bad());
    seeds
}

fn bad() -> Vec<Seed> {
    let limit = u32::try_from(MAX_FRAME).expect("it fits");
    let only_length = |length: u32| length.to_le_bytes().to_vec();
    vec![
        seed(TARGET, "length-limit", only_length(limit - 4)),
        seed(TARGET, "length-beyond", only_length(limit - 3)),
        seed(TARGET, "length-largest", only_length(u32::MAX)),
        seed(TARGET, "length-short", only_length(11)),
        seed(TARGET, "header-beyond", frame(14, 0, 5, &[1, 0, 0, 0])),
        seed(TARGET, "call-no-time", frame(6, 0, 10, &[0; 12])),
        seed(TARGET, "call-key-beyond", frame(6, 0, 10, &[1; 12])),
        seed(TARGET, "call-flags", frame(6, 4, 10, &[1; 12])),
        seed(TARGET, "item-kind", frame(12, 0, 9, &[9; 12])),
        seed(TARGET, "item-snapshot-end-value", frame(12, 0, 9, &[2; 12])),
        seed(TARGET, "cancel-body", frame(9, 0, 0, b"x")),
        seed(TARGET, "hello-id", frame(1, 0, 0, b"{}")),
        seed(TARGET, "unknown-optional", frame(99, 1, 1, b"new")),
        seed(TARGET, "unknown-mandatory", frame(99, 0x80, 1, b"new")),
    ]
}

/// One frame with the id 7 whose header is the first `header` bytes of `rest`.
fn frame(kind: u8, flags: u8, header: u16, rest: &[u8]) -> Vec<u8> {
    let length = u32::try_from(12 + rest.len()).expect("a seed is small");
    [
        &length.to_le_bytes()[..],
        &[kind, flags],
        &header.to_le_bytes(),
        &7_u64.to_le_bytes(),
        rest,
    ]
    .concat()
}

fn good(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    for frame in frames {
        let written = frame.encode(MAX_FRAME, &mut bytes);
        written.expect("the seed is a good frame");
    }
    bytes.to_vec()
}

fn what_an_agent_says() -> Vec<Frame> {
    let (id, args) = (1, Bytes::from_static(b"[\"a\"]"));
    let call = |id, key: &'static [u8], delivery, codec| Frame::Call {
        id,
        target: METHOD,
        deadline_ms: 5000,
        key: Bytes::from_static(key),
        delivery,
        codec,
        args: Bytes::from_static(b"[\"a\"]"),
    };
    vec![
        Frame::Hello(Bytes::from_static(
            br#"{"versions":[1,1],"language":"node","part":"worker"}"#,
        )),
        Frame::SignatureAsk { id },
        call(2, b"", Delivery::Answered, Codec::Json),
        call(3, b"order-7", Delivery::OneWay, Codec::Postcard),
        Frame::Cancel { id: 2 },
        Frame::Subscribe {
            id: 4,
            target: METHOD,
            deadline_ms: 1,
            credits: 64,
            resume: Position { epoch: 1, seq: 9 },
            codec: Codec::Json,
            args,
        },
        Frame::Credit { id: 4, items: 32 },
        Frame::Ping { id: 5 },
    ]
}

fn what_a_library_says() -> Vec<Frame> {
    let text = Bytes::from_static(b"{}");
    let id = 4;
    let item = |seq, kind, value: &'static [u8]| Frame::Item {
        id,
        seq,
        kind,
        codec: Codec::Json,
        value: Bytes::from_static(value),
    };
    vec![
        Frame::Welcome(text.clone()),
        Frame::Refused(Bytes::from_static(br#"{"kind":"refused"}"#)),
        Frame::Signature {
            id: 1,
            document: text.clone(),
        },
        Frame::Ok {
            id: 2,
            codec: Codec::Postcard,
            value: Bytes::from_static(&[0, 255]),
        },
        Frame::Error {
            id: 3,
            error: Bytes::from_static(br#"{"kind":"app","executed":"yes"}"#),
        },
        Frame::Opened {
            id,
            position: Position { epoch: 1, seq: 9 },
        },
        item(10, ItemKind::Snapshot, b"1"),
        item(10, ItemKind::SnapshotEnd, b""),
        item(11, ItemKind::Gap, b"{\"reason\":\"slow\"}"),
        item(12, ItemKind::Item, b"2"),
        Frame::End { id },
        Frame::GoAway(text),
        Frame::Pong { id: 5, lag_us: 17 },
    ]
}
