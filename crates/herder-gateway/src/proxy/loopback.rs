//! A proxy without a master: what measurements and conformance tests talk to.

use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;

use tokio::runtime::{Builder, LocalOptions};

use super::backends::{Backend, BackendAddress, Backends};
use super::entrance::{Entrance, serve};
use super::settings::{Kind, ProxySettings};
use super::tls::{Acceptor, OpenFiles};
use super::{House, http, tcp};

/// Forwards what comes by a listener to workers that listen there, until the process ends.
///
/// # Errors
///
/// When there is no runtime, the listener is none, or a certificate cannot be used.
pub fn serve_proxy(
    listener: TcpListener,
    settings: ProxySettings,
    workers: &[SocketAddr],
) -> io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let tls = settings.tls.as_ref();
        let tls = tls.map(|tls| {
            let open: Vec<_> = tls.certificates.iter().map(OpenFiles::open).collect();
            Acceptor::new(tls, settings.kind, &open).map(|(acceptor, _)| acceptor)
        });
        let tls = tls.transpose().map_err(io::Error::other)?;
        let settings = Rc::new(settings);
        let backends = Backends::new(&settings);
        for (slot, address) in (0..).zip(workers) {
            backends.admit(Backend {
                worker: u64::from(slot) + 1,
                slot,
                generation: 1,
                address: BackendAddress::Tcp(*address),
            });
        }
        let house = House::default();
        let entrance = Rc::new(Entrance {
            settings: Rc::clone(&settings),
            house: house.clone(),
            tls,
        });
        let (name, listener) = ("proxy".to_owned(), listener.into());
        match settings.kind {
            Kind::Http => {
                let front = http::Front::new(settings, backends, house);
                serve(name, listener, entrance, Rc::new(front)).await?;
            }
            Kind::Tcp => {
                let front = tcp::Front::new(settings, backends);
                serve(name, listener, entrance, Rc::new(front)).await?;
            }
        }
        pending().await
    })
}
