//! `proxy` dispatch: workers listen by themselves, each where it is told to, behind one gateway.

use std::ffi::OsString;
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use herder_api::app::{Proxy as Wanted, ProxyHeader, ProxyKind, ProxyVia, Ready};
use herder_api::units::Period;
use herder_core::proxy::{BalancerSpec, EjectionSpec, SlotCookie};
use herder_core::spec::{DispatchMode, PickerKind, Readiness};
use herder_gateway::proxy::settings::{
    Certificate, HTTP_ALPN, Kind, ProxySettings, ProxyVersion, TlsSettings,
};
use herder_master::config::{Certificate as Opened, Config, Program, Proxy, ProxyReady, Via};
use herder_sys::user::Identity;

use super::assemble::assemble;
use super::description::Description;
use super::error::{ProxyError, RunError};
use super::program::{self, Found};
use super::words::{Setting, Words};
use super::{entry, node, policies};

/// How many gateways an app may have.
const GATEWAYS: RangeInclusive<u16> = 1..=64;

/// What speaks of a proxy. On the command line that is one setting alone.
pub(super) fn said_by(description: &Description) -> Setting {
    match description.words {
        Words::Fields => description.setting("proxy"),
        Words::Options => description.setting("gateways"),
    }
}

/// How many gateways the app is to have.
fn gateways(description: &Description, wanted: &Wanted) -> Result<u16, ProxyError> {
    let count = wanted.gateways.unwrap_or(1);
    if GATEWAYS.contains(&count) {
        return Ok(count);
    }
    let (least, most) = (GATEWAYS.start(), GATEWAYS.end());
    Err(ProxyError::Wrong {
        setting: description.words.entry("proxy", "gateways"),
        problem: format!("{least} to {most} processes can be gateways of an app, not {count}"),
    })
}

/// What a herd behind a proxy is to be.
pub(super) fn config(
    description: &Description,
    identity: Option<Identity>,
) -> Result<Config, RunError> {
    check(description)?;
    let app = &description.app;
    let found = match &app.script {
        Some(script) => script_command(description, script)?,
        None if description.tail.is_empty() => return Err(RunError::Nothing),
        None => program::find(&description.tail, description)?,
    };
    let name = description.name_or(|| match &app.script {
        Some(script) => node::default_name(script),
        None => program::default_name(&found),
    })?;
    let unused = Duration::from_millis(1);
    let mut spec = policies::spec(description, name, ("ready_after", None, unused))?;
    spec.dispatch.mode = DispatchMode::Proxy;
    spec.dispatch.picker = description.policy()?.unwrap_or(PickerKind::RoundRobin);
    // It is ready when it listens.
    spec.life.readiness = Readiness::Message;
    spec.recycle.max_requests = app.max_requests.and_then(NonZeroU64::new);
    let settings = settings(description, spec.name.as_str(), spec.dispatch.picker)?;
    let command = found.command(description, identity);
    let wanted = app.proxy.clone().unwrap_or_default();
    let proxy = Proxy {
        gateways: settings.gateways,
        settings: serde_json::to_string(&settings).expect("plain settings are JSON"),
        via: match wanted.via {
            ProxyVia::Port => Via::Port,
            ProxyVia::Unix => Via::Unix,
        },
        ready: match app.ready {
            Ready::Alive => ProxyReady::Listens,
            Ready::Notify => ProxyReady::ListensAndSaysSo,
        },
        certificates: opened(&wanted),
    };
    let reason = "each worker listens by itself";
    let config = assemble(description, spec, Program::Command(command), reason)?;
    Ok(Config {
        proxy: Some(proxy),
        ..config
    })
}

/// Finds what cannot be with it.
fn check(description: &Description) -> Result<(), ProxyError> {
    let (app, setting) = (&description.app, |field| description.setting(field));
    if app.listen.is_empty() {
        return Err(ProxyError::NothingOpened(setting("dispatch")));
    }
    let not_here = [
        ("send_handle", app.send_handle.is_some()),
        ("wait_ready", app.wait_ready),
        ("shutdown_with_message", app.shutdown_with_message),
    ];
    if let Some((field, _)) = not_here.into_iter().find(|(_, given)| *given) {
        return Err(ProxyError::NoCluster(setting(field)));
    }
    let not_needed = [
        ("ready_after", app.ready_after.is_some()),
        ("listen_timeout", app.listen_timeout.is_some()),
        ("hang", app.hang.is_some()),
    ];
    if let Some((field, _)) = not_needed.into_iter().find(|(_, given)| *given) {
        return Err(ProxyError::Listens(setting(field)));
    }
    Ok(())
}

