//! What was said about messages, and its check.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use herder_core::spec::ListenAddress;
use herder_master::config::Messages;
use herder_wire::gateway::{
    self, GatewayConfig, MAX_ORIGINS, MAX_TEXT, Origins, Protocol, Reports,
};
use herder_wire::link::MAX_MESSAGE;

use crate::cluster::error::ClusterError;
use crate::cluster::settings::{Dispatch, Place, Policy, Settings, add_address, wrong};

/// What was said about messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct MessageSettings {
    pub(super) listen: Vec<Asked>,
    pub(super) page: Option<PathBuf>,
    pub(super) gateway: GatewayConfig,
    pub(super) max_jobs: u32,
    pub(super) keep_alive: KeepAlive,
    pub(super) handshake_timeout: Option<Duration>,
    /// The first method that has no meaning without messages.
    pub(super) needs_messages: Option<&'static str>,
    /// Somebody wants to hear of each job.
    pub(super) each_job: bool,
}

/// An address, as it was given.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: &'static str,
    pub(super) address: String,
    pub(super) protocol: Protocol,
}

/// After how much silence a client is asked whether it is still there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum KeepAlive {
    #[default]
    Default,
    After(Duration),
    Never,
}

impl Settings {
    /// Finds a wish for messages that a function for connections cannot fulfil.
    pub(crate) fn check_no_messages(&self) -> Result<(), ClusterError> {
        match self.messages.listen.first() {
            Some(asked) => Err(wrong(
                asked.method,
                "messages are worked on by a function given to run_jobs or run_jobs_async",
            )),
            None => self.messages.check_alone(),
        }
    }

    pub(super) fn check_has_messages(&self, method: &'static str) -> Result<(), ClusterError> {
        if self.messages.listen.is_empty() {
            let problem = "there are no messages: say with messages or lines where they come from";
            return Err(wrong(method, problem));
        }
        if !self.listen.is_empty() {
            let problem = "connections (listen) and messages cannot be mixed in one herd";
            return Err(wrong("listen", problem));
        }
        if self.dispatch != Dispatch::Auto {
            let problem = format!(
                "{:?} is for connections; messages are given to workers by the gateway",
                self.dispatch
            );
            return Err(wrong("dispatch", problem));
        }
        if self.place == Place::Threads {
            return Err(wrong("in_process", NOT_IN_PROCESS));
        }
        Ok(())
    }

    pub(crate) fn has_messages(&self) -> bool {
        !self.messages.listen.is_empty()
    }

    /// The messages, if there are any, and found right.
    pub(crate) fn checked_messages(&self) -> Result<Option<Messages>, ClusterError> {
        let messages = &self.messages;
        if messages.listen.is_empty() {
            return Ok(None);
        }
        messages.check_limits()?;
        messages.check_texts()?;
        let mut listen: Vec<ListenAddress> = Vec::new();
        for asked in &messages.listen {
            add_address(asked.method, &asked.address, &mut listen)?;
        }
        let mut gateway = messages.gateway.clone();
        gateway.protocols = messages.listen.iter().map(|asked| asked.protocol).collect();
        gateway.policy = match self.policy {
            Policy::LeastConnections => gateway::Policy::LeastConnections,
            Policy::RoundRobin => gateway::Policy::RoundRobin,
            policy @ (Policy::IpHash | Policy::LeastLoaded | Policy::TwoChoices) => {
                return Err(wrong(
                    "policy",
                    format!(
                        "{policy:?} is for connections; messages go to one worker after the other \
                         (RoundRobin) or to the one with the fewest (LeastConnections)"
                    ),
                ));
            }
        };
        gateway.max_jobs = NonZeroU32::new(messages.max_jobs).map(NonZeroU32::get);
        gateway.reports = match messages.each_job {
            true => Reports::EachJob,
            false => Reports::Never,
        };
        if let Some(time) = messages.handshake_timeout {
            gateway.handshake_timeout_millis = millis(time);
        }
        match messages.keep_alive {
            KeepAlive::Default => {}
            KeepAlive::After(time) => gateway.keep_alive_millis = Some(millis(time)),
            KeepAlive::Never => gateway.keep_alive_millis = None,
        }
        // The methods have been checked one by one: this finds what nobody has thought of.
        gateway.check().map_err(|error| wrong("messages", error))?;
        let page = messages.page.clone();
        Ok(Some(Messages {
            listen,
            page,
            gateway,
        }))
    }
}

/// Why messages in one process are refused.
const NOT_IN_PROCESS: &str = "messages need a gateway, which is a process of its own: a herd in \
     one process can serve connections only";

impl MessageSettings {
    /// Finds a setting that has no meaning because there are no messages.
    fn check_alone(&self) -> Result<(), ClusterError> {
        match self.needs_messages {
            Some(method) => Err(wrong(
                method,
                "this is about messages, and there are none: say with messages or lines where they \
                 come from",
            )),
            None => Ok(()),
        }
    }

