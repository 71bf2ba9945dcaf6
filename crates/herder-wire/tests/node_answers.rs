//! What the master says to a worker of Node's cluster.

use herder_wire::node::{Framing, Json, Outcome, Reply, SharedKind, ToNode, UserHandle, UserValue};

/// `message` is written as `line`, for Bun with its mark, and needs a descriptor if it is an
/// envelope.
fn assert_written(message: &ToNode<'_>, line: &str) {
    let mut out = b"before\n".to_vec();
    message.encode(Framing::Node, &mut out);
    assert_eq!(String::from_utf8_lossy(&out), format!("before\n{line}\n"));
    let is_envelope = line.contains(r#""NODE_HANDLE","#);
    assert_eq!(message.carries_descriptor(), is_envelope, "{line}");

    out.clear();
    message.encode(Framing::Bun, &mut out);
    assert_eq!(String::from_utf8_lossy(&out), format!("\u{2}{line}\n"));
}

#[test]
fn the_master_writes_what_nodes_primary_writes() {
    for (message, line) in [
        (
            ToNode::AckExited { ack: 47, seq: 25 },
            r#"{"cmd":"NODE_CLUSTER","ack":47,"seq":25}"#,
        ),
        (ToNode::Acknowledged, r#"{"cmd":"NODE_HANDLE_ACK"}"#),
        (ToNode::NotReceived, r#"{"cmd":"NODE_HANDLE_NACK"}"#),
        (
            ToNode::Disconnect { seq: u64::MAX },
            r#"{"cmd":"NODE_CLUSTER","act":"disconnect","seq":18446744073709551615}"#,
        ),
        (
            ToNode::NewConnection { key: "K", seq: 1 },
            r#"{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","act":"newconn","key":"K","seq":1}}"#,
        ),
        (
            ToNode::SocketCount {
                key: "4::",
                count: 0,
            },
            r#"{"cmd":"NODE_SOCKET_COUNT","key":"4::","count":0}"#,
        ),
        (
            ToNode::SocketsClosed { key: "4::" },
            r#"{"cmd":"NODE_SOCKET_ALL_CLOSED","key":"4::"}"#,
        ),
    ] {
        assert_written(&message, line);
    }
}

#[test]
fn every_reply_brings_the_data_of_the_listener() {
    let data = Json::parse(r#"{"ticketKeys":"6fb0"}"#).expect("JSON");
    let v6 = "[::]:3000".parse().ok();
    let v4 = "127.0.0.1:80".parse().ok();
    let errno = 98.try_into().expect("not zero");
    for (outcome, errno, sockname) in [
        (
            Outcome::Listening { address: v6 },
            "null",
            r#","sockname":{"address":"::","family":"IPv6","port":3000}"#,
        ),
        (
            Outcome::Listening { address: v4 },
            "null",
            r#","sockname":{"address":"127.0.0.1","family":"IPv4","port":80}"#,
        ),
        (Outcome::Listening { address: None }, "null", ""),
        (Outcome::Refused { errno }, "-98", ""),
        (Outcome::Refused { errno: -errno }, "-98", ""),
        (Outcome::Shared(SharedKind::Datagram), "0", ""),
    ] {
        let reply = Reply {
            ack: 1,
            seq: 9,
            key: "K",
            data: Some(&data),
            outcome,
        };
        let answer = format!(
            r#"{{"cmd":"NODE_CLUSTER","errno":{errno},"key":"K","ack":1,"data":{}{sockname},"seq":9}}"#,
            data.as_str()
        );
        let line = match outcome {
            Outcome::Shared(_) => {
                format!(r#"{{"cmd":"NODE_HANDLE","type":"dgram.Native","msg":{answer}}}"#)
            }
            Outcome::Listening { .. } | Outcome::Refused { .. } => answer,
        };
        assert_written(&ToNode::Reply(reply), &line);
    }
}

#[test]
fn a_descriptor_for_the_program_is_what_it_is_sent_as() {
    let value = &UserValue::parse(r#"{ "a": "b" }"#).expect("a user value");
    for (handle, fields) in [
        (
            UserHandle::Datagram4,
            r#""dgram.Socket","dgramType":"udp4""#,
        ),
        (
            UserHandle::Datagram6,
            r#""dgram.Socket","dgramType":"udp6""#,
        ),
        (UserHandle::Server, r#""net.Server""#),
        (UserHandle::Socket, r#""net.Socket""#),
    ] {
        let line = format!(r#"{{"cmd":"NODE_HANDLE","type":{fields},"msg":{{ "a": "b" }}}}"#);
        assert_written(&ToNode::UserWithHandle { handle, value }, &line);
    }
}

#[test]
fn user_messages_are_plain_for_bun_too() {
    let value = UserValue::from_text("shutdown");
    for framing in [Framing::Bun, Framing::Node] {
        let mut out = Vec::new();
        ToNode::User(&value).encode(framing, &mut out);
        assert_eq!(out, b"\"shutdown\"\n");
    }
}

#[test]
fn a_plain_answer_has_no_data_and_any_key_is_quoted() {
    let mut out = Vec::new();
    let message = ToNode::Reply(Reply {
        ack: 0,
        seq: 0,
        key: "a\"\n\u{7f}",
        data: None,
        outcome: Outcome::Shared(SharedKind::Stream),
    });
    message.encode(Framing::Node, &mut out);
    assert_eq!(
        String::from_utf8_lossy(&out),
        concat!(
            r#"{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","errno":0,"#,
            r#""key":"a\"\n"#,
            "\u{7f}",
            r#"","ack":0,"data":null,"seq":0}}"#,
            "\n"
        )
    );
}

#[test]
fn a_connection_costs_no_memory_but_its_line() {
    let mut out = Vec::with_capacity(256);
    let place = out.as_ptr();
    for seq in 0..1000 {
        out.clear();
        ToNode::NewConnection { key: "k1", seq }.encode(Framing::Node, &mut out);
    }
    assert_eq!((out.as_ptr(), out.capacity()), (place, 256));
}
