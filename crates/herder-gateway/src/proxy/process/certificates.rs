//! What a proxy knows of its own names: certificates, and where they are spoken for.

use std::io::{self, Write};
use std::net::SocketAddr;

use crate::proxy::settings::{Kind, TlsSettings};
use crate::proxy::tls::{Acceptor, TlsError, Warning};

/// The certificates, which are read again when they change. What should be seen to is said.
pub(super) fn certificates(
    app: &str,
    settings: &TlsSettings,
    kind: Kind,
) -> Result<Acceptor, TlsError> {
    let (acceptor, warnings) = Acceptor::new(settings, kind)?;
    for warning in warnings {
        mention(app, &warning);
    }
    let (watched, app) = (acceptor.clone(), app.to_owned());
    tokio::task::spawn_local(async move {
        let tell = |read: Result<Vec<Warning>, TlsError>| match read {
            Ok(warnings) => warnings.iter().for_each(|warning| mention(&app, warning)),
            Err(error) => mention(
                &app,
                &format!("the certificates stay as they were: {error}"),
            ),
        };
        watched.watch(tell).await;
    });
    Ok(acceptor)
}

/// Where clients are sent that speak HTTP without TLS: to the usual port, if it is one of the listeners',
/// else to that of the first.
pub(super) fn https_port<'a>(listeners: impl Iterator<Item = &'a str>) -> Option<u16> {
    const USUAL: u16 = 443;
    let ports = listeners.filter_map(|name| Some(name.parse::<SocketAddr>().ok()?.port()));
    let ports: Vec<u16> = ports.collect();
    let usual = ports.iter().find(|port| **port == USUAL);
    usual.or(ports.first()).copied()
}

/// One line for the operator.
fn mention(app: &str, what: &dyn std::fmt::Display) {
    let _closed = writeln!(io::stderr(), "herder: gateway of {app}: {what}");
}
