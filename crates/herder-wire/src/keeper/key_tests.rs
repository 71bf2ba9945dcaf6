use super::*;

#[test]
fn every_key_is_read_as_what_it_was_made_from() {
    for item in MemberItem::ALL {
        let key = Key::member(u8::MAX, u16::MAX, u64::MAX, item);
        assert_eq!(key.as_member(), Some((u8::MAX, u16::MAX, u64::MAX, item)));
        assert_eq!(Key::parse(key.as_str()), Some(key));
        assert!(key.is_under(&Prefix::member(u8::MAX, u16::MAX, u64::MAX)));
    }
    assert_eq!(Key::listener(u32::MAX).as_listener(), Some(u32::MAX));
    assert_eq!(Key::node(u64::MAX).as_node(), Some(u64::MAX));
    assert_eq!(Key::library(0).as_library(), Some(0));
    assert_eq!(Key::client(u64::MAX).as_client(), Some(u64::MAX));
    for which in [Which::Chain, Which::Key] {
        let key = Key::certificate(u32::MAX, u16::MAX, which);
        assert_eq!(key.as_certificate(), Some((u32::MAX, u16::MAX, which)));
        assert!(key.is_under(&Prefix::certificates(u32::MAX)));
        assert_eq!(Key::parse(key.as_str()), Some(key));
    }
    assert_eq!(Key::control().as_client(), None);
    assert_eq!(Key::hand(u64::MAX, 3).as_hand(), Some((u64::MAX, 3)));
    assert_eq!(Key::generation(7).as_generation(), Some(7));
    let (slot, number) = (u16::MAX, u64::MAX);
    for item in [
        GroupItem::Anchor,
        GroupItem::Counters,
        GroupItem::Program,
        GroupItem::Socket { slot, number },
        GroupItem::Sockets,
        GroupItem::Turns,
    ] {
        let key = Key::group(u64::MAX, item);
        assert_eq!(key.as_group(), Some((u64::MAX, item)));
        assert_eq!(Key::parse(key.as_str()), Some(key));
    }
    assert_eq!(Key::state().as_member(), None);
    assert_eq!(Key::board().as_str(), "herd.board");
    assert_eq!(Key::executable().to_string(), "herd.exe");
    assert_eq!(
        Key::member(0, 3, 17, MemberItem::ConnsWorker).as_str(),
        "p0.s3.i17.conns-worker"
    );
}

#[test]
fn what_is_no_key_is_refused() {
    let longest = "k".repeat(MAX_KEY);
    assert!(Key::parse(&longest).is_some());
    assert_eq!(Key::parse(&format!("{longest}k")), None);
    for text in ["", "A", "a b", "a:b", "a_b", "ä", "a\0"] {
        assert_eq!(Key::parse(text), None, "{text:?}");
        assert_eq!(Prefix::parse(text), None, "{text:?}");
    }
}

#[test]
fn a_key_that_nobody_wrote_like_this_names_nothing() {
    for text in [
        "p0.s3.i17",
        "p0.s3.i17.tea",
        "p00.s3.i17.node",
        "p256.s3.i17.node",
    ] {
        let key = Key::parse(text).expect("a key");
        assert_eq!(key.as_member(), None, "{text}");
    }
    for text in ["herd.listener.", "herd.listener.01", "herd.listener.-1"] {
        let key = Key::parse(text).expect("a key");
        assert_eq!(key.as_listener(), None, "{text}");
    }
}

#[test]
fn a_prefix_ends_a_number() {
    let prefix = Prefix::member(0, 1, 1);
    assert!(!Key::member(0, 1, 17, MemberItem::Node).is_under(&prefix));
    assert!(!Key::state().is_under(&prefix));
}

#[test]
fn keys_sort_as_their_texts_do() {
    let mut keys: Vec<_> = ["b", "a.b", "a", "a-b", "a0"]
        .into_iter()
        .filter_map(Key::parse)
        .collect();
    keys.sort();
    let texts: Vec<_> = keys.iter().map(Key::as_str).collect();
    assert_eq!(texts, ["a", "a-b", "a.b", "a0", "b"]);
}
