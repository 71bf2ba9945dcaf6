//! Connection records and notification datagrams.

use std::time::Duration;

use herder_wire::notify::{self, Assignment};
use herder_wire::record::{MAX_BATCH, MAX_MESSAGE, Record, RecordError, RecordKind};

#[test]
fn records_survive_the_wire() {
    for kind in [RecordKind::Connection, RecordKind::Probe] {
        for (listener, conn) in [(0, 0), (1, 2), (u16::MAX, u64::MAX)] {
            let record = Record {
                kind,
                listener,
                conn,
            };
            assert_eq!(Record::from_bytes(&record.to_bytes()), Ok(record));
        }
    }
}

/// The bytes themselves, so that an accidental change of the protocol is seen.
#[test]
fn a_record_is_laid_out_as_documented() {
    let record = Record::connection(0x0201, 0x0807_0605_0403_0201);
    assert_eq!(
        record.to_bytes(),
        [1, 0, 1, 2, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    );
}

#[test]
fn r18_a_message_is_one_to_four_whole_records() {
    let record = Record::connection(1, 9);
    for count in 1..=MAX_BATCH {
        let message = record.to_bytes().repeat(count);
        let batch = Record::parse_all(&message).expect("whole records");
        assert_eq!(batch.as_slice(), vec![record; count]);
        assert_eq!(batch.connections(), count);
        assert_eq!(batch.into_iter().count(), count);
    }
    let bytes = record.to_bytes().repeat(MAX_BATCH + 1);
    for length in
        (0..=MAX_MESSAGE + 16).filter(|length| !(16..=64).step_by(16).any(|it| it == *length))
    {
        assert_eq!(
            Record::parse_all(&bytes[..length]),
            Err(RecordError::BadLength { length })
        );
    }
}

#[test]
fn r18_reserved_bytes_and_unknown_kinds_are_refused() {
    let good = Record::connection(1, 9).to_bytes();
    for index in 4..8 {
        let mut bytes = good;
        bytes[index] = 1;
        assert!(matches!(
            Record::from_bytes(&bytes),
            Err(RecordError::Reserved { .. })
        ));
        let message = [good, bytes].concat();
        assert!(matches!(
            Record::parse_all(&message),
            Err(RecordError::Reserved { .. })
        ));
    }
    for kind in [0_u16, 3, 0x0101, u16::MAX] {
        let mut bytes = good;
        bytes[..2].copy_from_slice(&kind.to_le_bytes());
        assert_eq!(
            Record::from_bytes(&bytes),
            Err(RecordError::UnknownKind { kind })
        );
    }
}

#[test]
fn a_probe_brings_no_descriptor() {
    let probe = Record {
        kind: RecordKind::Probe,
        listener: 0,
        conn: 0,
    };
    let message = [probe.to_bytes(), Record::connection(0, 1).to_bytes()].concat();
    assert_eq!(
        Record::parse_all(&message).map(|batch| batch.connections()),
        Ok(1)
    );
}

#[test]
fn a_notification_says_what_sd_notify_documents() {
    let cases: [(&str, Option<Assignment<'_>>); 21] = [
        ("READY=1", Some(Assignment::Ready)),
        ("READY=0", None),
        ("READY=", None),
        ("RELOADING=1", Some(Assignment::Reloading)),
        ("STOPPING=1", Some(Assignment::Stopping)),
        ("WATCHDOG=1", Some(Assignment::Watchdog)),
        ("WATCHDOG=trigger", Some(Assignment::WatchdogTrigger)),
        ("WATCHDOG=2", None),
        (
            "EXTEND_TIMEOUT_USEC=1500",
            Some(Assignment::ExtendTimeout(Duration::from_micros(1500))),
        ),
        ("EXTEND_TIMEOUT_USEC=18446744073709551616", None),
        (
            "STATUS=Serving: 50%",
            Some(Assignment::Status("Serving: 50%")),
        ),
        ("STATUS=", Some(Assignment::Status(""))),
        ("MAINPID=4711", Some(Assignment::MainPid(4711))),
        ("MAINPID=0", None),
        ("MAINPID=-4", None),
        ("MAINPID=+4", None),
        ("ERRNO=2", Some(Assignment::Errno(2))),
        ("ERRNO=", None),
        ("FDSTORE=1", Some(Assignment::Other)),
        ("NOTHING", None),
        ("=READY", None),
    ];
    for (line, expected) in cases {
        assert_eq!(notify::parse(line.as_bytes()).next(), expected, "{line}");
    }
}

#[test]
fn r18_a_malformed_line_takes_no_other_with_it() {
    let datagram = b"garbage\nSTATUS=\xff\n\nMAINPID=99999999999\nREADY=1\nSTATUS=up";
    let found: Vec<_> = notify::parse(datagram).collect();
    assert_eq!(found, [Assignment::Ready, Assignment::Status("up")]);
}
