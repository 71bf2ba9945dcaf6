//! What gateway, master and workers say about jobs: at its limits, in pieces, and forged.

mod bytes;
mod random;

use std::fmt::Debug;

use herder_wire::frame::{FrameError, HEADER_SIZE, Message};
use herder_wire::gateway::{
    self, BadSetting, Decoder, GatewayConfig, MAX_ORIGINS, MAX_TEXT, Origins, Policy, Protocol,
    Reports, Retry, ToGateway,
};
use herder_wire::link::{
    self, Body, FromGateway, FromWorker, Kind, MAX_ERROR, MAX_INLINE, MAX_MESSAGE,
};
use herder_wire::plan::MAX_DESCRIPTORS;
use herder_wire::proxy::CertificateFiles;

use bytes::{MANDATORY, UNKNOWN, decode, encoded, raw};
use random::Random;

#[test]
fn every_message_survives_the_wire() {
    survive(&every_to_gateway());
    survive(&every_from_gateway());
    survive(&every_from_worker());
}

#[test]
fn frames_survive_every_way_of_cutting_them() {
    survive_pieces(&every_to_gateway());
    survive_pieces(&every_from_gateway());
    survive_pieces(&every_from_worker());
}

#[test]
fn r18_a_frame_that_was_sent_the_wrong_way_is_an_error() {
    refuse::<FromWorker>(&every_from_gateway());
    refuse::<ToGateway>(&every_from_gateway());
    refuse::<FromGateway>(&every_from_worker());
    refuse::<herder_wire::control::ToMaster>(&every_to_gateway());
    refuse::<herder_wire::control::ToWorker>(&every_to_gateway());
}

#[test]
fn r18_every_body_of_one_length_is_refused_with_a_byte_missing_or_a_byte_more() {
    refuse_other_lengths(&every_to_gateway(), |_| true);
    refuse_other_lengths(
        &every_from_gateway(),
        |message| !matches!(message, FromGateway::Job { body, .. } if is_inline(body)),
    );
    refuse_other_lengths(&every_from_worker(), |message| match message {
        FromWorker::Reply { body, .. } => !is_inline(body),
        FromWorker::Failed { .. } => false,
        FromWorker::Finished { .. } | FromWorker::Hello { .. } | FromWorker::Started { .. } => true,
    });
}

#[test]
fn r18_a_message_of_exactly_the_limit_passes_and_one_byte_more_is_refused() {
    let inline = |length| reply(Kind::Bytes, Body::Inline(vec![7; length]));
    let bytes = encoded(&inline(MAX_INLINE));
    assert!(bytes.len() <= link::MAX_FRAME);
    assert_eq!(decode::<FromWorker>(&bytes), Ok(vec![inline(MAX_INLINE)]));
    cannot_be_said(&inline(MAX_INLINE + 1));

    let memory = |length: usize| {
        let length = u32::try_from(length).expect("it fits");
        reply(Kind::Text, Body::Memory { length })
    };
    survive(&[memory(1), memory(MAX_MESSAGE)]);
    cannot_be_said(&memory(0));
    cannot_be_said(&memory(MAX_MESSAGE + 1));
    // What cannot be said is not heard either.
    let kind = 0x0503;
    for length in [0, u32::try_from(MAX_MESSAGE).expect("it fits") + 1] {
        let body = [&[0; 8][..], &[1, 1], &length.to_le_bytes()].concat();
        let refused = Err(FrameError::BadBody { kind });
        assert_eq!(decode::<FromWorker>(&raw(kind, MANDATORY, &body)), refused);
    }
    let body = [&[0; 8][..], &[2, 0], &vec![0; MAX_INLINE + 1]].concat();
    let refused = Err(FrameError::BadBody { kind });
    assert_eq!(decode::<FromWorker>(&raw(kind, MANDATORY, &body)), refused);
}

#[test]
fn r18_inline_text_that_is_not_utf8_is_neither_sent_nor_read() {
    let torn = "é".as_bytes()[..1].to_vec();
    cannot_be_said(&reply(Kind::Text, Body::Inline(torn.clone())));
    survive(&[reply(Kind::Bytes, Body::Inline(torn.clone()))]);
    let mut bytes = encoded(&reply(Kind::Bytes, Body::Inline(torn)));
    bytes[HEADER_SIZE + 8] = Kind::Text as u8;
    let kind = 0x0503;
    assert_eq!(
        decode::<FromWorker>(&bytes),
        Err(FrameError::BadBody { kind })
    );
}

