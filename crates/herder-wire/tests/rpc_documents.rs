//! The JSON documents between agent and library: handshake, errors, signatures, tagged values.

use std::time::Duration;

use herder_wire::rpc::error::MAX_ERROR;
use herder_wire::rpc::handshake::{HandshakeError, MAX_HANDSHAKE, is_library_name};
use herder_wire::rpc::signature::SignatureError;
use herder_wire::rpc::{
    Argument, Blob, CallError, ErrorKind, Executed, Hello, I64, Incompatible, Limits, MethodKind,
    MethodSignature, ObjectSignature, Part, Signature, Target, U64, Welcome,
};
use serde_json::{Value, json};

fn hello() -> Hello {
    Hello {
        versions: [1, 1],
        language: "rust".into(),
        app: "shop".into(),
        herd: "00ff".into(),
        part: Part::Worker,
        slot: 3,
        worker: 2,
        pid: 4711,
        codecs: vec!["json".into(), "postcard".into()],
        hash: String::new(),
    }
}

#[test]
fn a_handshake_is_read_as_it_was_written() {
    let hello = hello();
    let read = Hello::from_json(&hello.to_json()).expect("it is a hello");
    assert_eq!(read, hello);
    assert_eq!(read.common_version(), Some(1));
    assert!(read.speaks_postcard());

    let welcome = Welcome {
        version: 1,
        library: "core".into(),
        epoch: 4,
        hash: "00".into(),
        codecs: vec!["json".into()],
        limits: Limits::default(),
        heartbeat_ms: 5_000,
    };
    assert_eq!(
        Welcome::from_json(&welcome.to_json()).expect("it is a welcome"),
        welcome
    );
    assert!(!welcome.speaks_postcard());
}

