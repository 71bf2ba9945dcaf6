//! Whether a program can be loaded here.

use super::Refusal;

/// Whether this process may let the kernel dispatch, tried by doing it.
///
/// # Errors
///
/// Which right, or what else, is missing.
pub fn probe() -> Result<(), Refusal> {
    Err(Refusal::Other("not built yet".to_owned()))
}
