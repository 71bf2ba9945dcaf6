//! What a request is for.

use crate::proxy::http::bad::Bad;

/// A request's target, as the worker gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// If it says it.
    pub(super) authority: Option<&'a [u8]>,
    pub(super) path: &'a [u8],
    pub(super) misses_path: bool,
    pub(super) query: &'a [u8],
}

/// Reads the target of a request line.
pub(super) fn read<'a>(method: &str, text: &'a str) -> Result<Target<'a>, Bad> {
    let bytes = text.as_bytes();
    if !bytes.iter().all(|byte| matches!(byte, b'!'..=b'~')) || bytes.contains(&b'#') {
        return Err(Bad::Head("its target has bytes that a target cannot have"));
    }
    let plain = Target {
        authority: None,
        path: bytes,
        misses_path: false,
        query: b"",
    };
    if bytes.starts_with(b"/") || (method == "OPTIONS" && bytes == b"*") {
        return Ok(plain);
    }
    let Some(rest) = after_scheme(bytes) else {
        return Err(Bad::Head("its target is neither a path nor an address"));
    };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
    let (authority, rest) = rest.split_at(end.unwrap_or(rest.len()));
    check_authority(authority)?;
    if authority.is_empty() {
        return Err(Bad::Head("its target names no host"));
    }
    let misses_path = !rest.starts_with(b"/");
    let (path, query): (&[u8], &[u8]) = match (misses_path, method) {
        (true, "OPTIONS") if rest.is_empty() => (b"*", b""),
        (true, _) => (b"", rest),
        (false, _) => (rest, b""),
    };
    Ok(Target {
        authority: Some(authority),
        path,
        misses_path: path.is_empty(),
        query,
    })
}

fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    ["http://", "https://"].iter().find_map(|scheme| {
        let start = target.get(..scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme.as_bytes())
            .then(|| &target[scheme.len()..])
    })
}

/// Refuses what is no host with or without a port. None is one.
pub(super) fn check_authority(text: &[u8]) -> Result<(), Bad> {
    let is_fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte);
    if text.iter().all(is_fine) {
        Ok(())
    } else {
        Err(Bad::Head("its host has bytes that a host cannot have"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker_reads(method: &str, target: &str) -> Option<(String, Option<String>)> {
        let target = read(method, target).ok()?;
        let slash: &[u8] = if target.misses_path { b"/" } else { b"" };
        let text = [target.path, slash, target.query].concat();
        let authority = target
            .authority
            .map(|it| String::from_utf8(it.to_vec()).unwrap());
        Some((String::from_utf8(text).unwrap(), authority))
    }

    #[test]
    fn targets_become_paths() {
        let path = |text: &str| Some((text.to_owned(), None));
        assert_eq!(worker_reads("GET", "/a/../b?c=d"), path("/a/../b?c=d"));
        assert_eq!(worker_reads("OPTIONS", "*"), path("*"));
        let full = |text: &str, host: &str| Some((text.to_owned(), Some(host.to_owned())));
        assert_eq!(worker_reads("GET", "http://a:80/b?c"), full("/b?c", "a:80"));
        assert_eq!(worker_reads("GET", "HTTPS://a?c"), full("/?c", "a"));
        assert_eq!(worker_reads("GET", "http://[::1]:8"), full("/", "[::1]:8"));
        assert_eq!(worker_reads("OPTIONS", "http://a"), full("*", "a"));
        for bad in [
            "*",
            "a",
            "a:80",
            "ftp://a/",
            "http:///a",
            "http://u@a/",
            "/#a",
            "/\u{e9}",
        ] {
            assert_eq!(worker_reads("GET", bad), None, "{bad}");
        }
    }
}
