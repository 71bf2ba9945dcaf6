//! Frames at their limits, in pieces, and from peers that break the rules.
//!
//! More than 500 lines: a third is the list of every message, which all of the tests here go through.

mod bytes;
mod random;

use herder_wire::control::{
    Course, Decoder, DrainReason, MAX_FRAME, MAX_KNOWN, MAX_REASON, MAX_USER, ToMaster, ToWorker,
};
use herder_wire::frame::{FrameError, HEADER_SIZE, Message};
use herder_wire::keeper::{self, FromKeeper, Key, MemberItem, Prefix, ToKeeper};

use bytes::{MANDATORY, UNKNOWN, decode, encoded, raw};
use random::Random;

#[test]
fn r18_a_frame_of_exactly_the_limit_passes_and_one_byte_more_is_refused() {
    let largest = ToMaster::User(vec![7; MAX_USER]);
    let bytes = encoded(&largest);
    assert_eq!(bytes.len(), MAX_FRAME);
    assert_eq!(decode::<ToMaster>(&bytes), Ok(vec![largest]));

    let too_long = FrameError::TooLong {
        length: MAX_FRAME as u64 + 1,
        limit: MAX_FRAME,
    };
    let mut out = b"kept".to_vec();
    assert_eq!(
        ToMaster::User(vec![7; MAX_USER + 1]).encode(&mut out),
        Err(too_long)
    );
    assert_eq!(out, b"kept", "a refused message leaves nothing behind");

    let mut header = bytes[..HEADER_SIZE].to_vec();
    header[4..].copy_from_slice(&u32::try_from(MAX_USER + 1).expect("fits").to_le_bytes());
    assert_eq!(
        decode::<ToMaster>(&header),
        Err(too_long),
        "refused before its body is read"
    );
}

#[test]
fn r18_a_keeper_frame_of_exactly_the_limit_passes_and_one_byte_more_is_refused() {
    let room = keeper::MAX_FRAME - HEADER_SIZE;
    let largest = ToKeeper::Directory(vec![b'd'; room]);
    let packet = encoded(&largest);
    assert_eq!(packet.len(), keeper::MAX_FRAME);
    assert_eq!(ToKeeper::decode(&packet), Ok(Some(largest)));

    let refused = ToKeeper::Directory(vec![b'd'; room + 1]).encode(&mut Vec::new());
    let length = keeper::MAX_FRAME as u64 + 1;
    assert_eq!(
        refused,
        Err(FrameError::TooLong {
            length,
            limit: keeper::MAX_FRAME
        })
    );
}

#[test]
fn r18_the_largest_length_that_can_be_claimed_takes_no_memory() {
    let mut decoder = Decoder::<ToMaster>::new();
    decoder.push(&raw(UNKNOWN, MANDATORY, b"")[..4]);
    decoder.push(&u32::MAX.to_le_bytes());
    let length = u64::from(u32::MAX) + HEADER_SIZE as u64;
    assert_eq!(
        decoder.next(),
        Err(FrameError::TooLong {
            length,
            limit: MAX_FRAME
        })
    );
    assert_eq!(decoder.capacity(), 0);
}

#[test]
fn r18_an_unknown_mandatory_kind_is_an_error_and_an_unknown_optional_one_is_skipped() {
    let mandatory = raw(UNKNOWN, MANDATORY, b"new");
    assert_eq!(
        decode::<ToWorker>(&mandatory),
        Err(FrameError::UnknownKind { kind: UNKNOWN })
    );

    let mut decoder = Decoder::<ToWorker>::new();
    decoder.push(&raw(UNKNOWN, 0, b"new"));
    decoder.push(&encoded(&ToWorker::Nudge));
    assert_eq!(decoder.next(), Ok(Some(ToWorker::Nudge)));
    assert_eq!(decoder.next(), Ok(None));
    assert_eq!(decoder.skipped(), 1);
}

#[test]
fn r18_text_that_is_not_utf8_is_an_error() {
    let retire = encoded(&ToMaster::Retire { reason: "x".into() });
    let kind = u16::from_le_bytes([retire[0], retire[1]]);
    let bad = raw(kind, MANDATORY, b"\xff");
    assert_eq!(decode::<ToMaster>(&bad), Err(FrameError::BadBody { kind }));
}

#[test]
fn r18_a_frame_that_was_sent_the_wrong_way_is_an_error() {
    for message in every_to_worker() {
        let (kind, _) = message.kind();
        let mut bytes = encoded(&message);
        bytes[2] = 1;
        assert_eq!(
            decode::<ToMaster>(&bytes),
            Err(FrameError::UnknownKind { kind })
        );
    }
}

