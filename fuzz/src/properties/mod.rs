//! What must hold for any input. One function for each fuzz target; a violation panics.

mod decoding;
mod footprint;

use decoding::{
    End, decode, documents, frames, node_messages, packet, pieces, receipts, rpc_decode,
};
use footprint::{footprint, settings_footprint};
use herder_wire::control::{ToMaster, ToWorker};
use herder_wire::gateway::ToGateway;
use herder_wire::keeper::{FromKeeper, ToKeeper};
use herder_wire::link::{FromGateway, FromWorker};
use herder_wire::node::{self, Endpoint, Framing, FromNode};
use herder_wire::notify::{self, Assignment};
use herder_wire::plan::{EncodedPlan, LaunchPlan, PlanError, PlanHeader};
use herder_wire::probe::ProbeAnswer;
use herder_wire::proxy_protocol::{Header, MAX_V2, Origin, Version};
use herder_wire::record::Record;
use herder_wire::report::LaunchFailure;
use herder_wire::rpc::MAX_FRAME;

/// Memory that a decoder may take whatever its input is, beside four times the input.
const SLACK: usize = 64 * 1024;

/// `control` frames, read as both directions.
pub fn control_frames(input: &[u8]) {
    frames::<ToMaster>(input);
    frames::<ToWorker>(input);
}

/// `gateway` frames, and what a configuration in them costs.
pub fn gateway_frames(input: &[u8]) {
    frames::<ToGateway>(input);
    let messages = decode::<ToGateway>(std::iter::once(input)).messages;
    let held: usize = messages.iter().map(settings_footprint).sum();
    assert!(
        held <= 4 * input.len() + SLACK,
        "{held} bytes held for {}",
        input.len()
    );
}

/// `link` frames, read as both directions.
pub fn link_frames(input: &[u8]) {
    frames::<FromGateway>(input);
    frames::<FromWorker>(input);
}

/// `keeper` frames, as a stream and as one packet.
pub fn keeper_frames(input: &[u8]) {
    frames::<ToKeeper>(input);
    packet::<ToKeeper>(input);
    frames::<FromKeeper>(input);
    packet::<FromKeeper>(input);
}

/// One message of `conns` records.
pub fn conns_records(input: &[u8]) {
    let Ok(batch) = Record::parse_all(input) else {
        return;
    };
    let again: Vec<u8> = batch.into_iter().flat_map(Record::to_bytes).collect();
    assert_eq!(again, input, "a message of records has one encoding");
    assert!(batch.connections() <= batch.as_slice().len());
}

/// What a Node worker says of its connections.
pub fn lane_receipts(input: &[u8]) {
    let at_once = receipts(std::iter::once(input));
    assert_eq!(receipts(input.chunks(1)), at_once, "byte by byte");
    assert_eq!(receipts(pieces(input)), at_once, "in pieces");
    let again: Vec<u8> = at_once
        .messages
        .iter()
        .flat_map(|it| it.to_bytes())
        .collect();
    assert!(input.starts_with(&again), "a receipt has one encoding");
}

/// A launch plan: the input is the header followed by the body.
///
/// A fuzzer hardly ever guesses a checksum, so an input whose first bytes are no header is read
/// as a body for which the right header is made.
pub fn launch_plan(input: &[u8]) {
    let (head, body) = input.split_at(input.len().min(PlanHeader::SIZE));
    match PlanHeader::decode(head) {
        Ok(header) => {
            assert_eq!(header.encode(), head, "a header has one encoding");
            plan_body(&header, body);
        }
        Err(_) => {
            for descriptors in 0..4 {
                if let Ok(header) = PlanHeader::new(input, descriptors) {
                    plan_body(&header, input);
                }
            }
        }
    }
}

/// What a child writes to its plan's socket: a report of a failed launch, or a probe's answer.
pub fn launch_report(input: &[u8]) {
    if let Ok(answer) = ProbeAnswer::decode(input) {
        assert_eq!(answer.encode(), input, "an answer has one encoding");
    }
    if let Ok(report) = LaunchFailure::decode(input) {
        assert!(report.detail.len() <= input.len());
        assert_eq!(report.encode(), input, "a report has one encoding");
    }
}

