//! How far files have been read, for somebody who goes on there later.

use std::collections::BTreeMap;

/// How far files have been read: up to which byte, by the file itself and not by its name, which another
/// one may have by then. Written, it is `DEVICE.INODE.BYTE,…`, in hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Marks(BTreeMap<(u64, u64), u64>);

impl Marks {
    pub(super) fn set(&mut self, file: (u64, u64), at: u64) {
        self.0.insert(file, at);
    }

    pub(super) fn get(&self, file: (u64, u64)) -> Option<u64> {
        self.0.get(&file).copied()
    }
}

impl std::fmt::Display for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, ((device, inode), at)) in self.0.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma}{device:x}.{inode:x}.{at:x}")?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Marks {
    type Err = NoMarks;

    fn from_str(text: &str) -> Result<Marks, NoMarks> {
        let mut marks = Marks::default();
        for one in text.split(',').filter(|one| !one.is_empty()) {
            let mut numbers = one.split('.').map(|it| u64::from_str_radix(it, 16).ok());
            let mut next = || numbers.next().flatten().ok_or(NoMarks);
            let (device, inode, at) = (next()?, next()?, next()?);
            if numbers.next().is_some() {
                return Err(NoMarks);
            }
            marks.set((device, inode), at);
        }
        Ok(marks)
    }
}

/// A text that is none of [`Marks`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it is no DEVICE.INODE.BYTE in hexadecimal digits, nor several with commas between")]
pub struct NoMarks;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_written_and_read() {
        let mut marks = Marks::default();
        assert_eq!(marks.to_string(), "");
        assert_eq!("".parse(), Ok(marks.clone()));
        marks.set((0x801, 77), 4096);
        marks.set((0x801, 5), 0);
        assert_eq!(marks.to_string(), "801.5.0,801.4d.1000");
        assert_eq!(marks.to_string().parse(), Ok(marks));
        for bad in ["801.5", "801.5.0.1", "801.x.0", "a", "801..0", "-1.2.3"] {
            assert_eq!(bad.parse::<Marks>(), Err(NoMarks), "{bad}");
        }
    }
}
