//! What was heard of a stream of events, so that another daemon can go on with it.

use std::collections::VecDeque;

use herder_api::control::DaemonEvent;

/// How many are remembered. Those of different apps may come in another order than they happened; they are
/// never so many apart.
const MOST: usize = 256;

/// The last events that were heard.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Nothing before is wanted.
    since: String,
    /// What is as old was heard and is remembered no more.
    forgotten: Option<String>,
    last: VecDeque<DaemonEvent>,
    /// Those that another daemon may tell again.
    again: Vec<DaemonEvent>,
}

impl Heard {
    /// Nothing, from that time on.
    pub(crate) fn new(since: String) -> Heard {
        Heard {
            since,
            forgotten: None,
            last: VecDeque::new(),
            again: Vec::new(),
        }
    }

    /// Whether it was not heard before.
    pub(crate) fn is_new(&mut self, event: &DaemonEvent) -> bool {
        if let Some(place) = self.again.iter().position(|other| other == event) {
            self.again.remove(place);
            return false;
        }
        // What happened meanwhile comes behind all that is told again, and in the order of its times.
        if !self.again.is_empty() && self.forgotten.as_ref() >= Some(&event.time) {
            return false;
        }
        self.last.push_back(event.clone());
        if self.last.len() > MOST
            && let Some(first) = self.last.pop_front()
        {
            self.forgotten = self.forgotten.take().max(Some(first.time));
        }
        true
    }

    /// Another daemon tells: what is it to be asked for? From now on, what it tells again is known.
    pub(crate) fn again(&mut self) -> &str {
        self.again = self.last.iter().cloned().collect();
        self.forgotten.as_ref().unwrap_or(&self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: usize) -> DaemonEvent {
        DaemonEvent {
            time: format!("2026-11-21T10:00:00.{:03}Z", number % 1000),
            app: "web".to_owned(),
            event: "ready".to_owned(),
            message: number.to_string(),
            level: "info".to_owned(),
            fields: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn what_comes_again_is_known_once() {
        let mut heard = Heard::new("2026-11-21T10:00:00.000Z".to_owned());
        for number in 1..=3 {
            assert!(heard.is_new(&event(number)));
        }
        // Two that look the same are two.
        assert!(heard.is_new(&event(3)));
        assert_eq!(heard.again(), "2026-11-21T10:00:00.000Z");
        let told = [1, 2, 3, 3, 3, 4].map(|number| heard.is_new(&event(number)));
        assert_eq!(told, [false, false, false, false, true, true]);
    }

    #[test]
    fn what_is_long_past_is_not_asked_for() {
        let mut heard = Heard::new("2026-11-21T10:00:00.000Z".to_owned());
        for number in 1..=MOST + 10 {
            assert!(heard.is_new(&event(number)));
        }
        let since = heard.again().to_owned();
        assert_eq!(since, event(10).time);
        let told = [10, 11, 12].map(|number| heard.is_new(&event(number)));
        assert_eq!(told, [false; 3], "one was forgotten, two are remembered");
    }
}
