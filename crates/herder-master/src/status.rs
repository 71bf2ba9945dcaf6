//! The exit statuses of a herd, and what each says.

/// It was stopped as asked, or has done what it was for.
pub const STOPPED: u8 = 0;
/// It was done, or could not go on, after a failure that is not to be tried again.
pub const FAILED: u8 = 1;
/// A setting or an argument is wrong.
pub const USAGE: u8 = 2;
/// No worker of the first start became ready.
pub const BOOT_FAILED: u8 = 3;
/// It cannot listen where it was told to.
pub const CANNOT_LISTEN: u8 = 4;
/// Something that must not happen happened: the master died or could not be started.
pub const INTERNAL: u8 = 70;
