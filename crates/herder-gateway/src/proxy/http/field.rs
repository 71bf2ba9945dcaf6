//! What header lines are to a proxy.

/// What a header line is to a proxy, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// Nothing: it is passed on.
    Plain,
    /// `Accept`: passed on, and looked at.
    Accept,
    /// `Cookie`: passed on, and looked at.
    Cookie,
    Connection,
    ContentLength,
    Expect,
    /// A word about who the client is.
    Told(Told),
    Host,
    KeepAlive,
    RequestId,
    Te,
    TransferEncoding,
    Upgrade,
    /// For this hop alone, or a trap: never passed on.
    Dropped,
}

/// How it is told who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// `Forwarded`.
    Forwarded,
    /// `X-Forwarded-For`, and so on.
    For,
    Host,
    Proto,
    /// In another way.
    Other,
}

impl Field {
    /// What a name says. An underscore is a hyphen to many programs behind a proxy (CGI and what
    /// followed it), so a name that only differs by that from one that matters is dropped.
    pub(super) fn of(name: &[u8]) -> Field {
        if !name.contains(&b'_') {
            return of_plain(name);
        }
        let mut with_hyphens = [0; LONGEST];
        let Some(with_hyphens) = with_hyphens.get_mut(..name.len()) else {
            return Field::Plain;
        };
        for (to, from) in with_hyphens.iter_mut().zip(name) {
            *to = if *from == b'_' { b'-' } else { *from };
        }
        if of_plain(with_hyphens) == Field::Plain {
            Field::Plain
        } else {
            Field::Dropped
        }
    }
}

/// Longer names than this mean nothing to a proxy, with one exception that has no underscore.
const LONGEST: usize = 64;

fn of_plain(name: &[u8]) -> Field {
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    match name.len() {
        2 if is("te") => Field::Te,
        4 if is("host") => Field::Host,
        // What becomes HTTP_PROXY in a CGI program.
        5 if is("proxy") => Field::Dropped,
        6 if is("accept") => Field::Accept,
        6 if is("cookie") => Field::Cookie,
        6 if is("expect") => Field::Expect,
        7 if is("upgrade") => Field::Upgrade,
        9 if is("forwarded") => Field::Told(Told::Forwarded),
        9 if is("x-real-ip") => Field::Told(Told::Other),
        10 if is("connection") => Field::Connection,
        10 if is("keep-alive") => Field::KeepAlive,
        12 if is("x-request-id") => Field::RequestId,
        14 if is("content-length") => Field::ContentLength,
        14 if is("http2-settings") => Field::Dropped,
        15 if is("x-forwarded-for") => Field::Told(Told::For),
        16 if is("x-forwarded-host") => Field::Told(Told::Host),
        16 if is("proxy-connection") => Field::Dropped,
        17 if is("x-forwarded-proto") => Field::Told(Told::Proto),
        17 if is("transfer-encoding") => Field::TransferEncoding,
        _ if starts_with(name, "x-forwarded-") => Field::Told(Told::Other),
        _ => Field::Plain,
    }
}

fn starts_with(name: &[u8], prefix: &str) -> bool {
    let start = name.get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// Drops the lines with a name, of those fields that may be dropped.
pub(super) fn drop_named(
    name: &[u8],
    lines: &[httparse::Header<'_>],
    fields: &mut [Field],
    may_be: impl Fn(Field) -> bool,
) {
    for (line, field) in lines.iter().zip(fields) {
        if may_be(*field) && line.name.as_bytes().eq_ignore_ascii_case(name) {
            *field = Field::Dropped;
        }
    }
}

/// The words of a list like that of `Connection`, without the empty ones.
pub(super) fn words(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|word| !word.is_empty())
}

/// The number that a `Content-Length` is: digits alone.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    // 18 digits cannot overflow, and nobody has an exabyte.
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = value.iter().map(|digit| u64::from(digit - b'0'));
    Some(digits.fold(0, |number, digit| number * 10 + digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_however_they_are_written() {
        assert_eq!(Field::of(b"CONTENT-length"), Field::ContentLength);
        assert_eq!(Field::of(b"X-Forwarded-Prefix"), Field::Told(Told::Other));
        assert_eq!(Field::of(b"X-Custom"), Field::Plain);
        for trap in [
            "Content_Length",
            "transfer_encoding",
            "X_Forwarded_For",
            "X-Forwarded_For",
            "x_forwarded_anything",
            "Proxy",
            "Host_",
        ] {
            let expected = if trap == "Host_" {
                Field::Plain
            } else {
                Field::Dropped
            };
            assert_eq!(Field::of(trap.as_bytes()), expected, "{trap}");
        }
        assert_eq!(Field::of(b"my_header"), Field::Plain);
        assert_eq!(Field::of("_".repeat(100).as_bytes()), Field::Plain);
    }

    #[test]
    fn a_length_is_digits() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"0012"), Some(12));
        for bad in [
            "",
            "+1",
            "-1",
            "1 ",
            "0x1",
            "1,1",
            "1_0",
            "9999999999999999999",
            "\u{661}",
        ] {
            assert_eq!(number(bad.as_bytes()), None, "{bad}");
        }
    }
}
