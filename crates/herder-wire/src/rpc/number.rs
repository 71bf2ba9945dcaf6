//! The numbers of the types and the flags.

pub(super) const HELLO: u8 = 1;
pub(super) const WELCOME: u8 = 2;
pub(super) const REFUSED: u8 = 3;
pub(super) const SIGNATURE_ASK: u8 = 4;
pub(super) const SIGNATURE: u8 = 5;
pub(super) const CALL: u8 = 6;
pub(super) const OK: u8 = 7;
pub(super) const ERROR: u8 = 8;
pub(super) const CANCEL: u8 = 9;
pub(super) const SUBSCRIBE: u8 = 10;
pub(super) const OPENED: u8 = 11;
pub(super) const ITEM: u8 = 12;
pub(super) const END: u8 = 13;
pub(super) const CREDIT: u8 = 14;
pub(super) const GOAWAY: u8 = 15;
pub(super) const PING: u8 = 16;
pub(super) const PONG: u8 = 17;

pub(super) const POSTCARD: u8 = 1;
pub(super) const ONE_WAY: u8 = 1 << 1;
pub(super) const MANDATORY: u8 = 1 << 7;
