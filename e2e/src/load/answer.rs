//! Who has answered.

/// What a body says of its server: `pid:P worker:W version:V`, and perhaps more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The process.
    pub pid: i32,
    /// Its version; 0 when it says none.
    pub version: u32,
}

impl Answer {
    /// Reads a body; `None` when it says no process.
    pub fn of_body(body: &[u8]) -> Option<Answer> {
        let text = std::str::from_utf8(body).ok()?;
        let field = |name: &str| {
            let mut words = text.split(' ');
            words.find_map(|word| word.strip_prefix(name))
        };
        Some(Answer {
            pid: field("pid:")?.parse().ok()?,
            version: field("version:").map_or(Some(0), |version| version.parse().ok())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read() {
        let answer = |pid, version| Some(Answer { pid, version });
        assert_eq!(Answer::of_body(b"pid:7 worker:2"), answer(7, 0));
        assert_eq!(
            Answer::of_body(b"pid:7 worker:- version:3 bytes:9"),
            answer(7, 3)
        );
        assert_eq!(Answer::of_body(b"pid:7 version:x"), None);
        assert_eq!(Answer::of_body(b"hello"), None);
    }
}
