//! Why workers cannot have listeners of their own.

use crate::run::words::Setting;

/// Why the workers cannot have listeners of their own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnError {
    #[error(
        "{}: with {} the one listener is sent to every worker, and there is none for each; use {}",
        .0.with(.1), .0.other("send_handle"), .0.with("shared")
    )]
    Sent(Setting, &'static str),
    #[error(
        "{}: each worker gets a listener of its own for what {} names; add it, or use {}",
        .0.with(.1), .0.other("listen"), .0.with("shared")
    )]
    NothingOpened(Setting, &'static str),
    #[error(
        "{}: a Unix socket ({address}) has one listener, and not one for each worker; use {}",
        .setting.with(.mode), .setting.with("shared")
    )]
    Unix {
        setting: Setting,
        mode: &'static str,
        address: String,
    },
    #[error(
        "{}: in {} mode {}, or {}", .setting.with(.policy), .mode, why(.mode), .setting.leave_out()
    )]
    Policy {
        setting: Setting,
        mode: &'static str,
        policy: String,
    },
    #[error(
        "{}: in {} mode nobody counts a program's requests; use {} or {}", .0, .1,
        .0.other("max_lifetime"), .0.other("max_memory")
    )]
    NoCount(Setting, &'static str),
    #[error(
        "{}: only a program's own listener can be looked at, with {} or {}; {}", .0,
        .0.other("dispatch").with("kernel"), .0.other("dispatch").with("reuseport"), .0.leave_out()
    )]
    NoHang(Setting),
    #[error(
        "{}: who waits at a Node program that accepts nobody is given to the others, and nobody is killed \
         for it; {}", .0, .0.leave_out()
    )]
    NodeHang(Setting),
    #[error(
        "{}: only the kernel looks for the worker that has least to do, with {}; {}",
        .0.with("least-loaded"), .0.other("dispatch").with("kernel"), .0.leave_out()
    )]
    NoLoads(Setting),
    #[error(
        "{}: only a program in the kernel gives turns by weight, with {}; {}", .0,
        .0.other("dispatch").with("kernel"), .0.leave_out()
    )]
    NoTurns(Setting),
    #[error("{0}: {1}")]
    Weight(Setting, String),
}

fn why(mode: &str) -> &'static str {
    match mode {
        "kernel" => {
            "the kernel gives each connection to the next worker; use round-robin or least-loaded"
        }
        _ => "the kernel draws a worker by lot; choose another mode",
    }
}
