//! What a worker asks for, and which listener it means.

use herder_wire::node::{
    AddressType, DEFAULT_BACKLOG, Decoder, Endpoint, EndpointError, FromNode, Json, Query,
};

const TICKETS: &str = r#"{"ticketKeys":"6fb0022eff3f451f185522c4db73f9d9"}"#;

/// What the worker asks for that names these fields in its query.
fn query(fields: &str) -> Query {
    let line = format!("{{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",{fields},\"seq\":1}}\n");
    let mut decoder = Decoder::new();
    decoder.push(line.as_bytes());
    match decoder.next() {
        Ok(Some(FromNode::Query { seq: 1, query })) => query,
        other => panic!("{line}: {other:?}"),
    }
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
fn a_query_holds_what_the_program_said() {
    let fields = format!(
        r#""index":1,"data":{TICKETS},"address":"::1","port":4782,"addressType":6,"flags":1,"backlog":77"#
    );
    assert_eq!(
        query(&fields),
        Query {
            index: 1,
            data: Json::parse(TICKETS).ok(),
            address: Some("::1".into()),
            address_type: Some(AddressType::Number(6)),
            flags: 1,
            backlog: 77,
            ..tcp(4782)
        }
    );
    let udp =
        query(r#""index":0,"data":null,"address":"::","addressType":"udp6","fd":-1,"flags":5"#);
    assert!(udp.is_udp());
    assert_eq!((udp.port, udp.fd, udp.flags), (None, Some(-1), 5));
}

/// `listen(port, host)` says `false`, and options are passed on as the program wrote them.
#[test]
fn a_backlog_is_what_libuv_makes_of_it() {
    for (said, meant) in [
        ("false", 511),
        ("0", 511),
        ("null", 511),
        ("{}", 511),
        ("128", 128),
        (r#""12""#, 12),
        (r#""many""#, 511),
        ("1.9", 1),
        ("-1", 2_147_483_647),
        ("1e300", 2_147_483_647),
    ] {
        let fields = format!(r#""port":1,"addressType":4,"backlog":{said}"#);
        assert_eq!(query(&fields).backlog, meant, "{said}");
    }
}

#[test]
fn numbers_out_of_range_stay_what_they_mean() {
    let far = query(r#""port":1e9,"addressType":4,"fd":99999999999,"flags":-1"#);
    assert_eq!((far.port, far.fd), (Some(1_000_000_000), Some(i32::MAX)));
    assert_eq!(far.flags, 0);
    let text = query(r#""port":"5353","address":"0.0.0.0","addressType":"udp4""#);
    assert_eq!(text.port, Some(5353));
}

#[test]
fn listeners_are_one_when_address_and_port_are() {
    let any = tcp(3000).identity();
    let later = Query {
        index: 7,
        data: Json::parse(TICKETS).ok(),
        backlog: 1,
        flags: 1,
        ..tcp(3000)
    };
    assert_eq!(any, later.identity());
    let local = Query {
        address: Some("127.0.0.1".into()),
        ..tcp(3000)
    };
    for other in [tcp(3001), local] {
        assert_ne!(any, other.identity());
    }
}

#[test]
fn the_index_counts_where_the_kernel_picks_the_port() {
    let zero = |index| Query { index, ..tcp(0) };
    assert_eq!(zero(0).identity(), zero(0).identity());
    assert_ne!(zero(0).identity(), zero(1).identity());

    let udp = |index, port: &str, fd| {
        query(&format!(
            r#""index":{index},"address":"::","addressType":"udp6","fd":{fd}{port}"#
        ))
        .identity()
    };
    assert_ne!(udp(0, "", -1), udp(1, "", -1));
    assert_ne!(udp(0, r#","port":0"#, -1), udp(1, r#","port":0"#, -1));
    assert_eq!(udp(0, r#","port":53"#, -1), udp(1, r#","port":53"#, -1));
    assert_eq!(udp(0, "", 9), udp(1, "", 9), "a descriptor has no port");

    let fd = |index| query(&format!(r#""index":{index},"port":null,"fd":7"#)).identity();
    assert_eq!(fd(0), fd(1));
}

#[test]
fn an_abstract_name_is_the_same_in_every_directory() {
    let unix = |address: &str| {
        query(&format!(
            r#""address":"{address}","port":-1,"addressType":-1"#
        ))
    };
    let (here, there) = (unix(r"/a/\u0000x"), unix(r"/b/c/\u0000x"));
    assert_eq!(here.identity(), there.identity());
    assert_ne!(here.identity(), unix(r"/a/\u0000y").identity());
    assert_ne!(here.identity(), unix(r"/a/x").identity());
    assert_eq!(here.endpoint(), Ok(Endpoint::Abstract { name: "x".into() }));
    assert_eq!(
        unix("/a/x").endpoint(),
        Ok(Endpoint::Unix {
            path: "/a/x".into()
        })
    );
    assert_eq!(unix("").endpoint(), Err(EndpointError::NoAddress));
}

#[test]
fn a_query_names_what_to_bind() {
    let with = |address: &str, flags, port| Query {
        address: Some(address.into()),
        flags,
        ..tcp(port)
    };
    let tcp_at = |address, port, v6_only| Endpoint::Tcp {
        address,
        port,
        v6_only,
    };
    let loopback = "::1".parse().ok();
    assert_eq!(tcp(80).endpoint(), Ok(tcp_at(None, 80, false)));
    assert_eq!(with("::1", 1, 0).endpoint(), Ok(tcp_at(loopback, 0, true)));
    assert_eq!(
        tcp(65536).endpoint(),
        Err(EndpointError::Port { port: 65536 })
    );
    assert!(matches!(
        with("localhost", 0, 80).endpoint(),
        Err(EndpointError::NotAnAddress { .. })
    ));

    let udp = query(r#""address":"0.0.0.0","port":53,"addressType":"udp4","fd":-1,"flags":4"#);
    assert_eq!(
        udp.endpoint(),
        Ok(Endpoint::Udp {
            address: [0, 0, 0, 0].into(),
            port: 53,
            v6_only: false,
            reuse_address: true,
        })
    );
    let fd = query(r#""address":null,"port":null,"addressType":null,"fd":7"#);
    assert_eq!(fd.endpoint(), Ok(Endpoint::Descriptor(7)));
}
