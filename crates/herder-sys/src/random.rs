//! A seed for the random choices of the pure core, which has no source of its own.

use rustix::io::retry_on_intr;
use rustix::rand::GetRandomFlags;

/// Eight bytes from the kernel's generator.
#[must_use]
pub fn seed() -> u64 {
    let mut bytes = [0_u8; 8];
    // Eight bytes are never given in parts; a kernel without the call leaves only the clock, which
    // is enough to spread restarts (nothing here is a secret).
    match retry_on_intr(|| rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty())) {
        Ok(8) => u64::from_ne_bytes(bytes),
        Ok(_) | Err(_) => crate::clock::monotonic_micros(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_seeds_differ() {
        assert_ne!(super::seed(), super::seed());
    }
}
