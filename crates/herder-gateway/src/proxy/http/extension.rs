//! Extensions of chunks, which are held to their form before they are left out.

/// How far the extensions of one chunk came: `;name=value;name="value";name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// Behind a semicolon.
    Begin,
    Name,
    /// Behind the equals sign.
    Equals,
    Value,
    Quoted,
    /// Behind a backslash within quotes.
    Escaped,
    /// Behind the closing quote.
    Closed,
}

impl Extension {
    /// What another byte makes of it; `None` if it cannot be there.
    pub(super) fn step(self, byte: u8) -> Option<Extension> {
        Some(match (self, byte) {
            (Extension::Name | Extension::Value | Extension::Closed, b';') => Extension::Begin,
            (Extension::Name, b'=') => Extension::Equals,
            (Extension::Begin | Extension::Name, _) if is_token(byte) => Extension::Name,
            (Extension::Equals, b'"') => Extension::Quoted,
            (Extension::Equals | Extension::Value, _) if is_token(byte) => Extension::Value,
            (Extension::Quoted, b'"') => Extension::Closed,
            (Extension::Quoted, b'\\') => Extension::Escaped,
            (Extension::Quoted | Extension::Escaped, b'\t' | b' '..=b'~') => Extension::Quoted,
            _ => return None,
        })
    }

    /// Whether the line may end here.
    pub(super) fn may_end(self) -> bool {
        matches!(self, Extension::Name | Extension::Value | Extension::Closed)
    }
}

/// Whether a byte may be in a name (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_fine(text: &str) -> bool {
        let mut bytes = text.bytes();
        let end = bytes.try_fold(Extension::Begin, Extension::step);
        end.is_some_and(Extension::may_end)
    }

    #[test]
    fn extensions_have_a_form() {
        for fine in [
            "a",
            "a=b",
            "a;b",
            "a=b;c",
            "a=\"\"",
            "a=\"b;=\\\"c\"",
            "a=\"b\";c=d",
        ] {
            assert!(is_fine(fine), "{fine}");
        }
        for bad in [
            "",
            " a",
            "a ",
            "a b",
            "=b",
            "a=",
            "a==b",
            ";a",
            "a;",
            "a=b=c",
            "a=\"b",
            "a=\"b\"c",
            "a=b\"c\"",
            "\"a\"",
            "a=\"\\\"",
            "a(",
            "a=(",
            "\u{e9}",
            "a=\"\u{e9}\"",
            "a=\"\0\"",
            "a=\"\u{7f}\"",
        ] {
            assert!(!is_fine(bad), "{bad}");
        }
    }
}
