//! Whose pages may connect.
//!
//! A browser lets every page on the web open a WebSocket to anywhere, and says whose page it is in
//! `Origin`. Programs that are no browsers send none, and are let in.

use herder_wire::gateway::Origins;
use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN};

/// What the rule says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    Refused,
}

/// Applies the rule to a request's headers.
pub(super) fn judge(origins: &Origins, headers: &HeaderMap) -> Verdict {
    let mut named = headers.get_all(ORIGIN).iter();
    let origin = match (named.next(), named.next()) {
        (None, _) => return Verdict::Allowed,
        (Some(origin), None) => origin.to_str().unwrap_or(UNREADABLE),
        (Some(_), Some(_)) => UNREADABLE,
    };
    let allowed = match origins {
        Origins::Any => true,
        Origins::Same => {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok());
            host.is_some_and(|host| is_of(origin, host))
        }
        Origins::Listed(list) => {
            let same = |listed: &String| trimmed(listed).eq_ignore_ascii_case(trimmed(origin));
            list.iter().any(same)
        }
    };
    if allowed {
        Verdict::Allowed
    } else {
        Verdict::Refused
    }
}

/// Whether the origin's page came from that host.
fn is_of(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let usual = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    // A browser leaves the usual port out of both; other clients may not.
    let short = |name: &'_ str| {
        name.strip_suffix(usual)
            .unwrap_or(name)
            .to_ascii_lowercase()
    };
    !authority.is_empty() && short(authority) == short(host)
}

fn trimmed(origin: &str) -> &str {
    origin.strip_suffix('/').unwrap_or(origin)
}

/// No page's origin.
const UNREADABLE: &str = "null";

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(origins: &Origins, host: &str, origin: &[&str]) -> Verdict {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        for origin in origin {
            headers.append(ORIGIN, origin.parse().unwrap());
        }
        judge(origins, &headers)
    }

    #[test]
    fn the_own_page_is_let_in_and_strangers_are_not() {
        let same = |origin: &str| ask(&Origins::Same, "Example.org:8001", &[origin]);
        assert_eq!(same("http://example.org:8001"), Verdict::Allowed);
        assert_eq!(same("https://example.ORG:8001"), Verdict::Allowed);
        for stranger in [
            "http://example.org",
            "http://example.org:80",
            "http://example.org:8001.evil.net",
            "http://evil.net",
            "ftp://example.org:8001",
            "example.org:8001",
            "http://",
            "null",
            "",
        ] {
            assert_eq!(same(stranger), Verdict::Refused, "{stranger}");
        }
    }

    #[test]
    fn the_usual_port_may_be_said_or_not() {
        let allowed = |host, origin| ask(&Origins::Same, host, &[origin]) == Verdict::Allowed;
        assert!(allowed("example.org:80", "http://example.org"));
        assert!(allowed("example.org", "https://example.org:443"));
        assert!(!allowed("example.org:80", "https://example.org"));
        assert!(!allowed("[::1]", "http://[::1]:8001"));
        assert!(allowed("[::1]:8001", "http://[::1]:8001"));
    }

    #[test]
    fn a_list_is_a_list() {
        let listed = Origins::Listed(vec!["https://Example.org".into(), "null".into()]);
        let asked = |origin: &str| ask(&listed, "elsewhere", &[origin]);
        assert_eq!(asked("https://example.org"), Verdict::Allowed);
        assert_eq!(asked("https://example.org:8443"), Verdict::Refused);
        assert_eq!(asked("http://example.org"), Verdict::Refused);
        assert_eq!(asked("http://elsewhere"), Verdict::Refused);
    }

    #[test]
    fn no_page_is_no_stranger_and_two_origins_are_none() {
        assert_eq!(ask(&Origins::Same, "a", &[]), Verdict::Allowed);
        assert_eq!(ask(&Origins::Listed(vec![]), "a", &[]), Verdict::Allowed);
        let two = ["http://a", "http://b"];
        assert_eq!(ask(&Origins::Same, "a", &two), Verdict::Refused);
        assert_eq!(ask(&Origins::Any, "a", &two), Verdict::Allowed);
    }
}
