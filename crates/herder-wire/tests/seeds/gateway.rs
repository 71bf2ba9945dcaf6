//! What the master says to a gateway, good and bad.

use herder_wire::gateway::{
    GatewayConfig, MAX_TEXT, Origins, Policy, Protocol, Reports, Retry, ToGateway,
};
use herder_wire::proxy::{Backend, CertificateFiles, Unopened, Which, WorkerAddress};

use super::{MANDATORY, Seed, good, raw, seed};

const CONFIGURE: u16 = 0x0302;

/// Where the body of a configuration without protocols has its first choice, the policy.
const POLICY: usize = 5;

fn certificate(unopened: Option<Which>) -> Vec<u8> {
    let reason = "Permission denied".to_owned();
    good(&ToGateway::Certificate(Box::new(CertificateFiles {
        set: 1,
        place: 0,
        unopened: unopened.map(|which| Unopened { which, reason }),
    })))
}

pub(super) fn all() -> Vec<Seed> {
    let target = "gateway_frames";
    let mut seeds = vec![
        seed(
            target,
            "welcome",
            good(&ToGateway::Welcome {
                version: 1,
                capabilities: 0,
            }),
        ),
        seed(
            target,
            "configure-default",
            configure(GatewayConfig::default()),
        ),
        seed(target, "configure-full", configure(full())),
        seed(target, "configure-many-origins", configure(many_origins())),
        seed(target, "life-of-a-worker", life_of_a_worker()),
        seed(target, "open", good(&ToGateway::Open)),
        seed(target, "proxy", good(&ToGateway::Proxy(b"{}".to_vec()))),
        seed(target, "backend-tcp", backend(tcp("127.0.0.1:3000"))),
        seed(target, "backend-tcp6", backend(tcp("[::1]:3000"))),
        seed(
            target,
            "backend-unix",
            backend(WorkerAddress::Unix(b"/run/herder/7.sock".to_vec())),
        ),
        seed(target, "certificate", certificate(None)),
        seed(
            target,
            "certificate-unopened",
            certificate(Some(Which::Chain)),
        ),
        seed(target, "resync", good(&ToGateway::Resync)),
        seed(target, "hold", good(&ToGateway::Hold { worker: u64::MAX })),
        seed(
            target,
            "stop",
            [
                good(&ToGateway::CloseListeners {
                    within_millis: 22_500,
                }),
                good(&ToGateway::Drain {
                    grace_millis: 30_000,
                }),
            ]
            .concat(),
        ),
        seed(target, "empty", []),
    ];
    seeds.extend(bad());
    seeds
}

fn tcp(text: &str) -> WorkerAddress {
    WorkerAddress::Tcp(text.parse().expect("an address"))
}

fn backend(address: WorkerAddress) -> Vec<u8> {
    good(&ToGateway::Backend(Box::new(Backend {
        worker: 7,
        slot: 2,
        generation: 1,
        address,
    })))
}

fn bad() -> Vec<Seed> {
    let target = "gateway_frames";
    let expect = good(&ToGateway::Expect {
        worker: 1,
        slot: 2,
        pid: 3,
    });
    let config = configure(GatewayConfig::default());
    let body = &config[8..];
    let forged = |name, place: usize, bytes: &[u8]| {
        let mut body = body.to_vec();
        body[place..place + bytes.len()].copy_from_slice(bytes);
        seed(target, name, raw(CONFIGURE, MANDATORY, &body))
    };
    vec![
        forged("protocols-that-are-not-there", 0, &u32::MAX.to_le_bytes()),
        forged("policy-unknown", POLICY, &[9]),
        forged("window-zero", POLICY + 4, &[0; 4]),
        forged("beat-zero", 4, &[1, 0, 0, 0, 0]),
        seed(
            target,
            "origins-that-are-not-there",
            raw(
                CONFIGURE,
                MANDATORY,
                &[&body[..body.len() - 3], &[2, 0, 4, 0, 0]].concat(),
            ),
        ),
        seed(
            target,
            "configure-long",
            raw(CONFIGURE, MANDATORY, &[body, &[0]].concat()),
        ),
        seed(target, "expect-cut", &expect[..expect.len() - 1]),
        seed(
            target,
            "expect-short",
            raw(0x0303, MANDATORY, &expect[8..expect.len() - 1]),
        ),
        seed(target, "open-with-body", raw(0x0309, MANDATORY, b"x")),
        seed(target, "drain-short", raw(0x030b, MANDATORY, &[0; 3])),
        seed(target, "unknown-mandatory", raw(0x03ff, MANDATORY, b"new")),
        seed(
            target,
            "unknown-optional",
            [raw(0x03ff, 0, b"new"), expect].concat(),
        ),
    ]
}

fn configure(config: GatewayConfig) -> Vec<u8> {
    good(&ToGateway::Configure(Box::new(config)))
}

fn full() -> GatewayConfig {
    GatewayConfig {
        protocols: vec![Protocol::WebSocket, Protocol::Lines],
        beat_millis: Some(1000),
        policy: Policy::LeastConnections,
        max_jobs: Some(1),
        retry: Retry::Idempotent,
        reports: Reports::EachJob,
        origins: Origins::Listed(vec!["https://example.org".into(), "null".into()]),
        feed: Some("/robots".into()),
        lost_reply: Some("x".repeat(MAX_TEXT)),
        ..GatewayConfig::default()
    }
}

/// The most memory for its length: the shortest origins.
fn many_origins() -> GatewayConfig {
    GatewayConfig {
        origins: Origins::Listed(vec!["o".into(); 256]),
        ..GatewayConfig::default()
    }
}

fn life_of_a_worker() -> Vec<u8> {
    let worker = 5;
    [
        good(&ToGateway::Expect {
            worker,
            slot: 0,
            pid: 4711,
        }),
        good(&ToGateway::Link { worker }),
        good(&ToGateway::Admit { worker }),
        good(&ToGateway::Withdraw { worker }),
        good(&ToGateway::Gone { worker }),
    ]
    .concat()
}
