//! What the workers of `test-jobs` say, and what the gateway says in their place.

/// One of the replies to a message: `ID PART/OF pid:P worker:N`, and maybe more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The message's name, as the client gave it.
    pub id: String,
    /// Which of its replies this is, from 1.
    pub part: u32,
    /// How many it has.
    pub of: u32,
    /// The process that has replied.
    pub pid: i32,
    /// Its life: 1, 2, 3 ….
    pub worker: u64,
    /// What else it says.
    pub rest: String,
}

impl Reply {
    /// Reads a reply; `None` for any other text.
    pub fn parse(text: &str) -> Option<Reply> {
        let mut words = text.splitn(5, ' ');
        let id = words.next()?.to_owned();
        let (part, of) = words.next()?.split_once('/')?;
        let (part, of) = (part.parse().ok()?, of.parse().ok()?);
        let pid = words.next()?.strip_prefix("pid:")?.parse().ok()?;
        let worker = words.next()?.strip_prefix("worker:")?.parse().ok()?;
        let rest = words.next().unwrap_or_default().to_owned();
        Some(Reply {
            id,
            part,
            of,
            pid,
            worker,
            rest,
        })
    }
}

/// The number of the message that a client is told of: `message 7: worker 3 ended while …`.
pub(super) fn told_of(text: &str) -> Option<u64> {
    let (number, _) = text.strip_prefix("message ")?.split_once(": ")?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_and_a_notice_are_told_apart() {
        let text = "c3.0.17 1/2 pid:77 worker:4 and more";
        let reply = Reply {
            id: "c3.0.17".to_owned(),
            part: 1,
            of: 2,
            pid: 77,
            worker: 4,
            rest: "and more".to_owned(),
        };
        assert_eq!((Reply::parse(text), told_of(text)), (Some(reply), None));
        let notice = "message 12: no worker could take it; it was not carried out";
        assert_eq!((Reply::parse(notice), told_of(notice)), (None, Some(12)));
        assert_eq!(Reply::parse("x 1/2 pid:77"), None);
    }
}
