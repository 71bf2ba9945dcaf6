//! Frames, good and bad.

use herder_wire::control::{Course, DrainReason, MAX_REASON, ToMaster, ToWorker};
use herder_wire::frame;
use herder_wire::keeper::{self, FromKeeper, Key, ToKeeper};

use super::{MANDATORY, Seed, good, header, raw, seed};

/// Body lengths whose frame exceeds its limit by one byte.
const ONE_TOO_LONG: u32 = 64 * 1024 - 7;
const KEEPER_ONE_TOO_LONG: u32 = 8 * 1024 - 7;

const RETIRE: u16 = 0x0005;
const KNOWN: u16 = 0x000f;
const DRAIN: u16 = 0x0102;
const GRACE: u16 = 0x0204;

#[expect(clippy::too_many_lines, reason = "a list: a sample after the other")]
pub(super) fn control() -> Vec<Seed> {
    let target = "control_frames";
    let mut seeds = vec![
        seed(
            target,
            "hello",
            good(&ToMaster::Hello {
                version: 1,
                capabilities: 0x8000_0001,
            }),
        ),
        seed(target, "ready", good(&ToMaster::Ready)),
        seed(target, "beat", good(&ToMaster::Beat)),
        seed(
            target,
            "counters",
            good(&ToMaster::Counters {
                open: 3,
                served: u64::MAX,
                busy: 1000,
            }),
        ),
        seed(
            target,
            "retire",
            good(&ToMaster::Retire {
                reason: "panic: “out of luck”".into(),
            }),
        ),
        seed(
            target,
            "retire-longest",
            good(&ToMaster::Retire {
                reason: "x".repeat(MAX_REASON),
            }),
        ),
        seed(
            target,
            "boot-extend",
            good(&ToMaster::BootExtend { millis: 30_000 }),
        ),
        seed(
            target,
            "user-to-master",
            good(&ToMaster::User(b"{\"job\":1}".to_vec())),
        ),
        seed(target, "user-empty", good(&ToMaster::User(Vec::new()))),
        seed(
            target,
            "welcome",
            good(&ToWorker::Welcome {
                version: 1,
                capabilities: 0,
            }),
        ),
        seed(target, "drain", good(&drain())),
        seed(target, "nudge", good(&ToWorker::Nudge)),
        seed(
            target,
            "user-to-worker",
            good(&ToWorker::User(vec![0, 255, 0])),
        ),
        seed(target, "empty", []),
        seed(target, "life-of-a-worker", life_of_a_worker()),
    ];
    seeds.extend(bad_control());
    seeds.extend(about_jobs());
    seeds.extend(about_takeovers());
    seeds
}

fn about_jobs() -> Vec<Seed> {
    let target = "control_frames";
    vec![
        seed(target, "link", good(&ToWorker::Link { gateway: 3 })),
        seed(target, "spent", good(&ToMaster::Spent)),
        seed(target, "life-of-a-gateway", life_of_a_gateway()),
        seed(target, "spent-with-body", raw(0x0008, MANDATORY, b"x")),
        seed(target, "dispatched-short", raw(0x0009, 0, &[0; 15])),
        seed(target, "exhausted-long", raw(0x000a, MANDATORY, &[0; 9])),
        seed(target, "link-short", raw(0x0105, MANDATORY, &[0; 7])),
    ]
}

fn about_takeovers() -> Vec<Seed> {
    let target = "control_frames";
    let state = good(&ToMaster::State {
        version: 1,
        course: Course::Draining,
        open: 3,
        served: u64::MAX,
        busy: 1000,
    });
    let known = good(&ToMaster::Known {
        workers: vec![4, 5, u64::MAX],
    });
    let mut forged = state.clone();
    forged[10] = 4;
    vec![
        seed(target, "state", state),
        seed(target, "state-course-unknown", forged),
        seed(target, "known", known),
        seed(
            target,
            "known-descending",
            raw(KNOWN, MANDATORY, &[[1; 8], [0; 8]].concat()),
        ),
        seed(target, "known-cut", raw(KNOWN, MANDATORY, &[0; 15])),
        seed(target, "pause", good(&ToWorker::Pause)),
        seed(target, "resume", good(&ToWorker::Resume)),
        seed(target, "resync", good(&ToWorker::Resync)),
    ]
}

#[expect(clippy::too_many_lines, reason = "a list: a sample after the other")]
fn bad_control() -> Vec<Seed> {
    let target = "control_frames";
    let drain = good(&drain());
    vec![
        seed(target, "header-cut", &drain[..7]),
        seed(target, "body-cut", &drain[..drain.len() - 1]),
        seed(
            target,
            "good-then-cut",
            [good(&ToMaster::Ready), drain[..3].to_vec()].concat(),
        ),
        seed(
            target,
            "good-then-garbage",
            [good(&ToMaster::Beat), vec![0xff; 40]].concat(),
        ),
        seed(
            target,
            "one-too-long",
            header(0x0007, MANDATORY, ONE_TOO_LONG),
        ),
        seed(
            target,
            "length-all-ones",
            header(0x0007, MANDATORY, u32::MAX),
        ),
        seed(
            target,
            "longest-without-body",
            header(0x0007, MANDATORY, ONE_TOO_LONG - 1),
        ),
        seed(target, "unknown-mandatory", raw(0x7fff, MANDATORY, b"new")),
        seed(target, "unknown-optional", raw(0x7fff, 0, b"new")),
        seed(
            target,
            "optional-then-good",
            [raw(0x7fff, 0, b"new"), drain.clone()].concat(),
        ),
        seed(target, "reserved-flags", raw(0x0002, 0x8001, b"")),
        seed(target, "ready-with-body", raw(0x0002, MANDATORY, b"x")),
        seed(
            target,
            "hello-short",
            raw(0x0001, MANDATORY, &[1, 0, 0, 0, 0]),
        ),
        seed(
            target,
            "hello-long",
            raw(0x0001, MANDATORY, &[1, 0, 0, 0, 0, 0, 0]),
        ),
        seed(target, "counters-short", raw(0x0004, 0, &[0; 15])),
        seed(
            target,
            "retire-not-utf8",
            raw(RETIRE, MANDATORY, b"ok \xff\xfe"),
        ),
        seed(
            target,
            "retire-cut-character",
            raw(RETIRE, MANDATORY, "é".as_bytes()[..1].as_ref()),
        ),
        seed(
            target,
            "retire-too-long",
            raw(RETIRE, MANDATORY, &vec![b'x'; MAX_REASON + 1]),
        ),
        seed(
            target,
            "drain-reason-zero",
            raw(DRAIN, MANDATORY, &[0, 0, 0, 0, 0]),
        ),
        seed(
            target,
            "drain-reason-unknown",
            raw(DRAIN, MANDATORY, &[8, 0, 0, 0, 0]),
        ),
        seed(target, "kind-zero", raw(0, MANDATORY, b"")),
    ]
}

