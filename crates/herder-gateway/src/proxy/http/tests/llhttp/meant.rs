//! What a worker has to read of a request that a client has written.

use super::verdict::Seen;

/// Lines that the front writes itself, if at all.
const OWN: [&str; 12] = [
    "connection",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
    "x-real-ip",
];

/// Whether no line of this name passes: it is for one hop, or it is about the client.
fn is_own(name: &str) -> bool {
    OWN.contains(&name) || name == "x-request-id" || name.starts_with("x-forwarded-")
}

/// Whether a line passes the front.
fn passes(name: &str, hidden: &[String]) -> bool {
    let name = name.to_ascii_lowercase();
    let as_cgi = name.replace('_', "-");
    let looks_like = is_own(&as_cgi) || ["accept", "content-length", "cookie"].contains(&&*as_cgi);
    let is_trap = name != as_cgi && looks_like;
    !is_own(&name) && !is_trap && !hidden.contains(&name)
}

/// What is for one hop alone, as `Connection` names it.
fn hidden(request: &Seen) -> Vec<String> {
    let lists = request.values("connection");
    let words = lists.flat_map(|list| list.split(','));
    words.map(|word| word.trim().to_ascii_lowercase()).collect()
}

/// The authority of a target, if it has one, and what is left of it.
fn split(request: &Seen) -> (Option<String>, String) {
    let target = &request.target;
    let Some((_, rest)) = target
        .split_once("://")
        .filter(|_| !target.starts_with('/'))
    else {
        return (None, target.clone());
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let rest = match rest.as_bytes().first() {
        Some(b'/') => rest.to_owned(),
        None if request.method == "OPTIONS" => "*".to_owned(),
        _ => format!("/{rest}"),
    };
    (Some(authority.to_owned()), rest)
}

/// What is wrong with what the worker has read, if anything is: `request` is what Node itself reads in
/// the client's bytes.
pub(super) fn compare(request: &Seen, got: &Seen, front: &str) -> Result<(), String> {
    let (authority, target) = split(request);
    let same = |what: &str, one: &str, other: &str| {
        let differs = format!("{what}: the worker reads {other:?} for {one:?}");
        if one == other { Ok(()) } else { Err(differs) }
    };
    same("method", &request.method, &got.method)?;
    same("target", &target, &got.target)?;
    same("version", "1.1", &got.version)?;
    same("body", &request.body, &got.body)?;
    let host = authority.or_else(|| request.values("host").next().map(str::to_owned));
    let host = host.as_deref().unwrap_or(front).to_owned();
    let hidden = hidden(request);
    let kept = |lines: &[(String, String)]| -> Vec<(String, String)> {
        let lines = lines.iter();
        let kept = lines.filter(|(name, _)| passes(name, &hidden));
        kept.cloned().collect()
    };
    let mut expected = vec![("Host".to_owned(), host.clone())];
    expected.extend(kept(&request.lines));
    let mut own = vec![
        ("X-Forwarded-For".to_owned(), "127.0.0.1".to_owned()),
        ("X-Forwarded-Proto".to_owned(), "http".to_owned()),
    ];
    if request.values("host").next().is_some() || host != front {
        own.push(("X-Forwarded-Host".to_owned(), host));
    }
    expected.extend(own);
    let id = got.values("x-request-id").next().unwrap_or_default();
    expected.push(("X-Request-Id".to_owned(), id.to_owned()));
    expected.extend(framing(request));
    if got.lines != expected {
        return Err(format!("lines: {:?} for {expected:?}", got.lines));
    }
    // Whatever is in a trailer, nobody is told by it who the client is, or how long the body is.
    let mut trailers = request.trailers.clone();
    trailers.retain(|(name, _)| {
        let name = name.to_ascii_lowercase().replace('_', "-");
        let matters = is_own(&name) && name != "x-request-id";
        !matters && !["accept", "content-length", "cookie"].contains(&&*name)
    });
    if got.trailers != trailers {
        return Err(format!("trailers: {:?} for {trailers:?}", got.trailers));
    }
    Ok(())
}

/// What the front writes at the end of a head.
fn framing(request: &Seen) -> Vec<(String, String)> {
    let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let lists = |name: &'static str, word: &str| {
        let mut words = request.values(name).flat_map(|list| list.split(','));
        words.any(|it| it.trim().eq_ignore_ascii_case(word))
    };
    let is_new = request.version == "1.1";
    let mut lines = Vec::new();
    let is_chunked = request.values("transfer-encoding").next().is_some();
    if is_chunked {
        lines.push(line("Transfer-Encoding", "chunked"));
    }
    if is_new && request.values("expect").next().is_some() {
        lines.push(line("Expect", "100-continue"));
    }
    let has_body = is_chunked || request.values("content-length").next().is_some();
    let mut upgrades = request.values("upgrade");
    let upgrade = match (upgrades.next(), upgrades.next()) {
        (Some(upgrade), None) if !upgrade.to_ascii_lowercase().contains("h2") => Some(upgrade),
        _ => None,
    };
    match upgrade {
        Some(upgrade) if is_new && !has_body && lists("connection", "upgrade") => {
            lines.push(line("Connection", "Upgrade"));
            lines.push(line("Upgrade", upgrade));
        }
        _ if lists("te", "trailers") => {
            lines.push(line("Connection", "TE"));
            lines.push(line("TE", "trailers"));
        }
        _ => {}
    }
    lines
}
