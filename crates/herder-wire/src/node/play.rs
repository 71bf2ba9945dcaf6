//! Writing what a worker says: for tests, which play one.

use super::from_node::{Accepted, FromNode};
use super::json::write_text;
use super::to_node::{begin, end};
use super::{Framing, Query};

impl FromNode {
    /// Appends this message as one line, as a worker does. [`FromNode::Internal`] becomes some
    /// message that is one.
    pub fn encode(&self, framing: Framing, out: &mut Vec<u8>) {
        if !matches!(self, FromNode::User(_)) {
            begin(framing, out);
        }
        self.write(out);
        end(out);
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            FromNode::Acknowledged => out.extend_from_slice(br#"{"cmd":"NODE_HANDLE_ACK"}"#),
            FromNode::NotReceived => out.extend_from_slice(br#"{"cmd":"NODE_HANDLE_NACK"}"#),
            FromNode::Internal => out.extend_from_slice(br#"{"cmd":"NODE_OTHER"}"#),
            FromNode::User(value) => out.extend_from_slice(value.as_json().as_bytes()),
            FromNode::Handle { kind, inner } => {
                out.extend_from_slice(br#"{"cmd":"NODE_HANDLE","type":"#);
                write_text(kind.name(), out);
                out.extend_from_slice(br#","msg":"#);
                inner.write(out);
                out.push(b'}');
            }
            FromNode::Close { key } => {
                write_keyed(r#"{"cmd":"NODE_CLUSTER","act":"close","key":"#, key, out);
            }
            FromNode::SocketCountAsked { key } => {
                write_keyed(r#"{"cmd":"NODE_SOCKET_GET_COUNT","key":"#, key, out);
            }
            FromNode::SocketsClosedAsked { key } => {
                write_keyed(r#"{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"#, key, out);
            }
            FromNode::ExitedAfterDisconnect { seq } => {
                let act = r#"{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":"#;
                out.extend_from_slice(format!("{act}{seq}}}").as_bytes());
            }
            FromNode::Listening { query } => write_query("listening", query, 0, out),
            FromNode::Online => {
                out.extend_from_slice(br#"{"cmd":"NODE_CLUSTER","act":"online","seq":0}"#);
            }
            FromNode::Query { seq, query } => write_query("queryServer", query, *seq, out),
            FromNode::Verdict { ack, accepted } => {
                let accepted = *accepted == Accepted::Yes;
                let verdict = format!(
                    r#"{{"cmd":"NODE_CLUSTER","ack":{ack},"accepted":{accepted},"seq":0}}"#
                );
                out.extend_from_slice(verdict.as_bytes());
            }
        }
    }
}

fn write_keyed(head: &str, key: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(head.as_bytes());
    write_text(key, out);
    out.push(b'}');
}

fn write_query(act: &str, query: &Query, seq: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!(r#"{{"cmd":"NODE_CLUSTER","act":"{act}","#).as_bytes());
    query.write(out);
    out.extend_from_slice(format!(r#""seq":{seq}}}"#).as_bytes());
}
