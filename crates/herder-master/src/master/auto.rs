//! `auto`: the kernel dispatches where it may, and else whoever can.

use std::net::SocketAddr;

use herder_core::spec::{DispatchMode, ListenAddress};
use herder_sys::bpf;

use crate::config::{Choice, Config};

/// If this variable is set (and not empty), `auto` leaves the kernel out, as if it took no program.
const SWITCH: &str = "HERDER_NO_KERNEL_DISPATCH";

/// Why the kernel dispatches.
const TAKEN: &str = "the kernel takes its program";

/// As well, where it does not dispatch everywhere.
const TAKEN_ELSEWHERE: &str = "the kernel takes its program; a Unix socket has one listener";

/// Settles the mode where that is left to herder. `before`: what it was under an earlier master, whose herd keeps
/// it. `given`: where whoever started the herd listens for it already.
pub(super) fn resolve(
    config: &mut Config,
    before: Option<DispatchMode>,
    given: Option<SocketAddr>,
) {
    if config.choice == Choice::Said {
        return;
    }
    let dispatch = &mut config.spec.dispatch;
    match before {
        Some(DispatchMode::Kernel) => dispatch.by_kernel(&config.listen),
        Some(mode) => dispatch.mode = mode,
        None => match given.map(has_one).or_else(missing) {
            None => {
                dispatch.by_kernel(&config.listen);
                config.dispatch_reason = taken(&config.listen).to_owned();
            }
            Some(why) => config.dispatch_reason = why,
        },
    }
}

fn taken(listen: &[ListenAddress]) -> &'static str {
    if listen.iter().any(ListenAddress::has_one_listener) {
        TAKEN_ELSEWHERE
    } else {
        TAKEN
    }
}

/// What listens already is one listener, and nobody else can have its address.
fn has_one(given: SocketAddr) -> String {
    format!("the service manager listens at {given}")
}

/// Why the kernel cannot dispatch, in words that follow the mode that is taken instead; `None`: it can.
pub(super) fn missing() -> Option<String> {
    if std::env::var_os(SWITCH).is_some_and(|it| !it.is_empty()) {
        return Some(format!("kernel is switched off by {SWITCH}"));
    }
    let refusal = bpf::probe().err()?.to_string();
    Some(match refusal.strip_prefix("kernel dispatch ") {
        Some(rest) => format!("kernel {rest}"),
        None => format!("no kernel: {refusal}"),
    })
}
