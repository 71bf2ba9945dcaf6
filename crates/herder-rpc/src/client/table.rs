//! Numbers for what is under way on one connection.

/// What is under way, by number. A number is never given twice: an answer that comes late finds
/// nothing instead of somebody else's call.
#[derive(Debug)]
pub(super) struct Table<T> {
    entries: Vec<Option<(u64, T)>>,
    free: Vec<usize>,
    issued: u64,
}

impl<T> Table<T> {
    /// The low bits of a number are its place in the table; 2^20 calls and streams are far more
    /// than any library's window. The other 44 bits count.
    const PLACE_BITS: u32 = 20;
    const PLACE_MASK: u64 = (1 << Self::PLACE_BITS) - 1;

    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            issued: 0,
        }
    }

    /// The number of `value`, or `value` itself when the table is full.
    pub(super) fn insert(&mut self, value: T) -> Result<u64, T> {
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.entries.len() as u64 > Self::PLACE_MASK => return Err(value),
            None => {
                self.entries.push(None);
                self.entries.len() - 1
            }
        };
        self.issued += 1;
        let id = (self.issued << Self::PLACE_BITS) | place as u64;
        self.entries[place] = Some((id, value));
        Ok(id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        match self.entries.get_mut(place(id)) {
            Some(Some((held, value))) if *held == id => Some(value),
            Some(_) | None => None,
        }
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<T> {
        self.get_mut(id)?;
        self.free.push(place(id));
        self.entries[place(id)].take().map(|(_, value)| value)
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Takes out what `keep` refuses.
    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for (place, entry) in self.entries.iter_mut().enumerate() {
            if entry.as_ref().is_some_and(|(_, value)| !keep(value)) {
                *entry = None;
                self.free.push(place);
            }
        }
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().flatten().map(|(_, value)| value)
    }
}

fn place(id: u64) -> usize {
    usize::try_from(id & Table::<()>::PLACE_MASK).expect("20 bits fit in a usize")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_never_given_twice() {
        let mut table = Table::new();
        let mut seen = std::collections::HashSet::new();
        for round in 0..10_000 {
            let id = table.insert(round).unwrap();
            assert!(id != 0 && seen.insert(id), "number {id} was given before");
            assert_eq!(table.remove(id), Some(round));
            assert_eq!(table.remove(id), None);
        }
        assert_eq!(table.entries.len(), 1, "places are used again");
    }

    #[test]
    fn a_late_answer_finds_nothing() {
        let mut table = Table::new();
        let old = table.insert("old").unwrap();
        table.remove(old);
        let new = table.insert("new").unwrap();
        assert!(table.get_mut(old).is_none());
        assert_eq!(table.get_mut(new), Some(&mut "new"));
        assert!(table.get_mut(u64::MAX).is_none() && table.get_mut(0).is_none());
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_full_table_gives_the_value_back() {
        let mut table = Table::new();
        let ids: Vec<_> = (0..1 << 20)
            .map(|n: u32| table.insert(n).unwrap())
            .collect();
        assert_eq!(table.insert(77), Err(77));
        assert_eq!(table.remove(ids[12_345]), Some(12_345));
        assert!(table.insert(78).is_ok());
        assert_eq!(table.values_mut().count(), 1 << 20);
    }
}