#[test]
fn r18_the_first_error_is_final_and_frees_what_was_held() {
    let mut decoder = Decoder::<ToMaster>::new();
    decoder.push(&encoded(&ToMaster::Ready));
    decoder.push(&raw(0, 0x8000, b""));
    decoder.push(&encoded(&ToMaster::Beat));
    let refused = Err(FrameError::ReservedFlags { flags: 0x8000 });
    assert_eq!(
        decoder.next(),
        Ok(Some(ToMaster::Ready)),
        "what came before counts"
    );
    assert_eq!(decoder.next(), refused);
    decoder.push(&encoded(&ToMaster::Beat));
    assert_eq!(decoder.next(), refused);
    assert_eq!(decoder.capacity(), 0);
}

#[test]
fn r18_every_known_body_is_refused_with_a_byte_missing_or_a_byte_more() {
    for message in every_to_master() {
        if matches!(
            message,
            ToMaster::Certificates { fault: Some(_), .. }
                | ToMaster::Retire { .. }
                | ToMaster::Unusable { .. }
                | ToMaster::User(_)
        ) {
            continue; // these bodies may be of any length
        }
        let bytes = encoded(&message);
        let (kind, _) = message.kind();
        let body = &bytes[HEADER_SIZE..];
        let longer = raw(kind, MANDATORY, &[body, &[0]].concat());
        assert_eq!(
            decode::<ToMaster>(&longer),
            Err(FrameError::BadBody { kind }),
            "{message:?}"
        );
        if let Some((_, shorter)) = body.split_last() {
            let shorter = raw(kind, MANDATORY, shorter);
            assert_eq!(
                decode::<ToMaster>(&shorter),
                Err(FrameError::BadBody { kind })
            );
        }
    }
}

#[test]
fn r18_a_list_of_workers_that_is_too_long_or_out_of_order_is_neither_said_nor_read() {
    let most: Vec<u64> = (0..MAX_KNOWN as u64).collect();
    let longest = encoded(&ToMaster::Known {
        workers: most.clone(),
    });
    let workers = most.clone();
    assert_eq!(
        decode::<ToMaster>(&longest),
        Ok(vec![ToMaster::Known { workers }])
    );
    let kind = u16::from_le_bytes([longest[0], longest[1]]);
    let too_many = [&most[..], &[u64::MAX]].concat();
    for workers in [too_many, vec![2, 1]] {
        let body: Vec<u8> = workers.iter().flat_map(|it| it.to_le_bytes()).collect();
        let bad = FrameError::BadBody { kind };
        let refused = ToMaster::Known { workers }.encode(&mut Vec::new());
        assert_eq!(refused, Err(bad));
        assert_eq!(decode::<ToMaster>(&raw(kind, MANDATORY, &body)), Err(bad));
    }
}

#[test]
fn a_keeper_packet_holds_exactly_one_frame() {
    let packet = encoded(&ToKeeper::Grace { millis: 30_000 });
    let not_one = |length| Err(FrameError::NotOneFrame { length });
    assert_eq!(ToKeeper::decode(&[]), not_one(0));
    assert_eq!(
        ToKeeper::decode(&packet[..packet.len() - 1]),
        not_one(packet.len() - 1)
    );
    assert_eq!(
        ToKeeper::decode(&packet.repeat(2)),
        not_one(2 * packet.len())
    );
    assert_eq!(ToKeeper::decode(&raw(UNKNOWN, 0, b"new")), Ok(None));
}

#[test]
fn a_path_that_no_file_can_have_is_neither_sent_nor_read() {
    for path in [&b""[..], b"/a\0b"] {
        let message = ToKeeper::SocketFile {
            path: path.to_vec(),
            dev: 1,
            inode: 2,
        };
        let (kind, _) = message.kind();
        assert_eq!(
            message.encode(&mut Vec::new()),
            Err(FrameError::BadBody { kind })
        );
        let packet = raw(kind, MANDATORY, &[&[0; 16][..], path].concat());
        assert_eq!(ToKeeper::decode(&packet), Err(FrameError::BadBody { kind }));
    }
}

#[test]
fn a_reason_that_is_too_long_is_cut_between_characters() {
    let reason = format!("{}é", "x".repeat(MAX_REASON - 1));
    let bytes = encoded(&ToMaster::Retire { reason });
    let cut = "x".repeat(MAX_REASON - 1);
    assert_eq!(
        decode::<ToMaster>(&bytes),
        Ok(vec![ToMaster::Retire { reason: cut }])
    );
}