#[expect(clippy::too_many_lines, reason = "a list: a sample after the other")]
pub(super) fn keeper() -> Vec<Seed> {
    let target = "keeper_frames";
    let longest = vec![b'p'; keeper::MAX_FRAME - frame::HEADER_SIZE];
    let socket = ToKeeper::SocketFile {
        path: b"/run/app.sock".to_vec(),
        dev: 66306,
        inode: 9,
    };
    let socket = good(&socket);
    vec![
        seed(
            target,
            "cgroup",
            good(&ToKeeper::Cgroup(b"/sys/fs/cgroup/herd-1".to_vec())),
        ),
        seed(
            target,
            "directory",
            good(&ToKeeper::Directory(b"/run/h\xffder/1".to_vec())),
        ),
        seed(
            target,
            "directory-longest",
            good(&ToKeeper::Directory(longest)),
        ),
        seed(target, "socket-file", socket.clone()),
        seed(target, "grace", good(&ToKeeper::Grace { millis: 30_000 })),
        seed(target, "beat", good(&ToKeeper::Beat)),
        seed(target, "hand-over", good(&ToKeeper::HandOver)),
        seed(target, "in-charge", good(&ToKeeper::InCharge)),
        seed(
            target,
            "store",
            good(&ToKeeper::Store {
                key: Key::listener(0),
                pid: 0,
            }),
        ),
        seed(
            target,
            "stored",
            good(&FromKeeper::Stored {
                key: Key::state(),
                pid: 12,
            }),
        ),
        seed(
            target,
            "exited",
            good(&FromKeeper::Exited { pid: 12, status: 9 }),
        ),
        seed(
            target,
            "two-in-one-packet",
            [socket.clone(), socket.clone()].concat(),
        ),
        seed(target, "empty", []),
        seed(target, "header-only", &socket[..frame::HEADER_SIZE]),
        seed(target, "body-cut", &socket[..socket.len() - 1]),
        seed(
            target,
            "socket-file-without-path",
            raw(0x0203, MANDATORY, &[7; 16]),
        ),
        seed(
            target,
            "socket-file-short",
            raw(0x0203, MANDATORY, &[7; 15]),
        ),
        seed(target, "path-empty", raw(0x0202, MANDATORY, b"")),
        seed(
            target,
            "path-with-nul",
            raw(0x0202, MANDATORY, b"/run/a\0/etc"),
        ),
        seed(target, "grace-long", raw(GRACE, MANDATORY, &[0; 5])),
        seed(
            target,
            "one-too-long",
            header(0x0202, MANDATORY, KEEPER_ONE_TOO_LONG),
        ),
        seed(target, "unknown-mandatory", raw(0x02ff, MANDATORY, b"new")),
        seed(target, "unknown-optional", raw(0x02ff, 0, b"new")),
        seed(target, "reserved-flags", raw(GRACE, 2, &[0; 4])),
        seed(target, "wrong-channel", good(&ToMaster::Ready)),
    ]
}

fn drain() -> ToWorker {
    ToWorker::Drain {
        reason: DrainReason::Recycle,
        grace_millis: 30_000,
    }
}

fn life_of_a_worker() -> Vec<u8> {
    [
        good(&ToMaster::Hello {
            version: 1,
            capabilities: 1,
        }),
        good(&ToMaster::BootExtend { millis: 500 }),
        good(&ToMaster::Ready),
        good(&ToMaster::Beat),
        good(&ToMaster::Counters {
            open: 1,
            served: 0,
            busy: 12,
        }),
        good(&ToMaster::Retire {
            reason: "enough".into(),
        }),
    ]
    .concat()
}

fn life_of_a_gateway() -> Vec<u8> {
    [
        good(&ToMaster::Hello {
            version: 1,
            capabilities: 0,
        }),
        good(&ToMaster::Ready),
        good(&ToMaster::Dispatched { job: 1, worker: 4 }),
        good(&ToMaster::Exhausted { worker: 4 }),
        good(&ToMaster::Withdrawn { worker: 4 }),
        good(&ToMaster::Unusable {
            worker: 5,
            reason: "it said hello twice".into(),
        }),
        good(&ToMaster::Empty),
        good(&ToMaster::Certificates {
            set: 2,
            fault: Some("it.key:2: this is no key".into()),
        }),
    ]
    .concat()
}
