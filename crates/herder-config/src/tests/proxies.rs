//! What `[apps.NAME.proxy]` may say.

use std::path::Path;

use super::checks::wrong;
use super::{Scene, told};
use crate::{Options, load_text};

#[test]
#[expect(clippy::too_many_lines, reason = "a table: a case a line")]
fn what_goes_together_with_a_proxy() {
    let scene = Scene::new("proxied");
    let with = |settings: &str| {
        let base = r#""command": "x y", "dispatch": "proxy", "listen": "80""#;
        wrong(&scene, &format!("{{{base}{settings}}}"))
    };
    assert_eq!(with(""), [""; 0]);
    let good = r#", "policy": "ip-hash", "max_requests": 9, "ready": "notify",
        "proxy": {"kind": "tcp", "send_proxy": "v2", "trusted": "10.0.0.0/8", "proxy_protocol": true}"#;
    assert_eq!(with(good), [""; 0]);
    let good =
        r#", "proxy": {"cookie": "__Host-shop", "trusted": ["10.0.0.1", "::/0", "fe80::1/128"]}"#;
    assert_eq!(with(good), [""; 0]);
    for (settings, setting) in [
        (r#", "hang": "3s""#, "hang: "),
        (r#", "ready_after": "3s""#, "ready_after: "),
        (r#", "policy": "least-loaded""#, "policy: "),
        (
            r#", "proxy": {"certificate": "/c.pem"}"#,
            "proxy.certificate: ",
        ),
        (
            r#", "proxy": {"proxy_protocol": true}"#,
            "proxy.proxy_protocol: ",
        ),
        (r#", "proxy": {"send_proxy": "v1"}"#, "proxy.send_proxy: "),
        (
            r#", "proxy": {"kind": "tcp", "cookie": "a"}"#,
            "proxy.cookie: ",
        ),
        (r#", "proxy": {"cookie": ""}"#, "proxy.cookie: "),
        (r#", "proxy": {"gateways": 0}"#, "proxy.gateways: "),
        (r#", "proxy": {"gateways": 65}"#, "proxy.gateways: "),
        (r#", "proxy": {"cookie": "my;id"}"#, "proxy.cookie: "),
        (
            r#", "proxy": {"cookie": "a\r\nSet-Cookie: b"}"#,
            "proxy.cookie: ",
        ),
        (
            r#", "proxy": {"trusted": ["::1", "localhost"]}"#,
            "proxy.trusted: ",
        ),
        (
            r#", "proxy": {"trusted": "10.0.0.0/33"}"#,
            "proxy.trusted: ",
        ),
        (r#", "proxy": {"trusted": ["10.0.0/8"]}"#, "proxy.trusted: "),
        (r#", "proxy": {"max_clients": 0}"#, "proxy.max_clients: "),
        (r#", "proxy": {"max_headers": 7}"#, "proxy.max_headers: "),
        (r#", "proxy": {"max_headers": 257}"#, "proxy.max_headers: "),
        (r#", "proxy": {"body_rate": "4G"}"#, "proxy.body_rate: "),
        (
            r#", "proxy": {"kind": "tcp", "body_rate": 0}"#,
            "proxy.body_rate: ",
        ),
        (
            r#", "proxy": {"kind": "tcp", "max_headers": 50}"#,
            "proxy.max_headers: ",
        ),
        (r#", "proxy": {"splice_above": 0}"#, "proxy.splice_above: "),
        (
            r#", "proxy": {"https_port": 443}"#,
            "proxy.https_port: only with a certificate",
        ),
        (
            r#", "proxy": {"alpn": "h2"}"#,
            "proxy.alpn: only with a certificate",
        ),
        (
            r#", "proxy": {"eject_time": 0}"#,
            "proxy.eject_time: say how long",
        ),
        (
            r#", "proxy": {"eject_at_most": 0}"#,
            "proxy.eject_at_most: ",
        ),
        (
            r#", "proxy": {"eject_at_most": 101}"#,
            "proxy.eject_at_most: ",
        ),
        (
            r#", "proxy": {"eject_after": 0, "eject_time": "5s"}"#,
            "proxy.eject_time: with eject_after = 0",
        ),
    ] {
        let found = with(settings);
        assert!(
            found.len() == 1 && found[0].contains(setting),
            "{settings}: {found:?}"
        );
    }
    let found = with(r#", "proxy": {"trusted": ["::1", "localhost"]}"#);
    assert!(found[0].contains("`localhost` is no address"), "{found:?}");
    let good = r#", "proxy": {"body_rate": "1K", "max_headers": 256, "eject_after": 3, "eject_time": "1m",
        "eject_at_most": 100}"#;
    assert_eq!(with(good), [""; 0]);
    assert_eq!(
        with(r#", "proxy": {"kind": "tcp", "splice_above": 0, "eject_after": 0}"#),
        [""; 0]
    );
    let found = wrong(&scene, r#"{"command": "x y", "dispatch": "proxy"}"#);
    assert!(found[0].contains("say with listen"), "{found:?}");
    let found = wrong(&scene, r#"{"command": "x y", "proxy": {}}"#);
    assert!(found[0].contains("only with dispatch"), "{found:?}");
}

#[test]
fn workers_behind_a_proxy_are_asked_where_they_listen() {
    let scene = Scene::new("asked");
    let with = |dispatch: &str, rest: &str| {
        let base = format!(r#""command": "x y", "dispatch": "{dispatch}", "listen": "80""#);
        wrong(&scene, &format!("{{{base}, {rest}}}"))
    };
    for good in [
        r#""health": {"http": "/health?full=1"}"#,
        r#""health": {"tcp": "worker"}"#,
        r#""health": {"exec": "check it"}"#,
        r#""health": {"tcp": "worker"}, "proxy": {"kind": "tcp", "send_proxy": "v1"}"#,
        r#""health": {"http": "/a"}, "proxy": {"kind": "tcp", "send_proxy": "v2"}"#,
        r#""health": {"http": "http://127.0.0.1:80/"}"#,
    ] {
        assert_eq!(with("proxy", good), [""; 0], "{good}");
    }
    for (rest, said) in [
        (
            r#""health": {"http": "/a b"}"#,
            "health.http: a path has no blanks",
        ),
        (
            r#""health": {"http": "/a", "tcp": "worker"}"#,
            "health: give one of",
        ),
    ] {
        let found = with("proxy", rest);
        assert!(
            found.len() == 1 && found[0].contains(said),
            "{rest}: {found:?}"
        );
    }
    for (rest, setting) in [
        (
            r#""health": {"http": "/a"}"#,
            "health.http: only with dispatch",
        ),
        (
            r#""health": {"tcp": "worker"}"#,
            "health.tcp: only with dispatch",
        ),
    ] {
        let found = with("shared", rest);
        assert!(
            found.len() == 1 && found[0].contains(setting),
            "{rest}: {found:?}"
        );
    }
}

#[test]
fn what_goes_together_with_certificates() {
    let scene = Scene::new("certified");
    for file in ["a.crt", "a.key", "b.crt", "b.key"] {
        scene.write(file, "");
    }
    let with = |proxy: &str| {
        let base = r#""command": "x y", "dispatch": "proxy", "listen": "443""#;
        let at = scene.path().display();
        let list = format!(
            r#""certificates": [{{"certificate": "{at}/a.crt", "key": "{at}/a.key"}},
                {{"certificate": "{at}/b.crt", "key": "{at}/b.key"}}]"#
        );
        wrong(&scene, &format!("{{{base}, \"proxy\": {{{list}{proxy}}}}}"))
    };
    for good in [
        "",
        r#", "https_port": 8443, "alpn": "http/1.1""#,
        r#", "kind": "tcp", "alpn": ["imap", "x"]"#,
    ] {
        assert_eq!(with(good), [""; 0], "{good}");
    }
    // What this build speaks is known before anything is started.
    let found = with(r#", "alpn": ["h2", "http/1.1"]"#);
    let said = "proxy.alpn: \"h2\": this build of herder does not speak HTTP/2";
    match (cfg!(feature = "http2"), &*found) {
        (true, []) => {}
        (false, [one]) if one.contains(said) => {}
        _ => panic!("{found:?}"),
    }
    assert_eq!(with(r#", "kind": "tcp", "alpn": "h2""#), [""; 0]);
    for (settings, said) in [
        (
            r#", "https_port": 0"#.to_owned(),
            "proxy.https_port: use a number from 1",
        ),
        (
            r#", "alpn": "smtp""#.to_owned(),
            "proxy.alpn: \"smtp\": within HTTP",
        ),
        (
            r#", "alpn": """#.to_owned(),
            "proxy.alpn: \"\": it has to have 1 to 255",
        ),
        (
            format!(r#", "kind": "tcp", "alpn": "{}""#, "x".repeat(256)),
            "proxy.alpn: ",
        ),
        (
            r#", "kind": "tcp", "https_port": 1"#.to_owned(),
            "proxy.https_port: with kind",
        ),
        (
            r#", "certificate": "/c.pem""#.to_owned(),
            "proxy.certificate: a certificate and its key",
        ),
    ] {
        let found = with(&settings);
        assert!(
            found.len() == 1 && found[0].contains(said),
            "{settings}: {found:?}"
        );
    }
}

#[test]
fn there_are_128_certificates_at_most() {
    let scene = Scene::new("many-certificates");
    let many = vec![r#"{"certificate": "/a", "key": "/b"}"#; 129].join(",");
    let many = format!(
        r#"{{"command": "x y", "dispatch": "proxy", "listen": "443", "proxy": {{"certificates": [{many}]}}}}"#
    );
    let found = wrong(&scene, &many);
    assert!(
        found.len() == 1 && found[0].contains("128 are the most"),
        "{found:?}"
    );
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let scene = Scene::new("proxy-lines");
    for file in ["a.crt", "a.key"] {
        scene.write(file, "");
    }
    let head = "[apps.web]\ncommand = \"sleep 1\"\nlisten = \"1\"\ndispatch = \"proxy\"\n[apps.web.proxy]\n";
    let pair = "certificate = \"a.crt\"\nkey = \"a.key\"\n";
    let read = |rest: &str| {
        let text = format!("{head}{rest}");
        let loaded = load_text(
            &text,
            Path::new("herder.toml"),
            scene.path(),
            &Options::default(),
        );
        loaded.map_err(told)
    };
    assert!(read(pair).is_ok());
    let more = "[[apps.web.proxy.certificates]]\n";
    for (rest, expected) in [
        (
            "body_rate = \"much\"\n".to_owned(),
            "herder.toml:6:13: proxy.body_rate: ",
        ),
        (
            "max_headers = -1\n".to_owned(),
            "herder.toml:6:15: proxy.max_headers: ",
        ),
        (
            "eject_after = false\n".to_owned(),
            "herder.toml:6:15: proxy.eject_after: ",
        ),
        (
            "splice_above = \"1K\"\n".to_owned(),
            "herder.toml:6:1: App web: proxy.splice_above: ",
        ),
        (
            "https_port = 443\n".to_owned(),
            "herder.toml:6:1: App web: proxy.https_port: ",
        ),
        (
            format!("{pair}alpn = [\"x\"]\n"),
            "herder.toml:8:1: App web: proxy.alpn: ",
        ),
        (
            format!("{more}{pair}{more}certificate = \"a.crt\"\n"),
            "herder.toml:6:",
        ),
        (
            format!("{more}{pair}{more}{}", pair.replace("a.key", "b.key")),
            "herder.toml:11:1: App web: proxy.certificates.1.key: there is no ",
        ),
        (
            pair.replace("a.crt", "b.crt"),
            "herder.toml:6:1: App web: proxy.certificate: there is no ",
        ),
    ] {
        let found = read(&rest).unwrap_err();
        assert!(found[0].starts_with(expected), "{rest}: {found:?}");
        assert_eq!(found.len(), 1, "{rest}: {found:?}");
    }
}