/// Lines of Node's cluster, at a limit that a fuzzer reaches too.
pub fn node_lines(input: &[u8]) {
    for limit in [64, node::MAX_LINE] {
        let at_once = node_messages(limit, std::iter::once(input));
        assert_eq!(
            node_messages(limit, input.chunks(1)),
            at_once,
            "byte by byte"
        );
        assert_eq!(node_messages(limit, pieces(input)), at_once, "in pieces");
    }
    let messages = node_messages(node::MAX_LINE, std::iter::once(input))
        .0
        .messages;
    for framing in [Framing::Bun, Framing::Node] {
        let mut again = Vec::new();
        for message in &messages {
            message.encode(framing, &mut again);
        }
        let (reread, _) = node_messages(node::MAX_LINE, std::iter::once(again.as_slice()));
        assert_eq!(reread.messages, messages);
        assert_eq!(reread.end, Ok(End::Whole));
    }
    for message in &messages {
        if let FromNode::User(value) = message {
            let parsed = node::UserValue::parse(value.as_json());
            assert_eq!(parsed.as_ref(), Ok(value), "a user value is one");
        }
        if let FromNode::Query { query, .. } = message
            && let Some(fd) = query.fd.filter(|fd| *fd >= 0)
        {
            assert_eq!(query.endpoint(), Ok(Endpoint::Descriptor(fd)));
        }
    }
}

/// A notification datagram. It means what its lines mean one by one.
pub fn notify_datagram(input: &[u8]) {
    let at_once: Vec<Assignment<'_>> = notify::parse(input).collect();
    let by_line: Vec<Assignment<'_>> = input
        .split(|byte| *byte == b'\n')
        .flat_map(notify::parse)
        .collect();
    assert_eq!(at_once, by_line);
    for assignment in at_once {
        match assignment {
            Assignment::MainPid(pid) => assert!(pid > 0),
            Assignment::Errno(errno) => assert!(errno >= 0),
            Assignment::Status(text) => assert!(!text.contains('\n')),
            Assignment::ExtendTimeout(_)
            | Assignment::Other
            | Assignment::Ready
            | Assignment::Reloading
            | Assignment::Stopping
            | Assignment::Watchdog
            | Assignment::WatchdogTrigger => {}
        }
    }
}

/// What a connection begins with when it comes from a proxy.
pub fn proxy_headers(input: &[u8]) {
    let at_once = Header::decode(input);
    let short_of = (0..input.len()).map(|length| (length, Header::decode(&input[..length])));
    for (length, early) in short_of.take(MAX_V2) {
        match early {
            // What was wrong stays wrong, and what was whole is not read beyond.
            Ok(Some(_)) | Err(_) => assert_eq!(early, at_once, "{length} bytes of it"),
            Ok(None) => {}
        }
    }
    let Ok(Some((header, length))) = at_once else {
        return;
    };
    assert!(length <= input.len());
    let mut again = Vec::new();
    header.encode(Version::V2, &mut again);
    assert_eq!(
        Header::decode(&again),
        Ok(Some((header.clone(), again.len())))
    );
    again.clear();
    header.encode(Version::V1, &mut again);
    let reread = Header::decode(&again);
    let said = match header {
        Header::Local | Header::Unknown => Header::Unknown,
        Header::Client(origin) => Header::Client(Origin {
            tls: None,
            ..origin
        }),
    };
    assert_eq!(reread, Ok(Some((said, again.len()))));
}

/// Frames between agent and library, and the documents in them.
pub fn rpc_frames(input: &[u8]) {
    let at_once = rpc_decode(std::iter::once(input));
    assert_eq!(rpc_decode(input.chunks(1)), at_once, "byte by byte");
    assert_eq!(rpc_decode(pieces(input)), at_once, "in pieces");

    let mut again = bytes::BytesMut::new();
    for frame in &at_once.messages {
        frame
            .encode(MAX_FRAME, &mut again)
            .expect("what was decoded can be encoded");
        documents(frame);
    }
    assert!(again.len() <= input.len(), "a frame's encoding never grows");
    let reread = rpc_decode(std::iter::once(&again[..]));
    assert_eq!(reread.messages, at_once.messages);
    assert_eq!((reread.skipped, reread.end), (0, Ok(End::Whole)));
}

fn plan_body(header: &PlanHeader, body: &[u8]) {
    let plan = match LaunchPlan::decode(header, body) {
        Ok(plan) => plan,
        Err(PlanError::BadMagic | PlanError::Header | PlanError::Version { .. }) => {
            panic!("the header was read before")
        }
        Err(_) => return,
    };
    let held = footprint(&plan);
    assert!(
        held <= 4 * body.len() + SLACK,
        "{held} bytes held for {}",
        body.len()
    );
    let EncodedPlan {
        header: head,
        body: again,
    } = plan.encode().expect("what was decoded can be encoded");
    assert_eq!(again, body, "a plan has one encoding");
    assert_eq!(head, header.encode());
}
