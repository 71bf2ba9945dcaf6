//! Names of requests.

use std::cell::Cell;
use std::rc::Rc;

use herder_sys::random;

/// A source of names that nobody else gives. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    process: u64,
    last: Rc<Cell<u64>>,
}

impl Ids {
    pub(super) fn new() -> Ids {
        Ids {
            process: random::seed(),
            last: Rc::new(Cell::new(random::seed())),
        }
    }

    /// 32 hexadecimal digits.
    pub(super) fn next(&self) -> [u8; 32] {
        let last = self.last.get().wrapping_add(1);
        self.last.set(last);
        let mut digits = [0; 32];
        // A multiplication by an odd number gives each number another place: names that follow each
        // other do not look alike.
        let number = last.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bytes = self
            .process
            .to_be_bytes()
            .into_iter()
            .chain(number.to_be_bytes());
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 0xf)];
        }
        digits
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_names_are_the_same() {
        let ids = Ids::new();
        let names: BTreeSet<_> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(names.len(), 10_000);
        assert!(names.iter().flatten().all(u8::is_ascii_hexdigit));
    }
}
