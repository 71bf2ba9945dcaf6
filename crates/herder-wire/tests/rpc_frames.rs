//! Frames between agent and library: their bytes, their limits, and what is refused.

mod random;

use bytes::{Bytes, BytesMut};
use herder_wire::rpc::frame::{MAX_KEY, PREFIX_SIZE};
use herder_wire::rpc::{
    Codec, Decoder, Delivery, Frame, FrameError, ItemKind, MAX_FRAME, Position, Target,
};
use random::Random;

const TARGET: Target = Target {
    object: 1,
    method: 0x0203,
};

fn every_frame() -> Vec<Frame> {
    let text = Bytes::from_static(b"{}");
    let (id, codec) = (0x0102_0304_0506_0708, Codec::Postcard);
    let position = Position { epoch: 3, seq: 9 };
    let mut frames = vec![
        Frame::Hello(text.clone()),
        Frame::Welcome(text.clone()),
        Frame::Refused(text.clone()),
        Frame::SignatureAsk { id },
        Frame::Signature {
            id,
            document: text.clone(),
        },
        call(b"", Delivery::Answered, Codec::Json),
        call(b"key", Delivery::OneWay, codec),
        Frame::Ok {
            id,
            codec,
            value: text.clone(),
        },
        Frame::Error {
            id,
            error: text.clone(),
        },
        Frame::Cancel { id },
        Frame::Subscribe {
            id,
            target: TARGET,
            deadline_ms: 5_000,
            credits: 64,
            resume: position,
            codec,
            args: text.clone(),
        },
        Frame::Opened { id, position },
        Frame::End { id },
        Frame::Credit { id, items: 64 },
        Frame::GoAway(text.clone()),
        Frame::Ping { id },
        Frame::Pong { id, lag_us: 250 },
    ];
    for kind in [ItemKind::Item, ItemKind::Snapshot, ItemKind::Gap] {
        frames.push(item(kind, text.clone()));
    }
    frames.push(item(ItemKind::SnapshotEnd, Bytes::new()));
    frames
}

fn call(key: &'static [u8], delivery: Delivery, codec: Codec) -> Frame {
    Frame::Call {
        id: 7,
        target: TARGET,
        deadline_ms: 200,
        key: Bytes::from_static(key),
        delivery,
        codec,
        args: Bytes::from_static(b"[1]"),
    }
}

fn item(kind: ItemKind, value: Bytes) -> Frame {
    Frame::Item {
        id: 7,
        seq: 41,
        kind,
        codec: Codec::Json,
        value,
    }
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    frame
        .encode(MAX_FRAME, &mut bytes)
        .expect("the frame is good");
    bytes.to_vec()
}

fn decoded(bytes: &[u8]) -> Result<Vec<Frame>, FrameError> {
    let mut decoder = Decoder::new(MAX_FRAME);
    decoder.push(bytes);
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next()? {
        frames.push(frame);
    }
    assert!(decoder.is_empty(), "nothing unfinished is left");
    Ok(frames)
}

fn raw(kind: u8, flags: u8, header: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(PREFIX_SIZE - 4 + header.len() + body.len()).expect("it is small");
    let header_length = u16::try_from(header.len()).expect("it is small");
    [
        &length.to_le_bytes()[..],
        &[kind, flags],
        &header_length.to_le_bytes(),
        &7_u64.to_le_bytes(),
        header,
        body,
    ]
    .concat()
}

#[test]
fn a_call_has_the_bytes_that_are_documented() {
    let expected = [
        &[0x1c, 0, 0, 0][..], // 28 bytes follow
        &[6, 0b11, 13, 0],    // CALL, postcard and one-way, 13 bytes of header
        &[7, 0, 0, 0, 0, 0, 0, 0],
        &[1, 0, 3, 2],   // object 1, method 0x0203
        &[200, 0, 0, 0], // milliseconds left
        &[3, 0],         // length of the key
        b"key[1]",
    ]
    .concat();
    assert_eq!(
        encoded(&call(b"key", Delivery::OneWay, Codec::Postcard)),
        expected
    );
}

#[test]
fn every_frame_is_read_as_it_was_written() {
    for frame in every_frame() {
        let bytes = encoded(&frame);
        assert_eq!(bytes.len(), frame.encoded_length(), "{frame:?}");
        assert_eq!(decoded(&bytes), Ok(vec![frame]));
    }
}

#[test]
fn frames_in_any_pieces_are_the_same_frames() {
    let frames = every_frame();
    let bytes: Vec<u8> = frames.iter().flat_map(encoded).collect();
    for seed in 0..64 {
        let mut random = Random::new(seed);
        let mut decoder = Decoder::new(MAX_FRAME);
        let mut rest = bytes.as_slice();
        let mut read = Vec::new();
        while !rest.is_empty() {
            let (piece, left) = rest.split_at(random.pick(&[1, 2, 7, 59]).min(rest.len()));
            rest = left;
            decoder.space().extend_from_slice(piece);
            while let Some(frame) = decoder.next().expect("the frames are good") {
                read.push(frame);
            }
        }
        assert_eq!(read, frames, "seed {seed}");
    }
}

