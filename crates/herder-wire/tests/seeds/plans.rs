//! Launch plans, good and bad: a header followed by its body.

use herder_wire::plan::{
    DescriptorUse, EncodedPlan, Identity, LaunchPlan, Limit, LimitKind, ListenFds, Orphaned,
    PlanHeader, Program, Role,
};

use super::{Seed, seed};

pub(super) fn all() -> Vec<Seed> {
    let target = "launch_plan";
    let mut seeds = vec![
        seed(target, "worker", good(&worker())),
        seed(target, "gateway", good(&gateway())),
        seed(target, "launcher", good(&launcher())),
        seed(
            target,
            "master",
            good(&LaunchPlan {
                role: Role::Master,
                ..smallest()
            }),
        ),
        seed(target, "smallest", good(&smallest())),
        seed(target, "worker-body-alone", split(&worker()).1),
        seed(target, "launcher-body-alone", split(&launcher()).1),
    ];
    seeds.extend(bad_headers());
    seeds.extend(bad_bodies());
    seeds
}

fn bad_headers() -> Vec<Seed> {
    let target = "launch_plan";
    let plan = good(&worker());
    let with = |index: usize, value: u8| {
        let mut bytes = plan.clone();
        bytes[index] = value;
        bytes
    };
    vec![
        seed(target, "empty", []),
        seed(target, "magic-cut", b"HERDPLA"),
        seed(target, "magic-wrong", with(0, b'h')),
        seed(target, "version-next", with(8, 2)),
        seed(target, "header-cut", &plan[..PlanHeader::SIZE - 1]),
        seed(target, "header-alone", &plan[..PlanHeader::SIZE]),
        seed(target, "descriptors-miscounted", with(10, 2)),
        seed(target, "descriptors-too-many", with(11, 0xff)),
        seed(
            target,
            "length-one-more",
            with(12, plan[12].wrapping_add(1)),
        ),
        seed(target, "length-huge", with(15, 0xff)),
        seed(target, "checksum-wrong", with(16, plan[16].wrapping_add(1))),
        seed(target, "reserved", with(31, 1)),
        seed(target, "body-cut", &plan[..plan.len() - 1]),
        seed(
            target,
            "body-damaged",
            with(PlanHeader::SIZE, plan[PlanHeader::SIZE] ^ 1),
        ),
    ]
}

/// Bodies with a right header: what a checksum does not find.
fn bad_bodies() -> Vec<Seed> {
    let target = "launch_plan";
    let (_, body) = split(&smallest());
    // Offsets in the smallest plan: app (8 + 1), role 9, slot, incarnation, title (8), program 28.
    let with = |index: usize, bytes: &[u8]| {
        let mut body = body.clone();
        body[index..index + bytes.len()].copy_from_slice(bytes);
        headed(&body, 0)
    };
    vec![
        seed(
            target,
            "trailing-byte",
            headed(&[&body[..], &[0]].concat(), 0),
        ),
        seed(target, "fields-missing", headed(&body[..20], 0)),
        seed(target, "body-empty", headed(&[], 0)),
        seed(target, "app-length-all-ones", with(0, &[0xff; 8])),
        seed(target, "app-not-utf8", with(8, &[0xff])),
        seed(target, "role-zero", with(9, &[0])),
        seed(target, "role-unknown", with(9, &[5])),
        seed(target, "option-neither", with(28, &[2])),
        seed(target, "environment-count-all-ones", with(29, &[0xff; 8])),
        seed(target, "environment-count-one", with(29, &[1])),
        seed(
            target,
            "descriptor-listed-not-sent",
            headed(&split(&worker()).1, 0),
        ),
        seed(
            target,
            "many-empty-variables",
            good(&many_empty_variables()),
        ),
        seed(target, "nul-in-argument", nul_in_argument()),
    ]
}

fn smallest() -> LaunchPlan {
    LaunchPlan {
        app: "a".into(),
        role: Role::Gateway,
        slot: 0,
        incarnation: 1,
        title: String::new(),
        program: None,
        environment: Vec::new(),
        directory: None,
        identity: None,
        umask: None,
        limits: Vec::new(),
        descriptors: Vec::new(),
    }
}

fn worker() -> LaunchPlan {
    LaunchPlan {
        app: "web".into(),
        role: Role::Worker,
        slot: 3,
        incarnation: 17,
        title: "herder: worker web/3".into(),
        environment: vec![(b"HERDER_SLOT".to_vec(), b"3".to_vec())],
        descriptors: vec![
            DescriptorUse::Control,
            DescriptorUse::Conns,
            DescriptorUse::Listener {
                name: "http".into(),
            },
        ],
        ..smallest()
    }
}

fn gateway() -> LaunchPlan {
    LaunchPlan {
        role: Role::Gateway,
        title: "herder: gateway web".into(),
        identity: Some(Identity {
            uid: 65534,
            gid: 65534,
            groups: Vec::new(),
        }),
        descriptors: vec![
            DescriptorUse::Control,
            DescriptorUse::Listener {
                name: "127.0.0.1:8080".into(),
            },
            DescriptorUse::Page,
        ],
        ..worker()
    }
}

fn launcher() -> LaunchPlan {
    LaunchPlan {
        role: Role::Launcher,
        program: Some(Program {
            path: b"/usr/bin/python3".to_vec(),
            argv: vec![
                b"python3".to_vec(),
                b"-m".to_vec(),
                b"\xff".to_vec(),
                Vec::new(),
            ],
            listen_fds: ListenFds::Announced,
            orphaned: Orphaned::Terminated,
        }),
        environment: vec![
            (b"PATH".to_vec(), b"/usr/bin".to_vec()),
            (b"EMPTY".to_vec(), Vec::new()),
        ],
        directory: Some(b"/srv/app".to_vec()),
        identity: Some(Identity {
            uid: 33,
            gid: 33,
            groups: vec![33, 4],
        }),
        umask: Some(0o027),
        limits: vec![
            Limit {
                kind: LimitKind::OpenFiles,
                soft: 1024,
                hard: 4096,
            },
            Limit {
                kind: LimitKind::Core,
                soft: 0,
                hard: Limit::UNLIMITED,
            },
        ],
        descriptors: vec![
            DescriptorUse::Keeper,
            DescriptorUse::Place { target: 1 },
            DescriptorUse::Place { target: 2 },
            DescriptorUse::Listener {
                name: String::new(),
            },
        ],
        ..worker()
    }
}

/// The input that costs a decoder the most memory for its length.
fn many_empty_variables() -> LaunchPlan {
    LaunchPlan {
        environment: vec![(Vec::new(), Vec::new()); 256],
        ..smallest()
    }
}

fn nul_in_argument() -> Vec<u8> {
    let (_, mut body) = split(&launcher());
    let at = body
        .windows(2)
        .position(|two| two == b"-m")
        .expect("the plan has this argument");
    body[at] = 0;
    headed(&body, launcher().descriptors.len())
}

fn good(plan: &LaunchPlan) -> Vec<u8> {
    let (header, body) = split(plan);
    [&header[..], &body].concat()
}

fn split(plan: &LaunchPlan) -> ([u8; PlanHeader::SIZE], Vec<u8>) {
    let EncodedPlan { header, body } = plan.encode().expect("the seed is a good plan");
    (header, body)
}

fn headed(body: &[u8], descriptors: usize) -> Vec<u8> {
    let header = PlanHeader::new(body, descriptors).expect("the seed is a small plan");
    [&header.encode()[..], body].concat()
}
