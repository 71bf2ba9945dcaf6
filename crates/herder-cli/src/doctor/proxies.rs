//! What gateways that forward need of the machine, and how their certificates are.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use herder_api::App;
use herder_api::app::{Dispatch, ProxyVia, Workers};
use herder_master::GatewayUser;

use super::Finding;
use super::facts::{Facts, Paper, Proxies, ProxyApp};
use crate::render::text::escape;

/// The most clients where an app does not say.
const MAX_CLIENTS: u64 = 16_384;

/// Descriptors that clients do not get.
const OWN_DESCRIPTORS: u64 = 1024;

const DAY: u64 = 86_400;

/// Certificates are renewed weeks before: who has so little left is not.
const SOON: u64 = 14 * DAY;

/// The largest file that is looked into, in bytes.
const LARGEST: u64 = 1 << 20;

/// Looks. `apps`: those that the daemon has.
pub(super) fn look(apps: &[App]) -> Proxies {
    let ports = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let ports = ports.ok().and_then(|text| {
        let mut numbers = text.split_ascii_whitespace().map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    let proxied = apps.iter().filter(|app| app.dispatch == Dispatch::Proxy);
    Proxies {
        user: herder_master::gateway_user(),
        ports,
        apps: proxied.map(of_app).collect(),
    }
}

fn of_app(app: &App) -> ProxyApp {
    let proxy = app.proxy.clone().unwrap_or_default();
    let workers = match app.workers {
        Workers::Count(count) => u64::from(count),
        Workers::Max(_) => std::thread::available_parallelism().map_or(1, |it| it.get() as u64),
    };
    let pairs = proxy.certificates();
    let papers = pairs.iter().flat_map(|pair| {
        let certificate = paper(&pair.certificate, herder_gateway::proxy::tls::ends);
        // What stands in a key is nobody's business here.
        let key = paper(&pair.key, |_| None);
        [certificate, key]
    });
    ProxyApp {
        name: app.name.clone(),
        max_clients: proxy.max_clients.map_or(MAX_CLIENTS, u64::from),
        by_port: (proxy.via == ProxyVia::Port).then_some(workers),
        certificates: papers.collect(),
    }
}

fn paper(path: &Path, ends: fn(&[u8]) -> Option<u64>) -> Paper {
    let opened = std::fs::metadata(path).and_then(|found| {
        if found.is_file() {
            File::open(path)
        } else {
            Err(std::io::Error::other("it is no file"))
        }
    });
    let mut text = Vec::new();
    let read = opened.and_then(|file| file.take(LARGEST).read_to_end(&mut text));
    Paper {
        path: path.to_owned(),
        problem: read.err().map(|error| error.to_string()),
        ends: ends(&text),
    }
}

/// Judges. What is well is one line.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let proxies = &facts.proxies;
    let mut found = Vec::new();
    if proxies.user == GatewayUser::Root && !proxies.apps.is_empty() {
        found.push(Finding::warning(
            "proxy",
            "a gateway runs as root: this root may not become another user",
            "permit CAP_SETUID and CAP_SETGID (and map the user 65534), or run herder as a user of its own",
        ));
    }
    let most = most_clients(facts.open_files.1);
    for app in &proxies.apps {
        found.extend(descriptors(app, most));
        found.extend(ports(app, proxies.ports));
        let papers = app.certificates.iter();
        found.extend(papers.filter_map(|paper| validity(app, paper, facts.clock.0)));
    }
    if found.is_empty() {
        let who = match proxies.user {
            GatewayUser::Nobody => "nobody",
            GatewayUser::Masters => "who runs herder",
            GatewayUser::Root => "root",
        };
        let text = format!("a gateway runs as {who}, for at most {most} clients");
        found.push(Finding::ok("proxy", text));
    }
    found
}

/// Each client may need a connection to a worker, too.
fn most_clients(open_files: u64) -> u64 {
    open_files
        .saturating_sub(OWN_DESCRIPTORS)
        .max(open_files / 2)
        / 2
}

fn descriptors(app: &ProxyApp, most: u64) -> Option<Finding> {
    let name = escape(&app.name);
    let needed = app.max_clients.saturating_mul(2) + OWN_DESCRIPTORS;
    (app.max_clients > most).then(|| {
        Finding::warning(
            "proxy",
            format!(
                "{name}: its gateway may open files for {most} clients, and max_clients is {}",
                app.max_clients
            ),
            format!(
                "LimitNOFILE={needed} in the unit (ulimit -Hn {needed}), or a smaller max_clients"
            ),
        )
    })
}

/// A connection to a worker takes a port of ours, of which there are so many for each worker.
fn ports(app: &ProxyApp, ports: Option<(u64, u64)>) -> Option<Finding> {
    let ((first, last), workers) = ports.zip(app.by_port)?;
    let room = (last.saturating_sub(first) + 1).saturating_mul(workers.max(1));
    (room < app.max_clients).then(|| {
        Finding::warning(
            "proxy",
            format!(
                "{}: {room} connections to its workers are possible, and max_clients is {}",
                escape(&app.name),
                app.max_clients
            ),
            "sysctl net.ipv4.ip_local_port_range=\"1024 65535\", or via = \"unix\"",
        )
    })
}

fn validity(app: &ProxyApp, paper: &Paper, now: u64) -> Option<Finding> {
    let name = escape(&app.name);
    let path = escape(&paper.path.display().to_string());
    if let Some(problem) = &paper.problem {
        return Some(Finding::problem(
            "proxy",
            format!("{name}: {path} cannot be read: {problem}"),
            "whoever runs the daemon has to be able to read it",
        ));
    }
    let left = paper.ends?.checked_sub(now);
    let cure = "renew it; a running gateway reads the new one by itself";
    match left {
        None => {
            let text = format!("{name}: {path} is not valid any more");
            Some(Finding::problem("proxy", text, cure))
        }
        Some(left) if left < SOON => {
            let text = format!("{name}: {path} is valid for {} more days", left / DAY);
            Some(Finding::warning("proxy", text, cure))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use herder_api::app::Proxy;

    use super::*;

    #[test]
    fn files_of_an_app_are_looked_at() {
        let place = std::env::temp_dir().join(format!("herder-papers-{}", std::process::id()));
        std::fs::create_dir(&place).unwrap();
        let certificate = place.join("one.crt");
        let text = include_str!("../../../herder-gateway/src/proxy/tls/testdata/one.crt");
        std::fs::write(&certificate, text).unwrap();
        let app = App {
            name: "shop".to_owned(),
            dispatch: Dispatch::Proxy,
            proxy: Some(Proxy {
                certificate: Some(certificate),
                key: Some(place.join("none.key")),
                ..Proxy::default()
            }),
            ..App::default()
        };
        let found = look(&[app, App::default()]);
        std::fs::remove_dir_all(&place).unwrap();
        assert_eq!(found.apps.len(), 1);
        let app = &found.apps[0];
        assert_eq!((app.max_clients, app.by_port), (MAX_CLIENTS, Some(1)));
        let [certificate, key] = &app.certificates[..] else {
            panic!("{app:?}");
        };
        let ends = cfg!(feature = "tls").then_some(4_733_510_400);
        assert_eq!((certificate.ends, &certificate.problem), (ends, &None));
        let problem = key.problem.as_deref().unwrap();
        assert!(problem.contains("No such file"), "{problem}");
        assert!(found.ports.is_some());
    }
}