    fn check_limits(&self) -> Result<(), ClusterError> {
        let gateway = &self.gateway;
        if !(1..=MAX_MESSAGE).contains(&(gateway.max_message as usize)) {
            let problem = format!("a message may have 1 to {MAX_MESSAGE} bytes (16 MiB)");
            return Err(wrong("max_message", problem));
        }
        for (method, number) in [
            ("max_clients", gateway.max_clients),
            ("client_window", gateway.client_window),
        ] {
            if number == 0 {
                return Err(wrong(method, "0 lets nothing in; 1 is the least"));
            }
        }
        let keep_alive = match self.keep_alive {
            KeepAlive::After(time) => Some(time),
            KeepAlive::Default | KeepAlive::Never => None,
        };
        for (method, time) in [
            ("handshake_timeout", self.handshake_timeout),
            ("keep_alive", keep_alive),
        ] {
            if time.is_some_and(|time| time.is_zero()) {
                return Err(wrong(method, "a time limit of zero leaves no time"));
            }
        }
        Ok(())
    }

    fn check_texts(&self) -> Result<(), ClusterError> {
        let gateway = &self.gateway;
        if let Some(path) = &gateway.feed
            && !path.starts_with('/')
        {
            let problem = format!("{path:?} is no path: it must begin with a slash");
            return Err(wrong("feed", problem));
        }
        let websocket = |asked: &Asked| asked.protocol == Protocol::WebSocket;
        if !self.listen.iter().any(websocket) {
            let http = [
                ("page", self.page.is_some()),
                ("feed", gateway.feed.is_some()),
            ];
            if let Some((method, _)) = http.into_iter().find(|(_, asked)| *asked) {
                let problem = "lines are no HTTP: it needs a place where WebSockets are taken, too";
                return Err(wrong(method, problem));
            }
        }
        let origins = match &gateway.origins {
            Origins::Any | Origins::Same => &[],
            Origins::Listed(origins) => origins.as_slice(),
        };
        if origins.len() > MAX_ORIGINS {
            return Err(wrong("origins", format!("{MAX_ORIGINS} are the most")));
        }
        if let Some(origin) = origins.iter().find(|origin| !is_origin(origin)) {
            let problem = format!(
                "{origin:?} is no origin: that is a scheme and a host, perhaps a port, and nothing \
                 behind it, as https://example.org:8443"
            );
            return Err(wrong("origins", problem));
        }
        self.check_lost_reply()
    }

    fn check_lost_reply(&self) -> Result<(), ClusterError> {
        let Some(text) = self.gateway.lost_reply.as_deref() else {
            return Ok(());
        };
        if !(1..=MAX_TEXT).contains(&text.len()) {
            let problem = format!("a reply of 1 to {MAX_TEXT} bytes is possible");
            return Err(wrong("lost_reply", problem));
        }
        let lines = self
            .listen
            .iter()
            .any(|asked| asked.protocol == Protocol::Lines);
        if lines && text.contains('\n') {
            return Err(wrong("lost_reply", "with lines it must be one line"));
        }
        Ok(())
    }
}

fn is_origin(text: &str) -> bool {
    let host = text.split_once("://").map(|(_, host)| host);
    host.is_some_and(|host| !host.is_empty() && !host.contains('/')) && text.len() <= MAX_TEXT
}