#[test]
fn an_error_that_is_too_long_is_cut_between_characters() {
    let error = format!("{}é", "x".repeat(MAX_ERROR - 1));
    let said = encoded(&FromWorker::Failed { job: 1, error });
    let error = "x".repeat(MAX_ERROR - 1);
    let heard = FromWorker::Failed { job: 1, error };
    assert_eq!(decode::<FromWorker>(&said), Ok(vec![heard]));
    let kind = 0x0505;
    let long = raw(kind, MANDATORY, &[b'x'; 8 + MAX_ERROR + 1]);
    assert_eq!(
        decode::<FromWorker>(&long),
        Err(FrameError::BadBody { kind })
    );
}

#[test]
fn r18_an_unknown_optional_kind_is_skipped_and_a_mandatory_one_is_an_error() {
    let open = encoded(&ToGateway::Open);
    let optional = [raw(UNKNOWN, 0, b"new"), open.clone()].concat();
    assert_eq!(decode::<ToGateway>(&optional), Ok(vec![ToGateway::Open]));
    let mandatory = [raw(UNKNOWN, MANDATORY, b"new"), open].concat();
    let unknown = FrameError::UnknownKind { kind: UNKNOWN };
    assert_eq!(decode::<ToGateway>(&mandatory), Err(unknown));
}

#[test]
fn several_frames_go_into_one_packet_and_a_refused_one_leaves_nothing_in_it() {
    let mut packet = Vec::new();
    let started = FromWorker::Started { job: 1 };
    let finished = FromWorker::Finished { job: 1 };
    started.encode(&mut packet).expect("it is good");
    let bad = reply(Kind::Text, Body::Inline(vec![0xff]));
    assert!(bad.encode(&mut packet).is_err());
    finished.encode(&mut packet).expect("it is good");
    assert_eq!(decode::<FromWorker>(&packet), Ok(vec![started, finished]));
}

#[test]
fn the_default_configuration_is_good_and_what_is_documented() {
    let config = GatewayConfig::default();
    assert_eq!(config.check(), Ok(()));
    let numbers = [
        (config.client_window, 32),
        (config.worker_window, 8),
        (config.worker_jobs, 1024),
        (config.pending, 4096),
        (config.max_message, 1 << 20),
        (config.max_clients, 10_000),
        (config.handshake_timeout_millis, 10_000),
        (config.close_timeout_millis, 5_000),
        (config.starting_wait_millis, 250),
        (config.steal_after_millis, 50),
        (config.pending_timeout_millis, 10_000),
    ];
    for (is, shall) in numbers {
        assert_eq!(is, shall);
    }
    assert_eq!(config.keep_alive_millis, Some(30_000));
    assert_eq!((config.max_jobs, config.beat_millis), (None, None));
    assert_eq!(config.origins, Origins::Same);
}

#[test]
fn r18_a_configuration_that_no_gateway_could_work_with_is_neither_sent_nor_read() {
    for (name, spoil) in spoilers() {
        let mut config = GatewayConfig::default();
        spoil(&mut config);
        assert_eq!(config.check(), Err(BadSetting { name }));
        cannot_be_said(&ToGateway::Configure(Box::new(config)));
    }
    let good = encoded(&ToGateway::Configure(Box::default()));
    // Before it: no protocols, no beat, a policy, no limit of jobs, whether to retry, and reports.
    let client_window = HEADER_SIZE + 4 + 1 + 1 + 1 + 1 + 1;
    let mut zero = good;
    zero[client_window..client_window + 4].fill(0);
    let kind = 0x0302;
    assert_eq!(
        decode::<ToGateway>(&zero),
        Err(FrameError::BadBody { kind })
    );
}

