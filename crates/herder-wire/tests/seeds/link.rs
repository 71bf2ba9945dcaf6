//! What a gateway and a worker say to each other, good and bad.

use herder_wire::gateway::Protocol;
use herder_wire::link::{Body, FromGateway, FromWorker, Kind, MAX_ERROR, MAX_MESSAGE};

use super::{MANDATORY, Seed, good, raw, seed};

const JOB: u16 = 0x0402;
const REPLY: u16 = 0x0503;
const FAILED: u16 = 0x0505;

pub(super) fn all() -> Vec<Seed> {
    let target = "link_frames";
    let largest = u32::try_from(MAX_MESSAGE).expect("it fits");
    let mut seeds = vec![
        seed(target, "gateway-says", what_a_gateway_says()),
        seed(target, "worker-says", what_a_worker_says()),
        seed(
            target,
            "job-in-memory",
            good(&job(Kind::Text, Body::Memory { length: largest })),
        ),
        seed(
            target,
            "job-empty",
            good(&job(Kind::Text, Body::Inline(Vec::new()))),
        ),
        seed(
            target,
            "failed-longest",
            good(&FromWorker::Failed {
                job: 1,
                error: "é".repeat(MAX_ERROR),
            }),
        ),
        seed(target, "empty", []),
    ];
    seeds.extend(bad());
    seeds
}

fn bad() -> Vec<Seed> {
    let target = "link_frames";
    let reply = |rest: &[u8]| raw(REPLY, MANDATORY, &[&[7; 8][..], rest].concat());
    let memory = |length: usize| {
        let length = u32::try_from(length).expect("it fits");
        reply(&[&[2, 1][..], &length.to_le_bytes()].concat())
    };
    vec![
        seed(target, "text-not-utf8", reply(b"\x01\x00ok \xff")),
        seed(target, "text-cut-character", reply(b"\x01\x00\xc3")),
        seed(target, "kind-unknown", reply(b"\x03\x00ok")),
        seed(target, "body-unknown", reply(b"\x02\x02ok")),
        seed(target, "memory-empty", memory(0)),
        seed(target, "memory-too-long", memory(MAX_MESSAGE + 1)),
        seed(target, "memory-short", reply(b"\x02\x01\x01\x00\x00")),
        seed(
            target,
            "protocol-unknown",
            raw(JOB, MANDATORY, &[&[0; 16][..], &[3, 2, 0]].concat()),
        ),
        seed(target, "job-short", raw(JOB, MANDATORY, &[0; 17])),
        seed(target, "cancel-short", raw(0x0403, 0, &[0; 7])),
        seed(target, "hello-long", raw(0x0501, MANDATORY, &[0; 7])),
        seed(
            target,
            "failed-not-utf8",
            raw(FAILED, MANDATORY, &[&[0; 8][..], b"\xfe"].concat()),
        ),
        seed(
            target,
            "failed-too-long",
            raw(
                FAILED,
                MANDATORY,
                &[&[0; 8][..], &vec![b'x'; MAX_ERROR + 1]].concat(),
            ),
        ),
        seed(target, "unknown-mandatory", raw(0x05ff, MANDATORY, b"new")),
        seed(target, "unknown-optional", raw(0x04ff, 0, b"new")),
    ]
}

fn job(kind: Kind, body: Body) -> FromGateway {
    FromGateway::Job {
        job: 1,
        client: 2,
        protocol: Protocol::WebSocket,
        kind,
        body,
    }
}

fn what_a_gateway_says() -> Vec<u8> {
    [
        good(&FromGateway::Hello { version: 1 }),
        good(&job(Kind::Text, Body::Inline(b"3 + 4".to_vec()))),
        good(&FromGateway::Job {
            job: u64::MAX,
            client: 0,
            protocol: Protocol::Lines,
            kind: Kind::Bytes,
            body: Body::Inline(vec![0, 255]),
        }),
        good(&FromGateway::Cancel { job: 1 }),
    ]
    .concat()
}

fn what_a_worker_says() -> Vec<u8> {
    let job = 1;
    let reply = |kind, body: &[u8]| {
        let body = Body::Inline(body.to_vec());
        good(&FromWorker::Reply { job, kind, body })
    };
    [
        good(&FromWorker::Hello {
            version: 1,
            started: 41,
        }),
        good(&FromWorker::Started { job }),
        reply(Kind::Text, "sieben: 7 ✓".as_bytes()),
        reply(Kind::Bytes, &[0, 255]),
        good(&FromWorker::Finished { job }),
        good(&FromWorker::Failed {
            job: 2,
            error: "division by zero".into(),
        }),
    ]
    .concat()
}
