//! What a worker of Node's cluster says, good and bad.

use herder_wire::node::{LANE_RECORD, Receipt};

use super::{Seed, seed};

/// The messages of one life, as Node 20 and 24 wrote them.
const LIFE: [&str; 12] = [
    r#"{"cmd":"NODE_CLUSTER","act":"online","seq":0}"#,
    r#"{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":null,"port":3000,"addressType":4,"flags":0,"backlog":0,"seq":1}"#,
    r#"{"cmd":"NODE_CLUSTER","act":"listening","index":0,"data":null,"address":null,"port":3000,"addressType":4,"flags":0,"backlog":0,"seq":2}"#,
    r#"{"cmd":"NODE_HANDLE_ACK"}"#,
    r#"{"cmd":"NODE_CLUSTER","ack":1,"accepted":true,"seq":3}"#,
    r#"{"cmd":"NODE_HANDLE_NACK"}"#,
    r#"{"cmd":"NODE_CLUSTER","ack":2,"accepted":false,"seq":4}"#,
    r#"{"cmd":"NODE_HANDLE","type":"net.Socket","msg":{"type":"here"},"key":"6::::0"}"#,
    r#"{"cmd":"NODE_SOCKET_GET_COUNT","key":"4:null:4790"}"#,
    r#"{"cmd":"NODE_CLUSTER","act":"close","key":"k\"1","seq":5}"#,
    r#"{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"4:null:4790"}"#,
    r#"{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":6}"#,
];

/// What programs listen on, without what all queries have.
const QUERIES: [(&str, &str); 9] = [
    (
        "query-host",
        r#""index":1,"data":null,"address":"127.0.0.1","port":4783,"addressType":4,"flags":0,"backlog":false"#,
    ),
    (
        "query-v6-only",
        r#""index":0,"data":null,"address":"::1","port":4782,"addressType":6,"flags":1,"backlog":77"#,
    ),
    (
        "query-unix",
        r#""index":0,"data":null,"address":"/tmp/u.sock","port":-1,"addressType":-1,"backlog":0,"readableAll":true,"writableAll":true"#,
    ),
    (
        "query-abstract",
        r#""index":0,"data":null,"address":"/tmp/\u0000name","port":-1,"addressType":-1,"backlog":0"#,
    ),
    (
        "query-descriptor",
        r#""index":0,"data":null,"address":null,"port":null,"addressType":null,"fd":7,"backlog":0"#,
    ),
    (
        "query-tls",
        r#""index":0,"data":{"ticketKeys":"6fb0022e"},"address":null,"port":4787,"addressType":4,"backlog":0"#,
    ),
    (
        "query-udp",
        r#""index":0,"data":null,"address":"::","addressType":"udp6","fd":-1,"flags":5"#,
    ),
    (
        "query-udp-descriptor",
        r#""index":0,"data":null,"address":null,"port":null,"addressType":"udp4","fd":9,"flags":null"#,
    ),
    (
        "query-far",
        r#""index":9,"address":"\ud800","port":"1e9","addressType":-5,"fd":99999999999,"flags":-1,"backlog":1e400"#,
    ),
];

