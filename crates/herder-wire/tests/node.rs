//! What a worker of Node's cluster says, as Node writes it.

use herder_wire::node::{
    Accepted, AddressType, DEFAULT_BACKLOG, Decoder, FromNode, HandleKind, LineError, Query,
    UserValue,
};

fn one(line: &str) -> Result<FromNode, LineError> {
    let mut decoder = Decoder::new();
    decoder.push(line.as_bytes());
    decoder.push(b"\n");
    let message = decoder.next()?.expect("the line is whole");
    assert!(decoder.is_empty(), "one line is one message");
    Ok(message)
}

fn good(line: &str) -> FromNode {
    one(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn user(json: &str) -> UserValue {
    UserValue::parse(json).expect("a user value")
}

/// `listen(port)` of Node 22 and later.
fn tcp(port: i32) -> Query {
    Query {
        index: 0,
        data: None,
        address: None,
        port: Some(port),
        address_type: Some(AddressType::Number(4)),
        fd: None,
        flags: 0,
        backlog: DEFAULT_BACKLOG,
        readable_all: false,
        writable_all: false,
    }
}

#[test]
fn a_worker_says_what_it_does() {
    for (line, message) in [
        (
            r#"{"cmd":"NODE_CLUSTER","act":"online","seq":0}"#,
            FromNode::Online,
        ),
        (
            r#"{"cmd":"NODE_CLUSTER","act":"close","key":"k\"1","seq":5}"#,
            FromNode::Close { key: "k\"1".into() },
        ),
        (
            r#"{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":47}"#,
            FromNode::ExitedAfterDisconnect { seq: 47 },
        ),
        (
            r#"{"cmd":"NODE_CLUSTER","ack":1,"accepted":true,"seq":3}"#,
            FromNode::Verdict {
                ack: 1,
                accepted: Accepted::Yes,
            },
        ),
        (
            r#"{"cmd": "NODE_CLUSTER", "seq": 3, "accepted": false, "ack": 20}"#,
            FromNode::Verdict {
                ack: 20,
                accepted: Accepted::No,
            },
        ),
        (r#"{"cmd":"NODE_HANDLE_ACK"}"#, FromNode::Acknowledged),
        (r#"{"cmd":"NODE_HANDLE_NACK"}"#, FromNode::NotReceived),
        (
            r#"{"cmd":"NODE_SOCKET_GET_COUNT","key":"4:null:4790"}"#,
            FromNode::SocketCountAsked {
                key: "4:null:4790".into(),
            },
        ),
        (
            r#"{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"4:null:4790"}"#,
            FromNode::SocketsClosedAsked {
                key: "4:null:4790".into(),
            },
        ),
        (
            r#"{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":null,"port":3000,"addressType":4,"flags":0,"backlog":0,"seq":1}"#,
            FromNode::Query {
                seq: 1,
                query: tcp(3000),
            },
        ),
        (
            r#"{"cmd":"NODE_CLUSTER","act":"listening","index":0,"data":null,"address":null,"port":33227,"addressType":4,"backlog":0,"seq":2}"#,
            FromNode::Listening { query: tcp(33227) },
        ),
    ] {
        assert_eq!(good(line), message, "{line}");
    }
}

#[test]
fn what_a_master_has_no_use_for_is_internal() {
    for line in [
        r#"{"cmd":"NODE_FOO"}"#,
        r#"{"cmd":"NODE_DEBUG_ENABLED"}"#,
        r#"{"cmd":"NODE_CLUSTER","act":"dance","seq":1}"#,
        r#"{"cmd":"NODE_CLUSTER","act":5}"#,
        r#"{"cmd":"NODE_CLUSTER"}"#,
    ] {
        assert_eq!(good(line), FromNode::Internal, "{line}");
    }
}

#[test]
fn everything_else_is_the_programs_and_verbatim() {
    for json in [
        r#""ready""#,
        r#"{"act":"suicide"}"#,
        r#"{"cmd":"NODE_"}"#,
        r#"{"cmd":"node_x"}"#,
        r#"{"cmd":5}"#,
        r#"{"act":"online","seq":0}"#,
        r#"{ "type" : "process:msg" }"#,
        r#"{"\ud800":1e+300,"n":-0.5}"#,
        r#"{"type":"Buffer","data":[97,98]}"#,
        r#""über\n🐎 ""#,
        "5",
        "true",
        "null",
        "[1]",
    ] {
        assert_eq!(good(json), FromNode::User(user(json)), "{json}");
    }
}

#[test]
fn an_envelope_says_what_its_descriptor_is() {
    for (line, kind, inner) in [
        (
            r#"{"cmd":"NODE_HANDLE","type":"net.Socket","msg":{"type":"here"},"key":"6::::0"}"#,
            HandleKind::Socket,
            FromNode::User(user(r#"{"type":"here"}"#)),
        ),
        (
            r#"{"cmd":"NODE_HANDLE","type":"net.Server","msg":"server"}"#,
            HandleKind::Server,
            FromNode::User(user(r#""server""#)),
        ),
        (
            r#"{"cmd":"NODE_HANDLE","type":"dgram.Socket","dgramType":"udp4","msg":1}"#,
            HandleKind::Datagram,
            FromNode::User(user("1")),
        ),
        (
            r#"{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","act":"online"}}"#,
            HandleKind::NativeStream,
            FromNode::Online,
        ),
        (
            r#"{"cmd":"NODE_HANDLE","type":"net.BoundSocket","msg":null}"#,
            HandleKind::BoundSocket,
            FromNode::User(user("null")),
        ),
        (
            r#"{"cmd":"NODE_HANDLE","type":"tty.New"}"#,
            HandleKind::Other,
            FromNode::Internal,
        ),
        (
            r#"{"cmd":"NODE_HANDLE","msg":{"cmd":"NODE_HANDLE","msg":1}}"#,
            HandleKind::Other,
            FromNode::Internal,
        ),
    ] {
        let inner = Box::new(inner);
        assert_eq!(good(line), FromNode::Handle { kind, inner }, "{line}");
    }
}

#[test]
fn r18_a_field_that_is_missing_or_wrong_is_named() {
    for (fields, name) in [
        (r#""ack":1"#, "accepted"),
        (r#""ack":1,"accepted":1"#, "accepted"),
        (r#""ack":-1,"accepted":true"#, "ack"),
        (r#""ack":1.5,"accepted":true"#, "ack"),
        (r#""ack":"1","accepted":true"#, "ack"),
        (r#""ack":18446744073709551616,"accepted":true"#, "ack"),
        (r#""act":"close""#, "key"),
        (r#""act":"close","key":5"#, "key"),
        (r#""act":"exitedAfterDisconnect""#, "seq"),
        (r#""act":"exitedAfterDisconnect","seq":1e400"#, "seq"),
        (r#""act":"queryServer","port":1"#, "seq"),
        (r#""act":"queryServer","seq":1,"index":-1"#, "index"),
        (r#""act":"queryServer","seq":1,"address":5"#, "address"),
        (r#""act":"queryServer","seq":1,"port":{}"#, "port"),
        (r#""act":"queryServer","seq":1,"fd":[]"#, "fd"),
        (r#""act":"listening","addressType":"tcp""#, "addressType"),
    ] {
        let line = format!(r#"{{"cmd":"NODE_CLUSTER",{fields}}}"#);
        assert_eq!(one(&line), Err(LineError::BadField { name }), "{line}");
    }
    let unnamed = one(r#"{"cmd":"NODE_SOCKET_NOTIFY_CLOSE"}"#);
    assert_eq!(unnamed, Err(LineError::BadField { name: "key" }));
}

#[test]
fn a_seq_may_be_as_large_as_a_number_can_be() {
    let line = r#"{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":18446744073709551615}"#;
    assert_eq!(
        good(line),
        FromNode::ExitedAfterDisconnect { seq: u64::MAX }
    );
}