#[test]
fn what_is_wrong_with_a_worker_is_a_number_and_a_text() {
    let message = ToMaster::Unusable {
        worker: 1,
        reason: format!("{}é", "x".repeat(MAX_REASON - 1)),
    };
    let cut = ToMaster::Unusable {
        worker: 1,
        reason: "x".repeat(MAX_REASON - 1),
    };
    let bytes = encoded(&message);
    assert_eq!(decode::<ToMaster>(&bytes), Ok(vec![cut]));
    let (kind, _) = message.kind();
    let number = &bytes[HEADER_SIZE..][..8];
    let too_long = [number, &[b'x'; MAX_REASON + 1]].concat();
    let no_text = [number, &[0xff]].concat();
    for body in [&number[..7], &too_long, &no_text] {
        let bytes = raw(kind, MANDATORY, body);
        let refused = decode::<ToMaster>(&bytes);
        assert_eq!(refused, Err(FrameError::BadBody { kind }));
    }
}

#[test]
fn frames_survive_every_way_of_cutting_them() {
    let mut random = Random::new(18);
    for _ in 0..200 {
        let messages: Vec<ToMaster> = (0..random.below(8))
            .map(|_| random.pick(&every_to_master()))
            .collect();
        let bytes: Vec<u8> = messages.iter().flat_map(encoded).collect();
        let mut decoder = Decoder::<ToMaster>::new();
        let (mut rest, mut decoded) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(random.below(rest.len()) + 1);
            decoder.push(piece);
            while let Some(message) = decoder.next().expect("the frames are good") {
                decoded.push(message);
            }
            rest = later;
        }
        assert!(decoder.is_empty());
        assert_eq!(decoded, messages);
    }
}

#[test]
fn an_unfinished_frame_is_told_from_none() {
    let mut decoder = Decoder::<ToMaster>::new();
    assert!(decoder.is_empty());
    decoder.push(&encoded(&ToMaster::Beat)[..1]);
    assert_eq!(decoder.next(), Ok(None));
    assert!(!decoder.is_empty());
}

#[test]
fn memory_for_a_large_message_is_given_back() {
    let mut decoder = Decoder::<ToMaster>::new();
    decoder.push(&encoded(&ToMaster::User(vec![0; MAX_USER])));
    assert!(decoder.capacity() >= MAX_FRAME);
    assert!(decoder.next().expect("the frame is good").is_some());
    assert_eq!(decoder.next(), Ok(None));
    assert_eq!(decoder.capacity(), 0);
}

#[test]
fn every_message_survives_the_wire() {
    for message in every_to_master() {
        assert_eq!(decode::<ToMaster>(&encoded(&message)), Ok(vec![message]));
    }
    for message in every_to_worker() {
        assert_eq!(decode::<ToWorker>(&encoded(&message)), Ok(vec![message]));
    }
    for message in every_to_keeper() {
        assert_eq!(ToKeeper::decode(&encoded(&message)), Ok(Some(message)));
    }
}

