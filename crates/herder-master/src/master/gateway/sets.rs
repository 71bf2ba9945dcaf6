//! Which set of certificates a gateway is shown: what is there now, and, as long as nobody could serve with
//! that, the last one with which somebody could. Pure: what a set is made of is not looked at.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

/// What is there now, and the last that was good.
#[derive(Debug)]
pub(super) struct Sets<T> {
    now: Set<T>,
    standing: Standing,
    good: Option<Set<T>>,
    /// The number of the set after this one.
    next: u32,
}

/// A set, by the number that gateways know it by.
#[derive(Debug)]
pub(super) struct Set<T> {
    pub(super) number: u32,
    pub(super) files: Rc<T>,
}

/// What gateways made of a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Standing {
    /// Nobody has said anything.
    Untried,
    Good,
    Refused,
}

/// What follows from what a gateway has said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Follows {
    /// It was known, or is of a set that is not there any more.
    Nothing,
    /// Whoever starts from now on can begin with this set.
    Keep,
    /// Somebody has to see to it.
    Tell,
}

impl<T> Sets<T> {
    /// The first set, of which nothing is known.
    pub(super) fn new(number: u32, files: T) -> Sets<T> {
        Sets {
            now: Set::new(number, files),
            standing: Standing::Untried,
            good: None,
            next: number.wrapping_add(1),
        }
    }

    /// What another master has found out of this set, and the last good one that it has left.
    pub(super) fn with(mut self, standing: Standing, good: Option<(u32, T)>) -> Sets<T> {
        self.standing = standing;
        self.good = good.map(|(number, files)| Set::new(number, files));
        if self.standing == Standing::Good {
            self.good.get_or_insert_with(|| self.now.clone());
        }
        self
    }

    /// What is there now.
    pub(super) fn now(&self) -> &T {
        &self.now.files
    }

    /// The number that no set had so far.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// What is known of it.
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// The last with which somebody could serve.
    pub(super) fn good(&self) -> Option<&Set<T>> {
        self.good.as_ref()
    }

    /// Something else is there.
    pub(super) fn replace(&mut self, files: T) {
        self.now = Set::new(self.next, files);
        self.next = self.next.wrapping_add(1);
        self.standing = Standing::Untried;
    }

    /// Numbers that were given elsewhere are not given again.
    pub(super) fn count_from(&mut self, number: u32) {
        self.next = self.next.max(number);
    }

    /// A gateway says what it makes of a set: that one can serve with it counts for more than that another
    /// one cannot, which may lack something else.
    pub(super) fn heard(&mut self, number: u32, said: Standing) -> Follows {
        if number != self.now.number {
            return Follows::Nothing;
        }
        match (self.standing, said) {
            (Standing::Untried | Standing::Refused, Standing::Good) => {
                self.standing = Standing::Good;
                self.good = Some(self.now.clone());
                Follows::Keep
            }
            (Standing::Untried, Standing::Refused) => {
                self.standing = Standing::Refused;
                Follows::Tell
            }
            (Standing::Good | Standing::Refused, Standing::Refused)
            | (Standing::Good, Standing::Good)
            | (_, Standing::Untried) => Follows::Nothing,
        }
    }

    /// What a gateway is shown that has none, in this order: it serves with the first, and with the second
    /// if it can. (What another one has refused it may be able to read.)
    pub(super) fn for_newcomer(&self) -> Vec<&Set<T>> {
        match (&self.good, self.standing) {
            (None, _) | (Some(_), Standing::Good) => vec![&self.now],
            (Some(good), Standing::Refused | Standing::Untried) => vec![good, &self.now],
        }
    }

    /// What those are shown that serve.
    pub(super) fn for_others(&self) -> &Set<T> {
        &self.now
    }
}

impl<T> Set<T> {
    fn new(number: u32, files: T) -> Set<T> {
        Set {
            number,
            files: Rc::new(files),
        }
    }
}

impl<T> Clone for Set<T> {
    fn clone(&self) -> Set<T> {
        Set {
            number: self.number,
            files: Rc::clone(&self.files),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sets: &Sets<&'static str>) -> Vec<(u32, &'static str)> {
        let shown = sets.for_newcomer().into_iter();
        shown.map(|set| (set.number, *set.files)).collect()
    }

    #[test]
    fn who_comes_while_the_files_are_broken_gets_the_last_that_were_good() {
        let mut sets = Sets::new(1, "first");
        assert_eq!(shown(&sets), [(1, "first")], "nobody knows better");
        assert_eq!(sets.heard(1, Standing::Good), Follows::Keep);
        sets.replace("broken");
        let both = [(1, "first"), (2, "broken")];
        assert_eq!(shown(&sets), both, "it may be good");
        assert_eq!(sets.heard(2, Standing::Refused), Follows::Tell);
        assert_eq!(shown(&sets), both, "it is tried once more, and not told");
        assert_eq!(sets.heard(2, Standing::Refused), Follows::Nothing);
        sets.replace("second");
        assert_eq!(sets.heard(3, Standing::Good), Follows::Keep);
        assert_eq!(shown(&sets), [(3, "second")]);
    }

    #[test]
    fn what_is_wrong_is_told_once_however_many_gateways_find_it() {
        let mut sets = Sets::new(7, "broken");
        assert_eq!(sets.heard(7, Standing::Refused), Follows::Tell);
        assert_eq!(sets.heard(7, Standing::Refused), Follows::Nothing);
        sets.replace("broken otherwise");
        assert_eq!(sets.for_others().number, 8);
        assert_eq!(sets.heard(8, Standing::Refused), Follows::Tell);
    }

    #[test]
    fn what_was_said_of_another_set_says_nothing_of_this_one() {
        let mut sets = Sets::new(1, "first");
        sets.replace("second");
        assert_eq!(sets.heard(1, Standing::Good), Follows::Nothing);
        assert!(sets.good().is_none() && sets.standing() == Standing::Untried);
    }

    #[test]
    fn one_gateway_that_can_serve_is_believed_more_than_one_that_cannot() {
        let mut sets = Sets::new(1, "first");
        sets.heard(1, Standing::Refused);
        assert_eq!(sets.heard(1, Standing::Good), Follows::Keep);
        assert_eq!(sets.heard(1, Standing::Refused), Follows::Nothing);
        assert_eq!(shown(&sets), [(1, "first")]);
    }

    #[test]
    fn another_master_goes_on_with_what_was_left() {
        let left = || Sets::new(5, "now");
        let good = || Some((3, "before"));
        let both = [(3, "before"), (5, "now")];
        assert_eq!(shown(&left().with(Standing::Untried, good())), both);
        let mut refused = left().with(Standing::Refused, good());
        assert_eq!(shown(&refused), both);
        assert_eq!(refused.heard(5, Standing::Refused), Follows::Nothing);
        let same = left().with(Standing::Good, good());
        assert_eq!(shown(&same), [(5, "now")]);
        let mut unkept = left().with(Standing::Good, None);
        assert_eq!(unkept.good().expect("it is good").number, 5);
        unkept.count_from(9);
        unkept.replace("later");
        assert_eq!(shown(&unkept), [(5, "now"), (9, "later")]);
        let lost = left().with(Standing::Refused, None);
        assert_eq!(shown(&lost), [(5, "now")], "there is nothing better");
    }
}
