//! The exit statuses of a herd, and what each says.

/// It was stopped as asked.
pub const STOPPED: u8 = 0;
/// A setting or an argument is wrong.
pub const USAGE: u8 = 2;
/// No worker of the first start became ready.
pub const BOOT_FAILED: u8 = 3;
/// It cannot listen where it was told to.
pub const CANNOT_LISTEN: u8 = 4;
/// Something that must not happen happened: the master died or could not be started.
pub const INTERNAL: u8 = 70;
