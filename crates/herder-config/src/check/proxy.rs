//! What goes together with a gateway that forwards.

use std::net::IpAddr;

use herder_api::app::{Dispatch, ProxyKind};
use herder_core::proxy::SlotCookie;

use super::{Found, Wrong};

const LISTENS: &str =
    "a program behind a proxy listens by itself, and is ready when it does; leave it out";

const NO_CLUSTER: &str = "a program behind a proxy is no worker of Node's cluster; leave it out";

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
        found.say_if(
            Wrong(!is_network(text)),
            "proxy.trusted",
            format!("`{text}` is no address and no network, like 10.0.0.0/8"),
        );
    }
    let wrong = Wrong(!is_tcp && proxy.send_proxy.is_some());
    let message = "only kind = \"tcp\" says it so; in HTTP workers are told by X-Forwarded-For";
    found.say_if(wrong, "proxy.send_proxy", message);
    let wrong = Wrong(proxy.proxy_protocol && proxy.trusted.is_empty());
    let message = "name in trusted the peers that speak it";
    found.say_if(wrong, "proxy.proxy_protocol", message);
    let wrong = Wrong(proxy.certificate.is_some() != proxy.key.is_some());
    let message = "a certificate and its key go together";
    found.say_if(wrong, "proxy.certificate", message);
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
}

/// An address, or one with the number of the bits that count, as the gateway reads it.
fn is_network(text: &str) -> bool {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let most: u8 = if address.is_ipv4() { 32 } else { 128 };
    bits.is_none_or(|bits| bits.parse().is_ok_and(|bits: u8| bits <= most))
}
