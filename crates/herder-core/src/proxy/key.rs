use std::net::IpAddr;

use crate::Slot;

/// What is known of who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Key {
    /// Where the request comes from. Only [`IpHash`](crate::spec::PickerKind::IpHash) asks.
    pub client_ip: Option<IpAddr>,
    /// The slot that its [cookie](SlotCookie) names: whatever the policy is, it goes there, if its
    /// worker takes requests.
    pub cookie: Option<Slot>,
}

/// A cookie that names the slot that a client was sent to, so that it gets there again. The
/// replacement of a worker inherits its slot's clients.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotCookie {
    name: String,
}

impl SlotCookie {
    /// Whether this can be a cookie's name: a token of RFC 9110. Anything else would end the header that
    /// sets it early, or never be found again.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !text.is_empty() && text.bytes().all(is_part)
    }

    /// A cookie of this [name](SlotCookie::is_name).
    #[must_use]
    pub fn new(name: &str) -> SlotCookie {
        SlotCookie {
            name: name.to_owned(),
        }
    }

    /// The slot that a `Cookie` header names, if it holds this cookie; whatever else stands there is
    /// as good as nothing. The first one counts, if there are several.
    #[must_use]
    pub fn find(&self, header: &[u8]) -> Option<Slot> {
        header
            .split(|byte| *byte == b';')
            .map(<[u8]>::trim_ascii)
            .find_map(|pair| {
                let rest = pair.strip_prefix(self.name.as_bytes())?;
                rest.strip_prefix(b"=")
            })
            .and_then(slot_of)
    }

    /// The value of a `Set-Cookie` header that names the slot: for the whole site, for as long as the
    /// browser runs, out of reach for scripts.
    #[must_use]
    pub fn header(&self, slot: Slot) -> String {
        format!("{}={slot}; Path=/; HttpOnly; SameSite=Lax", self.name)
    }
}

/// Digits as we write them: no sign, no leading zero.
fn slot_of(value: &[u8]) -> Option<Slot> {
    let is_plain = value == b"0" || matches!(value.first(), Some(b'1'..=b'9'));
    let text = std::str::from_utf8(value).ok().filter(|_| is_plain)?;
    text.parse().ok().map(Slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let cookie = SlotCookie::new("herder");
        for (header, slot) in [
            ("herder=3", Some(3)),
            ("a=b; herder=0;c=d", Some(0)),
            ("a=b;  herder=12 ; herder=4", Some(12)),
            ("xherder=3", None),
            ("herder2=3", None),
            ("herder", None),
            ("herder=", None),
            ("herder=03", None),
            ("herder=+3", None),
            ("herder=-3", None),
            ("herder=3x", None),
            ("herder=65536", None),
            ("herder=99999999999999999999", None),
            ("Herder=3", None),
            ("", None),
        ] {
            let found = cookie.find(header.as_bytes());
            assert_eq!(found, slot.map(Slot), "{header:?}");
        }
        assert_eq!(cookie.find(b"herder=\xff"), None);
    }

    #[test]
    fn a_name_is_a_token() {
        for good in ["herder", "__Host-a.b", "1", "!#$%&'*+-.^_`|~"] {
            assert!(SlotCookie::is_name(good), "{good}");
        }
        for bad in [
            "",
            "my;id",
            "a=b",
            "a b",
            "a,b",
            "a\r\nX: y",
            "a\0",
            "\"a\"",
            "ü",
        ] {
            assert!(!SlotCookie::is_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_cookie_is_read_as_it_is_written() {
        let cookie = SlotCookie::new("herder");
        for slot in [0, 1, 9, 10, u16::MAX] {
            let header = cookie.header(Slot(slot));
            assert_eq!(cookie.find(header.as_bytes()), Some(Slot(slot)), "{header}");
        }
    }
}
