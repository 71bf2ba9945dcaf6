//! What goes together with a gateway that forwards.

use herder_api::app::{Dispatch, Proxy, ProxyKind};
use herder_core::proxy::{Network, SlotCookie};

use super::{Found, Wrong};

const LISTENS: &str =
    "a program behind a proxy listens by itself, and is ready when it does; leave it out";

const NO_CLUSTER: &str = "a program behind a proxy is no worker of Node's cluster; leave it out";

/// How many gateways an app may have.
const GATEWAYS: std::ops::RangeInclusive<u16> = 1..=64;

pub(super) fn check(found: &mut Found<'_>) {
    let app = found.app;
    if app.dispatch != Dispatch::Proxy {
        let wrong = Wrong(app.proxy.is_some());
        found.say_if(
            wrong,
            "proxy",
            "only with dispatch = \"proxy\"; leave it out",
        );
        return;
    }
    let wrong = Wrong(app.listen.is_empty());
    let message =
        "say with listen where the clients connect; each worker finds its own port as PORT";
    found.say_if(wrong, "dispatch", message);
    for (setting, given) in [
        ("ready_after", app.ready_after.is_some()),
        ("listen_timeout", app.listen_timeout.is_some()),
        ("hang", app.hang.is_some()),
    ] {
        found.say_if(Wrong(given), setting, LISTENS);
    }
    for (setting, given) in [
        ("send_handle", app.send_handle.is_some()),
        ("wait_ready", app.wait_ready),
        ("shutdown_with_message", app.shutdown_with_message),
    ] {
        found.say_if(Wrong(given), setting, NO_CLUSTER);
    }
    let wrong = Wrong(app.policy.as_deref() == Some("least-loaded"));
    let message =
        "it is for kernel dispatch; use round-robin, least-connections, two-choices or ip-hash";
    found.say_if(wrong, "policy", message);
    settings(found);
}

fn settings(found: &mut Found<'_>) {
    let app = found.app;
    let Some(proxy) = &app.proxy else {
        return;
    };
    let is_tcp = proxy.kind == ProxyKind::Tcp;
    let wrong = Wrong(proxy.gateways.is_some_and(|it| !GATEWAYS.contains(&it)));
    let message = format!(
        "{} to {} processes can be gateways of an app",
        GATEWAYS.start(),
        GATEWAYS.end()
    );
    found.say_if(wrong, "proxy.gateways", message);
    let wrong = Wrong(is_tcp && proxy.cookie.is_some());
    found.say_if(wrong, "proxy.cookie", "only HTTP has cookies; leave it out");
    if let Some(name) = &proxy.cookie {
        found.say_if(
            Wrong(!SlotCookie::is_name(name)),
            "proxy.cookie",
            format!(
                "{name:?} is no cookie's name: letters, digits and few signs, no blank, = or ;"
            ),
        );
    }
    for text in &proxy.trusted {
        if let Err(error) = text.parse::<Network>() {
            found.say("proxy.trusted", error.to_string());
        }
    }
    let wrong = Wrong(!is_tcp && proxy.send_proxy.is_some());
    let message = "only kind = \"tcp\" says it so; in HTTP workers are told by X-Forwarded-For";
    found.say_if(wrong, "proxy.send_proxy", message);
    let wrong = Wrong(proxy.proxy_protocol && proxy.trusted.is_empty());
    let message = "name in trusted the peers that speak it";
    found.say_if(wrong, "proxy.proxy_protocol", message);
    certificates(found, proxy);
    tls(found, proxy);
    ejection(found, proxy);
    of_one_kind(found, proxy);
    numbers(found, proxy);
}

/// The most certificates of an app: each is two open files on their way to the gateway.
const MOST_CERTIFICATES: usize = 128;

fn certificates(found: &mut Found<'_>, proxy: &Proxy) {
    let wrong = Wrong(proxy.certificate.is_some() != proxy.key.is_some());
    let message = "a certificate and its key go together";
    found.say_if(wrong, "proxy.certificate", message);
    let wrong = Wrong(proxy.certificates.len() > MOST_CERTIFICATES);
    let message = format!(
        "these are {} certificates; {MOST_CERTIFICATES} are the most",
        proxy.certificates.len()
    );
    found.say_if(wrong, "proxy.certificates", message);
}

