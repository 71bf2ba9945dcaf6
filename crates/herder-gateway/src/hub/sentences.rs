//! What a client is told of a message that did not come to its end.

use bytes::Bytes;
use herder_core::Incarnation;
use herder_core::jobs::{JobOutcome, Retry};
use herder_wire::link::Kind;

use crate::hub::Message;

/// How messages that failed are told of.
#[derive(Clone, Debug)]
pub(crate) struct Sentences {
    /// Whether a message may have been carried out more than once.
    pub(crate) retry: Retry,
    /// The program's own text for a message that was lost.
    pub(crate) lost: Option<String>,
}

impl Sentences {
    /// What the client hears of its `number`th message; nothing when all is well.
    pub(crate) fn outcome(&self, number: u64, outcome: JobOutcome) -> Option<Message> {
        let text = match outcome {
            JobOutcome::Finished => return None,
            JobOutcome::Lost { worker } => match &self.lost {
                Some(text) => text.clone(),
                None => format!(
                    "message {number}: worker {worker} ended while it worked on this; it may have \
                     been carried out"
                ),
            },
            JobOutcome::Failed { worker } => {
                format!("message {number}: worker {worker} could not carry it out")
            }
            JobOutcome::Unserved => {
                let done = self.done();
                format!("message {number}: no worker could take it; {done}")
            }
            JobOutcome::Poisoned => {
                let done = self.done();
                format!("message {number}: every worker that took it ended; {done}")
            }
        };
        Some(text_message(text))
    }

    /// What is known of a message that no worker has any more: one that is repeated may have been
    /// with a worker that died.
    fn done(&self) -> &'static str {
        match self.retry {
            Retry::Idempotent => "it may have been carried out",
            Retry::Never => "it was not carried out",
        }
    }

    /// What the client hears when a reply did not get into this process.
    pub(crate) fn reply_lost(number: u64, worker: Incarnation) -> Message {
        text_message(format!(
            "message {number}: a reply of worker {worker} was lost"
        ))
    }
}

fn text_message(text: String) -> Message {
    Message {
        kind: Kind::Text,
        bytes: Bytes::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(retry: Retry, lost: Option<&str>, outcome: JobOutcome) -> String {
        let sentences = Sentences {
            retry,
            lost: lost.map(str::to_owned),
        };
        let message = sentences.outcome(7, outcome).expect("it did not end well");
        assert_eq!(message.kind, Kind::Text);
        String::from_utf8(message.bytes.to_vec()).unwrap()
    }

    #[test]
    fn every_outcome_says_whether_it_may_have_been_carried_out() {
        let worker = Incarnation(3);
        let never = |outcome| said(Retry::Never, None, outcome);
        assert_eq!(
            never(JobOutcome::Lost { worker }),
            "message 7: worker 3 ended while it worked on this; it may have been carried out"
        );
        assert_eq!(
            never(JobOutcome::Failed { worker }),
            "message 7: worker 3 could not carry it out"
        );
        assert_eq!(
            never(JobOutcome::Unserved),
            "message 7: no worker could take it; it was not carried out"
        );
        assert_eq!(
            never(JobOutcome::Poisoned),
            "message 7: every worker that took it ended; it was not carried out"
        );
        assert_eq!(
            said(Retry::Idempotent, None, JobOutcome::Poisoned),
            "message 7: every worker that took it ended; it may have been carried out"
        );
        assert_eq!(
            said(Retry::Idempotent, None, JobOutcome::Unserved),
            "message 7: no worker could take it; it may have been carried out"
        );
        assert_eq!(
            said(Retry::Never, Some("sorry"), JobOutcome::Lost { worker }),
            "sorry"
        );
    }
}