#[test]
fn r18_a_count_that_the_frame_cannot_hold_takes_no_memory() {
    let good = encoded(&ToGateway::Configure(Box::default()));
    let kind = 0x0302;
    let mut forged = good[HEADER_SIZE..].to_vec();
    forged[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(
        decode::<ToGateway>(&raw(kind, MANDATORY, &forged)),
        Err(FrameError::BadBody { kind })
    );
}

#[test]
fn a_configuration_whose_texts_fill_more_than_a_frame_is_refused() {
    let origins = Origins::Listed(vec!["o".repeat(MAX_TEXT); 16]);
    let config = GatewayConfig {
        origins,
        ..GatewayConfig::default()
    };
    assert_eq!(config.check(), Ok(()));
    let refused = ToGateway::Configure(Box::new(config)).encode(&mut Vec::new());
    assert!(
        matches!(refused, Err(FrameError::TooLong { limit, .. }) if limit == gateway::MAX_FRAME)
    );
}

#[test]
fn configurations_of_every_kind_survive_the_wire() {
    let mut random = Random::new(7);
    for _ in 0..500 {
        let config = any_config(&mut random);
        survive(&[ToGateway::Configure(Box::new(config))]);
    }
}

/// The bytes themselves, so that an accidental change of the protocol is seen.
#[test]
fn the_layout_is_what_the_documentation_says() {
    let expect = ToGateway::Expect {
        worker: 1,
        slot: 2,
        pid: 3,
    };
    assert_eq!(
        encoded(&expect),
        [
            3, 3, 1, 0, 14, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0
        ]
    );
    let job = FromGateway::Job {
        job: 1,
        client: 2,
        protocol: Protocol::Lines,
        kind: Kind::Text,
        body: Body::Inline(b"hi".to_vec()),
    };
    assert_eq!(
        encoded(&job),
        [
            2, 4, 1, 0, 21, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, b'h',
            b'i'
        ]
    );
    let hello = FromWorker::Hello {
        version: 1,
        started: 9,
    };
    assert_eq!(encoded(&hello), [1, 5, 1, 0, 6, 0, 0, 0, 1, 0, 9, 0, 0, 0]);
    let config = encoded(&ToGateway::Configure(Box::default()));
    assert_eq!(config.len(), HEADER_SIZE + 4 + 5 + 11 * 4 + 5 + 3);
}

fn every_to_gateway() -> Vec<ToGateway> {
    let worker = u64::MAX;
    vec![
        ToGateway::Welcome {
            version: 1,
            capabilities: 5,
        },
        ToGateway::Configure(Box::default()),
        ToGateway::Certificate(Box::new(CertificateFiles {
            set: 2,
            place: 7,
            unopened: None,
        })),
        ToGateway::Expect {
            worker,
            slot: 255,
            pid: 4_194_304,
        },
        ToGateway::Link { worker },
        ToGateway::Admit { worker },
        ToGateway::Hold { worker },
        ToGateway::Withdraw { worker },
        ToGateway::WithdrawAgain { worker, epoch: 1 },
        ToGateway::Gone { worker },
        ToGateway::Open,
        ToGateway::Resync,
        ToGateway::CloseListeners {
            within_millis: 22_500,
        },
        ToGateway::Drain {
            grace_millis: u32::MAX,
        },
    ]
}

fn every_from_gateway() -> Vec<FromGateway> {
    let job = |protocol, kind, body| FromGateway::Job {
        job: u64::MAX,
        client: 3,
        protocol,
        kind,
        body,
    };
    vec![
        FromGateway::Hello { version: 1 },
        job(
            Protocol::WebSocket,
            Kind::Text,
            Body::Inline("1 ÷ 0".into()),
        ),
        job(Protocol::Lines, Kind::Bytes, Body::Inline(Vec::new())),
        job(Protocol::Lines, Kind::Text, Body::Memory { length: 70_000 }),
        FromGateway::Cancel { job: 1 },
    ]
}

fn every_from_worker() -> Vec<FromWorker> {
    let job = 1 << 40;
    vec![
        FromWorker::Hello {
            version: 1,
            started: u32::MAX,
        },
        FromWorker::Started { job },
        reply(Kind::Text, Body::Inline("∞".into())),
        reply(Kind::Bytes, Body::Inline(vec![0xff; 300])),
        reply(Kind::Bytes, Body::Memory { length: 1 << 20 }),
        FromWorker::Finished { job },
        FromWorker::Failed {
            job,
            error: "no such robot".into(),
        },
    ]
}

fn reply(kind: Kind, body: Body) -> FromWorker {
    let job = 1 << 40;
    FromWorker::Reply { job, kind, body }
}

fn is_inline(body: &Body) -> bool {
    matches!(body, Body::Inline(_))
}

type Spoiler = fn(&mut GatewayConfig);

/// For each setting one way to make it useless.
fn spoilers() -> Vec<(&'static str, Spoiler)> {
    vec![
        ("protocols", |config| {
            config.protocols = vec![Protocol::Lines; MAX_DESCRIPTORS + 1];
        }),
        ("beat_millis", |config| config.beat_millis = Some(0)),
        ("max_jobs", |config| config.max_jobs = Some(0)),
        ("client_window", |config| config.client_window = 0),
        ("worker_window", |config| config.worker_window = 0),
        ("worker_jobs", |config| config.worker_jobs = 0),
        ("pending", |config| config.pending = 0),
        ("max_message", |config| config.max_message = 0),
        ("max_message", |config| {
            config.max_message = u32::try_from(MAX_MESSAGE).expect("it fits") + 1;
        }),
        ("max_clients", |config| config.max_clients = 0),
        ("handshake_timeout_millis", |config| {
            config.handshake_timeout_millis = 0;
        }),
        ("pending_timeout_millis", |config| {
            config.pending_timeout_millis = 0;
        }),
        ("keep_alive_millis", |config| {
            config.keep_alive_millis = Some(0);
        }),
        ("origins", |config| {
            config.origins = Origins::Listed(vec!["o".into(); MAX_ORIGINS + 1]);
        }),
        ("origins", |config| {
            config.origins = Origins::Listed(vec![String::new()]);
        }),
        ("feed", |config| config.feed = Some("robots".into())),
        ("lost_reply", |config| {
            config.lost_reply = Some("x".repeat(MAX_TEXT + 1));
        }),
    ]
}

fn any_config(random: &mut Random) -> GatewayConfig {
    let number = |random: &mut Random| {
        let limit = u32::try_from(MAX_MESSAGE).expect("it fits");
        u32::try_from(random.number() % u64::from(limit)).expect("it is below") + 1
    };
    let text = Some(format!("/{}", "é".repeat(random.below(40))));
    let origins = vec!["https://a.example".to_owned(); random.below(20)];
    GatewayConfig {
        protocols: (0..random.below(5))
            .map(|_| random.pick(&[Protocol::WebSocket, Protocol::Lines]))
            .collect(),
        beat_millis: random.pick(&[None, Some(1), Some(u32::MAX)]),
        policy: random.pick(&[Policy::RoundRobin, Policy::LeastConnections]),
        max_jobs: random.pick(&[None, Some(1), Some(u32::MAX)]),
        retry: random.pick(&[Retry::Never, Retry::Idempotent]),
        reports: random.pick(&[Reports::Never, Reports::EachJob]),
        client_window: number(random),
        worker_window: number(random),
        worker_jobs: number(random),
        pending: number(random),
        max_message: number(random),
        max_clients: number(random),
        handshake_timeout_millis: number(random),
        close_timeout_millis: random.pick(&[0, 1, u32::MAX]),
        starting_wait_millis: random.pick(&[0, 1, u32::MAX]),
        steal_after_millis: random.pick(&[0, 1, u32::MAX]),
        pending_timeout_millis: number(random),
        keep_alive_millis: random.pick(&[None, Some(1), Some(u32::MAX)]),
        origins: random.pick(&[Origins::Any, Origins::Same, Origins::Listed(origins)]),
        feed: random.pick(&[None, text.clone()]),
        lost_reply: random.pick(&[None, text]),
    }
}

fn survive<M: Message + Clone + PartialEq + Debug>(messages: &[M]) {
    for message in messages {
        let heard = decode::<M>(&encoded(message));
        assert_eq!(heard, Ok(vec![message.clone()]));
    }
}

fn survive_pieces<M: Message + Clone + PartialEq + Debug>(messages: &[M]) {
    let mut random = Random::new(23);
    let bytes: Vec<u8> = messages.iter().flat_map(encoded).collect();
    for _ in 0..100 {
        let mut decoder = Decoder::<M>::new();
        let (mut rest, mut heard) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(random.below(rest.len()) + 1);
            decoder.push(piece);
            while let Some(message) = decoder.next().expect("the frames are good") {
                heard.push(message);
            }
            rest = later;
        }
        assert!(decoder.is_empty());
        assert_eq!(heard, messages);
    }
}