#[test]
fn a_short_hello_has_defaults_and_an_odd_one_is_refused() {
    let short = br#"{"versions":[0,7],"language":"node","part":"library:core","new":1}"#;
    let read = Hello::from_json(short).expect("what is not there is empty");
    assert_eq!(read.part, Part::Library("core".into()));
    assert_eq!(read.common_version(), Some(1));
    assert!(!read.speaks_postcard());

    let newer = Hello {
        versions: [2, 3],
        ..hello()
    };
    assert_eq!(newer.common_version(), None);
    for part in ["", "library:", "library:A", "gateway", "library"] {
        let text = format!(r#"{{"versions":[1,1],"language":"","part":"{part}"}}"#);
        let error = Hello::from_json(text.as_bytes()).expect_err("it is no part");
        assert!(error.to_string().contains("neither"), "{error}");
    }
    let long = vec![b' '; MAX_HANDSHAKE + 1];
    let refused = Hello::from_json(&long);
    assert!(matches!(refused, Err(HandshakeError::TooLong { .. })));
}

#[test]
fn names_of_libraries() {
    for good in ["a", "core-2", &"x".repeat(32)] {
        assert!(is_library_name(good), "{good}");
    }
    for bad in ["", "Core", "a:b", "a=b", "a_b", &"x".repeat(33)] {
        assert!(!is_library_name(bad), "{bad}");
    }
}

#[test]
fn an_error_is_read_as_it_was_written_but_for_what_only_the_caller_knows() {
    let error = CallError::app("E_STOCK", "sold out")
        .with_data(json!({"left": 0}))
        .retry_after(Duration::from_millis(250))
        .at("shop", "buy")
        .in_epoch(3);
    let mut read = CallError::from_json(&error.to_json());
    assert_eq!(read.target, "");
    assert_eq!(read.epoch, 0);
    read.target.clone_from(&error.target);
    read.epoch = 3;
    assert_eq!(read, error);
    assert_eq!(
        error.to_string(),
        "shop.buy failed: sold out (code E_STOCK)"
    );
    let document: Value = serde_json::from_slice(&error.to_json()).expect("it is JSON");
    assert_eq!(
        document,
        json!({"kind": "app", "executed": "yes", "code": "E_STOCK", "message": "sold out",
               "data": {"left": 0}, "retry_after_ms": 250})
    );
}

#[test]
fn kinds_have_the_names_of_the_protocol() {
    let kinds = [
        (ErrorKind::App, "app"),
        (ErrorKind::BadArguments, "bad_arguments"),
        (ErrorKind::Cancelled, "cancelled"),
        (ErrorKind::Codec, "codec"),
        (ErrorKind::Deadline, "deadline"),
        (ErrorKind::NoMethod, "no_method"),
        (ErrorKind::NoObject, "no_object"),
        (ErrorKind::Overloaded, "overloaded"),
        (ErrorKind::Panicked, "panicked"),
        (ErrorKind::Refused, "refused"),
        (ErrorKind::TooLarge, "too_large"),
        (ErrorKind::Unavailable, "unavailable"),
    ];
    for (kind, name) in kinds {
        assert_eq!(json!(kind), json!(name));
        let text = format!(r#"{{"kind":"{name}"}}"#);
        let error = CallError::from_json(text.as_bytes());
        assert_eq!((error.kind, error.executed), (kind, Executed::Maybe));
    }
    let newer = CallError::from_json(br#"{"kind":"new","executed":"later","message":"m"}"#);
    assert_eq!(newer.kind, ErrorKind::Unknown);
    assert_eq!(newer.executed, Executed::Maybe);
}

#[test]
fn an_error_that_cannot_be_read_is_still_an_error() {
    for body in [&b""[..], b"[]", b"{}", b"\xff", &vec![b' '; MAX_ERROR + 1]] {
        let error = CallError::from_json(body);
        assert_eq!(error.kind, ErrorKind::Codec);
        assert_eq!(error.executed, Executed::Maybe);
    }
}

#[test]
fn a_long_error_loses_its_data_first() {
    let long = "é".repeat(MAX_ERROR);
    let error = CallError::app("C", "short").with_data(json!(long));
    let read = CallError::from_json(&error.to_json());
    assert_eq!((read.message.as_str(), &read.data), ("short", &None));
    assert_eq!(read.code.as_deref(), Some("C"));

    let error = CallError::app(long.clone(), format!("begin {long}"));
    let body = error.to_json();
    assert!(body.len() <= MAX_ERROR);
    let read = CallError::from_json(&body);
    assert_eq!(read.kind, ErrorKind::App);
    assert!(read.message.starts_with("begin é"));
}

fn kv() -> ObjectSignature {
    let key = Argument {
        name: "key".into(),
        schema: json!({"type": "string"}),
    };
    let get = MethodSignature {
        args: vec![key.clone()],
        returns: Some(json!({"type": ["string", "null"], "description": "the value"})),
        idempotent: true,
        ..MethodSignature::default()
    };
    let watch = MethodSignature {
        kind: MethodKind::State,
        args: vec![key],
        returns: Some(json!(true)),
        ..MethodSignature::default()
    };
    ObjectSignature::new("keys", [("watch".into(), watch), ("get".into(), get)])
}

fn library() -> Signature {
    Signature::new("core", [("kv".into(), kv()), ("a".into(), kv())])
}

#[test]
fn numbers_are_places_in_the_order_of_names() {
    let library = library();
    let (target, method) = library.find("kv", "watch").expect("it is there");
    let expected = Target {
        object: 1,
        method: 1,
    };
    assert_eq!((target, method.kind), (expected, MethodKind::State));
    assert!(library.find("kv", "set").is_none());
    assert!(library.find("kw", "get").is_none());
    let read = Signature::from_json(&library.to_json()).expect("it is a signature");
    assert_eq!(read, library);

    let mut wrong = library;
    wrong.objects.get_mut("kv").expect("it is there").id = 5;
    let refused = Signature::from_json(&wrong.to_json());
    assert!(matches!(refused, Err(SignatureError::BadNumbers)));
}

#[test]
fn the_hash_tells_meanings_apart_and_not_texts() {
    let plain = kv();
    let mut documented = kv();
    let get = documented.methods.get_mut("get").expect("it is there");
    get.doc = "reads".into();
    get.returns = Some(json!({"description": "other", "type": ["string", "null"], "title": "T"}));
    let documented = ObjectSignature::new("other", documented.methods);
    assert_eq!(documented.hash, plain.hash);
    assert_eq!(plain.hash.len(), 16);

    let mut other = kv();
    let get = other.methods.get_mut("get").expect("it is there");
    get.args[0].schema = json!({"type": "integer"});
    let other = ObjectSignature::new("keys", other.methods);
    assert_ne!(other.hash, plain.hash);
    assert_ne!(kv().with_layout("build 2").hash, plain.hash);
    assert_ne!(
        Signature::new("core", [("kv".into(), other)]).hash,
        Signature::new("core", [("kv".into(), plain)]).hash
    );
}

#[test]
fn a_client_fits_when_all_that_it_knows_is_there() {
    let library = library();
    assert_eq!(library.check("kv", &kv()), Ok(()));
    assert_eq!(
        library.check("kv", &kv().with_layout("another build")),
        Ok(())
    );

    let mut smaller = kv().methods;
    smaller.remove("watch");
    let smaller = ObjectSignature::new("", smaller);
    assert_eq!(library.check("kv", &smaller), Ok(()));

    let mut larger = kv().methods;
    larger.insert("set".into(), MethodSignature::default());
    assert_eq!(
        library.check("kv", &ObjectSignature::new("", larger)),
        Err(Incompatible::NoMethod {
            object: "kv".into(),
            method: "set".into(),
        })
    );
    let missing = library.check("log", &kv()).expect_err("there is none");
    assert_eq!(missing.to_string(), "the library has no object log");
}

#[test]
fn a_difference_is_named() {
    type Change = fn(&mut MethodSignature);
    let changes: [(Change, &str); 4] = [
        (
            |get| get.args[0].schema = json!({"type": "integer"}),
            "kv.get: argument 1 (key) is {\"type\":\"string\"} in the library \
             and {\"type\":\"integer\"} in the client",
        ),
        (
            |get| get.args.clear(),
            "kv.get: the number of arguments is 1 in the library and 0 in the client",
        ),
        (
            |get| get.kind = MethodKind::Events,
            "kv.get: the kind is \"call\" in the library and \"events\" in the client",
        ),
        (
            |get| get.errors = Some(json!(true)),
            "kv.get: the error is null in the library and true in the client",
        ),
    ];
    for (change, text) in changes {
        let mut methods = kv().methods;
        change(methods.get_mut("get").expect("it is there"));
        let expected = ObjectSignature::new("", methods);
        let difference = library().check("kv", &expected);
        assert_eq!(difference.expect_err("it differs").to_string(), text);
    }
}

#[test]
fn bytes_and_wide_numbers_survive_json() {
    let blob = Blob::from(vec![0, 1, 254, 255]);
    assert_eq!(json!(blob), json!({"$bytes": "AAH+/w=="}));
    let read: Blob = serde_json::from_value(json!(blob)).expect("it is a blob");
    assert_eq!(read, blob);
    for bad in [
        json!("AAH+/w=="),
        json!({"$bytes": "A"}),
        json!({"$bytes": "", "more": 1}),
        json!({"bytes": ""}),
        json!({}),
    ] {
        serde_json::from_value::<Blob>(bad).expect_err("it is no blob");
    }

    assert_eq!(json!(I64(-5)), json!(-5));
    assert_eq!(json!(U64(1 << 53)), json!(1_u64 << 53));
    assert_eq!(
        json!(U64(u64::MAX)),
        json!({"$int": "18446744073709551615"})
    );
    for number in [i64::MIN, -1, 0, i64::MAX] {
        let read: I64 = serde_json::from_value(json!(I64(number))).expect("it is a number");
        assert_eq!(read, I64(number));
        let plain: I64 = serde_json::from_value(json!(number)).expect("it is a number");
        assert_eq!(plain, I64(number));
    }
    for bad in [
        json!(-1),
        json!({"$int": "-1"}),
        json!({"$int": "x"}),
        json!("5"),
    ] {
        serde_json::from_value::<U64>(bad).expect_err("it is no unsigned number");
    }
}