#[test]
fn a_head_and_a_shared_body_are_the_frame() {
    let frame = item(ItemKind::Item, vec![b'x'; 100_000].into());
    let mut bytes = BytesMut::new();
    frame
        .encode_head(MAX_FRAME, &mut bytes)
        .expect("the frame is good");
    assert_eq!(bytes.len(), PREFIX_SIZE + 9);
    bytes.extend_from_slice(frame.body());
    assert_eq!(bytes, encoded(&frame));
    assert_eq!(decoded(&bytes), Ok(vec![frame]));
}

#[test]
fn a_claimed_length_costs_no_memory_before_its_bytes_arrive() {
    let mut decoder = Decoder::new(MAX_FRAME);
    let claim = u32::try_from(MAX_FRAME - 4).expect("it fits");
    decoder.push(&claim.to_le_bytes());
    decoder.push(&[7, 0, 0, 0]);
    assert_eq!(decoder.next(), Ok(None));
    assert!(decoder.space().capacity() <= 32 * 1024);
}

#[test]
fn a_large_frame_does_not_cost_its_size_for_ever() {
    let mut decoder = Decoder::new(MAX_FRAME);
    let bytes = encoded(&item(ItemKind::Item, vec![0; 8 * 1024 * 1024].into()));
    for piece in bytes.chunks(16 * 1024) {
        decoder.space().extend_from_slice(piece);
        if decoder.next().expect("the frame is good").is_some() {
            break;
        }
    }
    assert!(decoder.is_empty());
    assert!(decoder.space().capacity() <= 64 * 1024);
}

#[test]
fn lengths_at_and_beyond_the_limit() {
    let frame = Frame::Ok {
        id: 1,
        codec: Codec::Json,
        value: vec![b' '; 84].into(),
    };
    let mut out = BytesMut::new();
    assert_eq!(frame.encode(100, &mut out), Ok(()));
    let mut decoder = Decoder::new(100);
    decoder.push(&out);
    assert_eq!(decoder.next(), Ok(Some(frame.clone())));

    let too_long = FrameError::TooLong {
        length: 100,
        limit: 99,
    };
    let mut decoder = Decoder::new(99);
    decoder.push(&out[..4]);
    assert_eq!(decoder.next(), Err(too_long), "known from the length alone");
    decoder.push(&out[4..]);
    assert_eq!(decoder.next(), Err(too_long), "an error is final");
    out.clear();
    assert_eq!(frame.encode(99, &mut out), Err(too_long));
    assert!(out.is_empty(), "nothing is written");
}

#[test]
fn what_no_peer_may_send() {
    let malformed = |kind| Err(FrameError::Malformed { kind });
    let mut no_time = call(b"", Delivery::Answered, Codec::Json);
    if let Frame::Call { deadline_ms, .. } = &mut no_time {
        *deadline_ms = 0;
    }
    let mut out = BytesMut::new();
    assert_eq!(
        no_time.encode(MAX_FRAME, &mut out),
        Err(FrameError::Malformed { kind: 6 })
    );
    let long_key = call(&[0; MAX_KEY + 1], Delivery::Answered, Codec::Json);
    assert_eq!(
        long_key.encode(MAX_FRAME, &mut out),
        Err(FrameError::Malformed { kind: 6 })
    );

    assert_eq!(
        decoded(&raw(6, 0, &[0; 10], b"[]")),
        malformed(6),
        "no time"
    );
    assert_eq!(decoded(&raw(6, 0, &[1; 9], b"[]")), malformed(6), "short");
    assert_eq!(
        decoded(&raw(6, 0, &[0, 0, 0, 0, 1, 0, 0, 0, 1, 0], b"")),
        malformed(6),
        "the key is not there"
    );
    assert_eq!(
        decoded(&raw(6, 0, &[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], b"")),
        malformed(6),
        "one byte too many"
    );
    assert_eq!(decoded(&raw(1, 0, &[], b"{}")), malformed(1), "an id");
    assert_eq!(decoded(&raw(9, 0, &[], b"x")), malformed(9), "a body");
    assert_eq!(decoded(&raw(12, 0, &[4; 9], b"")), malformed(12), "kind");
    let ended = raw(12, 0, &[2; 9], b"x");
    assert_eq!(decoded(&ended), malformed(12), "a value after the snapshot");
    assert_eq!(
        decoded(&raw(7, 2, &[], b"")),
        Err(FrameError::ReservedFlags { kind: 7, flags: 2 })
    );
    assert_eq!(
        decoded(&[11, 0, 0, 0]),
        Err(FrameError::TooShort { length: 15 })
    );
    let mut header_too_long = raw(14, 0, &[0; 4], b"");
    header_too_long[6] = 5;
    assert_eq!(decoded(&header_too_long), malformed(14));
}

#[test]
fn unknown_types_are_skipped_unless_they_must_be_understood() {
    let bytes = [
        raw(18, 0x01, b"new", b"frame"),
        encoded(&Frame::Ping { id: 1 }),
    ]
    .concat();
    let mut decoder = Decoder::new(MAX_FRAME);
    decoder.push(&bytes);
    assert_eq!(decoder.next(), Ok(Some(Frame::Ping { id: 1 })));
    assert_eq!(decoder.skipped(), 1);
    assert_eq!(
        decoded(&raw(18, 0x80, b"", b"")),
        Err(FrameError::UnknownType { kind: 18 })
    );
    assert_eq!(
        decoded(&raw(16, 0x80, b"", b"")),
        Ok(vec![Frame::Ping { id: 7 }]),
        "who knows the type understands it"
    );
}