/// What is not as it should be, and what only looks so. Each is one line.
const ODD: [(&str, &str); 19] = [
    ("blank", ""),
    ("blanks", " \t\r"),
    ("bun-blank", "\u{2}"),
    ("bun-twice", "\u{2}\u{2}{\"cmd\":\"NODE_HANDLE_ACK\"}"),
    ("bun-user", "\u{2}{\"own\":1}"),
    ("cut", r#"{"cmd":"NODE_CLUSTER","act":"onl"#),
    ("two-values", "{}{}"),
    ("number-too-large", "1e999"),
    ("half-a-pair", r#"{"\ud800":"\udc00","cmd":"NODE_\ud800"}"#),
    (
        "escaped-command",
        r#"{"\u0063md":"\u004eODE_CLUSTER","act":"online"}"#,
    ),
    ("two-commands", r#"{"cmd":"NODE_HANDLE_ACK","cmd":"mine"}"#),
    ("prefix-only", r#"{"cmd":"NODE_"}"#),
    ("unknown-internal", r#"{"cmd":"NODE_FOO"}"#),
    (
        "unknown-act",
        r#"{"cmd":"NODE_CLUSTER","act":"dance","seq":1}"#,
    ),
    (
        "envelope-in-envelope",
        r#"{"cmd":"NODE_HANDLE","type":"x","msg":{"cmd":"NODE_HANDLE","msg":1}}"#,
    ),
    (
        "verdict-leading-zero",
        r#"{"cmd":"NODE_CLUSTER","ack":01,"accepted":true,"seq":3}"#,
    ),
    (
        "verdict-too-large",
        r#"{"cmd":"NODE_CLUSTER","ack":18446744073709551616,"accepted":true,"seq":3}"#,
    ),
    (
        "verdict-undecided",
        r#"{"cmd":"NODE_CLUSTER","ack":1,"accepted":null,"seq":3}"#,
    ),
    (
        "close-number",
        r#"{"cmd":"NODE_CLUSTER","act":"close","key":5,"seq":1}"#,
    ),
];

pub(super) fn all() -> Vec<Seed> {
    let life = LIFE.map(|line| format!("{line}\n")).concat();
    let bun = LIFE.map(|line| format!("\u{2}{line}\n")).concat();
    let users = "\"ready\"\n{\"act\":\"suicide\"}\n{\"cmd\":5}\n[1]\n-0.5e3\nnull\n\"\\n🐎\"\n";
    let mut seeds = vec![
        line("life", &life),
        line("life-of-bun", &bun),
        line("users", users),
        line(
            "nested",
            &format!("{}{}\n", "[".repeat(300), "]".repeat(300)),
        ),
        line("nested-open", &format!("{}\n", "{\"a\":".repeat(300))),
        line(
            "longer-than-the-short-limit",
            &format!("{}\n", "1".repeat(65)),
        ),
        line(
            "longer-than-the-short-limit-between",
            &format!("5\n\"{}\"\n6\n", "x".repeat(80)),
        ),
        line(
            "internal-longer-than-the-short-limit",
            &format!("5\n{{\"cmd\":\"NODE_{}\"}}\n6\n", "X".repeat(80)),
        ),
        line(
            "bun-longer-than-the-short-limit",
            &format!("5\n\u{2}{{\"own\":\"{}\"}}\n6\n", "x".repeat(80)),
        ),
        line(
            "as-long-as-the-short-limit",
            &format!("{}\n", "1".repeat(64)),
        ),
        line("unfinished", "5\n\"unfin"),
        seed("node_lines", "not-utf8", *b"5\n\"\xff\"\n"),
        seed("node_lines", "empty", []),
    ];
    seeds.extend(QUERIES.map(|(name, fields)| {
        let query =
            |act| format!("{{\"cmd\":\"NODE_CLUSTER\",\"act\":\"{act}\",{fields},\"seq\":1}}\n");
        line(name, &(query("queryServer") + &query("listening")))
    }));
    seeds.extend(ODD.map(|(name, text)| line(name, &format!("5\n{text}\n6\n"))));
    seeds
}

fn line(name: &'static str, text: &str) -> Seed {
    seed("node_lines", name, text.as_bytes())
}

pub(super) fn receipts() -> Vec<Seed> {
    let target = "lane_receipts";
    let hello = Receipt::Hello { duplicates: 7 }.to_bytes();
    let taken = Receipt::Taken { seq: 7, count: 3 }.to_bytes();
    let refused = Receipt::Refused { seq: 8 }.to_bytes();
    let largest = Receipt::Taken {
        seq: (1 << 53) - 1,
        count: u32::MAX,
    };
    let with = |mut bytes: [u8; LANE_RECORD], index: usize, value: u8| {
        bytes[index] = value;
        bytes
    };
    vec![
        seed(target, "hello", hello),
        seed(target, "life", [hello, taken, refused, taken].concat()),
        seed(target, "largest", largest.to_bytes()),
        seed(target, "cut", &taken[..LANE_RECORD - 1]),
        seed(target, "second-cut", [&taken[..], &refused[..5]].concat()),
        seed(target, "cleared", [0; LANE_RECORD]),
        seed(target, "kind-unknown", with(taken, LANE_RECORD - 1, 4)),
        seed(target, "reserved", with(taken, 13, 1)),
        seed(target, "none-taken", with(taken, 8, 0)),
        seed(target, "refused-counts", with(refused, 8, 1)),
        seed(target, "hello-named", with(hello, 0, 1)),
        seed(target, "no-number", with(refused, 0, 0)),
        seed(target, "not-whole-in-javascript", with(taken, 6, 0x20)),
        seed(target, "second-bad", [hello, with(taken, 12, 1)].concat()),
    ]
}
