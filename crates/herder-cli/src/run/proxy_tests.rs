use std::time::Duration;

use herder_api::App;
use serde_json::{Value, json};

use super::super::words::Words;
use super::*;

/// What the gateway is told of `[apps.shop.proxy]`.
fn told(proxy: Value) -> Result<ProxySettings, String> {
    let app = json!({ "name": "shop", "proxy": proxy });
    let app: App = serde_json::from_value(app).expect("right");
    let description = Description {
        app,
        ..Description::bare(Words::Fields)
    };
    settings(&description, "shop", PickerKind::RoundRobin).map_err(|error| error.to_string())
}

fn right(proxy: Value) -> ProxySettings {
    told(proxy).expect("right")
}

#[test]
fn what_is_not_said_is_as_the_gateway_has_it() {
    let bare: ProxySettings = serde_json::from_value(json!({ "app": "shop" })).expect("right");
    assert_eq!(right(json!({})), bare);
}

#[test]
fn what_is_said_of_http_reaches_the_gateway() {
    let settings = right(json!({
        "body_rate": "2K", "max_headers": 50, "max_head": "8K", "max_body": "1M", "keep": 3,
        "header_timeout": "1s", "idle_timeout": "2s", "body_timeout": "3s",
        "response_timeout": "4s", "tunnel_timeout": "5s", "keep_time": "6s", "retries": 1,
        "connect_timeout": "7s", "wait_timeout": "8s", "max_waiting": 9, "max_clients": 10,
        "slow_start": "11s", "forwarded": true, "x_forwarded": false, "request_id": false,
    }));
    let http = &settings.http;
    assert_eq!((http.body_rate, http.max_headers), (2048, 50));
    assert_eq!(
        (http.max_head, http.max_body, http.keep),
        (8192, 1 << 20, 3)
    );
    let times = [
        http.header_timeout_millis,
        http.idle_timeout_millis,
        http.body_timeout_millis,
        http.response_timeout_millis,
        http.tunnel_timeout_millis,
        http.keep_millis,
        settings.connect_timeout_millis,
        settings.wait_timeout_millis,
    ];
    assert_eq!(
        times,
        [1, 2, 3, 4, 5, 6, 7, 8].map(|seconds| seconds * 1000)
    );
    assert_eq!((settings.max_waiting, settings.max_clients), (9, 10));
    assert_eq!(settings.retry.attempts.get(), 2);
    assert_eq!(settings.balancer.slow_start, Duration::from_secs(11));
    assert_eq!(
        (http.forwarded, http.x_forwarded, http.request_id),
        (true, false, false)
    );
    assert_eq!(settings.tls, None);
}

#[test]
fn when_workers_are_left_out_can_be_said() {
    let ejection = |proxy| right(proxy).balancer.ejection;
    let default = EjectionSpec::default();
    assert_eq!(ejection(json!({})), Some(default.clone()));
    assert_eq!(ejection(json!({ "eject_after": 0 })), None);
    let expected = EjectionSpec {
        consecutive: NonZeroU32::new(2),
        base: Duration::from_secs(600),
        longest: Duration::from_secs(600),
        at_most_percent: 90,
        ..default
    };
    let said = json!({ "eject_after": 2, "eject_time": "10m", "eject_at_most": 90 });
    assert_eq!(ejection(said), Some(expected));
}

#[test]
fn bytes_are_moved_within_the_kernel_from_where_it_is_said() {
    let above = |proxy| right(proxy).tcp.splice_above;
    assert_eq!(above(json!({ "kind": "tcp" })), 16 << 10);
    assert_eq!(above(json!({ "kind": "tcp", "splice_above": 0 })), 0);
    assert_eq!(
        above(json!({ "kind": "tcp", "splice_above": "1M" })),
        1 << 20
    );
}

#[test]
fn the_simple_pair_is_the_first_certificate() {
    let pair = |name: &str| json!({ "certificate": format!("/{name}.crt"), "key": format!("/{name}.key") });
    let mut proxy = pair("a");
    proxy["certificates"] = json!([pair("b"), pair("c")]);
    proxy["alpn"] = json!("http/1.1");
    proxy["https_port"] = json!(8443);
    let settings = right(proxy.clone());
    let tls = settings.tls.expect("it is named");
    let found = tls.certificates.iter();
    let found: Vec<_> = found
        .map(|it| it.certificate.to_str().expect("text"))
        .collect();
    assert_eq!(found, ["/a.crt", "/b.crt", "/c.crt"]);
    assert_eq!(
        (tls.alpn, settings.http.https_port),
        (vec!["http/1.1".to_owned()], Some(8443))
    );
    let wanted = serde_json::from_value(proxy).expect("right");
    let opened = opened(&wanted);
    assert_eq!(opened[2].key.to_str(), Some("/c.key"));
    assert_eq!(opened.len(), 3);
}

#[test]
fn what_this_gateway_does_not_speak_is_refused() {
    let proxy = json!({ "certificate": "/a", "key": "/b", "alpn": ["imap"] });
    let said = told(proxy).expect_err("HTTP alone");
    assert!(
        said.contains("alpn") && said.contains("does not speak \"imap\""),
        "{said}"
    );
    let proxy = json!({ "kind": "tcp", "certificate": "/a", "key": "/b", "alpn": ["imap"] });
    assert!(told(proxy).is_ok());
    let said = told(json!({ "certificate": "/a", "key": "/b", "alpn": ["h2"] }));
    if cfg!(feature = "http2") {
        assert!(said.is_ok(), "{said:?}");
    } else {
        let said = said.expect_err("without the feature");
        assert!(
            said.ends_with("; a build with the feature http2 does"),
            "{said}"
        );
    }
}