/// A script, with what runs it.
fn script_command(description: &Description, script: &Path) -> Result<Found, RunError> {
    let app = &description.app;
    let by_name = program::runner_by_name(script);
    let runs: Vec<OsString> = match (&app.interpreter, by_name) {
        (Some(given), _) => vec![given.into()],
        (None, Some(known)) => known.iter().map(OsString::from).collect(),
        (None, None) => {
            let script = entry::resolve(script, description.directory())?;
            let known = node::interpreter_of(&script, description)?;
            vec![known.into()]
        }
    };
    let mut argv = runs;
    if argv[0] == "deno" {
        argv.extend(["run".into(), "-A".into()]);
    }
    let own = app
        .node_args
        .iter()
        .flat_map(|text| text.split_whitespace());
    argv.extend(own.map(OsString::from));
    argv.push(script.as_os_str().to_owned());
    argv.extend(description.tail.iter().cloned());
    Ok(program::find(&argv, description)?)
}

/// What the gateway is told.
fn settings(
    description: &Description,
    name: &str,
    picker: PickerKind,
) -> Result<ProxySettings, RunError> {
    let wanted = description.app.proxy.clone().unwrap_or_default();
    let bare = serde_json::json!({ "app": name });
    let mut settings: ProxySettings =
        serde_json::from_value(bare).expect("an app's name is all that is needed");
    if picker == PickerKind::LeastLoaded {
        return Err(ProxyError::LeastLoaded(description.setting("policy")).into());
    }
    settings.balancer.policy = picker;
    balance(&wanted, &mut settings.balancer);
    if let Some(retries) = wanted.retries {
        settings.retry.attempts = NonZeroU32::MIN.saturating_add(retries.into());
    }
    settings.gateways = gateways(description, &wanted)?;
    settings.cookie = cookie(description, &wanted)?;
    settings.kind = match wanted.kind {
        ProxyKind::Http => Kind::Http,
        ProxyKind::Tcp => Kind::Tcp,
    };
    let trusted = wanted.trusted.iter().map(|text| {
        text.parse().map_err(|error| ProxyError::Wrong {
            setting: description.words.entry("proxy", "trusted"),
            problem: format!("{error}"),
        })
    });
    settings.trusted = trusted.collect::<Result<_, _>>()?;
    settings.proxy_protocol = wanted.proxy_protocol;
    put(&mut settings.max_waiting, wanted.max_waiting);
    put(&mut settings.max_clients, wanted.max_clients);
    put(
        &mut settings.connect_timeout_millis,
        millis(wanted.connect_timeout),
    );
    put(
        &mut settings.wait_timeout_millis,
        millis(wanted.wait_timeout),
    );
    of_http(&wanted, &mut settings);
    of_tcp(&wanted, &mut settings);
    settings.tls = tls(description, &wanted)?;
    Ok(settings)
}

fn cookie(description: &Description, wanted: &Wanted) -> Result<Option<String>, ProxyError> {
    match &wanted.cookie {
        // It would become part of a header as it is.
        Some(name) if !SlotCookie::is_name(name) => Err(ProxyError::Wrong {
            setting: description.words.entry("proxy", "cookie"),
            problem: format!("{name:?} is no cookie's name"),
        }),
        given => Ok(given.clone()),
    }
}

fn balance(wanted: &Wanted, balancer: &mut BalancerSpec) {
    put(
        &mut balancer.slow_start,
        wanted.slow_start.map(|time| time.0),
    );
    let mut spec = EjectionSpec::default();
    if let Some(after) = wanted.eject_after {
        spec.consecutive = NonZeroU32::new(after);
    }
    if spec.consecutive.is_none() {
        balancer.ejection = None;
        return;
    }
    put(&mut spec.base, wanted.eject_time.map(|time| time.0));
    spec.longest = spec.longest.max(spec.base);
    put(&mut spec.at_most_percent, wanted.eject_at_most);
    balancer.ejection = Some(spec);
}

