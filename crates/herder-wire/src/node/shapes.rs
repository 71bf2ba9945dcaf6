//! The two lines that come for each connection, recognised without a parser.

use super::from_node::{Accepted, FromNode};

/// Reads a line that is byte for byte what Node writes; `None` for every other, which may be good
/// as well.
pub(super) fn recognise(line: &[u8]) -> Option<FromNode> {
    if line == br#"{"cmd":"NODE_HANDLE_ACK"}"# {
        return Some(FromNode::Acknowledged);
    }
    let rest = line.strip_prefix(br#"{"cmd":"NODE_CLUSTER","ack":"#)?;
    let (ack, rest) = number(rest)?;
    let rest = rest.strip_prefix(br#","accepted":"#)?;
    let (accepted, rest) = match rest.strip_prefix(b"true") {
        Some(rest) => (Accepted::Yes, rest),
        None => (Accepted::No, rest.strip_prefix(b"false")?),
    };
    let (_, rest) = number(rest.strip_prefix(br#","seq":"#)?)?;
    (rest == b"}").then_some(FromNode::Verdict { ack, accepted })
}

/// The number at the front, written as JSON writes it and small enough.
fn number(line: &[u8]) -> Option<(u64, &[u8])> {
    let end = line.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = line.split_at(end);
    if digits.len() > 1 && digits.starts_with(b"0") {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::recognise;
    use crate::node::from_node::read;

    #[test]
    fn what_is_recognised_is_what_the_parser_reads() {
        for line in [
            r#"{"cmd":"NODE_HANDLE_ACK"}"#,
            r#"{"cmd":"NODE_CLUSTER","ack":1,"accepted":true,"seq":3}"#,
            r#"{"cmd":"NODE_CLUSTER","ack":0,"accepted":false,"seq":0}"#,
            r#"{"cmd":"NODE_CLUSTER","ack":18446744073709551615,"accepted":true,"seq":9}"#,
        ] {
            let fast = recognise(line.as_bytes());
            assert!(fast.is_some(), "{line}");
            assert_eq!(fast, read(line).ok(), "{line}");
        }
    }

    /// The parser decides: most of these are good.
    #[test]
    fn everything_else_is_left_to_the_parser() {
        for line in [
            r#"{"cmd":"NODE_HANDLE_NACK"}"#,
            r#"{"cmd":"NODE_HANDLE_ACK"} "#,
            r#"{"cmd":"NODE_CLUSTER","ack":01,"accepted":true,"seq":3}"#,
            r#"{"cmd":"NODE_CLUSTER","ack":1,"accepted":true,"seq":03}"#,
            r#"{"cmd":"NODE_CLUSTER","ack":,"accepted":true,"seq":3}"#,
            r#"{"cmd":"NODE_CLUSTER","ack":-1,"accepted":true,"seq":3}"#,
            r#"{"cmd":"NODE_CLUSTER","ack":1.5,"accepted":true,"seq":3}"#,
            r#"{"cmd":"NODE_CLUSTER","ack":1,"accepted":truefalse,"seq":3}"#,
            r#"{"cmd":"NODE_CLUSTER","ack":1,"accepted":true,"seq":3,"act":"x"}"#,
            r#"{"cmd":"NODE_CLUSTER","ack":1,"accepted":true,"seq":3"#,
            r#"{"cmd":"NODE_CLUSTER","ack":1,"accepted":true}"#,
            r#"{"cmd":"NODE_CLUSTER","ack":1,"accepted":true,"seq":18446744073709551616}"#,
            r#"{"cmd":"NODE_CLUSTER","ack":1"#,
        ] {
            assert_eq!(recognise(line.as_bytes()), None, "{line}");
        }
    }
}
