//! Which certificates gateways are shown, and what they make of them.

use std::os::fd::AsFd;

use herder_sys::epoll::Interest;

use super::sets::{Follows, Standing};
use crate::event::HerdEvent;
use crate::master::Master;
use crate::master::crew::MemberId;
use crate::master::delivery::Delivery;
use crate::master::token::Source as Token;

/// Who is shown certificates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Viewer {
    /// A gateway that has none.
    Newcomer,
    /// One that serves.
    Server,
}

impl Master {
    /// Has a gateway read the certificates, and sees to it that it hears of others.
    pub(super) fn show_certificates(&mut self, gateway: MemberId, viewer: Viewer) {
        let Delivery::Gateway(reception) = &self.delivery else {
            return;
        };
        let certificates = &reception.settings.certificates;
        // By other settings they are others.
        if certificates.files().is_empty() || !self.is_up_to_date(gateway) {
            return;
        }
        let messages = match viewer {
            Viewer::Newcomer => certificates.for_newcomer(),
            Viewer::Server => certificates.for_others(),
        };
        for (message, descriptors) in messages {
            self.say_with(gateway, &message, descriptors);
        }
        self.watch_certificates();
    }

    /// Sees to it that changes of the files are seen.
    pub(super) fn watch_certificates(&mut self) {
        let Delivery::Gateway(reception) = &mut self.delivery else {
            return;
        };
        let certificates = &mut reception.settings.certificates;
        if certificates.files().is_empty() || certificates.watch.is_some() {
            return;
        }
        let begun = certificates.look_after().and_then(|watch| {
            let token = Token::Certificates.token();
            self.epoll
                .add(watch.bell.as_fd(), token, Interest::READABLE)?;
            Ok(watch)
        });
        match begun {
            Ok(watch) => certificates.watch = Some(watch),
            Err(error) => {
                let text = format!("nobody sees when certificates change: {error}");
                self.tell(HerdEvent::Warning { text });
            }
        }
    }

    /// They have changed.
    pub(in crate::master) fn on_certificates(&mut self) {
        let Delivery::Gateway(reception) = &mut self.delivery else {
            return;
        };
        if !reception.settings.certificates.take_found() {
            return;
        }
        self.touch();
        for gateway in self.gateways() {
            self.show_certificates(gateway, Viewer::Server);
        }
    }

    /// A gateway says what it makes of a set: with the last that was good others can begin, and what is wrong
    /// with one is told once, whoever finds it.
    pub(super) fn on_certificates_tried(
        &mut self,
        gateway: MemberId,
        set: u32,
        fault: Option<&str>,
    ) {
        if !self.is_up_to_date(gateway) {
            return;
        }
        let Delivery::Gateway(reception) = &mut self.delivery else {
            return;
        };
        let said = match fault {
            None => Standing::Good,
            Some(_) => Standing::Refused,
        };
        match reception.settings.certificates.heard(set, said) {
            Follows::Nothing => {}
            Follows::Keep => self.touch(),
            Follows::Tell => {
                let fault = fault.unwrap_or_default();
                let text = format!("the certificates stay as they were: {fault}");
                self.tell(HerdEvent::Warning { text });
                self.touch();
            }
        }
    }
}
