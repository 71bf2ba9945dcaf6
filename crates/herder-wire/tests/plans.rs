//! Launch plans and reports: there and back, at their limits, damaged.

mod random;

use herder_wire::plan::{
    DescriptorUse, EncodedPlan, Identity, LaunchPlan, Limit, LimitKind, ListenFds, MAX_DESCRIPTORS,
    MAX_PLAN, Orphaned, PlanError, PlanHeader, Program, Role, UnknownRole,
};
use herder_wire::report::{LaunchFailure, LaunchStep, MAX_DETAIL, MAX_REPORT, ReportError};
use random::Random;

#[test]
fn every_plan_survives_the_wire() {
    let mut random = Random::new(23);
    for _ in 0..500 {
        let plan = any_plan(&mut random);
        let EncodedPlan { header, body } = plan.encode().expect("the plan is good");
        let header = PlanHeader::decode(&header).expect("the header is good");
        assert_eq!(usize::from(header.descriptors), plan.descriptors.len());
        assert_eq!(LaunchPlan::decode(&header, &body), Ok(plan));
    }
}

#[test]
fn r18_no_damage_of_one_byte_goes_unnoticed() {
    let EncodedPlan { header, body } = any_plan(&mut Random::new(1)).encode().expect("good");
    for index in 0..header.len() {
        let mut damaged = header;
        damaged[index] ^= 0x10;
        let decoded = PlanHeader::decode(&damaged).and_then(|it| LaunchPlan::decode(&it, &body));
        assert!(decoded.is_err(), "byte {index} of the header");
    }
    let header = PlanHeader::decode(&header).expect("good");
    for index in 0..body.len() {
        let mut damaged = body.clone();
        damaged[index] ^= 0x10;
        assert_eq!(
            LaunchPlan::decode(&header, &damaged),
            Err(PlanError::Checksum)
        );
    }
}

#[test]
fn r18_a_plan_of_exactly_the_limit_passes_and_one_byte_more_is_refused() {
    let fixed = smallest().encode().expect("good").body.len();
    let with_title = |length: usize| LaunchPlan {
        title: "t".repeat(length),
        ..smallest()
    };
    let EncodedPlan { header, body } = with_title(MAX_PLAN - fixed).encode().expect("it fits");
    assert_eq!(body.len(), MAX_PLAN);
    let header = PlanHeader::decode(&header).expect("it fits");
    assert!(LaunchPlan::decode(&header, &body).is_ok());

    let too_long = PlanError::TooLong {
        length: MAX_PLAN as u64 + 1,
    };
    assert_eq!(with_title(MAX_PLAN - fixed + 1).encode(), Err(too_long));
    let mut claimed = header.encode();
    claimed[12] += 1;
    assert_eq!(PlanHeader::decode(&claimed), Err(too_long));
}

#[test]
fn r18_as_many_descriptors_as_one_message_carries_and_no_more() {
    let with = |count| LaunchPlan {
        descriptors: vec![DescriptorUse::Control; count],
        ..smallest()
    };
    assert!(with(MAX_DESCRIPTORS).encode().is_ok());
    let count = MAX_DESCRIPTORS + 1;
    assert_eq!(
        with(count).encode(),
        Err(PlanError::TooManyDescriptors { count })
    );
}

#[test]
fn r18_a_count_that_the_body_cannot_hold_takes_no_memory() {
    let EncodedPlan { mut body, .. } = smallest().encode().expect("good");
    let descriptors = body.len() - 8;
    body[descriptors..].copy_from_slice(&u64::MAX.to_le_bytes());
    let header = PlanHeader::new(&body, 0).expect("small");
    let refused = Err(PlanError::Malformed {
        field: "descriptors",
    });
    assert_eq!(LaunchPlan::decode(&header, &body), refused);
}

/// The promise of four times the input rests on these sizes.
#[test]
fn r18_items_of_a_list_take_at_most_three_times_their_smallest_encoding() {
    assert!(size_of::<(Vec<u8>, Vec<u8>)>() <= 3 * 16);
    assert!(size_of::<Vec<u8>>() <= 3 * 8);
    assert!(size_of::<DescriptorUse>() <= 3 * 8);
    assert!(size_of::<Limit>() <= 3 * 17);
}

#[test]
fn what_follows_a_plan_is_refused() {
    let EncodedPlan { mut body, .. } = smallest().encode().expect("good");
    body.push(0);
    let header = PlanHeader::new(&body, 0).expect("small");
    assert_eq!(
        LaunchPlan::decode(&header, &body),
        Err(PlanError::TrailingBytes { count: 1 })
    );
}

#[test]
fn a_header_says_what_is_wrong_with_it() {
    let good = PlanHeader::new(b"body", 1).expect("small").encode();
    let with = |index: usize, value: u8| {
        let mut bytes = good;
        bytes[index] = value;
        PlanHeader::decode(&bytes)
    };
    assert_eq!(with(0, b'X'), Err(PlanError::BadMagic));
    assert_eq!(with(8, 9), Err(PlanError::Version { found: 9 }));
    assert_eq!(with(24, 1), Err(PlanError::Header));
    assert_eq!(PlanHeader::decode(&good[..31]), Err(PlanError::Header));
    assert_eq!(
        PlanHeader::decode(&[&good[..], &[0]].concat()),
        Err(PlanError::Header)
    );
    assert_eq!(
        PlanHeader::decode(b"GET / HTTP/1.1"),
        Err(PlanError::BadMagic)
    );
    assert_eq!(PlanHeader::decode(b""), Err(PlanError::BadMagic));
}

