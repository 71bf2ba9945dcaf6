//! Messages of the programs: shown, and carried from one worker to another.

use herder_core::{Slot, WorkerId};
use herder_wire::node::UserValue;

use super::Master;
use super::crew::MemberId;
use crate::dispatch::{Command, Mail, Order, Way};
use crate::event::HerdEvent;
use crate::part::Part;

/// How much of a message is shown, in bytes.
const SHOWN: usize = 1024;

/// What PM2's messages are called.
const PM2_MESSAGE: &str = "process:msg";

impl Master {
    /// A worker's program says something.
    pub(super) fn on_mail(&mut self, worker: WorkerId, mail: &Mail) {
        let part = Part::Workers;
        let Some(member) = self.crews.member(MemberId { part, worker }) else {
            return;
        };
        let (value, worker) = (mail.value(), member.info());
        let text = excerpt(value.as_json());
        self.tell(HerdEvent::Message { worker, text });
        let Some(slot) = addressee(value) else {
            return;
        };
        match self.holder(slot) {
            Some(worker) => self.deliver(worker, value.clone()),
            None => {
                let text = format!(
                    "a worker has a message for {PM2_MESSAGE} id {slot}, where there is nobody: it is lost"
                );
                self.caution(text);
            }
        }
    }

    pub(super) fn on_lost_mail(&self, worker: WorkerId, way: Way, messages: u64) {
        let part = Part::Workers;
        // Told of the dead, too, while they are not buried.
        let Some(member) = self.crews.member(MemberId { part, worker }) else {
            return;
        };
        let worker = member.info();
        self.tell(match way {
            Way::From => HerdEvent::MessagesLost { worker, messages },
            Way::To => HerdEvent::MessagesUnread { worker, messages },
        });
    }

    /// Gives a message to a worker's program, as it is. What a worker does not read is lost beyond a
    /// bound, and counted.
    pub(super) fn deliver(&self, worker: WorkerId, message: UserValue) {
        if let super::delivery::Delivery::Thread(dispatch, _) = &self.delivery {
            dispatch.tell(Command::Node(worker, Order::Relay(message)));
        }
    }

    /// Warns of something once in the life of a herd, however often it is found.
    pub(super) fn caution(&mut self, text: String) {
        /// Who invents ever new ones is not listened to for ever.
        const MOST: usize = 64;
        if self.cautions.len() < MOST && self.cautions.insert(text.clone()) {
            self.tell(HerdEvent::Warning { text });
        }
    }

    /// Who has a slot: the newest that was not told to leave.
    fn holder(&self, slot: u64) -> Option<WorkerId> {
        let slot = Slot(u16::try_from(slot).ok()?);
        let members = self.crews.members();
        let here = members.filter(|(id, _)| id.part == Part::Workers && id.worker.slot == slot);
        let stays = here.filter(|(_, it)| it.node.as_ref().is_some_and(|node| node.serves()));
        stays
            .map(|(id, _)| id.worker)
            .max_by_key(|id| id.incarnation)
    }
}

/// The slot that a message is for, by PM2's convention.
fn addressee(message: &UserValue) -> Option<u64> {
    let kind = message.member("type")?;
    (kind == PM2_MESSAGE).then(|| message.number("id"))?
}

fn excerpt(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let mut end = SHOWN;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} …", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pm2s_messages_have_an_address() {
        for (json, slot) in [
            (
                r#"{"type":"process:msg","data":{},"topic":"t","id":3}"#,
                Some(3),
            ),
            (r#"{"id":0,"type":"process:msg"}"#, Some(0)),
            (r#"{"type":"process:msg","data":{"id":1}}"#, None),
            (r#"{"type":"process:msg","id":"1"}"#, None),
            (r#"{"type":"process:msg","id":-1}"#, None),
            (r#"{"type":"other","id":1}"#, None),
            (r#"{"id":1}"#, None),
            (r#""process:msg""#, None),
        ] {
            let message = UserValue::parse(json).expect("a message");
            assert_eq!(addressee(&message), slot, "{json}");
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(excerpt("\"short\""), "\"short\"");
        let long = excerpt(&"ü".repeat(SHOWN));
        assert!(
            long.len() <= SHOWN + 4 && long.ends_with(" …"),
            "{}",
            long.len()
        );
        let odd = excerpt(&format!("x{}", "ü".repeat(SHOWN)));
        assert!(odd.starts_with("xü") && odd.ends_with("ü …"));
    }
}
