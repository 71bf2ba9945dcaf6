//! Text that must fit into a message.

/// The longest beginning of `text` that is at most `limit` bytes long and ends with a whole
/// character.
pub(crate) fn truncate(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use super::truncate;

    #[test]
    fn cuts_only_between_characters() {
        assert_eq!(truncate("abc", 3), "abc");
        assert_eq!(truncate("abc", 2), "ab");
        assert_eq!(truncate("aé", 2), "a");
        assert_eq!(truncate("é", 1), "");
        assert_eq!(truncate("", 0), "");
    }
}