/// At least one: zero would mean something else.
fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use crate::cluster::builder::Cluster;
    use crate::{JobWorker, Worker};

    use super::*;

    fn no_jobs(_: JobWorker) -> Result<(), String> {
        Ok(())
    }

    fn no_connections(_: Worker) -> Result<(), String> {
        Ok(())
    }

    fn messages() -> Cluster {
        Cluster::new().messages("127.0.0.1:0")
    }

    fn checked(cluster: Cluster) -> Messages {
        let checked = cluster.settings.check().expect("right settings");
        checked.messages.expect("messages")
    }

    #[test]
    fn the_defaults_are_right() {
        let found = checked(
            messages()
                .lines("127.0.0.1:1")
                .page("pages")
                .feed("/robots"),
        );
        let expected = GatewayConfig {
            protocols: vec![Protocol::WebSocket, Protocol::Lines],
            feed: Some("/robots".to_owned()),
            ..GatewayConfig::default()
        };
        assert_eq!(found.gateway, expected);
        assert_eq!(found.page, Some(PathBuf::from("pages")));
        assert_eq!(found.listen.len(), 2);
    }

    #[test]
    fn every_setting_reaches_the_gateway() {
        let found = checked(
            messages()
                .policy(Policy::LeastConnections)
                .origins(["https://example.org", "http://localhost:3000"])
                .max_jobs(2)
                .idempotent()
                .max_message(MAX_MESSAGE)
                .max_clients(7)
                .client_window(8)
                .keep_alive(None)
                .handshake_timeout(Duration::from_secs(3))
                .lost_reply("lost"),
        );
        let origins = ["https://example.org", "http://localhost:3000"].map(str::to_owned);
        let expected = GatewayConfig {
            protocols: vec![Protocol::WebSocket],
            policy: gateway::Policy::LeastConnections,
            origins: Origins::Listed(origins.to_vec()),
            max_jobs: Some(2),
            retry: gateway::Retry::Idempotent,
            max_message: u32::try_from(MAX_MESSAGE).unwrap(),
            max_clients: 7,
            client_window: 8,
            keep_alive_millis: None,
            handshake_timeout_millis: 3000,
            lost_reply: Some("lost".to_owned()),
            ..GatewayConfig::default()
        };
        assert_eq!(found.gateway, expected);
        let found = checked(
            messages()
                .any_origin()
                .keep_alive(Some(Duration::from_millis(5))),
        );
        assert_eq!(found.gateway.origins, Origins::Any);
        assert_eq!(found.gateway.keep_alive_millis, Some(5));
    }

    #[test]
    fn jobs_are_reported_one_by_one_when_somebody_listens() {
        let reports = |cluster: Cluster| checked(cluster).gateway.reports;
        let quiet = messages().on_exit(|_, _| {}).on_exhausted(|_| {});
        assert_eq!(reports(quiet), Reports::Never);
        assert_eq!(
            reports(messages().on_dispatched(|_, _| {})),
            Reports::EachJob
        );
        assert_eq!(reports(messages().on_event(|_| {})), Reports::EachJob);
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table: a case a line")]
    fn a_wrong_setting_names_the_method_and_what_would_be_right() {
        let long = "x".repeat(MAX_TEXT + 1);
        let cases = [
            (Cluster::new(), "run_jobs: there are no messages"),
            (
                messages().listen(80),
                "listen: connections (listen) and messages",
            ),
            (
                messages().dispatch(Dispatch::Pass),
                "dispatch: Pass is for connections",
            ),
            (
                messages().in_process(),
                "in_process: messages need a gateway",
            ),
            (
                messages().max_message(0),
                "max_message: a message may have 1 to",
            ),
            (
                messages().max_message(MAX_MESSAGE + 1),
                "max_message: a message may",
            ),
            (
                messages().max_message(usize::MAX),
                "max_message: a message may",
            ),
            (messages().max_clients(0), "max_clients: 0 lets nothing in"),
            (
                messages().client_window(0),
                "client_window: 0 lets nothing in",
            ),
            (
                messages().keep_alive(Some(Duration::ZERO)),
                "keep_alive: a time limit",
            ),
            (
                messages().handshake_timeout(Duration::ZERO),
                "handshake_timeout: a time",
            ),
            (messages().feed("robots"), "feed: \"robots\" is no path"),
            (
                messages().origins(["example.org"]),
                "origins: \"example.org\" is no origin",
            ),
            (messages().origins(["https://example.org/"]), "is no origin"),
            (messages().lost_reply(""), "lost_reply: a reply of 1 to"),
            (messages().lost_reply(long), "lost_reply: a reply of 1 to"),
            (
                messages().lines(1).lost_reply("a\nb"),
                "lost_reply: with lines",
            ),
            (Cluster::new().lines(1).page("."), "page: lines are no HTTP"),
            (
                Cluster::new().lines(1).feed("/x"),
                "feed: lines are no HTTP",
            ),
            (
                Cluster::new().messages("x"),
                "messages: \"x\" is not an address",
            ),
            (messages().lines(1).lines(1), "lines: \"1\" is given twice"),
            (messages().threads(2), "threads: a function that blocks"),
        ];
        for (cluster, expected) in cases {
            let text = cluster.run_jobs(no_jobs).unwrap_err().to_string();
            assert!(text.starts_with("Cluster::"), "{text}");
            assert!(text.contains(expected), "{text:?} lacks {expected:?}");
        }
    }

    #[test]
    fn a_policy_about_connections_is_none_for_messages() {
        for policy in [Policy::IpHash, Policy::TwoChoices] {
            let refused = messages().policy(policy).run_jobs(no_jobs);
            let text = refused.unwrap_err().to_string();
            let expected = format!("Cluster::policy: {policy:?} is for connections");
            assert!(text.contains(&expected), "{text:?} lacks {expected:?}");
        }
    }

    #[test]
    fn what_is_about_messages_needs_them() {
        let cases = [
            (
                messages(),
                "messages: messages are worked on by a function given to run_jobs",
            ),
            (Cluster::new().lines(1), "lines: messages are worked on"),
            (
                Cluster::new().page("."),
                "page: this is about messages, and there are none",
            ),
            (
                Cluster::new().max_jobs(2),
                "max_jobs: this is about messages",
            ),
            (
                Cluster::new().on_dispatched(|_, _| {}),
                "on_dispatched: this is about",
            ),
        ];
        for (cluster, expected) in cases {
            let text = cluster.run(no_connections).unwrap_err().to_string();
            assert!(text.contains(expected), "{text:?} lacks {expected:?}");
        }
    }
}
