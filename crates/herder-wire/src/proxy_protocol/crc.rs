//! CRC32c (Castagnoli). Headers are short and come once for a connection, so it goes bit by bit.

/// The checksum of the bytes.
pub(super) fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    let sum = bytes.fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ (POLYNOMIAL * (sum & 1))
        })
    });
    !sum
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_the_checksum_of_rfc_3720() {
        assert_eq!(
            super::crc32c(b"123456789".iter().copied()).to_be_bytes(),
            [0xE3, 0x06, 0x92, 0x83]
        );
        assert_eq!(super::crc32c([0; 32].into_iter()), 0x8A91_36AA);
        assert_eq!(super::crc32c([0xFF; 32].into_iter()), 0x62A8_AB43);
    }
}