/// The bytes themselves, so that an accidental change of the protocol is seen.
#[test]
fn the_layout_is_what_the_documentation_says() {
    let hello = ToMaster::Hello {
        version: 0x0201,
        capabilities: 0x0605_0403,
    };
    assert_eq!(encoded(&hello), [1, 0, 1, 0, 6, 0, 0, 0, 1, 2, 3, 4, 5, 6]);
    let drain = ToWorker::Drain {
        reason: DrainReason::ScaledDown,
        grace_millis: 1,
    };
    assert_eq!(encoded(&drain), [2, 1, 1, 0, 5, 0, 0, 0, 4, 1, 0, 0, 0]);
    assert_eq!(
        encoded(&ToMaster::Withdrawn { worker: 2 }),
        [11, 0, 1, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
    );
    assert_eq!(
        encoded(&ToWorker::Link { gateway: 1 }),
        [5, 1, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    );
    assert_eq!(encoded(&ToWorker::Nudge), [3, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        encoded(&ToKeeper::Grace { millis: 9 }),
        [4, 2, 1, 0, 4, 0, 0, 0, 9, 0, 0, 0]
    );
}

#[expect(clippy::too_many_lines, reason = "a list: a sample after the other")]
fn every_to_master() -> Vec<ToMaster> {
    vec![
        ToMaster::Beat,
        ToMaster::BootExtend { millis: u32::MAX },
        ToMaster::Counters {
            open: 1,
            served: u64::MAX,
            busy: 999,
        },
        ToMaster::Hello {
            version: 1,
            capabilities: 3,
        },
        ToMaster::Ready,
        ToMaster::Retire {
            reason: String::new(),
        },
        ToMaster::Retire {
            reason: "ausgedient".into(),
        },
        ToMaster::Spent,
        state(Course::Starting),
        state(Course::Ready),
        state(Course::Draining),
        ToMaster::Known {
            workers: Vec::new(),
        },
        ToMaster::Known {
            workers: vec![1, 7, u64::MAX],
        },
        ToMaster::User(Vec::new()),
        ToMaster::User(vec![0xff; 300]),
        ToMaster::Dispatched {
            job: u64::MAX,
            worker: 7,
        },
        ToMaster::Empty,
        ToMaster::Load {
            worker: 3,
            open: 1,
            served: u64::MAX,
            failed: 2,
        },
        ToMaster::Certificates {
            set: u32::MAX,
            fault: None,
        },
        ToMaster::Certificates {
            set: 0,
            fault: Some("it.key:2: für niemanden".into()),
        },
        ToMaster::Ejected {
            worker: 3,
            millis: 30_000,
        },
        ToMaster::Restored { worker: 3 },
        ToMaster::Exhausted { worker: u64::MAX },
        ToMaster::Unusable {
            worker: 9,
            reason: "zweimal gegrüßt".into(),
        },
        ToMaster::Withdrawn { worker: 0 },
        ToMaster::WithdrawnAgain {
            worker: 0,
            epoch: u32::MAX,
        },
    ]
}

fn state(course: Course) -> ToMaster {
    ToMaster::State {
        version: 1,
        course,
        open: 3,
        served: u64::MAX,
        busy: 1000,
    }
}

fn every_to_worker() -> Vec<ToWorker> {
    let reasons = [
        DrainReason::Stop,
        DrainReason::Retired,
        DrainReason::Recycle,
        DrainReason::ScaledDown,
        DrainReason::Exhausted,
        DrainReason::Replaced,
        DrainReason::RolledBack,
    ];
    let drains = reasons.map(|reason| ToWorker::Drain {
        reason,
        grace_millis: 30_000,
    });
    let others = [
        ToWorker::Link { gateway: u64::MAX },
        ToWorker::Nudge,
        ToWorker::Pause,
        ToWorker::Resume,
        ToWorker::Resync,
        ToWorker::User(vec![1, 2, 3]),
        ToWorker::Welcome {
            version: 1,
            capabilities: 0,
        },
    ];
    drains.into_iter().chain(others).collect()
}

fn every_from_keeper() -> Vec<FromKeeper> {
    vec![
        FromKeeper::Complete { masters_died: 7 },
        FromKeeper::Exited {
            pid: 4711,
            status: -1,
        },
        FromKeeper::LetsRest,
        FromKeeper::Stored {
            key: Key::listener(3),
            pid: 0,
        },
    ]
}

#[test]
fn what_a_keeper_says_is_heard_and_nothing_else() {
    for message in every_from_keeper() {
        let packet = encoded(&message);
        assert_eq!(FromKeeper::decode(&packet), Ok(Some(message)));
        let cut = FromKeeper::decode(&packet[..packet.len() - 1]);
        assert!(cut.is_err(), "{message:?} cut: {cut:?}");
    }
    let (a, b) = (*b"herd.state", *b"herd State");
    let packet = encoded(&FromKeeper::Stored {
        key: Key::state(),
        pid: 1,
    });
    let begin = packet.len() - a.len();
    let bad: Vec<u8> = [&packet[..begin], &b].concat();
    assert!(matches!(
        FromKeeper::decode(&bad),
        Err(FrameError::BadBody { .. })
    ));
}

fn every_to_keeper() -> Vec<ToKeeper> {
    vec![
        ToKeeper::Cgroup(b"/sys/fs/cgroup/x".to_vec()),
        ToKeeper::Directory(b"/run/\xff".to_vec()),
        ToKeeper::Grace { millis: 0 },
        ToKeeper::Beat,
        ToKeeper::Forget { key: Key::state() },
        ToKeeper::ForgetAll {
            prefix: Prefix::member(0, 1, 2),
        },
        ToKeeper::HandOver,
        ToKeeper::InCharge,
        ToKeeper::Leaving,
        ToKeeper::Notify {
            text: "READY=1\nSTATUS=serves".to_owned(),
        },
        ToKeeper::Obeyed {
            signals: 1 | 1 << 63,
        },
        ToKeeper::Rest,
        ToKeeper::Store {
            key: Key::member(0, 1, 2, MemberItem::Pidfd),
            pid: i32::MAX,
        },
        ToKeeper::Watchdog { millis: u32::MAX },
        ToKeeper::SocketFile {
            path: b"s".to_vec(),
            dev: u64::MAX,
            inode: 1,
        },
    ]
}
