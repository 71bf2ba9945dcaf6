//! Keys and data, and what becomes of them.

mod fixtures;
mod frames;
mod keys;
mod life;