#[test]
fn a_nul_byte_is_neither_sent_nor_read() {
    let plan = LaunchPlan {
        directory: Some(b"/a\0".to_vec()),
        ..smallest()
    };
    assert_eq!(
        plan.encode(),
        Err(PlanError::NulByte { field: "directory" })
    );
    let plan = LaunchPlan {
        environment: vec![(b"A".to_vec(), b"\0".to_vec())],
        ..smallest()
    };
    assert_eq!(
        plan.encode(),
        Err(PlanError::NulByte {
            field: "environment"
        })
    );
}

#[test]
fn roles_have_words() {
    for role in Role::ALL {
        assert_eq!(role.as_str().parse(), Ok(role));
    }
    assert_eq!("Master".parse::<Role>(), Err(UnknownRole));
    assert_eq!("".parse::<Role>(), Err(UnknownRole));
}

#[test]
fn every_report_survives_the_wire() {
    for step in LaunchStep::ALL {
        let report = LaunchFailure {
            step,
            errno: 13,
            detail: "/srv/äpp".into(),
        };
        assert_eq!(LaunchFailure::decode(&report.encode()), Ok(report));
    }
}

#[test]
fn r18_a_report_is_cut_to_its_limit_and_one_byte_more_is_refused() {
    let report = LaunchFailure {
        step: LaunchStep::Execute,
        errno: 2,
        detail: "x".repeat(MAX_DETAIL + 100),
    };
    let mut bytes = report.encode();
    assert_eq!(bytes.len(), MAX_REPORT);
    let decoded = LaunchFailure::decode(&bytes).expect("it fits");
    assert_eq!(decoded.detail.len(), MAX_DETAIL);
    bytes.push(b'x');
    let refused = Err(ReportError::TooLong {
        length: MAX_REPORT + 1,
    });
    assert_eq!(LaunchFailure::decode(&bytes), refused);
}

#[test]
fn a_report_reads_as_a_sentence() {
    let report = LaunchFailure {
        step: LaunchStep::Directory,
        errno: 2,
        detail: "/nowhere".into(),
    };
    assert_eq!(
        report.to_string(),
        "could not change to the directory: /nowhere"
    );
}

fn smallest() -> LaunchPlan {
    LaunchPlan {
        app: String::new(),
        role: Role::Worker,
        slot: 0,
        incarnation: 0,
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

fn any_plan(random: &mut Random) -> LaunchPlan {
    let [slot, mask] = [0, 1].map(|_| u16::try_from(random.number() & 0xffff).expect("masked"));
    LaunchPlan {
        app: any_text(random),
        role: random.pick(&Role::ALL),
        slot,
        incarnation: random.number(),
        title: any_text(random),
        program: any_program(random),
        environment: any_list(random, |random| (any_bytes(random), any_bytes(random))),
        directory: random.pick(&[None, Some(b"/srv".to_vec())]),
        identity: random.pick(&[
            None,
            Some(Identity {
                uid: 1,
                gid: u32::MAX,
                groups: Vec::new(),
            }),
            Some(Identity {
                uid: 33,
                gid: 33,
                groups: vec![4, 5],
            }),
        ]),
        umask: random.pick(&[None, Some(u32::from(mask))]),
        limits: any_list(random, |random| Limit {
            kind: random.pick(&[
                LimitKind::OpenFiles,
                LimitKind::Stack,
                LimitKind::AddressSpace,
            ]),
            soft: random.number(),
            hard: Limit::UNLIMITED,
        }),
        descriptors: any_list(random, |random| {
            let name = any_text(random);
            random.pick(&[
                DescriptorUse::Keeper,
                DescriptorUse::Control,
                DescriptorUse::Conns,
                DescriptorUse::Listener { name },
                DescriptorUse::Estate,
                DescriptorUse::Page,
                DescriptorUse::Place { target: slot },
            ])
        }),
    }
}

fn any_program(random: &mut Random) -> Option<Program> {
    let listen_fds = random.pick(&[ListenFds::Absent, ListenFds::Announced]);
    let orphaned = random.pick(&[Orphaned::LivesOn, Orphaned::Terminated]);
    let argv = any_list(random, any_bytes);
    let program = Program {
        path: any_bytes(random),
        argv,
        listen_fds,
        orphaned,
    };
    random.pick(&[None, Some(program)])
}

fn any_text(random: &mut Random) -> String {
    any_list(random, |random| {
        random.pick(&['a', 'é', '\n', '\u{10ffff}', ' '])
    })
    .into_iter()
    .collect()
}

fn any_bytes(random: &mut Random) -> Vec<u8> {
    any_list(random, |random| random.pick(&[1, b'=', b'a', 0x80, 0xff]))
}

fn any_list<T>(random: &mut Random, mut item: impl FnMut(&mut Random) -> T) -> Vec<T> {
    (0..random.below(12)).map(|_| item(random)).collect()
}
