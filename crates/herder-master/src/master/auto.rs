//! `auto`: the kernel dispatches where it may, and else whoever can.

use herder_core::spec::DispatchMode;
use herder_sys::bpf;

use crate::config::{Choice, Config};

/// If this variable is set (and not empty), `auto` leaves the kernel out, as if it took no program.
const SWITCH: &str = "HERDER_NO_KERNEL_DISPATCH";

/// Why the kernel dispatches.
const TAKEN: &str = "the kernel takes its program";

/// Settles the mode where that is left to herder. `before`: what it was under an earlier master, whose herd keeps
/// it.
pub(super) fn resolve(config: &mut Config, before: Option<DispatchMode>) {
    if config.choice == Choice::Said {
        return;
    }
    match before {
        Some(mode) => config.spec.dispatch.mode = mode,
        None => match missing() {
            None => {
                config.spec.dispatch.mode = DispatchMode::Kernel;
                TAKEN.clone_into(&mut config.dispatch_reason);
            }
            Some(why) => config.dispatch_reason = why,
        },
    }
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