/// No receiver of `M` takes any of these.
fn refuse<M: Message + PartialEq + Debug>(strangers: &[impl Message]) {
    for stranger in strangers {
        let (kind, _) = stranger.kind();
        let mut bytes = encoded(stranger);
        bytes[2] = 1;
        assert_eq!(decode::<M>(&bytes), Err(FrameError::UnknownKind { kind }));
    }
}

fn refuse_other_lengths<M>(messages: &[M], has_one_length: impl Fn(&M) -> bool)
where
    M: Message + PartialEq + Debug,
{
    for message in messages.iter().filter(|message| has_one_length(message)) {
        let bytes = encoded(message);
        let (kind, _) = message.kind();
        let body = &bytes[HEADER_SIZE..];
        let refused = Err(FrameError::BadBody { kind });
        let longer = raw(kind, MANDATORY, &[body, &[0]].concat());
        assert_eq!(decode::<M>(&longer), refused, "{message:?}");
        if let Some((_, shorter)) = body.split_last() {
            let shorter = raw(kind, MANDATORY, shorter);
            assert_eq!(decode::<M>(&shorter), refused, "{message:?}");
        }
    }
}

fn cannot_be_said(message: &(impl Message + Debug)) {
    let (kind, _) = message.kind();
    let mut out = b"kept".to_vec();
    let refused = herder_wire::frame::encode(message, &mut out);
    assert_eq!(refused, Err(FrameError::BadBody { kind }), "{message:?}");
    assert_eq!(out, b"kept");
}
