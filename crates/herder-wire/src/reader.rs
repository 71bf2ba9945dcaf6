//! Little-endian fields, taken from the front of a byte slice.

/// What has not been read yet.
///
/// Every method takes its field off the front, or returns `None` and leaves the reader in an
/// unspecified place: a body that is short is given up whole.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next `length` bytes. The length is what a peer claims, hence 64 bits wide.
    pub(crate) fn bytes(&mut self, length: u64) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(head)
    }

    /// Everything that is left.
    pub(crate) fn remainder(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// `value`, if nothing is left: a body says exactly what its kind says and no more.
    pub(crate) fn finish<T>(&self, value: T) -> Option<T> {
        self.rest.is_empty().then_some(value)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*head)
    }
}

/// A body that is one number.
pub(crate) fn read_number(body: &[u8]) -> Option<u64> {
    let mut fields = Reader::new(body);
    let number = fields.u64()?;
    fields.finish(number)
}

/// A body that is one smaller number.
pub(crate) fn read_u32(body: &[u8]) -> Option<u32> {
    let mut fields = Reader::new(body);
    let number = fields.u32()?;
    fields.finish(number)
}
