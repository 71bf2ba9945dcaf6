//! What is to happen, and where.

/// Where what is to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// A name, or the begin of names when `is_prefix`.
    name: String,
    is_prefix: bool,
    pub(super) action: Action,
    /// At which time, counted from 1.
    pub(super) nth: u64,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Errno(i32),
    Exit(i32),
    Kill,
    Stop,
}

/// Who comes by: one that can take an error, or one that cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passer {
    Step,
    Call,
}

impl Order {
    /// Reads `NAME:ACTION[:NTH]`; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Order> {
        let mut parts = text.trim().split(':');
        let (name, action) = (parts.next()?, parts.next()?);
        let nth = parts.next().map_or(Some(1), |nth| nth.parse().ok())?;
        let (action, value) = match action.split_once('=') {
            None => (action, None),
            Some((action, value)) => (action, Some(value.parse().ok()?)),
        };
        let action = match (action, value) {
            ("errno", Some(number)) => Action::Errno(number),
            ("exit", status) => Action::Exit(status.unwrap_or(1)),
            ("kill", None) => Action::Kill,
            ("stop", None) => Action::Stop,
            _ => return None,
        };
        let prefix = name.strip_suffix('*');
        let whole = parts.next().is_none() && !name.is_empty();
        whole.then(|| Order {
            name: prefix.unwrap_or(name).to_owned(),
            is_prefix: prefix.is_some(),
            action,
            nth,
        })
    }

    /// Reads several, separated by commas. What is none is left out.
    pub(super) fn parse_all(text: &str) -> Vec<Order> {
        text.split(',').filter_map(Order::parse).collect()
    }

    /// Whether it means this place and who comes by there.
    pub(super) fn means(&self, name: &str, passer: Passer) -> bool {
        let is_named = if self.is_prefix {
            name.starts_with(&self.name)
        } else {
            name == self.name
        };
        is_named && (passer == Passer::Call || !matches!(self.action, Action::Errno(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read() {
        let order = Order::parse("spawn.stored:kill").unwrap();
        assert_eq!((order.action, order.nth), (Action::Kill, 1));
        assert!(order.means("spawn.stored", Passer::Step));
        assert!(!order.means("spawn.stored.more", Passer::Step));
        let order = Order::parse("adopt.*:errno=24:7\n").unwrap();
        assert_eq!((order.action, order.nth), (Action::Errno(24), 7));
        assert!(order.means("adopt.link", Passer::Call));
        assert!(!order.means("adopt.link", Passer::Step));
        assert_eq!(Order::parse("a:exit").unwrap().action, Action::Exit(1));
        assert_eq!(Order::parse("a:exit=3").unwrap().action, Action::Exit(3));
        for wrong in [
            "",
            "a",
            ":kill",
            "a:die",
            "a:errno",
            "a:kill=1",
            "a:kill:x",
            "a:kill:1:2",
        ] {
            assert_eq!(Order::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Order::parse_all("a:kill,,b:stop").len(), 2);
    }
}