/// What makes no sense without TLS, and what cannot be spoken within.
fn tls(found: &mut Found<'_>, proxy: &Proxy) {
    let has_tls =
        proxy.certificate.is_some() || proxy.key.is_some() || !proxy.certificates.is_empty();
    let message = "only with a certificate; name one, or leave it out";
    for (setting, given) in [
        ("proxy.alpn", !proxy.alpn.is_empty()),
        ("proxy.https_port", proxy.https_port.is_some()),
    ] {
        found.say_if(Wrong(given && !has_tls), setting, message);
    }
    let is_http = proxy.kind == ProxyKind::Http;
    for name in proxy.alpn.iter().filter(|_| has_tls) {
        let why = if name.is_empty() || name.len() > 255 {
            "it has to have 1 to 255 bytes"
        } else if is_http && !HTTP.contains(&name.as_str()) {
            "within HTTP there are http/1.1 and h2; with kind = \"tcp\" anything can be named"
        } else if is_http && name == HTTP_2 && !cfg!(feature = "http2") {
            "this build of herder does not speak HTTP/2; take one with the feature http2, or leave it out"
        } else {
            continue;
        };
        found.say("proxy.alpn", format!("{name:?}: {why}"));
    }
    let wrong = Wrong(proxy.https_port == Some(0));
    found.say_if(wrong, "proxy.https_port", "use a number from 1 to 65535");
}

/// What HTTP is called in a handshake.
const HTTP: [&str; 2] = ["http/1.1", HTTP_2];
const HTTP_2: &str = "h2";

fn ejection(found: &mut Found<'_>, proxy: &Proxy) {
    let is_off = proxy.eject_after == Some(0);
    for (setting, given) in [
        ("proxy.eject_time", proxy.eject_time.is_some()),
        ("proxy.eject_at_most", proxy.eject_at_most.is_some()),
    ] {
        let message = "with eject_after = 0 nobody is left out; leave it out";
        found.say_if(Wrong(is_off && given), setting, message);
    }
    let wrong = Wrong(proxy.eject_time.is_some_and(|time| time.0.is_zero()));
    let message = "say how long; with eject_after = 0 nobody is left out";
    found.say_if(wrong, "proxy.eject_time", message);
    let percent = proxy.eject_at_most;
    let wrong = Wrong(percent.is_some_and(|it| !(1..=100).contains(&it)));
    let message = "use a number from 1 to 100; with eject_after = 0 nobody is left out";
    found.say_if(wrong, "proxy.eject_at_most", message);
}

fn of_one_kind(found: &mut Found<'_>, proxy: &Proxy) {
    let is_tcp = proxy.kind == ProxyKind::Tcp;
    for (setting, given) in [
        ("proxy.body_rate", proxy.body_rate.is_some()),
        ("proxy.max_headers", proxy.max_headers.is_some()),
        ("proxy.https_port", proxy.https_port.is_some()),
    ] {
        let message = "with kind = \"tcp\" nothing is known of HTTP; leave it out";
        found.say_if(Wrong(is_tcp && given), setting, message);
    }
    let wrong = Wrong(!is_tcp && proxy.splice_above.is_some());
    let message = "only with kind = \"tcp\"; leave it out";
    found.say_if(wrong, "proxy.splice_above", message);
}

fn numbers(found: &mut Found<'_>, proxy: &Proxy) {
    for (setting, zero) in [
        ("proxy.max_clients", proxy.max_clients == Some(0)),
        (
            "proxy.max_head",
            proxy.max_head.is_some_and(|size| size.0 < 1024),
        ),
        (
            "proxy.connect_timeout",
            proxy.connect_timeout.is_some_and(|time| time.0.is_zero()),
        ),
    ] {
        found.say_if(
            Wrong(zero),
            setting,
            "with so little nobody could be served",
        );
    }
    let lines = proxy.max_headers;
    let wrong = Wrong(lines.is_some_and(|it| !(8..=256).contains(&it)));
    found.say_if(wrong, "proxy.max_headers", "use a number from 8 to 256");
    let rate = proxy.body_rate;
    let wrong = Wrong(rate.is_some_and(|rate| u32::try_from(rate.0).is_err()));
    found.say_if(
        wrong,
        "proxy.body_rate",
        "nobody sends so fast; 4095M is the most",
    );
}
