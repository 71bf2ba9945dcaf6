//! Why there can be no proxy.

use crate::run::words::Setting;

/// Why there can be no proxy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    #[error("{}: say with {} where the clients connect", .0.with("proxy"), .0.other("listen"))]
    NothingOpened(Setting),
    #[error("{}: only with {}; {}", .0, .0.other("dispatch").with("proxy"), .0.leave_out())]
    NoProxy(Setting),
    #[error(
        "{}: a program behind a proxy listens by itself, and is ready when it does; {}", .0, .0.leave_out()
    )]
    Listens(Setting),
    #[error(
        "{}: a program behind a proxy is no worker of Node's cluster, and listens on PORT; {}", .0,
        .0.leave_out()
    )]
    NoCluster(Setting),
    #[error(
        "{}: it is for kernel dispatch; use round-robin, least-connections, two-choices or ip-hash",
        .0.with("least-loaded")
    )]
    LeastLoaded(Setting),
    #[error("{setting}: {problem}")]
    Wrong { setting: Setting, problem: String },
}
