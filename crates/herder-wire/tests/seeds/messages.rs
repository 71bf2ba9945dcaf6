//! Records, launch reports and notifications, good and bad.

use herder_wire::notify::MAX_DATAGRAM;
use herder_wire::probe::{Finding, ProbeAnswer};
use herder_wire::record::{MAX_BATCH, Record, RecordKind};
use herder_wire::report::{LaunchFailure, LaunchStep, MAX_DETAIL};

use super::{Seed, seed};

pub(super) fn records() -> Vec<Seed> {
    let target = "conns_records";
    let connection = Record::connection(0, 1).to_bytes();
    let probe = Record {
        kind: RecordKind::Probe,
        listener: 0,
        conn: 0,
    }
    .to_bytes();
    let largest = Record::connection(u16::MAX, u64::MAX).to_bytes();
    let reserved = |index: usize| {
        let mut bytes = connection;
        bytes[index] = 1;
        bytes
    };
    vec![
        seed(target, "connection", connection),
        seed(target, "probe", probe),
        seed(target, "largest-numbers", largest),
        seed(target, "full-batch", connection.repeat(MAX_BATCH)),
        seed(target, "mixed-batch", [connection, probe, largest].concat()),
        seed(target, "one-too-many", connection.repeat(MAX_BATCH + 1)),
        seed(target, "empty", []),
        seed(target, "one-byte-short", &connection[..Record::SIZE - 1]),
        seed(target, "one-byte-long", [&connection[..], &[0]].concat()),
        seed(
            target,
            "second-cut",
            [&connection[..], &connection[..8]].concat(),
        ),
        seed(target, "kind-zero", [0; Record::SIZE]),
        seed(target, "kind-unknown", [&[3, 0][..], &[0; 14]].concat()),
        seed(target, "kind-high-byte", [&[1, 1][..], &[0; 14]].concat()),
        seed(target, "reserved-first", reserved(4)),
        seed(target, "reserved-last", reserved(7)),
        seed(target, "second-bad", [connection, reserved(5)].concat()),
    ]
}

pub(super) fn reports() -> Vec<Seed> {
    let target = "launch_report";
    let report = |step, errno, detail: &str| {
        LaunchFailure {
            step,
            errno,
            detail: detail.to_owned(),
        }
        .encode()
    };
    let long = "é".repeat(MAX_DETAIL);
    vec![
        seed(
            target,
            "execute",
            report(LaunchStep::Execute, 2, "/usr/bin/nodejs"),
        ),
        seed(
            target,
            "read-plan",
            report(LaunchStep::ReadPlan, 0, "checksum does not match"),
        ),
        seed(target, "identity", report(LaunchStep::Identity, 1, "")),
        seed(
            target,
            "directory",
            report(LaunchStep::Directory, -1, "/srv/\u{1b}[31m"),
        ),
        seed(
            target,
            "longest",
            report(LaunchStep::Limits, i32::MIN, &long),
        ),
        seed(target, "empty", []),
        seed(target, "step-only", [1]),
        seed(target, "errno-cut", [1, 0, 0, 0, 2, 0, 0]),
        seed(target, "step-zero", [0; 8]),
        seed(target, "step-unknown", [99, 0, 0, 0, 0, 0, 0, 0]),
        seed(target, "reserved", [1, 0, 0, 1, 0, 0, 0, 0]),
        seed(target, "not-utf8", [1, 0, 0, 0, 0, 0, 0, 0, 0xc3]),
        seed(
            target,
            "one-too-long",
            [&[1, 0, 0, 0, 0, 0, 0, 0][..], &[b'x'; 4089]].concat(),
        ),
        seed(target, "probe-fits", answer(Finding::Fits)),
        seed(
            target,
            "probe-refuses",
            answer(Finding::Refuses("it is of another app".to_owned())),
        ),
        seed(target, "probe-without-version", [2, 0]),
    ]
}

fn answer(finding: Finding) -> Vec<u8> {
    let version = "1.4.0".to_owned();
    ProbeAnswer { version, finding }.encode()
}

pub(super) fn notifications() -> Vec<Seed> {
    let target = "notify_datagram";
    let status = format!("STATUS={}", "x".repeat(MAX_DATAGRAM - 7));
    vec![
        seed(target, "ready", "READY=1"),
        seed(target, "ready-with-newline", "READY=1\n"),
        seed(target, "ready-zero", "READY=0"),
        seed(
            target,
            "usual-start",
            "READY=1\nSTATUS=Uvicorn läuft\nMAINPID=4711\nWATCHDOG=1\n",
        ),
        seed(target, "reload", "RELOADING=1\nMONOTONIC_USEC=123456789\n"),
        seed(target, "stop", "STOPPING=1\nERRNO=2\nEXIT_STATUS=3\n"),
        seed(target, "watchdog-trigger", "WATCHDOG=trigger"),
        seed(target, "extend", "EXTEND_TIMEOUT_USEC=5000000"),
        seed(
            target,
            "extend-largest",
            "EXTEND_TIMEOUT_USEC=18446744073709551615",
        ),
        seed(
            target,
            "extend-overflow",
            "EXTEND_TIMEOUT_USEC=18446744073709551616",
        ),
        seed(target, "extend-signed", "EXTEND_TIMEOUT_USEC=+5"),
        seed(target, "store", "FDSTORE=1\nFDNAME=listener\n"),
        seed(target, "pid-zero", "MAINPID=0"),
        seed(target, "pid-negative", "MAINPID=-1"),
        seed(target, "pid-overflow", "MAINPID=4294967297"),
        seed(target, "pid-empty", "MAINPID="),
        seed(target, "status-not-utf8", b"STATUS=\xff\nREADY=1"),
        seed(target, "status-with-equals", "STATUS=a=b=c"),
        seed(target, "status-escapes", "STATUS=\x1b]0;owned\x07"),
        seed(target, "status-longest", status),
        seed(target, "empty", []),
        seed(target, "newlines-only", "\n\n\n"),
        seed(target, "no-equals", "READY"),
        seed(target, "no-name", "=1"),
        seed(target, "name-with-blank", " READY=1"),
        seed(target, "carriage-return", "READY=1\r\nWATCHDOG=1\r\n"),
        seed(target, "nul", "READY=1\0\nWATCHDOG=1"),
    ]
}