fn of_http(wanted: &Wanted, settings: &mut ProxySettings) {
    let http = &mut settings.http;
    put(
        &mut http.header_timeout_millis,
        millis(wanted.header_timeout),
    );
    put(&mut http.idle_timeout_millis, millis(wanted.idle_timeout));
    put(&mut http.body_timeout_millis, millis(wanted.body_timeout));
    put(
        &mut http.response_timeout_millis,
        millis(wanted.response_timeout),
    );
    put(
        &mut http.tunnel_timeout_millis,
        millis(wanted.tunnel_timeout),
    );
    let head = wanted
        .max_head
        .map(|size| u32::try_from(size.0).unwrap_or(u32::MAX));
    put(&mut http.max_head, head);
    put(&mut http.max_headers, wanted.max_headers);
    put(&mut http.max_body, wanted.max_body.map(|size| size.0));
    let rate = wanted.body_rate;
    let rate = rate.map(|rate| u32::try_from(rate.0).unwrap_or(u32::MAX));
    put(&mut http.body_rate, rate);
    http.https_port = wanted.https_port;
    put(&mut http.keep, wanted.keep);
    put(&mut http.keep_millis, millis(wanted.keep_time));
    http.x_forwarded = wanted.x_forwarded;
    http.forwarded = wanted.forwarded;
    http.request_id = wanted.request_id;
}

fn of_tcp(wanted: &Wanted, settings: &mut ProxySettings) {
    let tcp = &mut settings.tcp;
    put(&mut tcp.idle_timeout_millis, millis(wanted.idle_timeout));
    put(
        &mut tcp.splice_above,
        wanted.splice_above.map(|size| size.0),
    );
    tcp.proxy_protocol = wanted.send_proxy.map(|version| match version {
        ProxyHeader::V1 => ProxyVersion::V1,
        ProxyHeader::V2 => ProxyVersion::V2,
    });
}

fn tls(description: &Description, wanted: &Wanted) -> Result<Option<TlsSettings>, ProxyError> {
    let missing = |entry: &'static str, other: &'static str| ProxyError::Wrong {
        setting: description.words.entry("proxy", entry),
        problem: format!("it needs its {other} beside it"),
    };
    match (&wanted.certificate, &wanted.key) {
        (Some(_), None) => return Err(missing("certificate", "key")),
        (None, Some(_)) => return Err(missing("key", "certificate")),
        (None, None) | (Some(_), Some(_)) => {}
    }
    let pairs = wanted.certificates();
    if pairs.is_empty() {
        return Ok(None);
    }
    let pairs = pairs.into_iter().map(|pair| Certificate {
        certificate: pair.certificate,
        key: pair.key,
    });
    let spoken = |name: &&String| !HTTP_ALPN.contains(&name.as_str());
    let unknown = wanted.alpn.iter().find(spoken);
    if let Some(name) = unknown.filter(|_| wanted.kind == ProxyKind::Http) {
        let hint = match name.as_str() {
            "h2" => "; a build with the feature http2 does",
            _ => "",
        };
        return Err(ProxyError::Wrong {
            setting: description.words.entry("proxy", "alpn"),
            problem: format!(
                "this build's gateway does not speak {name:?}; it speaks {}{hint}",
                HTTP_ALPN.join(", ")
            ),
        });
    }
    Ok(Some(TlsSettings {
        alpn: wanted.alpn.clone(),
        ..TlsSettings::new(pairs.collect())
    }))
}

/// The files that the master opens for the gateway.
fn opened(wanted: &Wanted) -> Vec<Opened> {
    let pairs = wanted.certificates().into_iter();
    let pairs = pairs.map(|pair| Opened {
        chain: pair.certificate,
        key: pair.key,
    });
    pairs.collect()
}

fn put<T>(place: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *place = given;
    }
}

fn millis(given: Option<Period>) -> Option<u32> {
    given.map(|time| u32::try_from(time.0.as_millis()).unwrap_or(u32::MAX))
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
